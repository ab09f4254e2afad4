import { guard } from "./guard";
import { METHODS, type Method } from "./names";
import { startInPage, type AddonLoader } from "./page";
import type { Call, Stub } from "./stub";
import type { FunnelWatch, Settings } from "./types";

type Handlers = Record<string, (at: number, ...args: never[]) => unknown>;

/** The calls of a shop, kept until `init`. Takes over a stub in place, so that references to it stay good. */
export function createApi(loadAddon: AddonLoader, stub: Stub = {}): FunnelWatch {
  const calls: Call[] = stub.q ?? [];
  let handlers: Handlers | undefined;
  let started = false;

  const run = guard((method: Method, args: unknown[], at: number) => {
    if (!handlers) calls.push([method, args, at]);
    else if (handlers[method]) handlers[method](at, ...(args as never[]));
    else handlers.track!(at, ...([method, ...args] as never[]));
  });

  const begin = (settings: Settings) => {
    handlers = startInPage(settings, loadAddon, stub.e) as unknown as Handlers;
    calls.splice(0).forEach((call) => run(...call));
    // A shop may have kept a function of the stub, which goes on pushing.
    calls.push = (call) => run(...call) as never;
  };

  METHODS.forEach((method) => (stub[method] = (...args: unknown[]) => void run(method, args, Date.now())));
  stub.init = guard((settings: Settings) => {
    if (started) return;
    if (!settings.key || !settings.host) return console.warn("funnelwatch: init needs key and host");
    started = true;
    // A page the browser renders ahead of a click that may never come is nobody's visit yet.
    const page = document as Document & { prerendering?: boolean };
    if (page.prerendering) page.addEventListener("prerenderingchange", guard(() => begin(settings)), { once: true });
    else begin(settings);
  });
  return stub as unknown as FunnelWatch;
}
