"""What only a shop's server knows for sure, under GA4's names: orders, refunds, payment results, stock."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from .errors import SdkError
from .reporting import reported

Money = int | float | Decimal
Item = Mapping[str, Any]


class Commerce:
    """The e-commerce calls of `Client`. Every one takes `user_id`, `anonymous_id`, `timestamp`, `context` and `test` as `track` does.

    Without an id of the shopper the order's number stands for them, so the order counts and joins no session.
    """

    def _send(self, event: str, properties: Mapping[str, Any], common: Mapping[str, Any]) -> str:
        """`Client.track` with the common arguments as a mapping."""
        raise NotImplementedError

    def _report(self, error: SdkError) -> None:
        """Tell the shop what did not get through."""
        raise NotImplementedError

    @reported
    def purchase(
        self,
        order_id: str,
        value: Money,
        currency: str,
        *,
        items: Sequence[Item] = (),
        coupon: str = "",
        payment_method: str = "",
        payment_provider: str = "",
        shipping_method: str = "",
        **common: Any,
    ) -> str:
        """An order was placed. `value` gross, `items` like `{"sku", "name", "category", "price", "quantity"}`.

        The message id is made of the order's number, so a job that runs twice counts the order once.
        """
        properties = _without_empty(
            order_id=order_id, currency=currency, value=value, coupon=coupon, payment_method=payment_method,
            payment_provider=payment_provider, shipping_method=shipping_method, items=[dict(item) for item in items],
        )  # fmt: skip
        return self._about_order("purchase", order_id, properties, f"purchase-{order_id}", common)

    @reported
    def refund(
        self,
        order_id: str,
        value: Money,
        currency: str,
        *,
        refund_id: str = "",
        items: Sequence[Item] = (),
        **common: Any,
    ) -> str:
        """Money went back. With `refund_id` a repeated call counts once."""
        properties = _without_empty(
            order_id=order_id, currency=currency, value=value, items=[dict(item) for item in items]
        )
        return self._about_order("refund", order_id, properties, f"refund-{refund_id}" if refund_id else None, common)

    @reported
    def payment_failed(
        self, order_id: str, code: str, *, value: Money | None = None, currency: str = "", payment_method: str = "",
        payment_provider: str = "", **common: Any,
    ) -> str:  # fmt: skip
        """A payment was declined or broke. `code` is the provider's reason, like `do_not_honor`."""
        properties = _without_empty(
            order_id=order_id,
            currency=currency,
            value=value,
            code=code,
            payment_method=payment_method,
            payment_provider=payment_provider,
        )
        return self._about_order("payment_failed", order_id, properties, None, common)

    @reported
    def payment_result(self, order_id: str, succeeded: bool, *, code: str = "", **more: Any) -> str:
        """How a payment ended, for callers that get both from one webhook: `payment_failed` or `payment_succeeded`."""
        if not succeeded:
            return self.payment_failed(order_id, code or "unknown", **more)
        names = ("value", "currency", "payment_method", "payment_provider")
        properties = _without_empty(order_id=order_id, **{name: more.pop(name) for name in names if name in more})
        return self._about_order("payment_succeeded", order_id, properties, None, more)

    @reported
    def stock(self, sku: str, state: str, *, name: str = "", category: str = "", **common: Any) -> str:
        """A product's stock changed. `state` `out_of_stock` is trouble in itself; others are `stock_changed`."""
        item = _without_empty(sku=sku, name=name, category=category)
        event = "out_of_stock" if state == "out_of_stock" else "stock_changed"
        common.setdefault("anonymous_id", None if common.get("user_id") else f"stock-{sku}")
        return self._send(event, {"stock_state": state, "items": [item]}, common)

    def _about_order(
        self, event: str, order_id: str, properties: Mapping[str, Any], message_id: str | None, common: Any
    ) -> str:
        if not common.get("user_id") and not common.get("anonymous_id"):
            common["anonymous_id"] = f"order-{order_id}"
        return self._send(event, properties, {"message_id": message_id, **common})


def _without_empty(**properties: Any) -> Mapping[str, Any]:
    return {name: value for name, value in properties.items() if value not in (None, "", [])}
