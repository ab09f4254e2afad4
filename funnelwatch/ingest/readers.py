"""Child processes that read messages and spool them: that is most of ingest's work, and this process's interpreter serves everyone else.

Requests that come while the children that are at work are busy go to the next free one together. Each child has a spool of its own and commits a group
with one fsync, so only counts come back; a writer of this process would wait for its interpreter before and after each.
"""

import asyncio
import logging
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from functools import partial
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from struct import Struct
from time import monotonic

import msgspec

from funnelwatch.core import children, collector
from funnelwatch.ingest import geo
from funnelwatch.ingest.errors import Refusal
from funnelwatch.ingest.reading import Counts, Task, read
from funnelwatch.ingest.spool import Spool, SpoolFull, Writer

log = logging.getLogger(__name__)

#: Bytes of messages handed over at one go: a child is done with them in about 20 ms.
_MOST_BYTES = 512 * 1024
#: Bytes of unread messages for which a child more is set to work. One with a large group commits once where two commit twice, and a
#: commit costs as much as reading six events: with 64 connections that send single events (58 KB) two children took 12,600 a second, one 19,200.
_SHARE_BYTES = 128 * 1024
_RESTART_SECONDS = 1.0
#: A group takes 20 ms. When none was done in this time, whoever is at work is held up, and the others go on without it.
_HELD_UP_SECONDS = 0.1
#: Requests being read or waiting for it that make a burst: at half of what this can do there are one or two.
_CROWD = 8
#: Messages in a second that make children worth their 150 MB each: reading these takes 2 % of an interpreter.
_BUSY = 500
_length = Struct("!Q")

# A third of what pickle takes for the same, which is much beside a request of one event.
_encode = msgspec.msgpack.Encoder().encode
_decode_tasks = msgspec.msgpack.Decoder(list[Task]).decode
_decode_outcome = msgspec.msgpack.Decoder(tuple[list[Counts], str]).decode

#: For what was not taken by a fault of ours: clients keep what is answered 503, and send it again.
TRY_AGAIN = Refusal(503, "try_again", "this was not taken; send it again", retry_after=1)

#: Called once with what became of a task's messages when they are durable, or with why they were not taken.
Done = Callable[[Counts | Refusal], None]
#: With the bytes of the task's messages.
_Waiting = tuple[Task, Done, int]


