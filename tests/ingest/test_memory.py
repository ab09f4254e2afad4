"""A whole ingest node, drain and store included, under good and hostile requests: its memory stays where it was."""

import contextlib
import gzip
import http.client
import json
import random
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.ingest.processes import Child

KEY = "Basic d2tfdGVzdDo="
BOMB = gzip.compress(b"[" + b" " * 20_000_000, 9)
SENDERS = 4
#: What 8 seconds may add after a warm-up of 13. They send 100 bombs of 20 MB and as much again as this in other bodies, each unlike any
#: other; what remains is the engine's coming and going with its merges, 30 MB up and down when watched for longer.
MOST_GROWTH_MB = 60


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    node = Child(tmp_path)
    yield node
    node.kill()


def events(number: int, rng: random.Random) -> bytes:
    """A batch of 50 with visitors, agents, pages, campaigns and properties of its own."""
    return json.dumps({"batch": [{
        "type": "track", "event": f"Event {number % 3000}", "messageId": f"m{number}-{part}", "anonymousId": f"v{number}-{part}",
        "context": {"userAgent": f"Mozilla/5.0 ({number}) Safari/{part}", "ip": f"{number % 223}.{part}.{number // 223 % 250}.7",
                    "page": {"url": f"https://shop{number}.example/{part}?utm_source=s{number}&utm_campaign=c{part}"}},
        "properties": {f"key{number}": rng.random(), "sku": f"SKU-{number}-{part}", "text": "x" * 200},
    } for part in range(50)]}).encode()  # fmt: skip


def request(number: int, rng: random.Random) -> tuple[bytes, dict[str, str]]:
    """Body and headers: half good, half of some hostile kind."""
    kind = rng.randrange(12)
    good = events(number, rng)
    if kind < 6:
        return good, {}
    return [
        (BOMB, {}),
        (good[: rng.randrange(1, len(good))], {}),
        (b'{"batch": ' + b"[" * 5_000, {}),
        (b"\xff\xfe" + rng.randbytes(20_000), {"Content-Type": f"text/{number}"}),
        (good, {"Authorization": "Basic " + rng.randbytes(30).hex(), "Origin": f"https://o{number}.example"}),
        (b'{"batch": ["' + b"y" * 450_000 + b'"]}', {"User-Agent": f"agent {number} " + "u" * 9_000}),
    ][kind - 6]


def send(url: str, sender: int, start: int, seconds: float) -> Counter[int]:
    """Requests on one connection, now and then one that is cut off in the middle; how often each status came back."""
    rng, statuses = random.Random(sender * 1_000_003 + start), Counter[int]()
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    end, number = time.monotonic() + seconds, start
    while time.monotonic() < end:
        number += SENDERS
        body, headers = request(number, rng)
        connection.request("POST", f"/v1/batch?n={number}", body, {"Authorization": KEY} | headers)
        answer = connection.getresponse()
        answer.read()
        statuses[answer.status] += 1
        if rng.random() < 0.1:
            with contextlib.suppress(OSError), socket.create_connection((where.hostname, where.port)) as cut:
                cut.sendall(b"POST /v1/batch HTTP/1.1\r\nX-%d: y\r\n" % number + rng.choice([b"", b"Content-Length: 400000\r\n\r\n" + b"z" * 70_000]))
    return statuses


def resident_mb(pid: int) -> float:
    """Once it is quiet: the least of a second and a half."""
    samples = []
    for _ in range(15):
        time.sleep(0.1)
        samples.append(psutil.Process(pid).memory_info().rss / 1e6)
    return min(samples)


def test_twenty_seconds_of_good_and_hostile_requests_leave_memory_where_it_was(child: Child) -> None:
    def run(start: int, seconds: float) -> Counter[int]:
        with ThreadPoolExecutor(SENDERS) as pool:
            return sum(pool.map(lambda sender: send(child.url, sender, start + sender, seconds), range(SENDERS)), Counter[int]())

    run(0, 13)
    before = resident_mb(child.pid)
    statuses = run(10_000_000, 8)
    growth = resident_mb(child.pid) - before
    assert set(statuses) == {200, 400, 401, 413}
    assert statuses[200] > 100
    assert growth < MOST_GROWTH_MB
