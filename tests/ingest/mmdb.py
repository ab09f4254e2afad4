"""Writes a MaxMind database: the format as its specification has it, as far as a handful of IPv4 networks needs it."""

from ipaddress import IPv4Network
from typing import Any

_METADATA = b"\xab\xcd\xefMaxMind.com"
_STRING, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 5, 6, 7, 9, 11
_SIZES = {_UINT16: 2, _UINT32: 4, _UINT64: 8}


def mmdb(records: dict[str, dict[str, Any]], kind: str = "Test-City") -> bytes:
    """The file that answers each IPv4 network with its record."""
    nodes: list[list[Any]] = [[None, None]]
    data = b""
    for text, record in records.items():
        network, node = IPv4Network(text), 0
        for depth in range(network.prefixlen - 1):
            bit = int(network.network_address) >> (31 - depth) & 1
            if nodes[node][bit] is None:
                nodes.append([None, None])
                nodes[node][bit] = len(nodes) - 1
            node = nodes[node][bit]
        nodes[node][int(network.network_address) >> (32 - network.prefixlen) & 1] = ("data", len(data))
        data += _encode(record)
    metadata = {
        "binary_format_major_version": (_UINT16, 2), "binary_format_minor_version": (_UINT16, 0), "build_epoch": (_UINT64, 1),
        "database_type": kind, "description": {"en": kind}, "ip_version": (_UINT16, 4), "languages": ["en"],
        "node_count": (_UINT32, len(nodes)), "record_size": (_UINT16, 24),
    }  # fmt: skip
    tree = b"".join(_pointer(side, len(nodes)) for node in nodes for side in node)
    return tree + bytes(16) + data + _METADATA + _encode(metadata)


def _pointer(side: Any, count: int) -> bytes:
    number = count if side is None else side[1] + count + 16 if isinstance(side, tuple) else side
    return int(number).to_bytes(3, "big")


def _encode(value: Any) -> bytes:
    if isinstance(value, str):
        return _control(_STRING, len(value.encode())) + value.encode()
    if isinstance(value, dict):
        return _control(_MAP, len(value)) + b"".join(_encode(name) + _encode(inner) for name, inner in value.items())
    if isinstance(value, list):
        return _control(_ARRAY, len(value)) + b"".join(map(_encode, value))
    kind, number = value
    return _control(kind, _SIZES[kind]) + int(number).to_bytes(_SIZES[kind], "big")


def _control(kind: int, size: int) -> bytes:
    assert size < 285, "longer sizes are not needed here"
    length = bytes([size]) if size < 29 else bytes([29, size - 29])
    # Types over 7 stand in a second byte, after the one with the size.
    return bytes([kind << 5 | length[0]]) + length[1:] if kind <= 7 else bytes([length[0], kind - 7]) + length[1:]