class Readers:
    """Up to `count` children of this process, from the first busy second on; until one is ready messages are read here.

    They belong to the event loop that calls `submit`, and end with it. One that died is replaced.
    """

    def __init__(self, count: int, spool: Spool) -> None:
        self._count, self.spool = count, spool
        self._ready: set[_Link] = set()
        self._idle: list[_Link] = []  # the one that was at work last is the first to be again: its caches are warm
        self._waiting: deque[_Waiting] = deque()
        self._unread = self._unread_bytes = 0
        self._sharing = False
        self._groups = 0  # done so far
        self._watch: asyncio.TimerHandle | None = None
        self._keepers: list[asyncio.Task[None]] = []
        self._second, self._seen = 0, 0

    def submit(self, task: Task, done: Done) -> None:
        """Validate, enrich and spool; `done` is called from the event loop. Never raises."""
        if not self._ready:
            if not self._keepers and self._is_busy(len(task.raws)):
                self._keepers = [asyncio.create_task(self._keep_one()) for _ in range(self._count)]
            self._read_here(task, done)
            return
        size = sum(map(len, task.raws))
        self._unread += 1
        self._unread_bytes += size
        self._waiting.append((task, done, size))
        self._share_soon()

    def crowded(self) -> bool:
        """Whether more requests are on their way through the children than in a calm second. From any thread."""
        return self._unread >= _CROWD

    def _share_soon(self) -> None:
        """Once this turn of the loop has brought what it brings, so that requests which came together go together."""
        if self._idle and self._waiting and not self._sharing:
            self._sharing = True
            asyncio.get_running_loop().call_soon(self._share)

    def _share(self) -> None:
        """Set as many children to work as what is unread is worth."""
        self._sharing = False
        at_work = len(self._ready) - len(self._idle)
        self._hand_over(1 + self._unread_bytes // _SHARE_BYTES - at_work)
        if self._waiting and self._idle and self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(_HELD_UP_SECONDS, self._look_again, self._groups)

    def _look_again(self, groups: int) -> None:
        self._watch = None
        if groups == self._groups:
            self._hand_over(len(self._idle))
        self._share()

    def _hand_over(self, children: int) -> None:
        """Give what waits to so many of the idle children, in equal parts: else one took all that came at once."""
        for free in range(min(children, len(self._idle)), 0, -1):
            most = -(-len(self._waiting) // free)
            group: list[_Waiting] = []
            size = 0
            while self._waiting and len(group) < most and size < _MOST_BYTES:
                group.append(self._waiting.popleft())
                size += group[-1][2]
            if group:
                self._idle.pop().hand_over(group)

    def _free(self, link: "_Link") -> None:
        self._ready.add(link)
        self._idle.append(link)
        self._share()

    def _taken(self, link: "_Link", group: list[_Waiting], outcomes: "Iterable[Counts | Refusal]") -> None:
        self._settled(group)
        self._groups += 1
        self._free(link)  # before the answers: it reads the next group while they go out
        _answer(group, outcomes)

    def _lost(self, link: "_Link", group: list[_Waiting]) -> None:
        self._ready.discard(link)
        if link in self._idle:
            self._idle.remove(link)
        self._settled(group)
        self._share()
        _answer(group, repeat(TRY_AGAIN, len(group)))
        while self._waiting and not self._ready:  # nobody is left to wait for
            waiting = self._waiting.popleft()
            self._settled([waiting])
            self._read_here(*waiting[:2])

    def _settled(self, group: list[_Waiting]) -> None:
        self._unread -= len(group)
        self._unread_bytes -= sum(size for *_, size in group)

    def _read_here(self, task: Task, done: Done) -> None:
        taken = read([task])
        if not (taken.entry.events or taken.entry.drops):
            done(taken.counts[0])
            return
        try:
            written = self.spool.enqueue(taken.entry)
        except Refusal as refusal:
            done(refusal)
        else:
            written.add_done_callback(partial(_written, done, taken.counts[0]))

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
        """One child from start to end. Raises EOFError when it ends."""
        here, there = socket.socketpair()
        process = get_context("spawn").Process(target=_serve, args=(there, self.spool.directory, self.spool.writer.max_bytes), name="reader", daemon=True)
        process.start()
        there.close()
        try:
            _, link = await asyncio.get_running_loop().create_unix_connection(lambda: _Link(self._free, self._taken, self._lost), sock=here)
            await link.ended
            raise EOFError("it closed its end")
        finally:
            here.close()
            process.kill()  # it has nothing to finish
            process.join()


class _Link(asyncio.Protocol):
    """The parent's end of one child: a group of tasks out, what became of them back."""

    def __init__(
        self,
        free: "Callable[[_Link], None]",
        taken: "Callable[[_Link, list[_Waiting], Iterable[Counts | Refusal]], None]",
        lost: "Callable[[_Link, list[_Waiting]], None]",
    ) -> None:
        self._free, self._taken, self._lost = free, taken, lost
        self._received = bytearray()
        self._group: list[_Waiting] = []
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def hand_over(self, group: list[_Waiting]) -> None:
        """Have the child read these. It has nothing else to do."""
        self._group = group
        tasks = _encode([task for task, *_ in group])
        self._transport.write(_length.pack(len(tasks)) + tasks)

    def data_received(self, data: bytes) -> None:
        if not self._group:  # its first sign of life
            self._free(self)
            return
        self._received += data
        if len(self._received) < _length.size or len(self._received) < _length.size + _length.unpack_from(self._received)[0]:
            return
        counts, full = _decode_outcome(memoryview(self._received)[_length.size :])
        group, self._group, self._received = self._group, [], bytearray()
        self._taken(self, group, repeat(SpoolFull(full), len(group)) if full else counts)

    def connection_lost(self, error: Exception | None) -> None:
        self._lost(self, self._group)
        if not self.ended.done():
            self.ended.set_result(None)


def _answer(group: list[_Waiting], outcomes: "Iterable[Counts | Refusal]") -> None:
    for (_, done, _), outcome in zip(group, outcomes, strict=True):
        done(outcome)


def _written(done: Done, counts: Counts, future: "asyncio.Future[None]") -> None:
    if future.cancelled():
        done(TRY_AGAIN)
    else:
        error = future.exception()
        done(counts if error is None else error if isinstance(error, Refusal) else TRY_AGAIN)


def _serve(parent: socket.socket, spool: Path, most_bytes: int) -> None:
    """A child's whole life: its parent's end is closed when the parent ends, however it does."""
    for number in (signal.SIGINT, signal.SIGTERM):  # these reach the whole group; the parent says when it is time
        signal.signal(number, signal.SIG_IGN)
    children.end_with_parent()
    geo.load()
    collector.spare()
    writer = Writer(spool, most_bytes)
    with suppress(ConnectionError), closing(writer), parent.makefile("rwb") as stream:
        stream.write(b"+")
        stream.flush()
        while header := stream.read(_length.size):
            outcome = _encode(_take(_decode_tasks(stream.read(_length.unpack(header)[0])), writer))
            stream.write(_length.pack(len(outcome)) + outcome)
            stream.flush()


def _take(tasks: list[Task], writer: Writer) -> tuple[list[Counts], str]:
    """Counts of the tasks once what they came to is durable, or why it cannot be."""
    taken = read(tasks)
    try:
        if taken.entry.events or taken.entry.drops:
            writer.write([taken.entry])
    except SpoolFull as full:
        return [], full.message
    return taken.counts, ""
