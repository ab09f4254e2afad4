/** What the address of a landing page says about the advert behind it. */
export interface Tags {
  campaign?: { source: string; medium: string; name?: string };
  /** Name of the click id, as `gclid`; its value identifies the shopper and stays here. Ingest knows whose it is. */
  click?: string;
}

const CLICK_ID = /(clk?id|braid|cid|fat_id|igshid|epik)$/i;

/** Undefined where nothing is tagged. A referrer is no tag: ingest reads it from the landing page's event. */
export function tagsOf(url: string): Tags | undefined {
  const query = new URL(url).searchParams;
  const [source, medium, name] = ["source", "medium", "campaign"].map((part) => query.get("utm_" + part)?.slice(0, 100));
  const click = [...query.keys()].find((parameter) => CLICK_ID.test(parameter));
  if (source || name) return { campaign: { source: source ?? "(not set)", medium: medium ?? "(not set)", name } };
  return click ? { click } : undefined;
}
