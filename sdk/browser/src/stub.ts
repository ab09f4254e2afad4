import { METHODS, type Method } from "./names";
import type { Fault, Settings } from "./types";

/** A call made before the SDK was there, with its time in epoch milliseconds. */
export type Call = [method: Method, args: unknown[], at: number];

/** What the snippet leaves on `window.funnelwatch` for the SDK to take over. */
export interface Stub {
  /** Calls. */
  q?: Call[];
  /** Errors. */
  e?: Fault[];
  /** Settings, put together by the loader: the project's, then those the page set as `settings`. */
  c?: Settings;
  /** Integrity of the add-ons' files. */
  a?: Record<string, string>;
  /** What the page itself wants set. */
  settings?: Partial<Settings>;
  [method: string]: unknown;
}

/** More than a broken page throws before the SDK loads; the rest repeats. */
const EARLY_LIMIT = 50;

/** Keeps every error of the page, whichever script throws first, until somebody takes them over. */
export function collectErrors(): Fault[] {
  const errors: Fault[] = [];
  for (const type of ["error", "unhandledrejection"]) {
    // Captured, because a failed script or image does not bubble.
    addEventListener(type, (fault) => errors.length < EARLY_LIMIT && errors.push(fault), true);
  }
  return errors;
}

/** Makes `window.funnelwatch` take calls. What the page put there before, such as `{settings: {...}}`, stays. */
export function installStub(): Stub {
  const host = window as Window & { funnelwatch?: Stub };
  const stub = (host.funnelwatch ??= {});
  if (stub.track) return stub;
  const calls: Call[] = (stub.q = []);
  stub.e = collectErrors();
  METHODS.forEach((method) => (stub[method] = (...args: unknown[]) => void calls.push([method, args, Date.now()])));
  return stub;
}
