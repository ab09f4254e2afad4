/** Where faults inside the SDK go; silent unless `debug` is set, for the shop must never notice. */
export const faults: { show?: (fault: unknown) => void } = {};

/** Wraps code that the shop or the browser calls, so that no fault of ours reaches the page. */
export function guard<A extends unknown[], R>(run: (...args: A) => R): (...args: A) => R | undefined {
  return (...args) => {
    try {
      return run(...args);
    } catch (fault) {
      faults.show?.(fault);
      return undefined;
    }
  };
}
