// Drives the Node clients: the cases are a JSON list in the file named; what each client gave up on, as JSON on the last line printed.
import { readFileSync } from "node:fs";
import { Analytics } from "@segment/analytics-node";
import RudderAnalytics from "@rudderstack/rudder-sdk-node";

const VISITOR = { userId: "customer-1" };

/** Makes every call and returns the names of those whose callback was told of an error. */
async function call(client, calls, finish) {
  const told = calls.map(
    ({ type, event, properties }) =>
      new Promise((resolve) => {
        const message = { ...VISITOR, ...(event ? { event, properties } : {}) };
        client[type](message, (error) => resolve(error ? [event ?? type] : []));
      }),
  );
  await finish();
  return (await Promise.all(told)).flat();
}

const CLIENTS = {
  "@segment/analytics-node": async ({ key, url, timeout, calls }) => {
    const client = new Analytics({
      writeKey: key, host: url, httpRequestTimeout: timeout * 1000, flushAt: 4, flushInterval: 200,
    });
    client.on("error", () => {}); // told to the callbacks too
    return call(client, calls, () => client.closeAndFlush({ timeout: 90_000 }));
  },
  "@rudderstack/rudder-sdk-node": async ({ key, url, timeout, calls }) => {
    const client = new RudderAnalytics(key, {
      dataPlaneUrl: url, timeout: timeout && timeout * 1000, flushAt: 4, flushInterval: 200, logLevel: "none",
      errorHandler: () => {}, // without one, a batch given up is an unhandled rejection and ends the process
    });
    return call(client, calls, () => client.flush());
  },
};

const cases = JSON.parse(readFileSync(process.argv[2], "utf8"));
const results = await Promise.all(cases.map(async (it) => [it.name, await CLIENTS[it.client](it)]));
console.log(JSON.stringify(Object.fromEntries(results)));
process.exit(0);
