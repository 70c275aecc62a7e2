"""Structures out of files: each remembers where it was read (see `quests_jax.atoms.sources`)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Container, Iterator
from pathlib import Path

import ase

from quests_jax.atoms.compressed_files import pieces, plain_name, unpacked
from quests_jax.atoms.formats import format_of_content
from quests_jax.atoms.sources import EVERY, source_of
from quests_jax.atoms.validation import validate
from quests_jax.base.checks import InputError, located

HEAD = 4096  # bytes that a file is recognised by


def read(path: str | os.PathLike[str], *, check: bool = True) -> list[ase.Atoms]:
    """Read every structure of a file in any format ASE knows, packed by gzip, xz, bzip2 or Zstandard or not.

    A file is recognised by its content first and by its name second. The name is the name: `POSCAR@300K`
    is that file. What is read is read whole: text that belongs to no structure is an error.

    Args:
      path: the file.
      check: refuse structures with positions or cells that cannot be a structure's (see `find_flaws`).

    Returns:
      Structures in the order of the file; `source_of` says where each was read, and `write` copies the
      original of those that were not changed.

    Raises:
      InputError: the file is missing, empty, cut short or unreadable, or a structure fails `validate`;
        the message names the file, the structure and the atom, counted from 0.

    >>> import quests_jax as qj
    >>> from quests_jax.datasets import bundled
    >>> len(qj.read(bundled()))
    181
    """
    path = Path(path)
    structures = list(stream(path))
    if check:
        with located(path):
            validate(structures)
    sources = map(source_of, structures)
    notes = (
        f"{path}: structure {number}: {note}."
        for number, source in enumerate(sources)
        for note in (source.notes if source is not None else ())
        if note.startswith("the ")
    )
    if (first := next(notes, None)) is not None:
        warnings.warn(first, stacklevel=2)
    return structures


def stream(path: Path, only: Container[int] = EVERY) -> Iterator[ase.Atoms]:
    """The structures of a file with these numbers, one in memory at a time where the format allows.

    They are not checked; else as `read`.

    >>> from quests_jax.datasets import bundled
    >>> [source_of(atoms).index for atoms in stream(bundled(), range(5, 8))]
    [5, 6, 7]
    """
    check_input(path)
    with located(path), unpacked(path) as plain:
        head = next(pieces(plain), b"")[:HEAD]
        read, empty = format_of_content(head, plain_name(path)).stream, True
        for atoms in read(plain, str(path), only):
            empty = False
            yield atoms
    if empty and only is EVERY:
        raise InputError(f"{path}: holds no structures; check the file.")


def check_input(path: Path) -> None:
    """Raise `InputError` unless there is a file that holds something."""
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file; check the path.")
        if path.is_fifo():
            raise InputError(f"{path}: is a pipe; write a file, or give - to the command and pipe into it.")
        if not path.is_file():
            raise InputError(f"{path}: not a file; give the path of a structure file.")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; nothing to read.")
        with open(path, "rb"):
            pass
    except OSError as error:
        raise InputError(f"{str(path)[:200]}: cannot be opened ({error.strerror}); check the path.") from None
