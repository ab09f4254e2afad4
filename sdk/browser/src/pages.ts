import { guard } from "./guard";

/** Route as a shopper sees it: filters in the query are the same page, `#/checkout` of a hash router is another. */
export const route = () => location.pathname + (/^#!?\//.test(location.hash) ? location.hash : "");

/** Calls `view(previous address)` for this page and for each further route of a single-page shop. */
export function watchPages(view: (previous: string) => void) {
  let current = route();
  let address = location.href;
  const check = guard(() => {
    if (route() == current) return;
    const previous = address;
    current = route();
    address = location.href;
    view(previous);
  });
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = function (this: History, ...args: Parameters<History["pushState"]>) {
      original.apply(this, args);
      check();
    };
  }
  addEventListener("popstate", check);
  // Brought back by the back button from the browser's memory: no load, but a view.
  addEventListener("pageshow", (event) => event.persisted && guard(view)(address));
  view(document.referrer);
}
