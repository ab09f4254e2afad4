import { guard } from "../guard";
import type { Host } from "../types";

/** Upper bounds of "good" and "needs improvement", as web.dev/vitals has them: milliseconds, CLS bare. */
const BOUNDS = { LCP: [2500, 4000], INP: [200, 500], CLS: [0.1, 0.25], FCP: [1800, 3000], TTFB: [800, 1800] } as const;
type Metric = keyof typeof BOUNDS;

type Shift = PerformanceEntry & { value: number; hadRecentInput: boolean };
type Interaction = PerformanceEntry & { interactionId?: number };

function observe(type: string, each: (entry: PerformanceEntry) => void, options = {}) {
  if (!PerformanceObserver.supportedEntryTypes.includes(type)) return;
  const take = guard(each);
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => take(entry))).observe({ type, buffered: true, ...options });
}

/** Reports the Core Web Vitals of this page: load times when they are known, the rest when the page is left. */
export default function vitals(host: Host) {
  const navigation = performance.getEntriesByType("navigation")[0] as
    | (PerformanceNavigationTiming & { activationStart?: number })
    | undefined;
  // A page rendered ahead is measured from the moment the shopper came to it.
  const begin = navigation?.activationStart ?? 0;
  let step: string | undefined;
  host.onEvent((event) => {
    if (event != "web_vital") step = event;
  });

  const report = (metric: Metric, value: number) => {
    const [good, fair] = BOUNDS[metric];
    const rating = value <= good ? "good" : value <= fair ? "needs-improvement" : "poor";
    const measured = metric == "CLS" ? { score: Math.round(value * 1e4) / 1e4 } : { duration_ms: Math.round(Math.max(0, value)) };
    host.track("web_vital", { metric, ...measured, rating, navigation_type: navigation?.type, step });
  };

  if (navigation?.responseStart) report("TTFB", navigation.responseStart - begin);
  observe("paint", (entry) => entry.name == "first-contentful-paint" && report("FCP", entry.startTime - begin));
  const largestPaint = watchLargestPaint();
  const layoutShift = watchLayoutShift();
  const slowInteraction = watchInteractions();

  let done = false;
  const finish = guard(() => {
    if (done) return;
    done = true;
    const [paint, interaction] = [largestPaint(), slowInteraction()];
    if (paint != undefined) report("LCP", paint - begin);
    if (PerformanceObserver.supportedEntryTypes.includes("layout-shift")) report("CLS", layoutShift());
    if (interaction != undefined) report("INP", interaction);
  });
  document.addEventListener("visibilitychange", () => document.visibilityState == "hidden" && finish());
  addEventListener("pagehide", finish);
}

/** The last candidate; browsers stop offering them at the first input. */
function watchLargestPaint() {
  let latest: number | undefined;
  observe("largest-contentful-paint", (entry) => (latest = entry.startTime));
  return () => latest;
}

/** The worst burst of shifts: up to a second between two, five seconds in all. */
function watchLayoutShift() {
  let worst = 0;
  let burst = 0;
  let first = 0;
  let last = 0;
  observe("layout-shift", (entry) => {
    const { value, hadRecentInput, startTime } = entry as Shift;
    if (hadRecentInput) return;
    const same = startTime - last < 1_000 && startTime - first < 5_000;
    burst = same ? burst + value : value;
    first = same ? first : startTime;
    last = startTime;
    worst = Math.max(worst, burst);
  });
  return () => worst;
}

/** The worst interaction, leaving out one in fifty as the metric's definition does. */
function watchInteractions() {
  const longest = new Map<number, number>();
  observe(
    "event",
    (entry) => {
      const id = (entry as Interaction).interactionId;
      if (id) longest.set(id, Math.max(longest.get(id) ?? 0, entry.duration));
    },
    { durationThreshold: 16 },
  );
  return () => [...longest.values()].sort((a, b) => b - a)[Math.floor(longest.size / 50)];
}
