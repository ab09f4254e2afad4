import { guard } from "../guard";

export interface Watch {
  /** Hosts to watch, subdomains included. */
  hosts: string[];
  slowMs: number;
  /** Beginning of addresses never to watch: our own deliveries, which may go through the shop's host. */
  except: string;
}

export interface Failure {
  method: string;
  url: URL;
  /** 0 when no answer came. */
  status: number;
  duration_ms: number;
  /** The status, or `network`, or `slow`. */
  code: string;
}

/** Calls back for each failed or slow fetch and XMLHttpRequest to the watched hosts; the requests are left as they are. */
export function watchRequests(watch: Watch, report: (failure: Failure) => void) {
  const start = guard((method: string, address: string | URL) => {
    const url = new URL(address, location.href);
    const listed = watch.hosts.some((host) => ("." + url.hostname).endsWith("." + host));
    if (!listed || url.href.startsWith(watch.except)) return undefined;
    const begun = performance.now();
    return guard((status: number) => {
      const duration_ms = Math.round(performance.now() - begun);
      const code = status == 0 ? "network" : status >= 400 ? String(status) : duration_ms > watch.slowMs ? "slow" : "";
      if (code) report({ method: method.toUpperCase(), url, status, duration_ms, code });
    });
  });
  watchFetch(start);
  watchXhr(start);
}

type Start = (method: string, address: string | URL) => ((status: number) => void) | undefined;

function watchFetch(start: Start) {
  const original = window.fetch;
  window.fetch = function (this: unknown, input, init) {
    const request = input instanceof Request ? input : undefined;
    const end = start(init?.method ?? request?.method ?? "GET", request?.url ?? String(input));
    const reply = original.call(this as Window, input, init);
    // A request the shop gave up on is not a failure of the server. Guarded: another script's fetch may return anything.
    if (end) guard(() => void reply.then((answer) => end(answer.status), (fault) => fault?.name != "AbortError" && end(0)))();
    return reply;
  };
}

function watchXhr(start: Start) {
  const { open, send } = XMLHttpRequest.prototype;
  const targets = new WeakMap<XMLHttpRequest, [method: string, url: string | URL]>();
  XMLHttpRequest.prototype.open = function (this: XMLHttpRequest, ...args: unknown[]) {
    targets.set(this, [args[0] as string, args[1] as string]);
    return open.apply(this, args as Parameters<typeof open>);
  } as typeof open;
  XMLHttpRequest.prototype.send = function (this: XMLHttpRequest, body) {
    const target = targets.get(this);
    const end = target && start(...target);
    if (end) {
      let aborted = false;
      this.addEventListener("abort", () => (aborted = true));
      this.addEventListener("loadend", () => aborted || end(this.status));
    }
    return send.call(this, body);
  };
}
