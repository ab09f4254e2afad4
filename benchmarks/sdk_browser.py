"""What the browser SDK costs a shop: bytes to download, and main-thread time at load and per event, in Chromium.

Load times are what Chromium's own trace books to the SDK's files, as processor time of the page's thread: neither the rest
of the page counts nor what else the machine does. Call times are wall clock and to be read against the reference.
`reference_us` is one `JSON.stringify` of the same message in the same page: the least any tracker could do.
"""

import argparse
import gzip
import json
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks._report import report
from tests.sdk.conftest import FLAGS
from tests.sdk.shop import DIST, Server

#: A cheap phone beside a desktop processor, as Lighthouse models it.
PHONE_SLOWDOWN = 4

EVENT = {
    "currency": "INR",
    "value": 98.9,
    "coupon": "SPRING10",
    "items": [{"item_id": f"SKU-{n}", "item_name": "Linen shirt", "item_category": "Shirts", "price": 39.5, "quantity": 1} for n in range(3)],
}

#: 200 calls, then as many serialisations of what one call sends. Answers microseconds each.
LOOP = """(event) => {
  const time = (action) => { const begin = performance.now(); for (let i = 0; i < 200; i++) action(); return (performance.now() - begin) * 5; };
  const message = {messageId: crypto.randomUUID(), type: 'track', event: 'add_to_cart', properties: event, context: window.lastContext};
  const one = () => { const begin = performance.now(); funnelwatch.flush(); return (performance.now() - begin) * 1000; };
  return {event: time(() => funnelwatch.add_to_cart(event)), reference: time(() => JSON.stringify(message)), flush: one()};
}"""


def main() -> None:
    """Runs the benchmark and reports it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="five loads instead of twenty-five")
    parser.add_argument("--json", action="store_true", help="kept for all benchmarks alike: the last line is always JSON")
    options = parser.parse_args()
    runs = 5 if options.quick else 25
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        figures = {**sizes(), **loads(browser, runs), **calls(browser, runs)}
        browser.close()
    report("sdk_browser", figures)


def sizes() -> dict[str, float]:
    """Bytes of each file after gzip."""
    manifest = json.loads((DIST / "manifest.json").read_text())
    files = {"core": manifest["file"], **{name: addon["file"] for name, addon in manifest["addons"].items()}}
    files |= {"loader": "loader.js", "snippet": "snippet.html", "shopify_pixel": "shopify-pixel.js"}
    return {f"{name}_gzip_bytes": len(gzip.compress((DIST / file).read_bytes(), 9, mtime=0)) for name, file in files.items()}


def loads(browser: Browser, runs: int) -> dict[str, float]:
    """Milliseconds of main thread from the snippet to the delivered page view: core alone, with add-ons, on a phone."""
    cases = {"load_core": ([], 1), "load_all": (["errors", "vitals", "checkout"], 1), "load_core_phone": ([], PHONE_SLOWDOWN)}
    found: dict[str, list[float]] = {name: [] for name in cases}
    for run in range(runs):
        print(f"load {run + 1} of {runs}", file=sys.stderr, end="\r")
        for name, (addons, slowdown) in cases.items():
            found[name].append(load(browser, addons, slowdown))
    figures = {f"{name}_ms": statistics.median(times) for name, times in found.items()}
    return {**figures, "load_core_p90_ms": statistics.quantiles(found["load_core"], n=10)[-1]}


def load(browser: Browser, addons: list[str], slowdown: int) -> float:
    """Milliseconds of one load on an empty cache."""
    with shop_page(browser, addons) as (page, shop, collector):
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
        browser.start_tracing(page=page, categories=["devtools.timeline", "v8"])
        page.goto(shop.origin + "/")
        collector.wait_views()
        page.wait_for_timeout(200)
        trace = json.loads(browser.stop_tracing())
        return own_time(trace["traceEvents"], (shop.origin, collector.origin))


def own_time(events: list[dict[str, Any]], origins: tuple[str, ...]) -> float:
    """Milliseconds of processor time in which scripts of `origins` were compiled or run; nested entries count once.

    The shop's origin counts too: all its page has is the inline snippet.
    """
    booked = [
        (event["tid"], event["ts"], event["ts"] + event["dur"], event["tdur"])
        for event in events
        if event.get("name") in {"EvaluateScript", "FunctionCall", "v8.compile"} and "tdur" in event
        and (event.get("args", {}).get("data", {}).get("url") or "").startswith(origins)
    ]  # fmt: skip
    total, end, thread = 0, 0, None
    for tid, begin, finish, spent in sorted(booked):
        if tid != thread or begin >= end:
            total += spent
            end, thread = finish, tid
    return total / 1_000


def calls(browser: Browser, runs: int) -> dict[str, float]:
    """Microseconds of main thread a call takes until it returns, of the same message serialised once, and of a flush."""
    found: dict[str, list[float]] = {"event": [], "reference": [], "flush": []}
    with shop_page(browser, []) as (page, shop, collector):
        page.goto(shop.origin + "/")
        page.evaluate("context => { window.lastContext = context }", collector.wait_views()[0]["context"])
        for _ in range(runs):
            for name, value in page.evaluate(LOOP, EVENT).items():
                found[name].append(value)
            page.wait_for_timeout(100)
    medians = {f"{name}_us": statistics.median(values) for name, values in found.items()}
    return {**medians, "event_over_reference": medians["event_us"] / medians["reference_us"]}


@contextmanager
def shop_page(browser: Browser, addons: list[str]) -> Iterator[tuple[Page, Server, Server]]:
    """A new visitor's tab, a shop with the snippet, and a collector."""
    shop, collector = Server(), Server()
    collector.settings = {"addons": addons, "flushInterval": 100, "flushAt": 10_000}
    shop.page("/", f"<title>Shop</title>{collector.snippet()}<h1>Shop</h1>")
    context = browser.new_context()
    try:
        yield context.new_page(), shop, collector
    finally:
        context.close()
        shop.close()
        collector.close()


if __name__ == "__main__":
    main()
