"""What is acknowledged is on the disk, and is stored once, whatever happens to the process, the store and the disk."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from funnelwatch.core import clock
from funnelwatch.ingest import segments, spool
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.draft import encode_lines
from funnelwatch.ingest.drain import Drain
from funnelwatch.ingest.intake import read_one
from funnelwatch.ingest.spool import Entry, Spool, SpoolFull, Writer
from funnelwatch.ingest.status import read_poison, read_status
from funnelwatch.store.client import Client
from funnelwatch.store.queries import states
from tests.ingest.conftest import KEY, Node, wait_for
from tests.ingest.faults import FaultyStore
from tests.ingest.processes import Child


def message(number: int | str, **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Tick", "anonymousId": f"v-{number}", "messageId": f"m-{number}", **more}


def ids(node: Node) -> list[str]:
    return sorted(row["message_id"] for row in node.stored())


def restart_drain(node: Node, client: Client | None = None) -> None:
    assert node.drain is not None
    node.drain.stop()
    node.start_drain(client)


def arrival_of(node: Node) -> Arrival:
    return Arrival(key=node.app.snapshot.keys[KEY], now=clock.now_ms(), received_at=clock.now_ms())


def test_an_acknowledged_event_is_in_the_spool_before_anything_drains_it(node: Node) -> None:
    node.batch(message(1), message(2))
    assert read_status(node.directory).waiting_events == 2
    assert ids(node) == ["m-1", "m-2"]


def test_a_live_event_is_stored_within_two_seconds(node: Node) -> None:
    node.start_drain()
    wait_for(lambda: node.drain.active)
    begun = time.monotonic()
    node.batch(message(1))
    wait_for(lambda: node._count() == 1)
    assert time.monotonic() - begun < 2


def test_the_same_message_in_one_batch_in_two_batches_and_after_a_restart_is_one_event(node: Node) -> None:
    node.batch(message(1), message(1), message(2))
    assert ids(node) == ["m-1", "m-2"]
    node.batch(message(1), message(3))
    assert ids(node) == ["m-1", "m-2", "m-3"]
    restart_drain(node)
    node.batch(message(2), message(4))
    assert ids(node) == ["m-1", "m-2", "m-3", "m-4"]
    assert node.drain.stats().repeats == 3


def test_the_same_message_id_of_two_projects_is_two_events(node: Node) -> None:
    node.batch(message(1))
    mine = node.project_id
    node.project_id += 500_000
    node.configure()
    node.batch(message(1))
    assert ids(node) == ["m-1"]
    node.project_id = mine
    assert ids(node) == ["m-1"]


def test_a_message_id_is_forgotten_after_the_window(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock_file = tmp_path / "clock"
    monkeypatch.setenv("FUNNELWATCH_CLOCK_FILE", str(clock_file))
    for hours, repeats in ((0, 0), (47, 1), (47 + 97, 1)):
        clock_file.write_text(f"2026-05-{1 + hours // 24:02d}T{hours % 24:02d}:00:00Z")
        node.batch(message(1, timestamp="2026-05-01T00:00:00Z"))
        node.stored()
        assert node.drain.stats().repeats == repeats


def test_while_the_store_is_down_events_are_taken_and_all_arrive_once_when_it_is_back(node: Node, store: Client) -> None:
    faulty = FaultyStore(store)
    faulty.down = True
    node.start_drain(faulty)
    for number in range(30):
        assert node.batch(message(2 * number), message(2 * number + 1)).status_code == 200
    wait_for(lambda: "refused" in node.drain.last_error)
    assert node.drain.stats().waiting_events == 60
    assert node.drain.stats().lag_seconds > 0
    faulty.down = False
    assert len(ids(node)) == 60
    assert node.drain.last_error == ""


def test_nothing_is_called_stored_while_the_store_is_down_so_the_watch_sees_no_empty_shop(node: Node, store: Client) -> None:
    def said() -> int | None:
        return states.newest(store, 0, "", f"drained:{segments.node(node.directory)}", 1)

    faulty = FaultyStore(store)
    faulty.down = True
    begun = clock.now_ms()
    node.batch(message(1))
    node.start_drain(faulty)
    wait_for(lambda: node.drain.last_error)
    assert said() is None
    faulty.down = False
    wait_for(lambda: said() is not None)
    assert said() > begun - 1_000
    assert len(ids(node)) == 1


def test_a_burst_goes_before_the_drain_for_as_long_as_it_has_patience(node: Node) -> None:
    burst = threading.Event()
    burst.set()
    node.batch({"type": "page", "anonymousId": "v1"})
    node.start_drain(crowded=burst.is_set)
    time.sleep(0.5)
    assert node.drain.stats().waiting_events == 1
    burst.clear()
    assert len(node.stored(1)) == 1
    burst.set()
    node.drain._patience = 0.3
    node.batch({"type": "page", "anonymousId": "v2"})
    assert len(node.stored(2)) == 2


def test_a_slow_store_delays_nobody_who_sends(node: Node, store: Client) -> None:
    faulty = FaultyStore(store)
    faulty.slow = 1.0
    node.start_drain(faulty)
    node.batch(message(0))
    slowest = 0.0
    for number in range(1, 30):
        begun = time.monotonic()
        assert node.batch(message(number)).status_code == 200
        slowest = max(slowest, time.monotonic() - begun)
    assert slowest < 0.9
    assert len(ids(node)) == 30


def test_a_block_whose_answer_was_lost_is_sent_again_under_the_same_token_and_counts_once(node: Node, store: Client) -> None:
    node.batch(*[message(number) for number in range(100)])
    faulty = FaultyStore(store)
    faulty.lose_answers = 2
    node.start_drain(faulty)
    assert len(ids(node)) == 100
    assert len(faulty.tokens) == 3
    assert len(set(faulty.tokens)) == 1


def test_a_drain_that_died_between_insert_and_mark_repeats_the_very_same_block(node: Node, store: Client) -> None:
    node.batch(*[message(number) for number in range(50)])
    faulty = FaultyStore(store)
    faulty.lose_answers = 1
    node.start_drain(faulty)
    wait_for(lambda: len(faulty.tokens) == 1)
    node.drain.stop()
    node.batch(*[message(number) for number in range(40, 60)])  # more has come since: it may not slip into the block
    node.start_drain(faulty)
    assert len(ids(node)) == 60
    assert faulty.tokens[0] == faulty.tokens[1] != faulty.tokens[2]


def test_the_spool_of_a_dead_process_is_adopted_and_cleared_away(node: Node, tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from funnelwatch.ingest.spool import Entry, Spool;"
        "Spool(Path(sys.argv[1]), 10**9).put(Entry(sys.stdin.buffer.read(), 1)); os._exit(9)"
    )
    draft = read_one(b'{"type":"track","event":"E","anonymousId":"v","messageId":"orphan"}', arrival_of(node))
    ended = subprocess.run([sys.executable, "-c", script, str(node.directory)], input=encode_lines([draft]), check=False)
    assert ended.returncode == 9
    assert len(segments.list_segments(node.directory)) == 1
    assert ids(node) == ["orphan"]
    wait_for(lambda: not segments.list_segments(node.directory))
    wait_for(lambda: len(list(node.directory.glob("*.lock"))) == 2)  # this process's and the drain's


def test_two_drains_of_one_directory_take_turns(node: Node) -> None:
    node.start_drain()
    wait_for(lambda: node.drain.active)
    second = Drain(node.directory, node.store)
    second.start()
    time.sleep(0.5)
    assert not second.active
    node.drain.stop()
    wait_for(lambda: second.active)
    second.stop()


def test_a_full_segment_is_followed_by_another_and_removed_when_drained(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_SEGMENT_BYTES", 2_000)
    for number in range(40):
        node.batch(message(number))
    found = segments.list_segments(node.directory)
    assert len(found) > 3
    assert all(segment.path.stat().st_size <= 16_384 for segment in found)  # closing them moved nothing out of the journal
    assert len(ids(node)) == 40
    wait_for(lambda: len(segments.list_segments(node.directory)) == 1)


def test_a_poison_event_is_set_aside_with_its_reason_and_the_rest_goes_on(node: Node, store: Client) -> None:
    drafts = [read_one(httpx_json(message(number)), arrival_of(node)) for number in range(20)]
    drafts[7].value = "much"  # no amount: the engine refuses the whole block
    lines = encode_lines(drafts[:10]) + b'[1,"damaged"\n' + encode_lines(drafts[10:])
    node.spool.put(Entry(lines, 21))
    node.batch(message("later"))
    assert set(ids(node)) == {f"m-{number}" for number in range(20) if number != 7} | {"m-later"}
    refused, damaged = read_poison(node.directory, node.project_id)
    assert "much" in refused["reason"]
    assert "message_id" not in refused["reason"]
    assert "truncated" in damaged["reason"]
    assert read_poison(node.directory, node.project_id + 1) == [damaged]
    assert node.drain.stats().poison == 2
    assert node.drain.stats().drops[node.project_id]["poison"] == 1


def test_a_store_that_refuses_everything_loses_nothing(node: Node, store: Client) -> None:
    class Refusing(FaultyStore):
        def insert_lines(self, table: str, names: Any, lines: bytes, token: str = "") -> None:
            if self.down:
                raise ValueError("no such column")
            super().insert_lines(table, names, lines, token)

    faulty = Refusing(store)
    faulty.down = True
    for start in range(0, 400, 100):
        node.batch(*[message(number) for number in range(start, start + 100)])
    node.start_drain(faulty)
    wait_for(lambda: "refuses more than" in node.drain.last_error)
    faulty.down = False
    assert len(ids(node)) == 400
    assert node.drain.stats().poison == 0


def test_at_the_cap_of_the_spool_clients_are_told_to_wait_until_the_drain_has_made_room(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_SEGMENT_BYTES", 20_000)
    node.spool.writer.max_bytes = 400_000
    taken = []
    for number in range(2_000):
        answer = node.batch(message(number, properties={"text": "x" * 5_000}))
        if answer.status_code != 200:
            break
        taken.append(f"m-{number}")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["code"] == "spool_full"
    assert ids(node) == sorted(taken)
    wait_for(lambda: node.batch(message("later")).status_code == 200)
    assert len(ids(node)) == len(taken) + 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a small file system")
def test_on_a_full_disk_nothing_acknowledged_is_lost_and_it_recovers_by_itself(store: Client, project_id: int, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        node = Node(disk / "spool", store, project_id)
        taken: list[str] = []
        while (answer := node.batch(message(len(taken), properties={"t": "x" * 30_000}))).status_code == 200:
            taken.append(f"m-{len(taken)}")
        assert answer.status_code == 429
        assert "retry-after" in answer.headers
        fill(disk / "filler")
        assert node.batch(message("refused")).status_code == 429
        node.start_drain()
        wait_for(lambda: node.drain.last_error)
        (disk / "filler").unlink()
        wait_for(lambda: node.batch(message("later")).status_code == 200)
        assert len(set(ids(node)) - {"m-later"}) == len(taken)
        node.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_write_error_of_the_disk_is_429_and_the_next_event_begins_a_new_segment(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.batch(message(1))
    real = Writer._write

    def fails(self: Spool, entries: list[Entry]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "_write", fails)
    assert node.batch(message(2)).status_code == 429
    monkeypatch.setattr(Writer, "_write", real)
    assert node.batch(message(3)).status_code == 200
    assert ids(node) == ["m-1", "m-3"]


def test_a_spool_that_is_closing_takes_nothing_more(tmp_path: Path) -> None:
    closing = Spool(tmp_path, 10**9)
    closing.put(Entry(b"[]\n", 1))
    closing.close()
    with pytest.raises(SpoolFull):
        closing.put(Entry(b"[]\n", 1))

    async def later() -> None:
        await closing.enqueue(Entry(b"[]\n", 1))

    with pytest.raises(SpoolFull):
        asyncio.run(later())


def test_killed_under_load_again_and_again_every_acknowledged_event_is_there_once(tmp_path: Path) -> None:
    """A node of its own process, drain and event store included, is killed three times while four clients send and resend."""
    acknowledged: set[str] = set()
    stop = threading.Event()
    node = Child(tmp_path)

    def client(name: int) -> int:
        sent = 0
        with httpx.Client(auth=(KEY, ""), timeout=5) as http:
            while not stop.is_set():
                batch = [message(str(uuid.uuid4())) for _ in range(20)]
                while True:  # as every real client does: the same message ids until someone says 200
                    try:
                        if http.post(f"{node.url}/v1/batch", json={"batch": batch}).status_code == 200:
                            break
                    except httpx.HTTPError:
                        time.sleep(0.05)
                acknowledged.update(row["messageId"] for row in batch)
                sent += 20
        return sent

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(client, name) for name in range(4)]
        for _ in range(3):
            time.sleep(1.5)
            node.kill()
            node.start()
        time.sleep(1)
        stop.set()
        sent = sum(future.result(60) for future in running)
    assert sent == len(acknowledged) > 500
    counts = node.finish()
    assert set(counts) == acknowledged
    assert set(counts.values()) == {1}


def fill(path: Path) -> None:
    """Take all the space that is left, as another program would."""
    with path.open("wb", buffering=0) as handle, contextlib.suppress(OSError):
        while handle.write(b"x" * 4096):
            pass


def httpx_json(document: Any) -> bytes:
    return httpx.Request("POST", "http://x", json=document).content
