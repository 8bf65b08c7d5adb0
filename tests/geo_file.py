"""Writes small database files in MaxMind's format, version 2.0: https://maxmind.github.io/MaxMind-DB/

write_geo_file(path, {"81.2.69.0/24": {"country": {"iso_code": "GB"}}})
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

_Node: TypeAlias = list[Any]  # what lies behind a 0 and behind a 1: a node, a record's place in the data, or None
_MARKER = b"\xab\xcd\xefMaxMind.com"
_TEXT, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 5, 6, 7, 9, 11
_RECORD = 3  # bytes


def write_geo_file(path: Path, places: Mapping[str, Mapping[str, Any]], *, kind: str = "Test-City") -> Path:
    """A file in which each network (no one inside another) has its record: texts, lists and objects; answers `path`."""
    data = bytearray()
    root: _Node = [None, None]
    for network, record in places.items():
        _place(root, _bits(network), len(data))
        data += _encode(record)
    nodes = _numbered(root)
    numbers = {id(node): number for number, node in enumerate(nodes)}

    def pointer(side: Any) -> int:
        if side is None:
            return len(nodes)
        return numbers[id(side)] if isinstance(side, list) else len(nodes) + 16 + int(side)

    tree = b"".join(pointer(side).to_bytes(_RECORD) for node in nodes for side in node)
    metadata = {
        "binary_format_major_version": _Number(_UINT16, 2),
        "binary_format_minor_version": _Number(_UINT16, 0),
        "build_epoch": _Number(_UINT64, 1_770_000_000),
        "database_type": kind,
        "description": {"en": "made for a test"},
        "ip_version": _Number(_UINT16, 6),
        "languages": ["en"],
        "node_count": _Number(_UINT32, len(nodes)),
        "record_size": _Number(_UINT16, 8 * _RECORD),
    }
    path.write_bytes(tree + bytes(16) + bytes(data) + _MARKER + _encode(metadata))
    return path


class _Number(NamedTuple):
    kind: int
    value: int


def _bits(network: str) -> str:
    """The way through the tree: an IPv4 network lies under ::/96."""
    parsed = ip_network(network)
    if isinstance(parsed, IPv4Network):
        return "0" * 96 + f"{int(parsed.network_address):032b}"[: parsed.prefixlen]
    return f"{int(parsed.network_address):0128b}"[: parsed.prefixlen]


def _place(node: _Node, bits: str, offset: int) -> None:
    for bit in bits[:-1]:
        if node[int(bit)] is None:
            node[int(bit)] = [None, None]
        node = node[int(bit)]
    node[int(bits[-1])] = offset


def _numbered(root: _Node) -> list[_Node]:
    nodes = [root]
    for node in nodes:
        nodes += [side for side in node if isinstance(side, list)]
    return nodes


def _encode(value: Any) -> bytes:
    if isinstance(value, str):
        return _control(_TEXT, len(value.encode())) + value.encode()
    if isinstance(value, _Number):
        content = value.value.to_bytes((value.value.bit_length() + 7) // 8)
        return _control(value.kind, len(content)) + content
    if isinstance(value, list):
        return _control(_ARRAY, len(value)) + b"".join(map(_encode, value))
    return _control(_MAP, len(value)) + b"".join(_encode(name) + _encode(item) for name, item in value.items())


def _control(kind: int, size: int) -> bytes:
    """The control byte; the sizes of a test need at most one byte more. A kind over 7 stands in a byte of its own."""
    assert size < 29 + 256
    first, more = (size, b"") if size < 29 else (29, bytes([size - 29]))
    return (bytes([kind << 5 | first]) if kind <= 7 else bytes([first, kind - 7])) + more
