import { tagsOf, type Tags } from "./campaign";
import { uniqueId } from "./id";
import type { Store } from "./storage";
import type { PageInfo, Settings } from "./types";

/** Who is here, in which session, from which campaign, in which variants; shared by tabs through the store. */
export interface Visit {
  anonymousId: string;
  userId?: string;
  sessionId: string;
  /** Epoch milliseconds of the session's last event. */
  last: number;
  tags: Tags;
  /** When the tagged link brought the visitor, epoch milliseconds. */
  since: number;
  experiments: Record<string, string>;
}

/** Throws, and so says no as well, where an id is no text. */
const isVisit = ({ anonymousId, sessionId, last, tags, since }: Visit) =>
  anonymousId.trim() && sessionId.trim() && last >= 0 && tags && since >= 0;

/** Returns what begins or carries on the visit with an event at `now`. `declared`: experiments named on this page. */
export function createVisits(store: Store, settings: Settings, declared: Record<string, string>) {
  const gap = (settings.sessionMinutes ?? 30) * 60_000;
  const memory = (settings.campaignDays ?? 30) * 86_400_000;
  let landed = false;

  /** `page` as the browser has it, uncut; `userId` when the shop has just told it. */
  return (now: number, page: PageInfo, userId?: string): Visit => {
    const earlier = store.read<Visit>("visit", isVisit);
    const fresh = !earlier || now - earlier.last > gap;
    const tags = landed && !fresh ? undefined : tagsOf(page.url);
    const remembered = earlier && (!fresh || now - earlier.since < memory);
    landed = true;
    const visit = {
      anonymousId: earlier?.anonymousId ?? uniqueId(),
      userId: userId ?? earlier?.userId,
      sessionId: fresh ? uniqueId() : earlier.sessionId,
      last: fresh ? now : Math.max(now, earlier.last),
      tags: tags ?? (remembered ? earlier.tags : {}),
      since: tags || !earlier ? now : earlier.since,
      experiments: { ...(fresh ? {} : earlier.experiments), ...declared },
    };
    store.write("visit", visit);
    return visit;
  };
}
