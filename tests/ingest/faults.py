"""A store that misbehaves as told, around the real one."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from funnelwatch.store.client import Client, StoreUnavailable


class FaultyStore:
    """Passes inserts on to the real store; `down`, `slow` and `lose_answers` can be switched at any time."""

    def __init__(self, store: Client) -> None:
        self._store = store
        self.down = False
        self.slow = 0.0
        self.lose_answers = 0  # so many inserts are stored, but their answer is lost
        self.tokens: list[str] = []

    def insert(self, table: str, columns: Mapping[str, Any], token: str = "") -> None:
        """As the real one, with the faults."""
        self._suffer()
        self._store.insert(table, columns, token)

    def insert_lines(self, table: str, names: Sequence[str], lines: bytes, token: str = "") -> None:
        """As the real one, with the faults; only these answers get lost."""
        self._suffer()
        self._store.insert_lines(table, names, lines, token)
        self.tokens.append(token)
        if self.lose_answers:
            self.lose_answers -= 1
            raise StoreUnavailable("the connection broke while waiting for the answer")

    def _suffer(self) -> None:
        if self.down:
            raise StoreUnavailable("Cannot reach ClickHouse: connection refused")
        time.sleep(self.slow)
