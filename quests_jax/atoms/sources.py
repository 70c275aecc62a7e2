"""Where structures come from: each that is read remembers its file and its original, word for word.

`Source` stands beside a structure, not inside its info. It stays with the object, in any list or order, and
is lost where a new object is made (`atoms.copy()`). A writer asks for it to copy instead of converting.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from ase import Atoms

ATTRIBUTE = "_quests_jax_source"
EVERY = range(sys.maxsize)  # holds the number of every structure of a file


class Source(NamedTuple):
    """Where one structure was read, and its original."""

    file: str  # as it was named
    index: int  # of the structure in the file, from 0
    format: str  # name in `formats.FORMATS`
    start: int | None = None  # first byte of the structure in the decompressed file; None if it has no place
    stop: int | None = None  # the byte after its last
    original: Any = None  # extended xyz: these bytes; database: the row; trajectory: the image; else None
    notes: tuple[str, ...] = ()  # what the file says and the structure in memory does not

    def __repr__(self) -> str:
        """The place alone; originals are long."""
        return f"Source(file={self.file!r}, index={self.index}, format={self.format!r})"


def source_of(atoms: Atoms) -> Source | None:
    """Source of a structure; None if it was made in memory.

    The structure may have been changed since. `quests_jax.atoms.writing` copies originals of structures that
    still equal them.

    >>> import quests_jax as qj
    >>> from quests_jax.datasets import bundled
    >>> source_of(qj.read(bundled())[3]).index
    3
    """
    return getattr(atoms, ATTRIBUTE, None)


def with_source(atoms: Atoms, source: Source) -> Atoms:
    """The same structure, which remembers its source from now on."""
    setattr(atoms, ATTRIBUTE, source)
    return atoms


def provenance(structures: list[Atoms]) -> list[dict[str, Any] | None]:
    """File and index of each structure, for JSON or a table; None for one that was made in memory."""
    sources = [source_of(atoms) for atoms in structures]
    return [None if source is None else {"file": source.file, "index": source.index} for source in sources]
