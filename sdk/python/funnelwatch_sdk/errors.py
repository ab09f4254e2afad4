"""What `on_error` may be given. Nothing of this is ever raised into the shop."""


class SdkError(Exception):
    """Something did not get through. `str()` says what and why."""


class Dropped(SdkError):
    """An event never left: not usable, larger than 32 KB, or the queue was full."""


class NotDelivered(SdkError):
    """The server refused a batch, or did not answer in all the tries."""


class Rejected(SdkError):
    """The server took the batch but set events aside. `reasons` counts them by reason."""

    def __init__(self, reasons: dict[str, int]) -> None:
        super().__init__(
            "set aside by the server: " + ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        )
        self.reasons = reasons
