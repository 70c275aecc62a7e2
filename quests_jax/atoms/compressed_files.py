"""Compressed files: known by their first bytes, unpacked in pieces, refused where they hold too much."""

from __future__ import annotations

import bz2
import lzma
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quests_jax.base import signals
from quests_jax.base.checks import InputError

PIECE = 1 << 20  # bytes
LARGEST_RATIO = 50  # of unpacked to packed size; structures reach about 5, copies of one text 200
ALWAYS_ALLOWED = 32 << 20  # bytes that any packed file may hold
SUFFIXES = (".gz", ".xz", ".bz2")
UNPACKERS = {  # by the first bytes; zlib with 31 expects a gzip header
    b"\x1f\x8b": ("gzip", lambda: zlib.decompressobj(31)),
    b"\xfd7zXZ\x00": ("xz", lambda: lzma.LZMADecompressor(memlimit=256 << 20)),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
}


def is_packed(path: Path) -> bool:
    """Whether the content, not the name, is that of a compressed file."""
    with open(path, "rb") as stream:
        return _unpacker(stream.read(6)) is not None


def pieces(path: Path) -> Iterator[bytes]:
    """The unpacked content in pieces; that of the file itself if it is not compressed.

    Raises `InputError`, which does not name the file, for one that is damaged, cut short, or holds more than
    `LARGEST_RATIO` times its size.
    """
    with open(path, "rb") as stream:
        packed = stream.read(PIECE)
        unpacker = _unpacker(packed)
        if unpacker is None:
            while packed:
                yield packed
                packed = stream.read(PIECE)
            return
        name, make = unpacker
        limit = max(ALWAYS_ALLOWED, LARGEST_RATIO * path.stat().st_size)
        total = 0
        machine = make()
        try:
            while True:
                piece, packed = _next(machine, packed)
                total += len(piece)
                if total > limit:
                    raise InputError(
                        f"holds more than {LARGEST_RATIO} times its size, which no structures do; "
                        "unpack it by hand."
                    )
                if piece:
                    yield piece
                if machine.eof:
                    packed = machine.unused_data + stream.read(PIECE)
                    if not packed.strip(b"\0"):
                        return
                    machine = make()
                elif not packed and getattr(machine, "needs_input", True):
                    packed = stream.read(PIECE)
                    if not packed:
                        raise EOFError("it is cut short")
        except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"not a complete {name} file ({error}); copy it again.") from None


def unpack(path: Path, target: Path) -> None:
    """Write the unpacked content to another file."""
    with open(target, "wb") as stream:
        for piece in pieces(path):
            stream.write(piece)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The path itself, or that of a temporary unpacked file of the same name without .gz, .xz or .bz2."""
    if not is_packed(path):
        yield path
        return
    with _folder() as folder:
        plain = folder / plain_name(path)
        try:
            unpack(path, plain)
        except OSError as error:
            raise InputError(
                f"cannot be unpacked into {folder} ({error.strerror}); free some space there, or set TMPDIR."
            ) from None
        yield plain


@contextmanager
def _folder() -> Iterator[Path]:
    """A temporary folder, removed afterwards and when a signal ends the process."""
    try:
        made = tempfile.TemporaryDirectory()
    except OSError as error:
        raise InputError(f"cannot be unpacked ({error}); set TMPDIR to a folder with space.") from None
    with made as name:
        signals.unfinished.add(Path(name))
        try:
            yield Path(name)
        finally:
            signals.unfinished.discard(Path(name))


def plain_name(path: Path) -> str:
    """The name without the suffix of a compressed file."""
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def _unpacker(head: bytes) -> tuple[str, Any] | None:
    return next((made for magic, made in UNPACKERS.items() if head.startswith(magic)), None)


def _next(machine: Any, packed: bytes) -> tuple[bytes, bytes]:
    """One piece of what comes out, and what is left to go in."""
    piece = machine.decompress(packed, PIECE)
    return piece, getattr(machine, "unconsumed_tail", b"")
