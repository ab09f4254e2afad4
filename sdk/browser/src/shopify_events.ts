import type { Item, Properties } from "./types";

/** The parts of Shopify's customer events that are read (Web Pixels API, standard events); anything may be missing. */
export interface ShopifyEvent {
  id: string;
  name: string;
  clientId?: string;
  timestamp: string;
  context?: { document?: { location?: { href?: string; pathname?: string }; referrer?: string; title?: string } };
  data?: {
    productVariant?: Variant;
    collection?: { id?: string; title?: string; productVariants?: Variant[] };
    cart?: { lines?: CartLine[]; cost?: { totalAmount?: Money } } | null;
    cartLine?: CartLine | null;
    checkout?: Checkout;
    searchResult?: { query?: string; productVariants?: Variant[] };
    alert?: { target?: string; type?: string; message?: string; value?: string };
  };
}

interface Money {
  amount?: number;
  currencyCode?: string;
}

interface Variant {
  id?: string | null;
  sku?: string | null;
  title?: string | null;
  price?: Money;
  product?: { id?: string | null; title?: string; type?: string | null; vendor?: string };
}

interface CartLine {
  merchandise?: Variant;
  quantity?: number;
  cost?: { totalAmount?: Money };
}

interface Checkout {
  order?: { id?: string | null } | null;
  currencyCode?: string;
  totalPrice?: Money | null;
  totalTax?: Money;
  shippingLine?: { price?: Money } | null;
  lineItems?: { title?: string; quantity?: number; variant?: Variant | null }[];
  discountApplications?: { title?: string; type?: string }[];
  delivery?: { selectedDeliveryOptions?: { title?: string; handle?: string }[] };
  transactions?: { gateway?: string; paymentMethod?: { name?: string; type?: string } }[];
}

export interface Mapped {
  event: string;
  properties: Properties;
}

type Data = NonNullable<ShopifyEvent["data"]>;

/** Shopify's event name to ours, and what its data says in GA4's words. */
const EVENTS: Record<string, (data: Data) => Mapped> = {
  page_viewed: () => ({ event: "page_view", properties: {} }),
  collection_viewed: ({ collection }) => ({
    event: "view_item_list",
    properties: { item_list_id: collection?.id, item_list_name: collection?.title, items: collection?.productVariants?.map((each) => item(each)) },
  }),
  product_viewed: ({ productVariant }) => ({
    event: "view_item",
    properties: { ...money(productVariant?.price), items: [item(productVariant)] },
  }),
  search_submitted: ({ searchResult }) => ({
    event: "search",
    properties: { search_term: searchResult?.query, results: searchResult?.productVariants?.length },
  }),
  product_added_to_cart: ({ cartLine }) => ({ event: "add_to_cart", properties: line(cartLine) }),
  product_removed_from_cart: ({ cartLine }) => ({ event: "remove_from_cart", properties: line(cartLine) }),
  cart_viewed: ({ cart }) => ({
    event: "view_cart",
    properties: { ...money(cart?.cost?.totalAmount), items: cart?.lines?.map((each) => item(each.merchandise, each.quantity)) },
  }),
  checkout_started: ({ checkout }) => ({ event: "begin_checkout", properties: order(checkout) }),
  checkout_shipping_info_submitted: ({ checkout }) => ({ event: "add_shipping_info", properties: order(checkout) }),
  payment_info_submitted: ({ checkout }) => ({ event: "add_payment_info", properties: order(checkout) }),
  checkout_completed: ({ checkout }) => ({ event: "purchase", properties: order(checkout) }),
  alert_displayed: ({ alert }) => trouble(alert ?? {}),
};

/** A standard event in our vocabulary; undefined for those that say nothing about the funnel. */
export const mapEvent = (event: ShopifyEvent): Mapped | undefined => EVENTS[event.name]?.(event.data ?? {});

/** Shopify's numeric order id, as its webhooks carry it, whether sent bare or as `gid://shopify/Order/1`. */
const bareId = (id?: string | null) => id?.split("/").pop() || undefined;

const money = (price?: Money | null) => ({ currency: price?.currencyCode, value: price?.amount });

const item = (variant?: Variant | null, quantity?: number): Item => ({
  item_id: variant?.sku || bareId(variant?.id),
  item_name: variant?.product?.title,
  item_category: variant?.product?.type || undefined,
  item_brand: variant?.product?.vendor,
  item_variant: variant?.title ?? undefined,
  price: variant?.price?.amount,
  quantity,
});

const line = (cartLine?: CartLine | null): Properties => ({
  ...money(cartLine?.cost?.totalAmount),
  items: [item(cartLine?.merchandise, cartLine?.quantity)],
});

function order(checkout: Checkout = {}): Properties {
  const payment = checkout.transactions?.[0];
  return {
    transaction_id: bareId(checkout.order?.id),
    currency: checkout.totalPrice?.currencyCode ?? checkout.currencyCode,
    value: checkout.totalPrice?.amount,
    tax: checkout.totalTax?.amount,
    shipping: checkout.shippingLine?.price?.amount,
    coupon: checkout.discountApplications?.find((discount) => discount.type == "DISCOUNT_CODE")?.title,
    shipping_tier: checkout.delivery?.selectedDeliveryOptions?.[0]?.title,
    payment_provider: payment?.gateway,
    payment_type: payment?.paymentMethod?.type,
    items: checkout.lineItems?.map((each) => item(each.variant, each.quantity)),
  };
}

/** What the shopper was told at checkout. The typed value stays out of it, unless it is the coupon. */
function trouble({ type = "", target, message, value }: NonNullable<Data["alert"]>): Mapped {
  const code = type.toLowerCase();
  if (/payment/i.test(type)) return { event: "payment_failed", properties: { code, message } };
  if (/discount/i.test(type)) return { event: "coupon_rejected", properties: { code, coupon: value, message } };
  if (/inventory|merchandise/i.test(type)) return { event: "out_of_stock", properties: { code, stock_state: "out_of_stock", message } };
  return { event: "checkout_alert", properties: { code, target, message } };
}
