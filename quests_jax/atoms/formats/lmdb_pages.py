"""Keys and values of an LMDB file, read page by page with every bound checked.

The library of LMDB maps the file and trusts it: a damaged page ends the process. Reading needs little: the
tree of the main database (LMDB 0.9, data version 1, 64 bit). A page begins with its number, its flags and the
end of the list of its nodes. A node holds its size or its child, the size of its key, the key, and its value
or the number of the first page of a long value.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from quests_jax.base.checks import InputError

MAGIC = 0xBEEFC0DE
VERSION = 1
HEADER = struct.Struct(
    "<QHHHH"
)  # page number, unused, flags, end of the list of nodes, end of the free space
META = struct.Struct("<II QQ IHHQQQQQ IHHQQQQQ QQ")  # of the first two pages, after the header
NODE = struct.Struct("<HHHH")  # size or child in two parts, flags or third part of the child, size of the key
BRANCH, LEAF, OVERFLOW, LONG = 1, 2, 4, 1
NOTHING = (1 << 64) - 1  # page number of an empty tree
DEEPEST = 32  # levels of a tree


class Node(NamedTuple):
    """One node of a page."""

    key: bytes
    child: int  # page number, of a branch
    value: bytes | int  # of a leaf, or the number of the first page of a long value
    size: int  # bytes of the value


def recognises(head: bytes) -> bool:
    """Whether a file begins as LMDB does."""
    return len(head) >= 20 and struct.unpack_from("<I", head, HEADER.size)[0] == MAGIC


def items(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Every key and value in the order of the keys.

    Raises `InputError` for a file that is cut short or damaged.
    """
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        size, entries, root, last = _meta(content)
        if (last + 1) * size > len(content):
            raise InputError("the database is cut short; copy it again.")
        found = 0
        for item in _walk(content, size, root, DEEPEST, set()) if root != NOTHING else ():
            found += 1
            yield item
        if found != entries:
            raise InputError(f"the database is damaged: {found} of {entries} entries; copy it again.")


def _meta(content: mmap.mmap) -> tuple[int, int, int, int]:
    """Size of a page, entries and root of the main tree, last page, from the newer of the first two pages."""
    first = _read_meta(content[: HEADER.size + META.size])
    size = first[4]
    if not 512 <= size <= 65536:
        raise InputError("the first page of the database is damaged; copy it again.")
    second = _read_meta(content[size : size + HEADER.size + META.size])
    newest = max(first, second, key=lambda meta: meta[-1])
    return size, newest[18], newest[19], newest[-2]


def _read_meta(page: bytes) -> tuple[int, ...]:
    if len(page) < HEADER.size + META.size:
        raise InputError("the database is cut short; copy it again.")
    meta = META.unpack_from(page, HEADER.size)
    if meta[0] != MAGIC or meta[1] != VERSION:
        raise InputError("not a database of LMDB in version 1, or damaged; copy it again.")
    return meta


def _walk(
    content: mmap.mmap, size: int, number: int, depth: int, seen: set[int]
) -> Iterator[tuple[bytes, bytes]]:
    if depth == 0 or number in seen:
        raise _damaged(number)
    seen.add(number)
    page = _page(content, size, number)
    _, _, flags, end, _ = HEADER.unpack_from(page)
    for node in _nodes(page, end, number):
        if flags & BRANCH:
            yield from _walk(content, size, node.child, depth - 1, seen)
        elif flags & LEAF and isinstance(node.value, bytes):
            yield node.key, node.value
        elif flags & LEAF and isinstance(node.value, int):
            yield node.key, _long_value(content, size, node)
        else:
            raise _damaged(number)


def _page(content: mmap.mmap, size: int, number: int) -> bytes:
    page = content[number * size : (number + 1) * size] if number < len(content) else b""
    if len(page) < size or HEADER.unpack_from(page)[0] != number:
        raise _damaged(number)
    return page


def _nodes(page: bytes, end: int, number: int) -> Iterator[Node]:
    """Nodes of a page; of a leaf with the value, or the number of its first page where it is long."""
    if not HEADER.size <= end <= len(page):
        raise _damaged(number)
    is_branch = HEADER.unpack_from(page)[2] & BRANCH
    for (place,) in struct.iter_unpack("<H", page[HEADER.size : end - (end - HEADER.size) % 2]):
        if place + NODE.size > len(page):
            raise _damaged(number)
        low, high, flags, key_size = NODE.unpack_from(page, place)
        start = place + NODE.size + key_size
        key, count = page[place + NODE.size : start], low | high << 16
        if is_branch:
            yield Node(key, count | flags << 32, b"", 0)
            continue
        is_long = bool(flags & LONG)
        value = page[start : start + (8 if is_long else count)]
        if len(value) < (8 if is_long else count):
            raise _damaged(number)
        yield Node(key, 0, int.from_bytes(value, "little") if is_long else value, count)


def _long_value(content: mmap.mmap, size: int, node: Node) -> bytes:
    number = int(node.value)
    _, _, flags, *_ = HEADER.unpack_from(_page(content, size, number))
    start = number * size + HEADER.size
    value = content[start : start + node.size]
    if not flags & OVERFLOW or len(value) < node.size:
        raise _damaged(number)
    return value


def _damaged(number: int) -> InputError:
    return InputError(f"page {number} of the database is damaged; copy it again.")
