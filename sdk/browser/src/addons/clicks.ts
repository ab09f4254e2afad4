import { guard } from "../guard";
import { withoutQuery } from "./resources";
import type { Host } from "../types";

const TARGETS = "a,button,[role=button],input[type=submit],input[type=button],[data-fw-click]";
/** A page's worth; a script that clicks by itself must not fill the stream. */
const LIMIT = 100;

/** Reports clicks on links and buttons as `click`, named by `data-fw-click` where the shop says so. No typed text. */
export default function clicks(host: Host) {
  let left = LIMIT;
  const take = guard((event: MouseEvent) => {
    const element = event.target instanceof Element && event.target.closest<HTMLElement>(TARGETS);
    if (!element || left-- <= 0) return;
    const href = element.getAttribute("href");
    host.track("click", {
      name: element.dataset.fwClick,
      tag: element.tagName.toLowerCase(),
      id: element.id || undefined,
      text: element.textContent?.trim().slice(0, 60) || undefined,
      href: href ? withoutQuery(new URL(href, location.href).href) : undefined,
    });
  });
  addEventListener("click", take, true);
}
