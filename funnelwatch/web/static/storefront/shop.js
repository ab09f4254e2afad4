// The demo shop: a bag in session storage, and a call to the SDK wherever a real shop would have one.
const shop = JSON.parse(document.getElementById("shop").textContent);
const $ = (selector, root = document) => root.querySelector(selector);

const products = new Map(shop.products.map((product) => [product.sku, product]));
const readBag = () => JSON.parse(sessionStorage.getItem("bag") ?? "{}");
const money = (amount) => `${shop.currency} ${amount.toLocaleString("en")}`;

function writeBag(bag) {
  sessionStorage.setItem("bag", JSON.stringify(bag));
  showCount();
}

function showCount() {
  const count = Object.values(readBag()).reduce((sum, quantity) => sum + quantity, 0);
  $("[data-bag-count]").textContent = count || "";
}

function item(product, quantity = 1) {
  return { item_id: product.sku, item_name: product.name, item_category: product.category, price: product.price, quantity };
}

function commerce(items) {
  const value = items.reduce((sum, { price, quantity }) => sum + price * quantity, 0);
  return { currency: shop.currency, value, items };
}

function bagItems() {
  return Object.entries(readBag()).map(([sku, quantity]) => item(products.get(sku), quantity));
}

const pages = {
  shelf() {
    funnelwatch.view_item_list({ item_list_name: "shelf", items: shop.products.slice(0, 10).map((product) => item(product)) });
  },

  product() {
    const { product } = shop;
    funnelwatch.view_item(commerce([item(product)]));
    $("[data-add]").addEventListener("click", () => {
      const bag = readBag();
      writeBag({ ...bag, [product.sku]: (bag[product.sku] ?? 0) + 1 });
      funnelwatch.add_to_cart(commerce([item(product)]));
      $("[data-added]").textContent = "In your bag.";
    });
  },

  cart() {
    funnelwatch.view_cart(commerce(bagItems()));
    showLines();
  },

  checkout() {
    const order = commerce(bagItems());
    $("[data-total]").textContent = money(order.value);
    funnelwatch.begin_checkout(order);
    const shipping = $("[data-shipping]");
    const payment = $("[data-payment]");
    shipping.addEventListener("submit", (event) => {
      event.preventDefault();
      funnelwatch.add_shipping_info({ ...order, shipping_tier: new FormData(shipping).get("shipping") });
      shipping.hidden = true;
      payment.hidden = false;
    });
    payment.addEventListener("submit", (event) => {
      event.preventDefault();
      pay(order, new FormData(payment));
    });
  },

  thanks() {
    $("[data-order]").textContent = new URLSearchParams(location.search).get("order") ?? "";
  },
};

function showLines() {
  const rows = bagItems().map((line) => {
    const row = $("[data-line]").content.cloneNode(true);
    $("[data-name]", row).textContent = line.item_name;
    $("[data-quantity]", row).textContent = line.quantity;
    $("[data-price]", row).textContent = money(line.price * line.quantity);
    $("[data-remove]", row).addEventListener("click", () => {
      const { [line.item_id]: _, ...rest } = readBag();
      writeBag(rest);
      funnelwatch.remove_from_cart(commerce([line]));
      showLines();
    });
    return row;
  });
  $("[data-lines]").replaceChildren(...rows);
  $("[data-total]").textContent = money(commerce(bagItems()).value);
  $("[data-to-checkout]").hidden = rows.length === 0;
}

function pay(order, form) {
  const paying = { payment_type: form.get("method"), payment_provider: "razorpay" };
  funnelwatch.add_payment_info({ ...order, ...paying });
  if (form.get("decline")) {
    funnelwatch.payment_failed({ ...order, ...paying, code: "card_declined" });
    $("[data-declined]").textContent = "The payment failed. Try again.";
    return;
  }
  const number = `demo-${Date.now().toString(36)}`;
  funnelwatch.purchase({ ...order, ...paying, transaction_id: number });
  writeBag({});
  location.assign(`${shop.urls.thanks}?order=${number}`);
}

showCount();
pages[shop.page]();
