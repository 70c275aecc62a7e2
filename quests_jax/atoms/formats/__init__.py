"""The formats of structure files, recognised by their content first and by their names second.

A format is one small module and one line in `FORMATS`. Reading gives structures with their `Source`, writing
takes structures whose source is of the same format from their originals. `ase_readers` reads the rest by ASE.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ase import Atoms

from quests_jax.atoms.formats import (
    ase_database,
    ase_lmdb,
    ase_readers,
    ase_trajectory,
    extxyz,
    extxyz_writer,
    materials_json,
    molecules_hdf5,
    molecules_npz,
    parquet,
)
from quests_jax.atoms.structure_contents import Part
from quests_jax.base.checks import InputError


def _not_written(path: Path, structures: Sequence[Atoms], copied: Sequence[bool]) -> None:
    del structures, copied
    raise InputError(f"{path}: this format is read, but not written; choose another.")


class Format(NamedTuple):
    """How files of one kind are recognised, read, and perhaps written."""

    name: str
    title: str  # in messages
    recognises: Callable[[bytes], bool]  # of the first bytes of a file, unpacked
    stream: Callable[
        [Path, str, Container[int]], Iterator[Atoms]
    ]  # of an unpacked file, how it was named, and the numbers of the structures to read
    suffixes: tuple[str, ...] = ()  # of files that are written
    write: Callable[[Path, Sequence[Atoms], Sequence[bool]], None] = (
        _not_written  # which to copy as they were
    )
    lost: Callable[[Atoms], list[Part]] = lambda _: []  # what the format cannot hold of a structure
    amended: Callable[[Any, dict[str, Any], dict[str, Any]], Any] = (
        lambda original, arrays, labels: (
            original
        )  # with more arrays and labels, or as it is where it cannot be
    )


EXTXYZ = Format(
    extxyz.NAME,
    "extended xyz",
    extxyz.recognises,
    extxyz.stream,
    (".xyz", ".extxyz", ".xyz.gz", ".extxyz.gz"),
    extxyz_writer.write,
    extxyz_writer.lost,
    extxyz_writer.amended,
)
FORMATS = (
    Format(
        ase_trajectory.NAME,
        "a trajectory",
        ase_trajectory.recognises,
        ase_trajectory.stream,
        (".traj",),
        ase_trajectory.write,
        ase_trajectory.lost,
        ase_trajectory.amended,
    ),
    Format(
        ase_database.NAME,
        "a database",
        ase_database.recognises,
        ase_database.stream,
        (".db",),
        ase_database.write,
        ase_database.lost,
        ase_database.amended,
    ),
    Format(ase_lmdb.NAME, "a database in LMDB", ase_lmdb.recognises, ase_lmdb.stream),
    Format(parquet.NAME, "a table in Parquet", parquet.recognises, parquet.stream),
    Format(molecules_hdf5.NAME, "an HDF5 file", molecules_hdf5.recognises, molecules_hdf5.stream),
    Format(molecules_npz.NAME, "molecules in .npz", molecules_npz.recognises, molecules_npz.stream),
    Format(materials_json.NAME, "structures in JSON", materials_json.recognises, materials_json.stream),
    EXTXYZ,
)
OTHERS = Format(ase_readers.NAME, "another format", lambda _: True, ase_readers.stream)
WRITTEN = {suffix: known for known in (EXTXYZ, *FORMATS) for suffix in known.suffixes}
STRUCTURE_SUFFIXES = tuple(WRITTEN)
XYZ_SUFFIXES = EXTXYZ.suffixes  # these keep every array


def format_of_content(head: bytes, name: str) -> Format:
    """The format of a file by its first bytes, else by its name; `OTHERS` if it is none of ours."""
    for known in FORMATS:
        if known.recognises(head):
            return known
    if structure_suffix(name) in XYZ_SUFFIXES and not ase_readers.known_content(head):
        return EXTXYZ
    return OTHERS


def format_of_name(name: str | os.PathLike[str]) -> Format:
    """The format that a file of this name is written in; its suffix is one of `STRUCTURE_SUFFIXES`."""
    return WRITTEN[structure_suffix(name) or ""]


def structure_suffix(path: str | os.PathLike[str]) -> str | None:
    """The suffix in `STRUCTURE_SUFFIXES` that the name ends in, or None."""
    name = Path(path).name.lower()
    return max((s for s in STRUCTURE_SUFFIXES if name.endswith(s)), key=len, default=None)
