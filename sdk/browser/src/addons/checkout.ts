import { guard } from "../guard";
import { fingerprint, sampled } from "./limit";
import { withoutQuery } from "./resources";
import type { Host } from "../types";

const STEPS = ["begin_checkout", "add_shipping_info", "add_payment_info", "purchase"];
/** Payment and fraud scripts are injected a moment after the step that needs them. */
const SETTLE = 2_000;
/** Fits an event's 32 KB with long addresses. */
const SCRIPT_LIMIT = 60;

interface Script {
  url: string;
  host: string;
  third_party: boolean;
  duration_ms?: number;
  bytes?: number;
  integrity?: string;
  hash?: string;
}

/** On checkout pages: how long shoppers take from step to step, and which scripts run beside them. */
export default function checkout(host: Host) {
  let timer: ReturnType<typeof setTimeout>;
  host.onEvent((event, at) => {
    if (!STEPS.includes(event)) return;
    reportStep(host, event, at);
    clearTimeout(timer);
    timer = setTimeout(guard(() => reportScripts(host)), SETTLE);
  });
}

function reportStep(host: Host, event: string, at: number) {
  const session = host.sessionId();
  const known = host.read<{ session: string; event: string; at: number }>("step", (value) => value.session == session && value.at > 0);
  // A step taken again, as a second try to pay, belongs to the time of the first.
  if (known?.event == event) return;
  host.write("step", { session, event, at });
  if (known) host.track("web_vital", { metric: "checkout_step", step: `${known.event}->${event}`, duration_ms: at - known.at });
}

/** Sends the list when it differs from the last one this session sent. */
async function reportScripts(host: Host) {
  const found = listScripts();
  const scripts = [...found.values()];
  const print = fingerprintOf(scripts);
  const session = host.sessionId();
  if (host.read("scripts", (value) => value == session + print)) return;
  host.write("scripts", session + print);
  if (sampled(session + "scripts", host.settings.scriptHashRate ?? 0.01)) await hashThirdParty(found);
  host.track("script_inventory", { fingerprint: print, scripts });
}

const fingerprintOf = (scripts: Script[]) =>
  fingerprint(...scripts.map((script) => script.url + (script.integrity ?? "")).sort());

/** By full address, which stays in the page. */
function listScripts(): Map<string, Script> {
  const elements = new Map([...document.scripts].filter((script) => script.src).map((script) => [script.src, script]));
  const entries = performance.getEntriesByType("resource") as PerformanceResourceTiming[];
  const loads = new Map(entries.filter((entry) => entry.initiatorType == "script").map((entry) => [entry.name, entry]));
  const describe = (src: string): Script => {
    const { hostname } = new URL(src);
    const load = loads.get(src);
    return {
      url: withoutQuery(src),
      host: hostname,
      third_party: hostname != location.hostname,
      duration_ms: load && Math.round(load.duration),
      bytes: load?.encodedBodySize || undefined,
      integrity: elements.get(src)?.integrity || undefined,
    };
  };
  const addresses = [...new Set([...elements.keys(), ...loads.keys()])].slice(0, SCRIPT_LIMIT);
  return new Map(addresses.map((src) => [src, describe(src)]));
}

/** SHA-256 of what the browser has cached, where the script's server lets other origins read it. */
async function hashThirdParty(scripts: Map<string, Script>) {
  await Promise.all(
    [...scripts].map(async ([src, script]) => {
      if (!script.third_party) return;
      try {
        const reply = await fetch(src, { cache: "force-cache", credentials: "omit" });
        const digest = await crypto.subtle.digest("SHA-256", await reply.arrayBuffer());
        script.hash = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      } catch {
        // Not readable from here (no CORS, content security policy, plain http): the list goes without this hash.
      }
    }),
  );
}
