"""Compressed files: known by their first bytes, unpacked in pieces, refused where they hold too much."""

from __future__ import annotations

import bz2
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quests_jax.atoms.formats.entries import package
from quests_jax.base import signals
from quests_jax.base.checks import InputError

PIECE = 1 << 20  # bytes
LARGEST_RATIO = 50  # of unpacked to packed size; structures reach about 5, copies of one text 200
ALWAYS_ALLOWED = 32 << 20  # bytes that any packed file may hold
SUFFIXES = (".gz", ".xz", ".bz2", ".zst")
ZSTANDARD = "zstd"
KINDS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": ZSTANDARD}
UNPACKERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(31),  # which expects a gzip header
    "xz": lambda: lzma.LZMADecompressor(memlimit=256 << 20),
    "bzip2": bz2.BZ2Decompressor,
}


def is_packed(path: Path) -> bool:
    """Whether the content, not the name, is that of a compressed file."""
    return _kind(path) is not None


def pieces(path: Path) -> Iterator[bytes]:
    """The unpacked content in pieces; that of the file itself if it is not compressed.

    Raises `InputError`, which does not name the file, for one that is damaged, cut short, or holds more than
    `LARGEST_RATIO` times its size.
    """
    kind = _kind(path)
    if kind is None:
        with open(path, "rb") as stream:
            while piece := stream.read(PIECE):
                yield piece
        return
    limit = max(ALWAYS_ALLOWED, LARGEST_RATIO * path.stat().st_size)
    total = 0
    try:
        for piece in _of_zstandard(path) if kind == ZSTANDARD else _unpacked(path, UNPACKERS[kind]):
            total += len(piece)
            if total > limit:
                raise InputError(
                    f"holds more than {LARGEST_RATIO} times its size, which no structures do; "
                    "unpack it by hand."
                )
            yield piece
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"not a complete {kind} file ({error}); copy it again.") from None


def _unpacked(path: Path, make: Callable[[], Any]) -> Iterator[bytes]:
    """What is in a file of one packed part after the other, each for a new machine that unpacks it."""
    with open(path, "rb") as stream:
        packed, machine = stream.read(PIECE), make()
        while True:
            piece, packed = _next(machine, packed)
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


def _of_zstandard(path: Path) -> Iterator[bytes]:
    arrow = package("pyarrow", "zst", "packed by Zstandard")
    with arrow.OSFile(str(path)) as stream, arrow.CompressedInputStream(stream, "zstd") as content:
        while piece := content.read(PIECE):
            yield piece


def unpack(path: Path, target: Path) -> None:
    """Write the unpacked content to another file."""
    with open(target, "wb") as stream:
        for piece in pieces(path):
            stream.write(piece)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The path itself, or that of a temporary unpacked file, without the suffix of what packed it."""
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


def _kind(path: Path) -> str | None:
    """What packed a file, by its first bytes; None for nothing."""
    with open(path, "rb") as stream:
        head = stream.read(max(map(len, KINDS)))
    return next((kind for magic, kind in KINDS.items() if head.startswith(magic)), None)


def _next(machine: Any, packed: bytes) -> tuple[bytes, bytes]:
    """One piece of what comes out, and what is left to go in."""
    piece = machine.decompress(packed, PIECE)
    return piece, getattr(machine, "unconsumed_tail", b"")
