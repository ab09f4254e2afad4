import assert from "node:assert/strict";
import { test } from "node:test";
import { mapEvent } from "../src/shopify_events";

const event = (name: string, data = {}) => ({ id: "1", name, timestamp: "2026-03-02T10:00:00Z", data });

test("an event that says nothing about the funnel is left out", () => {
  assert.equal(mapEvent(event("ui_extension_errored")), undefined);
  assert.equal(mapEvent(event("checkout_contact_info_submitted")), undefined);
});

test("an order id loses its global prefix and a bare one stays", () => {
  const id = (given: string) => mapEvent(event("checkout_completed", { checkout: { order: { id: given } } }))?.properties.transaction_id;
  assert.equal(id("gid://shopify/OrderIdentity/70041"), "70041");
  assert.equal(id("70041"), "70041");
});

test("a product without a SKU goes by its variant's id", () => {
  const mapped = mapEvent(event("product_viewed", { productVariant: { id: "gid://shopify/ProductVariant/8", sku: "" } }));
  assert.equal((mapped?.properties.items as { item_id: string }[])[0]?.item_id, "8");
});

test("an alert about a form field is its own event, without what was typed", () => {
  const mapped = mapEvent(event("alert_displayed", { alert: { type: "INPUT_INVALID", target: "email", value: "a@b" } }));
  assert.deepEqual(mapped, { event: "checkout_alert", properties: { code: "input_invalid", target: "email", message: undefined } });
});
