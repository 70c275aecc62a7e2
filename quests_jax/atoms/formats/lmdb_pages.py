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
from contextlib import contextmanager
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
    place: int  # of a leaf, first byte of the value within the page
    size: int  # bytes of the value
    long: int  # number of the first page of a long value; 0 if the value is within the page


class Value(NamedTuple):
    """Where the value of a key is in the file."""

    key: bytes
    start: int
    size: int


def recognises(head: bytes) -> bool:
    """Whether a file begins as LMDB does."""
    return len(head) >= 20 and struct.unpack_from("<I", head, HEADER.size)[0] == MAGIC


@contextmanager
def opened(path: Path) -> Iterator[tuple[mmap.mmap, Iterator[Value]]]:
    """The content of a file, and where its values are, in the order of the keys.

    Raises `InputError` for a file that is cut short or damaged.
    """
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content, _values(content)


def _values(content: mmap.mmap) -> Iterator[Value]:
    size, entries, root, last = _meta(content)
    if (last + 1) * size > len(content):
        raise InputError("the database is cut short; copy it again.")
    found = 0
    for value in _walk(content, size, root, DEEPEST, set()) if root != NOTHING else ():
        found += 1
        yield value
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


def _walk(content: mmap.mmap, size: int, number: int, depth: int, seen: set[int]) -> Iterator[Value]:
    if depth == 0 or number in seen:
        raise _damaged(number)
    seen.add(number)
    page = _page(content, size, number)
    _, _, flags, end, _ = HEADER.unpack_from(page)
    for node in _nodes(page, end, number):
        if flags & BRANCH:
            yield from _walk(content, size, node.child, depth - 1, seen)
        elif flags & LEAF and node.long:
            yield _long_value(content, size, node)
        elif flags & LEAF:
            yield Value(node.key, number * size + node.place, node.size)
        else:
            raise _damaged(number)


def _page(content: mmap.mmap, size: int, number: int) -> bytes:
    page = content[number * size : (number + 1) * size] if number < len(content) else b""
    if len(page) < size or HEADER.unpack_from(page)[0] != number:
        raise _damaged(number)
    return page


def _nodes(page: bytes, end: int, number: int) -> Iterator[Node]:
    """Nodes of a page; of a leaf with the place of the value, or the first page of a long one."""
    if not HEADER.size <= end <= len(page):
        raise _damaged(number)
    is_branch = HEADER.unpack_from(page)[2] & BRANCH
    for (place,) in struct.iter_unpack("<H", page[HEADER.size : end - (end - HEADER.size) % 2]):
        if place + NODE.size > len(page):
            raise _damaged(number)
        low, high, flags, key_size = NODE.unpack_from(page, place)
        start = place + NODE.size + key_size
        key = page[place + NODE.size : start]
        count = low | high << 16
        if is_branch:
            yield Node(key, count | flags << 32, 0, 0, 0)
            continue
        is_long = bool(flags & LONG)
        if start + (8 if is_long else count) > len(page):
            raise _damaged(number)
        first = int.from_bytes(page[start : start + 8], "little") if is_long else 0
        if is_long and not first:  # page 0 holds no value
            raise _damaged(number)
        yield Node(key, 0, start, count, first)


def _long_value(content: mmap.mmap, size: int, node: Node) -> Value:
    _, _, flags, *_ = HEADER.unpack_from(_page(content, size, node.long))
    start = node.long * size + HEADER.size
    if not flags & OVERFLOW or start + node.size > len(content):
        raise _damaged(node.long)
    return Value(node.key, start, node.size)


def _damaged(number: int) -> InputError:
    return InputError(f"page {number} of the database is damaged; copy it again.")
