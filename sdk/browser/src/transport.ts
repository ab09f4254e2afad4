/** What came back: status 0 when nothing did, `retryAfter` in milliseconds. Our server gives it in seconds, never as a date. */
export interface Answer {
  status: number;
  retryAfter: number;
}

export type Post = (body: string, leaving: boolean) => Promise<Answer>;

/** Longer than any sane answer takes, short enough to try again while the shopper is still here. */
const TIMEOUT = 15_000;

/** The longest pause a server may order: timers overflow at 25 days and would fire without end. */
const LONGEST_ORDER = 3_600_000;

/** Posts as text/plain, which needs no preflight. When leaving and fetch will not do, by beacon, answer unknown. */
export const createPost = (url: string): Post => async (body, leaving) => {
  try {
    if (leaving && !("keepalive" in Request.prototype)) throw 0;
    const signal = AbortSignal.timeout?.(TIMEOUT);
    const reply = await fetch(url, { method: "POST", body, keepalive: true, credentials: "omit", signal });
    const ordered = Number(reply.headers.get("Retry-After")) * 1_000 || 0;
    return { status: reply.status, retryAfter: Math.min(ordered, LONGEST_ORDER) };
  } catch {
    if (leaving) navigator.sendBeacon?.(url, body);
    return { status: 0, retryAfter: 0 };
  }
};
