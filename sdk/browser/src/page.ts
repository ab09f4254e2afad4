import { createClient, type Client, type Platform } from "./client";
import { faults, guard } from "./guard";
import type { AddonName } from "./names";
import { route, watchPages } from "./pages";
import { cookies } from "./storage";
import { collectErrors } from "./stub";
import type { Addon, Fault, Host, Settings } from "./types";

export type AddonLoader = (name: AddonName, settings: Settings) => void;

/** A client that lives in a page: its views, its end, its errors and its add-ons. */
export function startInPage(settings: Settings, loadAddon: AddonLoader, early: Fault[] = collectErrors()) {
  if (settings.debug) faults.show = console.warn.bind(console, "funnelwatch:");
  let previous = document.referrer;
  const platform: Platform = {
    name: "funnelwatch-browser",
    backendFor: (key) => (settings.cookieDomain && key != "queue" ? cookies(settings.cookieDomain) : localStorage),
    page: () => ({ url: location.href, path: route(), title: document.title, referrer: previous }),
    urgent: () => document.hidden,
  };
  const client = createClient(settings, platform);
  const host: Host = {
    ...client,
    settings,
    track: guard((event, properties) => client.track(Date.now(), event, properties)),
    onError(listener) {
      const report = guard(listener) as (fault: Fault) => never;
      early.splice(0).forEach(report);
      early.push = report;
    },
  };

  const leave = guard(client.leave);
  addEventListener("pagehide", leave);
  addEventListener("visibilitychange", () => platform.urgent() && leave());
  addEventListener("online", guard(client.online));
  const wanted = lazily(client, (name) => loadAddon(name, settings), settings.addons ?? ["errors", "vitals", "checkout"]);
  if (settings.autoPage ?? true) {
    watchPages((from) => {
      previous = from;
      client.page(Date.now());
    });
  }
  wanted();
  return {
    ...client,
    consent(at: number, next: Parameters<Client["consent"]>[1]) {
      client.consent(at, next);
      wanted();
    },
    exception: (_at: number, error: unknown) => early.push({ type: "manual", error }),
    use: (_at: number, addon: Addon) => addon(host),
  };
}

/** Loads add-ons once the page is done, if allowed; the one for the checkout when the shopper gets there. */
function lazily(client: Client, load: (name: AddonName) => void, names: AddonName[]) {
  const wanted = new Set(names);
  const once = (name: AddonName) => wanted.delete(name) && load(name);
  const begin = guard(() => {
    wanted.forEach((name) => name == "checkout" || once(name));
    client.onEvent((event) => /checkout|shipping|payment/.test(event) && once("checkout"));
  });
  return () => {
    if (!client.granted()) return;
    if (document.readyState == "complete") setTimeout(begin);
    else addEventListener("load", () => setTimeout(begin));
  };
}
