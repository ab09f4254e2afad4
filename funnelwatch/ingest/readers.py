"""Child processes that read messages: reading is two thirds of ingest's work, and this process's interpreter serves everyone else.

Requests that come while all children are busy go to the next free one together, so a hand-over costs little under load.
"""

import asyncio
import logging
import signal
import socket
from contextlib import suppress
from multiprocessing import get_context
from struct import Struct
from time import monotonic

import msgspec

from funnelwatch.core import children
from funnelwatch.ingest import geo
from funnelwatch.ingest.errors import Refusal
from funnelwatch.ingest.reading import Taken, Task, read

log = logging.getLogger(__name__)

#: Bytes of messages handed over at one go: a child is done with them in about 20 ms.
_MOST_BYTES = 512 * 1024
#: Of an answer held in memory before the child has to wait; it is hardly larger than what was handed over.
_BUFFER_BYTES = 16 * 1024 * 1024
_RESTART_SECONDS = 1.0
#: Messages in a second that make children worth their 150 MB each: reading these takes 2 % of an interpreter.
_BUSY = 500
_length = Struct("!Q")

# A third of what pickle takes for the same, which is much beside a request of one event.
_encode = msgspec.msgpack.Encoder().encode
_decode_tasks = msgspec.msgpack.Decoder(list[Task]).decode
_decode_taken = msgspec.msgpack.Decoder(list[Taken]).decode

_Waiting = tuple[Task, "asyncio.Future[Taken]"]


class Readers:
    """Up to `count` children of this process, from the first busy second on; until one is ready `read` does it here.

    They belong to the event loop that calls `read`, and end with it. One that died is replaced.
    """

    def __init__(self, count: int) -> None:
        self._count, self._ready, self._idle = count, 0, 0
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._keepers: list[asyncio.Task[None]] = []
        self._second, self._seen = 0, 0

    async def read(self, task: Task) -> Taken:
        """Validate and enrich. Raises Refusal when the process that did it died: the client is to send again."""
        if not self._ready:
            if not self._keepers and self._is_busy(len(task.raws)):
                self._keepers = [asyncio.create_task(self._keep_one()) for _ in range(self._count)]
            return read(task)
        future: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((task, future))
        return await future

    def crowded(self) -> bool:
        """Whether requests wait because all children are at work. From any thread."""
        return not self._waiting.empty()

    def _is_busy(self, messages: int) -> bool:
        second = int(monotonic())
        self._seen = messages + (self._seen if second == self._second else 0)
        self._second = second
        return self._seen >= _BUSY

    async def _keep_one(self) -> None:
        while True:
            try:
                await self._one_life()
            except Exception as error:  # whatever it was: without a reader the requests would wait for ever
                log.error("a process that reads events ended (%r); another one takes its place", error)
            await asyncio.sleep(_RESTART_SECONDS)

    async def _one_life(self) -> None:
        """One child from start to end. Raises EOFError, OSError when it ends."""
        here, there = socket.socketpair()
        process = get_context("spawn").Process(target=_serve, args=(there,), name="reader", daemon=True)
        process.start()
        there.close()
        try:
            out, back = await asyncio.open_unix_connection(sock=here, limit=_BUFFER_BYTES)
            await out.readexactly(1)
            self._ready += 1
            try:
                while True:
                    await _hand_over(await self._next_group(), out, back)
            finally:
                self._ready -= 1
        finally:
            here.close()
            process.kill()  # it has nothing to finish
            process.join()

    async def _next_group(self) -> list[_Waiting]:
        """What waits, shared with the other children that have nothing to do: else one took all that came at once."""
        self._idle += 1
        try:
            group = [await self._waiting.get()]
            most = self._waiting.qsize() // self._idle
        finally:
            self._idle -= 1
        size = sum(map(len, group[0][0].raws))
        while len(group) <= most and size < _MOST_BYTES and not self._waiting.empty():
            group.append(self._waiting.get_nowait())
            size += sum(map(len, group[-1][0].raws))
        return group


async def _hand_over(group: list[_Waiting], out: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
    try:
        tasks = _encode([task for task, _ in group])
        back.write(_length.pack(len(tasks)) + tasks)
        (size,) = _length.unpack(await out.readexactly(_length.size))
        for (_, future), taken in zip(group, _decode_taken(await out.readexactly(size)), strict=True):
            if not future.done():  # the client may have gone
                future.set_result(taken)
    finally:
        for _, future in group:
            if not future.done():
                future.set_exception(Refusal(503, "try_again", "this was not taken; send it again", retry_after=1))


def _serve(parent: socket.socket) -> None:
    """A child's whole life: its parent's end is closed when the parent ends, however it does."""
    for number in (signal.SIGINT, signal.SIGTERM):  # these reach the whole group; the parent says when it is time
        signal.signal(number, signal.SIG_IGN)
    children.end_with_parent()
    geo.load()
    with suppress(ConnectionError), parent.makefile("rwb") as stream:
        stream.write(b"+")
        stream.flush()
        while header := stream.read(_length.size):
            tasks = _decode_tasks(stream.read(_length.unpack(header)[0]))
            taken = _encode([read(task) for task in tasks])
            stream.write(_length.pack(len(taken)) + taken)
            stream.flush()
