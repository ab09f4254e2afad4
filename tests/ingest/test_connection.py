"""Requests as they come over a socket: whole, in pieces, several at once. However they come, each is answered once and in its turn."""

import json
import socket
from typing import Any

import pytest

from tests.ingest.conftest import Node

AUTHORIZATION = b"Authorization: Basic d2tfdGVzdDo=\r\n"


def post(message_id: str, extra: bytes = b"", path: bytes = b"/v1/batch") -> bytes:
    body = json.dumps({"batch": [{"type": "page", "anonymousId": "v1", "messageId": message_id}]}).encode()
    return b"POST %b HTTP/1.1\r\nHost: shop\r\n%b%bContent-Length: %d\r\n\r\n%b" % (path, AUTHORIZATION, extra, len(body), body)


def answers(client: socket.socket, count: int) -> list[tuple[int, Any]]:
    """Status and body of the next `count` answers."""
    found, stream = [], client.makefile("rb")
    for _ in range(count):
        status, length = int(stream.readline().split()[1]), 0
        while line := stream.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        found.append((status, json.loads(stream.read(length) or b"null")))
    return found


@pytest.fixture
def client(node: Node) -> Any:
    with socket.create_connection(("127.0.0.1", node.port), timeout=10) as connection:
        yield connection


TAKEN = (200, {"success": True})


def test_requests_sent_without_waiting_are_answered_in_their_order(node: Node, client: socket.socket) -> None:
    settings = b"GET /v1/projects/wk_test/settings HTTP/1.1\r\nHost: shop\r\n\r\n"
    client.sendall(post("a") + settings + post("b") + post("c", path=b"/v1/unknown") + post("d"))
    got = answers(client, 5)
    assert [status for status, _ in got] == [200, 200, 200, 404, 200]
    assert "integrations" in got[1][1]
    assert [row["message_id"] for row in node.stored(3)] == ["a", "b", "d"]


def test_a_body_that_comes_in_pieces_is_taken_as_one_that_came_whole(node: Node, client: socket.socket) -> None:
    whole = post("a")
    for place in (10, 60, len(whole) - 40, len(whole) - 1):
        client.sendall(whole[:place])
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(10)
        client.sendall(whole[place:])
        assert answers(client, 1) == [TAKEN]
    client.sendall(post("b"))
    assert answers(client, 1) == [TAKEN]
    assert [row["message_id"] for row in node.stored(2)] == ["a", "b"]


@pytest.mark.parametrize("how", [b"Connection: close\r\n", b"Expect: 100-continue\r\nConnection: close\r\n"])
def test_a_connection_that_is_to_end_ends_after_its_answer(node: Node, client: socket.socket, how: bytes) -> None:
    client.sendall(post("a", how))
    said = b""
    while part := client.recv(4096):
        said += part
    assert said.endswith(b'{"success": true}')
    assert said.count(b"HTTP/1.1 200 OK") == 1
    assert [row["message_id"] for row in node.stored(1)] == ["a"]


def test_a_body_in_chunks_is_taken(node: Node, client: socket.socket) -> None:
    body = post("a").partition(b"\r\n\r\n")[2]
    head = b"POST /v1/batch HTTP/1.1\r\nHost: shop\r\n" + AUTHORIZATION + b"Transfer-Encoding: chunked\r\n\r\n"
    client.sendall(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    assert answers(client, 1) == [TAKEN]
    assert [row["message_id"] for row in node.stored(1)] == ["a"]


def test_who_leaves_before_the_answer_has_sent_all_the_same(node: Node) -> None:
    for number in range(20):
        with socket.create_connection(("127.0.0.1", node.port), timeout=10) as connection:
            connection.sendall(post(f"gone-{number:02d}"))
    assert sorted(row["message_id"] for row in node.stored(20)) == [f"gone-{number:02d}" for number in range(20)]
    assert node.batch({"type": "page", "anonymousId": "v1"}).status_code == 200
