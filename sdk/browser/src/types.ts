import type { AddonName, CommerceEvent } from "./names";

export type Consent = "pending" | "granted" | "denied";
export type Properties = Record<string, unknown>;

/** A line of a cart or an order, under GA4's names. */
export interface Item {
  item_id?: string;
  item_name?: string;
  item_category?: string;
  item_brand?: string;
  item_variant?: string;
  /** Per unit, in the event's currency. */
  price?: number;
  quantity?: number;
  [other: string]: unknown;
}

/** What a commerce call takes: GA4's parameters and anything else the shop wants to break funnels down by. */
export interface Commerce {
  /** ISO 4217. Needed wherever there is a value. */
  currency?: string;
  /** Gross, in `currency`. */
  value?: number;
  items?: Item[];
  coupon?: string;
  /** The order's id; needed for `purchase` and `refund`. */
  transaction_id?: string;
  shipping_tier?: string;
  payment_type?: string;
  payment_provider?: string;
  stock_state?: string;
  /** Why a payment or a coupon was refused. */
  code?: string;
  [other: string]: unknown;
}

export interface ErrorSettings {
  /** Share of sessions that report errors, 0 to 1. Default 1. */
  sampleRate?: number;
  /** Hosts whose failed or slow requests are reported, subdomains included. Default: the page's own. */
  hosts?: string[];
  /** A request slower than this is reported with code `slow`. Default 5000. */
  slowMs?: number;
}

export interface Settings {
  /** The project's write key. */
  key: string;
  /** Origin of the FunnelWatch server, as `https://watch.shop.example`. */
  host: string;
  /** Left out: no consent is asked for. Otherwise where a visitor who has not decided yet starts. */
  consent?: Consent;
  /** Send page views by itself, single-page routing included. Default true. */
  autoPage?: boolean;
  /** Release of the shop's front end; lets an incident name the deploy. */
  appVersion?: string;
  /** Mark everything as test traffic: stored, never counted. */
  test?: boolean;
  /** Domain to share visitor and session over, as `.shop.example`; they live in cookies then. */
  cookieDomain?: string;
  /** Minutes without an event after which a new session begins. Default 30. */
  sessionMinutes?: number;
  /** Days a campaign is remembered for later direct visits. Default 30. */
  campaignDays?: number;
  /** Milliseconds an event may wait for company before it is sent. Default 2000. */
  flushInterval?: number;
  /** Events that are sent without waiting. Default 20. */
  flushAt?: number;
  /** Query parameters kept in page addresses; all others are cut off, campaigns once they are read. */
  keepQuery?: string[];
  /** Property and trait names that never leave the page, at any depth. */
  deny?: string[];
  /** Last look at a message; what it returns is sent, nothing is sent when it returns nothing. */
  beforeSend?: (message: Message) => Message | null | undefined;
  /** Default `["errors", "vitals", "checkout"]`. */
  addons?: AddonName[];
  errors?: ErrorSettings;
  /** Share of sessions in which third-party checkout scripts are hashed. Default 0.01. */
  scriptHashRate?: number;
  /** Show on the console what went wrong inside the SDK. */
  debug?: boolean;
}

export interface PageInfo {
  url: string;
  path: string;
  title: string;
  referrer: string;
}

/** One message of Segment's HTTP Tracking API; see sdk/contract/batch.schema.json. */
export interface Message {
  messageId: string;
  type: "track" | "page" | "identify";
  timestamp: string;
  anonymousId: string;
  userId?: string;
  event?: string;
  properties?: Properties;
  traits?: Properties;
  test?: boolean;
  context: Properties;
}

/** What an add-on may use of the core. */
export interface Host {
  settings: Settings;
  track(event: string, properties: Properties): void;
  sessionId(): string;
  /** Calls back with the name and time (epoch milliseconds) of every event of this page, those already gone included. */
  onEvent(listener: (event: string, at: number) => void): void;
  /** Takes over the errors collected so far and all later ones. */
  onError(listener: (fault: Fault) => void): void;
  /** Session-long memory of the add-on, shared by tabs. */
  read<T>(key: string, fits: (value: any) => unknown): T | undefined;
  write(key: string, value: unknown): void;
}

/** An error as the browser reported it, or as the shop handed it over. */
export type Fault = ErrorEvent | PromiseRejectionEvent | Event | { type: "manual"; error: unknown };

export type Addon = (host: Host) => void;

type CommerceCalls = Record<CommerceEvent, (properties?: Commerce) => void>;

export interface FunnelWatch extends CommerceCalls {
  /** Starts the SDK; calls made before it are kept and sent with their own time. */
  init(settings: Settings): void;
  track(event: string, properties?: Properties): void;
  page(properties?: Properties): void;
  identify(userId: string, traits?: Properties): void;
  /** Forgets the visitor, as after a log-out. */
  reset(): void;
  consent(state: Consent): void;
  /** Names the variant of an experiment this visitor sees. */
  experiment(name: string, variant: string): void;
  /** Reports an error that the shop caught itself, as in an error boundary. */
  exception(error: unknown): void;
  use(addon: Addon): void;
  /** Sends what waits, now. */
  flush(): void;
}
