import type { TestContext } from "node:test";

/** Time under the test's control: node's own mock cannot set the date in every version that is supported. */
export function fakeClock(t: TestContext) {
  const real = { setTimeout, clearTimeout, now: Date.now };
  let now = 1_000_000;
  let timers: { id: number; at: number; run: () => void }[] = [];
  let count = 0;
  Object.assign(globalThis, {
    setTimeout: (run: () => void, delay: number) => timers.push({ id: ++count, at: now + delay, run }) && count,
    clearTimeout: (id: number) => (timers = timers.filter((timer) => timer.id != id)),
  });
  Date.now = () => now;
  t.after(() => {
    Object.assign(globalThis, { setTimeout: real.setTimeout, clearTimeout: real.clearTimeout });
    Date.now = real.now;
  });
  return (ms: number) => {
    const end = now + ms;
    for (;;) {
      const next = timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      timers = timers.filter((timer) => timer != next);
      now = Math.max(now, next.at);
      next.run();
    }
    now = end;
  };
}
