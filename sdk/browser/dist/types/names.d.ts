/** Events that have a call of their own, under GA4's names and CONTRACT's for trouble. */
export declare const COMMERCE: readonly ["view_item_list", "view_item", "add_to_cart", "remove_from_cart", "view_cart", "begin_checkout", "add_shipping_info", "add_payment_info", "purchase", "refund", "search", "login", "sign_up", "payment_failed", "out_of_stock", "coupon_rejected"];
export type CommerceEvent = (typeof COMMERCE)[number];
/** Every call a page may make before the SDK is there. */
export declare const METHODS: readonly ["view_item_list", "view_item", "add_to_cart", "remove_from_cart", "view_cart", "begin_checkout", "add_shipping_info", "add_payment_info", "purchase", "refund", "search", "login", "sign_up", "payment_failed", "out_of_stock", "coupon_rejected", "track", "page", "identify", "reset", "consent", "experiment", "exception", "use", "flush"];
export type Method = (typeof METHODS)[number];
export declare const ADDONS: readonly ["errors", "vitals", "checkout", "clicks"];
export type AddonName = (typeof ADDONS)[number];
