"""What keeps every fault of an event out of the shop's own code."""

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from .errors import Dropped, SdkError


class Reporter(Protocol):
    """Has somewhere to send faults."""

    def _report(self, error: SdkError) -> None: ...


Call = TypeVar("Call", bound=Callable[..., str])


def reported(call: Call) -> Call:
    """A method that reports what it trips over as `Dropped`, and then returns "" for a message id."""

    @functools.wraps(call)
    def guarded(self: Reporter, *args: Any, **kwargs: Any) -> str:
        try:
            return call(self, *args, **kwargs)
        except Exception as error:  # whatever the shop passed in, its order goes on
            self._report(Dropped(f"{call.__name__}: {type(error).__name__}: {error}"))
            return ""

    return cast(Call, guarded)
