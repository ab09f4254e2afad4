// RudderStack's browser client in the shop's page, told nothing but the key and FunnelWatch's address.
import { RudderAnalytics } from "@rudderstack/analytics-js/bundled";
import { sender } from "./send.mjs";

const { key, host, beacon, left } = Object.fromEntries(new URLSearchParams(location.search));
const analytics = new RudderAnalytics();
analytics.load(key, host, {
  configUrl: `${host}/v1`, logLevel: "NONE", useBeacon: Boolean(beacon),
  beaconQueueOptions: { flushQueueInterval: 500 }, // ten minutes or ten events unless told
});

window.givenUp = []; // it tells nobody
window.ready = new Promise((resolve) => analytics.ready(() => resolve(true)));
window.send = sender(analytics);
if (left) analytics.track("Came Back"); // as every page of a shop calls something
