"""What happens to files: bits flip, blocks are lost or zero, ends are missing, names are mixed up."""

from __future__ import annotations

import random


def damaged(content: bytes, other: bytes, kind: str, moments: random.Random) -> bytes:
    """The content of a file after one accident of a kind; `other` is the content of another file."""
    start, stop = sorted(moments.randrange(len(content) + 1) for _ in range(2))
    if kind == "flip":
        place = min(start, len(content) - 1)
        return content[:place] + bytes([content[place] ^ 1 << moments.randrange(8)]) + content[place + 1 :]
    return {
        "overwrite": lambda: content[:start] + moments.randbytes(stop - start) + content[stop:],
        "zeros": lambda: content[:start] + bytes(stop - start) + content[stop:],
        "remove": lambda: content[:start] + content[stop:],
        "insert": lambda: content[:start] + moments.randbytes(moments.randrange(1, 99)) + content[start:],
        "repeat": lambda: content[:stop] + content[start:],
        "cut": lambda: content[:start],
        "append": lambda: content + moments.randbytes(moments.randrange(1, 99)),
        "mix": lambda: content[:start] + other[start:],
        "swap": lambda: other,
    }[kind]()


kinds = ("flip", "overwrite", "zeros", "remove", "insert", "repeat", "cut", "append", "mix", "swap")
