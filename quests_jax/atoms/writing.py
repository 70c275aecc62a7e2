"""Structures into files, whole or not at all: originals are copied, the rest is converted without loss.

A selection never rewrites data. Structures that were read from a file of the same format, and not changed
since, are written as they stood there: bytes of extended xyz, rows of a database, images of a trajectory.
What a format cannot hold of the others is refused by name, or dropped on demand. What was written is read
back and compared before the file takes its name.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ase
import numpy as np

from quests_jax.atoms.compressed_files import unpacked
from quests_jax.atoms.formats import STRUCTURE_SUFFIXES, WRITTEN, Format, format_of_name
from quests_jax.atoms.sources import EVERY, source_of, with_source
from quests_jax.atoms.structure_contents import differences, without
from quests_jax.atoms.validation import check_structures
from quests_jax.base import signals
from quests_jax.base.checks import InputError, located

LONGEST_SUFFIX = 32  # letters of a name that its unfinished file keeps


def write(
    path: str | os.PathLike[str], structures: Sequence[ase.Atoms], *, drop_unsupported: bool = False
) -> None:
    """Write structures in the format of the suffix (see `STRUCTURE_SUFFIXES`), whole or not at all.

    Args:
      path: file to write; one that exists is replaced.
      structures: at least one. Those that `quests_jax.read` has read from a file of this format, and that
        were not changed since, are copied as they stand there.
      drop_unsupported: leave out what the format cannot hold.

    Raises:
      InputError: the file cannot be written, or the format cannot hold something of a structure.

    >>> import quests_jax as qj
    >>> from ase.build import bulk
    >>> qj.write("copper.xyz", [bulk("Cu")])
    >>> len(qj.read("copper.xyz"))
    1
    """
    path, structures = Path(path), check_structures(structures)
    check_output(path, overwrite=True, suffixes=STRUCTURE_SUFFIXES)
    known = format_of_name(path.name)
    copied = [is_original(atoms, known) for atoms in structures]
    with whole_file(path) as unfinished:
        changed = _attempt(known, path, unfinished, structures, copied, drop_unsupported)
        if any(copied[number] for number in changed):
            copied = [whole and number not in changed for number, whole in enumerate(copied)]
            changed = _attempt(known, path, unfinished, structures, copied, drop_unsupported)
        for number, names in changed.items():
            raise InputError(f"{path}: structure {number} cannot be written as it is ({_listed(names)}).")


def add_labels(
    atoms: ase.Atoms, *, arrays: dict[str, np.ndarray] | None = None, labels: dict[str, Any] | None = None
) -> None:
    """Give a structure more arrays and labels, in place.

    Its original gains them too, where it can: frames of extended xyz new columns and labels, images of
    trajectories and rows of databases new labels. Everything else of them is written as it was read.
    """
    arrays, labels = arrays or {}, labels or {}
    atoms.arrays.update(arrays)
    atoms.info.update(labels)
    source = source_of(atoms)
    known = next((known for known in WRITTEN.values() if source and known.name == source.format), None)
    if source is not None and known is not None and source.original is not None:
        with_source(atoms, source._replace(original=known.amended(source.original, arrays, labels)))


def refuse_unsupported(path: Path, structures: Sequence[ase.Atoms], *, chosen: bool = True) -> None:
    """Raise `InputError` that names what the format of `path` cannot hold of these structures.

    Call it before long work: it looks at what the structures hold and writes nothing.

    Args:
      path: the file to write.
      structures: the structures to write.
      chosen: whether they will not be changed, so that originals can be copied.
    """
    known = format_of_name(path.name)
    _refuse(path, known, [atoms for atoms in structures if not (chosen and is_original(atoms, known))])


def is_original(atoms: ase.Atoms, known: Format) -> bool:
    """Whether there is an original in this format to copy."""
    source = source_of(atoms)
    return source is not None and source.format == known.name and source.original is not None


def _refuse(path: Path, known: Format, structures: Sequence[ase.Atoms]) -> None:
    missing: dict[str, ase.Atoms] = {}
    for atoms in structures:
        for name in _unsupported(atoms, known):
            missing.setdefault(name, atoms)
    if missing:
        source = source_of(next(iter(missing.values())))
        where = "" if source is None else f" (structure {source.index} of {source.file})"
        raise InputError(
            f"{path}: {known.title} cannot hold {_listed(list(missing))}{where}; write the format that was "
            "read, "
            "or add --drop-unsupported."
        )


def _unsupported(atoms: ase.Atoms, known: Format) -> list[str]:
    """Names of what is lost where a structure is converted to a format."""
    source = source_of(atoms)
    notes = list(source.notes) if source is not None else []
    return notes + [f"{part.name} ({part.kind})" for part in known.lost(atoms)]


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes that name on success and vanishes on failure."""
    path = Path(path)
    suffix = "".join(path.suffixes[-2:])[
        -LONGEST_SUFFIX:
    ]  # a longer one would not fit where a long name does
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-", suffix=suffix)
    os.close(descriptor)
    unfinished = Path(name)
    unfinished.unlink()  # ASE's database appends to a file that exists
    signals.unfinished.add(unfinished)
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
        signals.unfinished.discard(unfinished)


def check_output(path: str | os.PathLike[str], *, overwrite: bool, suffixes: Sequence[str]) -> None:
    """Raise `InputError` unless a file that ends in one of `suffixes` can be written at `path`."""
    path = Path(path)
    if not path.name.lower().endswith(tuple(suffixes)):
        raise InputError(f"{path}: unknown output format; use one of {' '.join(suffixes)}.")
    if path.is_dir():
        raise InputError(f"{path}: is a directory; give a file name.")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists already; choose another name or add --overwrite.")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the directory {path.parent} does not exist; create it first.")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: the directory {path.parent} cannot be written to; choose another.")


def _attempt(
    known: Format,
    path: Path,
    unfinished: Path,
    structures: Sequence[ase.Atoms],
    copied: Sequence[bool],
    drop_unsupported: bool,
) -> dict[int, list[str]]:
    """Write a file, and say which structures do not read back as they are, and what differs."""
    if not drop_unsupported:
        _refuse(path, known, [atoms for atoms, whole in zip(structures, copied, strict=True) if not whole])
    kept = [
        atoms if whole else without(atoms, known.lost(atoms))
        for atoms, whole in zip(structures, copied, strict=True)
    ]
    unfinished.unlink(missing_ok=True)
    known.write(unfinished, kept, copied)
    with located(path):
        return _differing(known, unfinished, kept)


def _differing(known: Format, path: Path, structures: Sequence[ase.Atoms]) -> dict[int, list[str]]:
    """Structures that do not read back as they are, and what differs."""
    with unpacked(path) as plain:
        found = list(known.stream(plain, path.name, EVERY))
    if len(found) != len(structures):
        raise InputError(f"{len(found)} of {len(structures)} structures read back; check the disk.")
    compared = (differences(one, other) for one, other in zip(found, structures, strict=True))
    return {number: names for number, names in enumerate(compared) if names}


def _listed(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
