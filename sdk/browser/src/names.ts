/** Events that have a call of their own, under GA4's names and CONTRACT's for trouble. */
export const COMMERCE = [
  "view_item_list", "view_item", "add_to_cart", "remove_from_cart", "view_cart", "begin_checkout", "add_shipping_info",
  "add_payment_info", "purchase", "refund", "search", "login", "sign_up", "payment_failed", "out_of_stock", "coupon_rejected",
] as const;
export type CommerceEvent = (typeof COMMERCE)[number];

/** Every call a page may make before the SDK is there. */
export const METHODS = [
  ...COMMERCE, "track", "page", "identify", "reset", "consent", "experiment", "exception", "use", "flush",
] as const;
export type Method = (typeof METHODS)[number];

export const ADDONS = ["errors", "vitals", "checkout", "clicks"] as const;
export type AddonName = (typeof ADDONS)[number];
