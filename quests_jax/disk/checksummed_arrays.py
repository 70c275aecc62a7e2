"""Files of arrays that are read back as they were written, or known to be damaged.

A file is a line with the SHA-256 of the next one; a line of JSON that says what the file holds, of how many
bytes, and for each array its name, dtype, shape, place and SHA-256; and the bytes of the arrays. Nothing is
believed before its checksum: a header only after the first line, an array only after the header. What the
file is stands in the header too, so that a file in the place of another one counts as damaged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

Arrays = dict[str, Any]

LENGTH = 64  # letters of a checksum
LONGEST = 16 << 20  # bytes of a header
PIECE = 1 << 20  # bytes that are hashed at a time
PLAIN = "biufSU"  # kinds of dtypes whose arrays are bytes and nothing else


class Damaged(Exception):
    """A result that cannot be read back."""


class Held(NamedTuple):
    """One array of a file."""

    dtype: str
    shape: tuple[int, ...]
    start: int  # of its bytes, counted from the end of the header
    checksum: str


def write_arrays(path: Path, arrays: Arrays, what: str) -> None:
    """Write arrays of numbers or text; `what` says which result this is.

    >>> from pathlib import Path
    >>> write_arrays(Path("squares"), {"square": np.arange(4) ** 2}, "squares of four numbers")
    >>> read_arrays(Path("squares"), "squares of four numbers")
    {'square': array([0, 1, 4, 9])}
    """
    whole = {name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in arrays.items()}
    held = {}
    start = 0
    for name, array in whole.items():
        if array.dtype.kind not in PLAIN:
            raise TypeError(f"{name}: arrays of {array.dtype} are not kept")
        held[name] = Held(array.dtype.str, array.shape, start, hashlib.sha256(_bytes(array)).hexdigest())
        start += array.nbytes
    header = json.dumps({"what": what, "bytes": start, "arrays": held}).encode() + b"\n"
    with open(path, "wb") as stream:
        stream.write(hashlib.sha256(header).hexdigest().encode() + b"\n" + header)
        for array in whole.values():
            stream.write(_bytes(array))


def read_arrays(path: Path, what: str, names: Sequence[str] = ()) -> Arrays:
    """The arrays of a file, all of them or those named.

    Raises `Damaged` if the file is gone, is not the one it should be, or fails a checksum; and `OSError`.
    """
    try:
        with open(path, "rb") as stream:
            held = _header(stream, path, what)
            first = stream.tell()
            return {name: _read(stream, path, first, held[name]) for name in names or held}
    except (FileNotFoundError, IsADirectoryError):
        raise Damaged(str(path)) from None


def verify(path: Path) -> str:
    """What a file says it is, after everything in it has been checked; raises as `read_arrays`."""
    with open(path, "rb") as stream:
        content = _content(stream, path)
        first = stream.tell()
        for each in content["arrays"].values():
            _read(stream, path, first, Held(*each))
    return content["what"]


def _content(stream: BinaryIO, path: Path) -> dict[str, Any]:
    checksum = stream.read(LENGTH + 1)
    header = stream.readline(LONGEST)
    if hashlib.sha256(header).hexdigest().encode() + b"\n" != checksum:
        raise Damaged(str(path))
    content = json.loads(header)
    if stream.tell() + content["bytes"] != path.stat().st_size:
        raise Damaged(str(path))
    return content


def _header(stream: BinaryIO, path: Path, what: str) -> dict[str, Held]:
    content = _content(stream, path)
    if content["what"] != what:
        raise Damaged(str(path))
    return {name: Held(*each) for name, each in content["arrays"].items()}


def _read(stream: BinaryIO, path: Path, first: int, held: Held) -> np.ndarray:
    array = np.empty(held.shape, held.dtype)
    stream.seek(first + held.start)
    content = hashlib.sha256()
    whole = True
    for piece in _pieces(array):
        whole &= stream.readinto(piece) == len(piece)  # pyright: ignore[reportAttributeAccessIssue]
        content.update(piece)
    if not whole or content.hexdigest() != held.checksum:
        raise Damaged(str(path))
    return array


def _pieces(array: np.ndarray) -> Iterator[memoryview]:
    content = _bytes(array)
    return (content[start : start + PIECE] for start in range(0, len(content), PIECE))


def _bytes(array: np.ndarray) -> memoryview:
    """The bytes of a contiguous array, not a copy."""
    return array.reshape(-1).view(np.uint8).data
