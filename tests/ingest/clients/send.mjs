/** Makes the shop's calls with a browser client: both vendors' have the same methods. */
export const sender = (analytics) => (calls) => {
  for (const { type, event, properties } of calls) {
    if (type === "track") analytics.track(event, properties);
    else if (type === "identify") analytics.identify("customer-1");
    else analytics.page();
  }
};
