import { createLimit, fingerprint, sampled } from "./limit";
import { watchRequests } from "./requests";
import { withoutQuery, timing } from "./resources";
import type { Fault, Host, Properties } from "../types";

const STACK_LIMIT = 2_000;
/** Not the shop's: a browser's own notice, and scripts that extensions put into the page. */
const NOISE = /ResizeObserver loop|(chrome|moz|safari(-web)?)-extension:/;

/** Reports exceptions, failed scripts, images and styles, and failed or slow requests. */
export default function errors(host: Host) {
  const { sampleRate = 1, hosts = [location.hostname], slowMs = 5_000 } = host.settings.errors ?? {};
  const limit = createLimit();

  function report(event: string, print: string, properties: Properties) {
    if (!sampled(host.sessionId(), sampleRate)) return;
    const suppressed = limit.pass(print, Date.now());
    if (suppressed == undefined) return;
    host.track(event, { ...properties, fingerprint: print, suppressed, sample_rate: sampleRate });
  }

  host.onError((fault) => {
    const element = "target" in fault && fault.target;
    if (element instanceof Element) reportResource(element);
    else reportException(fault);
  });

  function reportException(fault: Fault) {
    const thrown = "error" in fault ? fault.error : "reason" in fault ? fault.reason : undefined;
    const error = thrown instanceof Error ? thrown : undefined;
    const message = String(error?.message || ("message" in fault && fault.message) || thrown).slice(0, 300);
    const stack = withoutQueries(error?.stack ?? "").slice(0, STACK_LIMIT);
    const source = "filename" in fault ? withoutQuery(fault.filename) : "";
    if (NOISE.test(message + stack + source)) return;
    const code = error?.name ?? "Error";
    const top = stack.match(/(https?:\S+?):\d+:\d+/)?.[1] ?? source;
    const place = "filename" in fault ? { source, line: fault.lineno, column: fault.colno } : {};
    report("exception", fingerprint(code, message, top), { code, message, mechanism: fault.type, ...place, stack });
  }

  function reportResource(element: Element) {
    const address = element.getAttribute("src") ?? element.getAttribute("href");
    const code = element.tagName.toLowerCase();
    if (!address || !["script", "img", "link"].includes(code)) return;
    const full = new URL(address, location.href);
    const url = withoutQuery(full.href);
    const third_party = full.hostname != location.hostname;
    report("resource_error", fingerprint(code, url), { code, url, host: full.hostname, third_party, ...timing(full.href) });
  }

  const except = new URL(host.settings.host.replace(/\/$/, "") + "/v1/").href;
  watchRequests({ hosts, slowMs, except }, ({ method, url, status, duration_ms, code }) =>
    report("http_error", fingerprint(method, url.origin + url.pathname, code), {
      code, status, method, url: url.origin + url.pathname, host: url.hostname, duration_ms,
    }),
  );
}

const withoutQueries = (stack: string) => stack.replace(/\?[^\s:)]*/g, "");
