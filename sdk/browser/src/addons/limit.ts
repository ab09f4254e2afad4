import { hash } from "../id";

const MINUTE = 60_000;

/** Whether a session takes part in a sample of `rate`, 0 to 1: the same answer on all its pages. */
export const sampled = (sessionId: string, rate: number) => hash(sessionId) / 2 ** 32 < rate;

/** Same fault, same fingerprint: numbers and hexadecimal ids in the text are beside the point. */
export const fingerprint = (...parts: string[]) =>
  hash(parts.join("\n").replace(/[0-9a-f-]{8,}|\d+/gi, "#")).toString(16);

/** At most `perMinute` of one fingerprint and `total` of all, with a count of what was held back in between. */
export function createLimit(perMinute = 5, total = 60) {
  const kinds = new Map<string, { since: number; sent: number; suppressed: number }>();
  let left = total;
  return {
    /** Occurrences held back before this one, or nothing where this one is held back as well. */
    pass(print: string, now: number): number | undefined {
      let kind = kinds.get(print);
      if (!kind || now - kind.since >= MINUTE) {
        kind = { since: now, sent: 0, suppressed: kind?.suppressed ?? 0 };
        kinds.set(print, kind);
      }
      if (kind.sent >= perMinute || left <= 0) {
        kind.suppressed++;
        return undefined;
      }
      kind.sent++;
      left--;
      const { suppressed } = kind;
      kind.suppressed = 0;
      return suppressed;
    },
  };
}
