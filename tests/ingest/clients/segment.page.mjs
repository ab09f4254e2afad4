// Segment's browser client in the shop's page, told nothing but the key and FunnelWatch's address.
import { AnalyticsBrowser } from "@segment/analytics-next";
import { sender } from "./send.mjs";

const { key, host, batching, left } = Object.fromEntries(new URLSearchParams(location.search));
const deliveryStrategy = { strategy: "batching", config: { size: 4, timeout: 200 } };
const analytics = AnalyticsBrowser.load(
  { writeKey: key, cdnURL: host },
  batching ? { integrations: { "Segment.io": { deliveryStrategy } } } : {},
);

window.givenUp = [];
analytics.on("error", ({ ctx }) => window.givenUp.push(ctx?.event.event ?? ctx?.event.type));
window.ready = analytics.then(() => true);
window.send = sender(analytics);
if (left) analytics.track("Came Back"); // as every page of a shop calls something
