/** The code of the Google Tag Manager template. Its sandbox knows no globals, no `new`, no classes: only `require`. */
interface GtmApi {
  injectScript(url: string, onSuccess: () => void, onFailure: () => void, cacheToken: string): void;
  callInWindow(path: string, ...args: unknown[]): unknown;
  setInWindow(path: string, value: unknown, override: boolean): boolean;
  copyFromDataLayer(key: string, version?: number): any;
  encodeUriComponent(text: string): string;
  isConsentGranted(type: string): boolean;
  addConsentListener(type: string, listener: (type: string, granted: boolean) => void): void;
}
declare function require<K extends keyof GtmApi>(name: K): GtmApi[K];
declare const data: {
  writeKey: string;
  host: string;
  followConsentMode: boolean;
  testTraffic: boolean;
  gtmOnSuccess(): void;
  gtmOnFailure(): void;
};
/** Filled in by build.mjs from names.ts. */
declare const COMMERCE_EVENTS: string[];

const injectScript = require("injectScript");
const callInWindow = require("callInWindow");
const setInWindow = require("setInWindow");
const copyFromDataLayer = require("copyFromDataLayer");
const encodeUriComponent = require("encodeUriComponent");
const isConsentGranted = require("isConsentGranted");
const addConsentListener = require("addConsentListener");

const ANALYTICS = "analytics_storage";
const wanted: { test: boolean; consent?: string } = { test: data.testTraffic };
if (data.followConsentMode) wanted.consent = isConsentGranted(ANALYTICS) ? "granted" : "pending";

// False when an earlier tag of the page was here before: one listener is enough.
const first = setInWindow("funnelwatch", { settings: wanted }, false);
if (first && data.followConsentMode) {
  addConsentListener(ANALYTICS, (_type, granted) => {
    callInWindow("funnelwatch.consent", granted ? "granted" : "denied");
  });
}

const eventName: string = copyFromDataLayer("event");
// Version 1 reads what this push says; the merged model would mix in the items of the push before.
const ecommerce = copyFromDataLayer("ecommerce", 1) || {
  method: copyFromDataLayer("method", 1),
  search_term: copyFromDataLayer("search_term", 1),
};

const forward = () => {
  if (COMMERCE_EVENTS.indexOf(eventName) >= 0) callInWindow("funnelwatch.track", eventName, ecommerce);
  data.gtmOnSuccess();
};
const url = data.host + "/js/" + encodeUriComponent(data.writeKey) + ".js";
injectScript(url, forward, data.gtmOnFailure, url);
