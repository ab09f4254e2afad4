/** The part of `Storage` that is used. Any call may throw: storage can be blocked, full or absent. */
export interface Backend {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** Whether a stored value has the shape its reader relies on: other scripts, and other versions, write there as well. */
export type Fits = (value: any) => unknown;

export interface Store {
  /** The value, where there is one and it fits; a check that throws is one that fails. */
  read<T>(key: string, fits: Fits): T | undefined;
  write(key: string, value: unknown): void;
  /** From here on values outlive the page, those written before included. */
  open(): void;
  /** Deletes everything of the visitor and keeps later values in memory only. */
  close(): void;
}

const PREFIX = "fw.";
/** The visitor's choice may be remembered whatever it is. */
const DECISION = "consent";
/** What a refusal deletes: everything but the refusal. */
const KEYS = ["visit", "queue", "step", "scripts"];

/** JSON values by name: in memory until opened, then in the backend as well, so that other tabs see them. */
export function createStore(backendFor: (key: string) => Backend): Store {
  const memory: Record<string, string | undefined> = {};
  let persistent = false;

  // Blocked or full storage is an ordinary state of a browser: memory carries the page then.
  const attempt = <R>(key: string, action: (backend: Backend, name: string) => R): R | undefined => {
    try {
      return action(backendFor(key), PREFIX + key);
    } catch {
      return undefined;
    }
  };
  const kept = (key: string) => persistent || key == DECISION;
  const save = (key: string) => kept(key) && attempt(key, (backend, name) => backend.setItem(name, memory[key]!));

  return {
    read(key, fits) {
      const text = (kept(key) && attempt(key, (backend, name) => backend.getItem(name))) || memory[key];
      try {
        const value = text && JSON.parse(text);
        if (fits(value)) return value;
      } catch {
        // No JSON, or nothing like what the check looks into.
      }
      return undefined;
    },
    write(key, value) {
      memory[key] = JSON.stringify(value);
      save(key);
    },
    open() {
      persistent = true;
      Object.keys(memory).forEach(save);
    },
    close() {
      persistent = false;
      KEYS.forEach((key) => {
        memory[key] = undefined;
        attempt(key, (backend, name) => backend.removeItem(name));
      });
    },
  };
}

/** 400 days, the most Chrome keeps. */
const COOKIE_AGE = 34_560_000;

/** Cookies as a backend, for shops whose checkout is on another subdomain. */
export function cookies(domain: string): Backend {
  const put = (key: string, value: string, age: number) => {
    document.cookie = `${key}=${encodeURIComponent(value)};path=/;domain=${domain};max-age=${age}`;
  };
  return {
    getItem: (key) => decodeURIComponent(document.cookie.match(key + "=([^;]*)")?.[1] ?? ""),
    setItem: (key, value) => put(key, value, COOKIE_AGE),
    removeItem: (key) => put(key, "", 0),
  };
}
