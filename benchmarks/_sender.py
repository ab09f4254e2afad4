"""A closed-loop or paced HTTP load generator on raw sockets: the cheapest client that still reads every answer."""

import asyncio
import base64
from collections.abc import Iterator
from time import perf_counter
from typing import NamedTuple

_AUTHORIZATION = base64.b64encode(b"wk:")


class Load(NamedTuple):
    """What came of a run. Latencies in seconds, sorted."""

    requests: int
    refused: int
    seconds: float
    latencies: list[float]

    def quantile(self, share: float) -> float:
        """A latency quantile in milliseconds."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))] * 1000 if self.latencies else float("nan")


def request(path: str, body: bytes) -> bytes:
    """One POST as it goes over the wire."""
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (path.encode(), _AUTHORIZATION, len(body)) + body


async def get(port: int, path: str) -> bytes:
    """The body of a GET."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode())
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n\r\n")[2]


async def run(port: int, requests: Iterator[bytes], seconds: float, connections: int = 64, per_second: float = 0) -> Load:
    """Send for `seconds`, or until `requests` ends, over `connections`: as fast as answers come, or `per_second` requests by the clock.

    Paced requests count their latency from the moment they were due, so a stalled server cannot hide its queue.
    """
    loop = asyncio.get_running_loop()
    links = [_Link(requests) for _ in range(connections)]
    for link in links:
        await loop.create_connection(lambda link=link: link, "127.0.0.1", port)
    begun = perf_counter()
    for number, link in enumerate(links):
        link.begin(begun, begun + seconds, connections / per_second if per_second else 0, number / connections)
    await asyncio.gather(*(link.done for link in links))
    latencies = sorted(latency for link in links for latency in link.latencies)
    return Load(len(latencies), sum(link.refused for link in links), perf_counter() - begun, latencies)


class _Link(asyncio.Protocol):
    """One connection with one request on its way at a time."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests, self._received = requests, b""
        self.latencies: list[float] = []
        self.refused = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def begin(self, begun: float, end: float, every: float, phase: float) -> None:
        """Send from `begun + phase * every` until `end`, one request `every` seconds (0: as fast as answers come)."""
        self._end, self._every, self._due = end, every, begun + phase * every
        self.next()

    def next(self) -> None:
        """Send the next request now or when it is due."""
        now = perf_counter()
        self._due = self._due + self._every if self._every else now
        if self._due >= self._end:
            self.done.set_result(None)
        elif self._due > now:
            asyncio.get_running_loop().call_later(self._due - now, self._send)
        else:
            self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self.latencies.append(perf_counter() - self._due)
        self.refused += not head.startswith(b"HTTP/1.1 200")
        self._received = b""
        self.next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
        else:
            self._transport.write(request)
