/** Shopify Web Pixel: the same queue, consent and visits, fed by Shopify's customer events instead of by the page. */
import { createClient, type Client } from "./client";
import { guard } from "./guard";
import { mapEvent, type ShopifyEvent } from "./shopify_events";
import type { Backend } from "./storage";
import type { PageInfo, Settings } from "./types";

interface Privacy {
  analyticsProcessingAllowed: boolean;
}

interface AsyncStorage {
  getItem(key: string): Promise<string | null>;
  setItem(key: string, value: string): Promise<void>;
  removeItem(key: string): Promise<void>;
}

/** What Shopify hands to a pixel (Web Pixels API, standard API). */
interface PixelApi {
  analytics: { subscribe(name: string, listener: (event: ShopifyEvent) => void): unknown };
  browser: { localStorage: AsyncStorage };
  init: { context?: ShopifyEvent["context"]; customerPrivacy?: Privacy };
  customerPrivacy?: { subscribe(name: "visitorConsentCollected", listener: (event: { customerPrivacy: Privacy }) => void): unknown };
  settings?: PixelSettings;
}

interface PixelSettings {
  write_key: string;
  host: string;
  /** `checkout` where the theme runs the browser SDK as well: its storefront events are not sent twice then. */
  scope?: "all" | "checkout";
}

/** The browser SDK keeps these under the same names, so a theme with it and this pixel see one visit. Consent is Shopify's. */
const KEYS = ["fw.visit", "fw.queue"];

/** Storage of the shop's page, which the sandbox reaches only asynchronously: a copy to read, refreshed before each event. */
function mirror(storage: AsyncStorage) {
  const values: Record<string, string | null> = {};
  const ignore = () => null; // blocked in the page: the copy is all there is
  const put = (key: string, value: string | null) => {
    if (!KEYS.includes(key)) return;
    values[key] = value;
    (value == null ? storage.removeItem(key) : storage.setItem(key, value)).catch(ignore);
  };
  const backend: Backend = {
    getItem: (key) => values[key] ?? null,
    setItem: put,
    removeItem: (key) => put(key, null),
  };
  const refresh = () => Promise.all(KEYS.map((key) => storage.getItem(key).then((value) => (values[key] = value), ignore)));
  return { backend, refresh };
}

function start({ analytics, browser, init, customerPrivacy, settings }: PixelApi) {
  if (!settings) return;
  const { backend, refresh } = mirror(browser.localStorage);
  const known = init.customerPrivacy?.analyticsProcessingAllowed ?? true;
  const options: Settings = {
    key: settings.write_key,
    host: settings.host,
    consent: known ? "granted" : "pending",
  };
  let current: Partial<ShopifyEvent> = { context: init.context };
  let client: Client | undefined;
  // One after another: an event must see the visit as the one before it left it.
  let last: Promise<unknown> = Promise.resolve();
  const next = (step: () => void) => (last = last.then(refresh).then(guard(step)));

  next(() => {
    client = createClient(options, {
      name: "funnelwatch-shopify",
      backendFor: () => backend,
      page: () => pageOf(current),
      // The sandbox has no unload event: what is not sent now may never be.
      urgent: () => true,
      fields: () => ({ messageId: current.id }),
    });
  });
  analytics.subscribe("all_standard_events", (event) =>
    next(() => {
      current = event;
      forward(client!, event, settings.scope);
    }),
  );
  customerPrivacy?.subscribe("visitorConsentCollected", (event) =>
    next(() => client!.consent(Date.now(), event.customerPrivacy.analyticsProcessingAllowed ? "granted" : "denied")),
  );
}

function forward(client: Client, event: ShopifyEvent, scope?: string) {
  const mapped = mapEvent(event);
  if (!mapped || (scope == "checkout" && !/^(checkout|payment|alert)_/.test(event.name))) return;
  const at = Date.parse(event.timestamp);
  if (mapped.event == "page_view") client.page(at);
  else client.track(at, mapped.event, mapped.properties);
}

function pageOf({ context }: Partial<ShopifyEvent>): PageInfo {
  const page = context?.document;
  return {
    url: page?.location?.href ?? "https://unknown.invalid/",
    path: page?.location?.pathname ?? "",
    title: page?.title ?? "",
    referrer: page?.referrer ?? "",
  };
}

declare const shopify: { extend(point: string, run: (api: PixelApi) => void): void };

shopify.extend("WebPixel::Render", guard(start));
