import { guard } from "./guard";
import type { Store } from "./storage";
import type { Answer, Post } from "./transport";
import type { Message, Settings } from "./types";

/** A message, serialised once at the moment of the call: id, JSON, bytes. */
type Entry = [id: string, json: string, size: number];

/** Segment's limit for an event. */
const EVENT_LIMIT = 32_768;
/** A request; any event fits, and one in flight leaves room in the browser's quota for what unloading adds. */
const REQUEST_LIMIT = 40_000;
/** Browsers refuse more than 64 KiB of keepalive bodies in flight; the rest is for the envelope and other scripts. */
const KEEPALIVE_QUOTA = 60_000;
/** What may wait, in memory and in storage; the oldest gives way. About 250 events of a shop that cannot be reached. */
const BACKLOG_LIMIT = 262_144;
const FIRST_RETRY = 1_000;
const LAST_RETRY = 60_000;

/** A size that is no number would spoil every sum; one above the limit would never be sent and hold up the others. */
const isEntry = (entry: unknown) =>
  Array.isArray(entry) && typeof entry[1] == "string" && typeof entry[2] == "number" && entry[2] > 0 && entry[2] <= EVENT_LIMIT;

const bytes = (entries: Entry[]) => entries.reduce((sum, entry) => sum + entry[2], 0);

function trim(entries: Entry[]): Entry[] {
  let excess = bytes(entries) - BACKLOG_LIMIT;
  while (excess > 0) excess -= entries.shift()![2];
  return entries;
}

/**
 * Batches, sends, retries and, for what the server has not confirmed, remembers. Delivers at least once.
 * `urgent` is true when there may be no later: a hidden page, a sandbox without an unload event.
 */
export function createQueue(store: Store, post: Post, urgent: () => boolean, settings: Settings) {
  const { key, deny, flushInterval = 2_000, flushAt = 20 } = settings;
  const denied = deny && ((name: string, value: unknown) => (deny.includes(name) ? undefined : value));
  /** Everything the server has not confirmed, in order; some of it is on its way. */
  let entries: Entry[] = [];
  let flying: Entry[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** No request before this: our own back-off, and what the server ordered by Retry-After. */
  let notBefore = 0;
  let ordered = 0;
  let failures = 0;
  /** The next request was due while one was on its way: it follows at once. */
  let due = false;
  const encoder = new TextEncoder();

  const waiting = () => entries.filter((entry) => !flying.includes(entry));
  const stored = () => (store.read<Entry[]>("queue", Array.isArray) ?? []).filter(isEntry);

  /** Brings storage up to date with what is not confirmed, and leaves alone what other tabs put there. */
  function remember(done: Entry[]) {
    const mine = [...entries, ...done].map((entry) => entry[0]);
    store.write("queue", trim([...stored().filter((entry) => !mine.includes(entry[0])), ...entries]));
  }

  /** Sends the oldest waiting entries that fit into `limit` bytes; false when there are none. */
  function send(limit: number, leaving: boolean): boolean {
    const batch = waiting().filter((entry) => (limit -= entry[2]) >= 0);
    if (!batch[0]) return false;
    flying.push(...batch);
    const list = batch.map((entry) => entry[1]).join();
    const body = `{"batch":[${list}],"sentAt":"${new Date().toISOString()}","writeKey":${JSON.stringify(key)}}`;
    post(body, leaving).then(guard((answer) => settle(batch, answer)));
    return true;
  }

  function settle(batch: Entry[], { status, retryAfter }: Answer) {
    flying = flying.filter((entry) => !batch.includes(entry));
    if (status && status != 408 && status != 429 && status < 500) {
      entries = entries.filter((entry) => !batch.includes(entry));
      if (stored()[0]) remember(batch);
      failures = notBefore = ordered = 0;
    } else {
      const wait = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** failures++);
      // Half of it random, so that all pages of a shop do not come back at once; never before the server allows it.
      ordered = Date.now() + retryAfter;
      notBefore = ordered + wait * (0.5 + Math.random() / 2);
      remember([]);
    }
    schedule(due || entries.length >= flushAt ? 0 : flushInterval);
  }

  function schedule(delay: number) {
    clearTimeout(timer);
    timer = setTimeout(flush, Math.max(delay, notBefore - Date.now()));
  }

  /** Sends one request and, when that is confirmed, the next. */
  const flush = guard(() => {
    timer = undefined;
    due = !!flying[0];
    if (due) return;
    if (Date.now() < notBefore) schedule(0);
    else send(REQUEST_LIMIT, false);
  });

  /** Sends what the quota allows although the page may not live to hear the answer; the next page sends the rest. */
  function leave() {
    if (!entries[0]) return;
    remember([]);
    while (Date.now() >= notBefore && send(Math.min(REQUEST_LIMIT, KEEPALIVE_QUOTA - bytes(flying)), true));
  }

  return {
    flush,
    leave,
    add(message: Message) {
      const json = JSON.stringify(message, denied);
      const size = encoder.encode(json).length;
      if (size > EVENT_LIMIT) throw "event too large";
      entries.push([message.messageId, json, size]);
      trim(entries);
      if (urgent()) leave();
      else if (entries.length >= flushAt) schedule(0);
      else if (!timer) schedule(flushInterval);
    },
    /** Takes over what earlier pages left behind. */
    resume() {
      entries = trim([...stored(), ...entries]);
      schedule(0);
    },
    /** The network is back: no reason to sit out the pause, unless the server ordered it. */
    online() {
      notBefore = ordered;
      flush();
    },
    clear() {
      entries = [];
    },
  };
}
