"""Which client meets which fault, and what it is known to do about it."""

from dataclasses import dataclass

from tests.ingest.clients.proxy import Fault

#: Seconds after which the clients that have such an option stop waiting for an answer; an answer that is slow comes twice as late.
TIMEOUT = 2

FAULTS = {
    "normal": Fault(),
    "429 with Retry-After": Fault(busy=True),
    "500 twice": Fault(times=2, status=500),
    "reset after storing": Fault(reset=True),
    "slow answer": Fault(delay=2 * TIMEOUT),
}
PAGE_FAULTS = FAULTS | {
    "page left at once": Fault(),  # in the same breath as the calls
    "page left unanswered": Fault(delay=3),  # the events are stored, the answers under way
}
LEAVING = {"page left at once", "page left unanswered"}

SERVER_CLIENTS = {
    "@segment/analytics-node": "node",
    "@rudderstack/rudder-sdk-node": "node",
    "segment-analytics-python": "python",
    "rudder-sdk-python": "python",
}
#: Client -> page and the switch it is loaded with.
PAGE_CLIENTS = {
    "@segment/analytics-next": ("segment", ""),
    "@segment/analytics-next batching": ("segment", "batching"),
    "@rudderstack/analytics-js": ("rudder", ""),
    "@rudderstack/analytics-js useBeacon": ("rudder", "beacon"),
}
#: A beacon has no answer, so its client never learns of a fault.
BEACON = "@rudderstack/analytics-js useBeacon"

#: What a shop calls, the same for every client: no more than the six requests that Chromium has under way to one host at a time.
CALLS = [
    {"type": "identify"},
    {"type": "page"},
    *({"type": "track", "event": f"Step {number}", "properties": {"number": number}} for number in range(1, 4)),
    {
        "type": "track",
        "event": "Order Completed",
        "properties": {"order_id": "A-1001", "revenue": 59.9, "currency": "EUR", "coupon": "SPRING"},
    },
]
SENT = {str(call.get("event", call["type"])) for call in CALLS}
CAME_BACK = "Came Back"  # what the page calls that a visitor goes on to
STORED_AS = {name: {"page": "page_view", "Order Completed": "purchase"}.get(name, name) for name in [*SENT, CAME_BACK]}


@dataclass(frozen=True)
class Case:
    """One client and one fault."""

    client: str
    fault_name: str

    def __str__(self) -> str:
        return f"{self.client}: {self.fault_name}"

    @property
    def fault(self) -> Fault:
        """What its proxy does."""
        if self.client == "@rudderstack/analytics-js" and self.fault_name == "slow answer":
            return Fault(delay=32)  # its time-out is 30 s and cannot be set
        return PAGE_FAULTS[self.fault_name]

    @property
    def names(self) -> set[str]:
        """The events that the client is given."""
        return SENT | {CAME_BACK} if self.fault_name in LEAVING else SENT

    @property
    def timeout(self) -> int | None:
        """Seconds, where the case sets any. RudderStack's Node client has none by itself, and counts all its attempts together."""
        return None if self.client == "@rudderstack/rudder-sdk-node" and self.fault_name != "slow answer" else TIMEOUT

    @property
    def gives_up(self) -> bool:
        """A time-out is final for RudderStack's Node client."""
        return self.client == "@rudderstack/rudder-sdk-node" and self.fault_name == "slow answer"

    @property
    def may_forget(self) -> bool:
        """Segment's browser client loses calls that have not passed its own plugins when the page goes."""
        return self.client.startswith("@segment/analytics-next") and self.fault_name == "page left at once"

    @property
    def sends_again(self) -> bool:
        """Whether the client is sure to deliver each event once more after the fault."""
        if self.fault_name == "slow answer":  # Segment's browser client waits as long as the browser does
            return not self.gives_up and not self.client.startswith("@segment/analytics-next")
        if self.fault_name == "page left unanswered":  # batches under way are kept for the next page or not, as it happens
            return self.client in {"@segment/analytics-next", "@rudderstack/analytics-js"}
        return bool(self.fault)

    @property
    def obeys_retry_after(self) -> bool:
        """RudderStack's Python and browser clients follow their own schedule; Segment's batches go early when the next one is due."""
        return self.client not in {"rudder-sdk-python", "@rudderstack/analytics-js", "@segment/analytics-next batching"}


SERVER_CASES = [Case(client, fault) for client in SERVER_CLIENTS for fault in FAULTS]
PAGE_CASES = [
    Case(client, fault) for client in PAGE_CLIENTS for fault in PAGE_FAULTS if client != BEACON or not PAGE_FAULTS[fault]
]
CASES = SERVER_CASES + PAGE_CASES
