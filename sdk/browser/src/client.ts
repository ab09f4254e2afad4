import { guard } from "./guard";
import { uniqueId } from "./id";
import { createQueue } from "./queue";
import { createStore, type Backend } from "./storage";
import { createPost } from "./transport";
import { createVisits } from "./visit";
import type { Consent, Message, PageInfo, Properties, Settings } from "./types";

/** What differs between a page, and the sandboxes shops run pixels in. */
export interface Platform {
  name: string;
  backendFor(key: string): Backend;
  /** The page the shopper is on, address and referrer uncut. */
  page(): PageInfo;
  urgent(): boolean;
  /** What the sandbox knows better of the current message: its id, its visitor. */
  fields?(): Partial<Message>;
}

type Listener = (event: string, at: number) => void;

const STATES: Consent[] = ["pending", "granted", "denied"];

/** Messages kept for a visitor who has not decided yet; more than a long visit makes before the banner is answered. */
const HELD_LIMIT = 200;

/** Turns calls into messages, holds them while consent is open, and hands them to the queue. Times are epoch ms. */
export function createClient(settings: Settings, platform: Platform) {
  const store = createStore(platform.backendFor);
  const declared: Record<string, string> = {};
  const visit = createVisits(store, settings, declared);
  const queue = createQueue(store, createPost(settings.host.replace(/\/$/, "") + "/v1/batch"), platform.urgent, settings);
  const listeners: Listener[] = [];
  const seen: [event: string, at: number][] = [];
  let held: Message[] = [];
  let state: Consent = "pending";

  function build(at: number, type: Message["type"], fields: Partial<Message>, identified?: string): Message {
    const page = platform.page();
    const { anonymousId, userId, sessionId, tags, experiments } = visit(at, page, identified);
    const agent = navigator.userAgent;
    return {
      messageId: uniqueId(),
      type,
      timestamp: new Date(at).toISOString(),
      anonymousId,
      userId,
      test: settings.test || undefined,
      ...fields,
      ...platform.fields?.(),
      context: {
        library: { name: platform.name, version: VERSION },
        page: { ...cut(page), search: tags.click && `?${tags.click}=1` },
        userAgent: agent,
        // An iPad says it is a Macintosh; only its touch screen gives it away.
        device: /Macintosh/.test(agent) && navigator.maxTouchPoints > 1 ? { type: "tablet" } : undefined,
        sessionId,
        campaign: tags.campaign,
        experiments,
        consent: settings.consent && "granted",
        app: settings.appVersion && { version: settings.appVersion },
      },
    };
  }

  /** Addresses without what may be personal in them: fragments and query parameters nobody asked to keep. */
  function cut(page: PageInfo): PageInfo {
    const url = new URL(page.url);
    [...url.searchParams.keys()].forEach((name) => settings.keepQuery?.includes(name) || url.searchParams.delete(name));
    url.hash = "";
    return { ...page, url: url.href, referrer: page.referrer.split(/[?#]/)[0]! };
  }

  function emit(message: Message) {
    const final = settings.beforeSend ? settings.beforeSend(message) : message;
    if (!final || state == "denied") return;
    if (state == "granted") queue.add(final);
    else if (held.length < HELD_LIMIT) held.push(final);
  }

  function consent(next: Consent) {
    state = next;
    if (next == "granted") {
      store.open();
      queue.resume();
      held.splice(0).forEach(guard(queue.add));
    } else if (next == "denied") {
      held = [];
      queue.clear();
      store.close();
    }
  }

  // What the page says it knows beats what we remember; that beats not knowing.
  const told = settings.consent != "pending" && settings.consent;
  consent(told || store.read<Consent>("consent", (value) => STATES.includes(value)) || settings.consent || "granted");

  return {
    ...store,
    ...queue,
    granted: () => state == "granted",
    sessionId: () => visit(Date.now(), platform.page()).sessionId,
    onEvent(listener: Listener) {
      seen.forEach(([event, at]) => listener(event, at));
      listeners.push(listener);
    },
    track(at: number, event: string, properties: Properties = {}) {
      emit(build(at, "track", { event, properties }));
      seen.push([event, at]);
      listeners.forEach((listener) => listener(event, at));
    },
    page(at: number, properties: Properties = {}) {
      emit(build(at, "page", { properties }));
    },
    identify(at: number, userId: string, traits?: Properties) {
      emit(build(at, "identify", { traits }, userId));
    },
    consent(_at: number, next: Consent) {
      if (next == state) return;
      store.write("consent", next);
      consent(next);
    },
    reset: () => store.write("visit", null),
    experiment: (_at: number, name: string, variant: string) => (declared[name] = variant),
  };
}

export type Client = ReturnType<typeof createClient>;
