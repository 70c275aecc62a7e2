"""Structures of many files past memory: where each is, and elements, positions and cells of all on disk.

Every file is read once, from its beginning to its end, whatever its format. What descriptors need of it is
kept in pieces; labels and forces stay in the file, from which the structures that a command writes are read
again. Results are named after the content of a file, so another command, or a data set that shares some of
the files, finds them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from quests_jax.atoms.element_channels import numbers_of
from quests_jax.atoms.reading import check_input, stream
from quests_jax.base.checks import InputError
from quests_jax.base.wording import counted
from quests_jax.disk.checksummed_arrays import Arrays
from quests_jax.disk.working_folder import Stage, Work, digest, digest_of

ROWS = 32_768  # atoms of a piece, at most, or one structure
STRUCTURES = 512

Part = slice | int | None  # of the structures of a file; None: all


class File(NamedTuple):
    """A file of structures."""

    path: str  # as it was named, for messages
    where: str  # from the root
    content: str  # digest
    numbers: tuple[int | None, ...] = ()  # of a part: one number, or those of a slice

    @property
    def part(self) -> Part:
        """Which of its structures are meant."""
        if not self.numbers:
            return None
        return self.numbers[0] if len(self.numbers) == 1 else slice(*self.numbers)


@dataclasses.dataclass(frozen=True, eq=False)
class Structures:
    """Structures of files in the order given, S of them; workers of a cluster are sent its files alone."""

    work: Work
    files: tuple[File, ...]
    counts: np.ndarray  # [S] atoms
    file: np.ndarray  # [S] number of the file
    index: np.ndarray  # [S] number in the file
    starts: list[np.ndarray]  # first structures of the pieces of each file
    numbers: np.ndarray  # [S] of all that the files hold and that is meant, ascending
    left_out: str = ""  # digest of the others

    def __reduce__(self) -> tuple[Any, ...]:
        """Others find the rest on disk."""
        return _found, (self.work, self.files, self.left_out)

    @property
    def data(self) -> Stage:
        """The stage whose manifest holds the digest of every file, and result 0 what is left out."""
        return _data(self.work, self.files, self.left_out)

    def without(self, numbers: np.ndarray) -> Structures:
        """The structures without some of them."""
        if not len(numbers):
            return self
        dropped = self.numbers[numbers].astype(np.int64)
        left_out = digest_of(dropped)
        _data(self.work, self.files, left_out).keep({"left_out": dropped})
        return _found(self.work, self.files, left_out)

    def place(self, number: int) -> tuple[str, int]:
        """File of a structure, as it was named, and its number there."""
        return self.files[self.file[number]].path, int(self.index[number])

    def bare(self, numbers: Sequence[int] | np.ndarray) -> list[Atoms]:
        """Elements, positions, cell and periodicity of some structures."""
        structures, held, piece = [], (-1, -1), None
        for number in map(int, numbers):
            file, index = int(self.file[number]), int(self.index[number])
            place = int(np.searchsorted(self.starts[file], index, side="right")) - 1
            if piece is None or held != (file, place):
                held, piece = (file, place), _Piece(_stages(self.work, self.files[file])[1].load(place))
            structures.append(piece.structure(index - int(self.starts[file][place])))
        return structures

    def read(self, numbers: Sequence[int] | np.ndarray) -> list[Atoms]:
        """Some structures with all that their files hold, in the order asked for."""
        numbers = np.asarray(numbers, int)
        found: dict[tuple[int, int], Atoms] = {}
        for file in np.unique(self.file[numbers]).tolist():
            wanted = np.unique(self.index[numbers[self.file[numbers] == file]]).tolist()
            structures = stream(Path(self.files[file].path), frozenset(wanted))
            found |= {(file, index): atoms for index, atoms in zip(wanted, structures, strict=False)}
        return [self._checked(found, number) for number in numbers.tolist()]

    def _checked(self, found: dict[tuple[int, int], Atoms], number: int) -> Atoms:
        atoms = found.get((int(self.file[number]), int(self.index[number])))
        if atoms is None or len(atoms) != self.counts[number]:
            raise InputError(f"{self.place(number)[0]}: has changed meanwhile; run the same command again.")
        return atoms


class _Piece:
    """Structures of a piece."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays, self.ends = arrays, np.cumsum(arrays["counts"])

    def structure(self, number: int) -> Atoms:
        rows = slice(int(self.ends[number] - self.arrays["counts"][number]), int(self.ends[number]))
        return Atoms(
            self.arrays["numbers"][rows],
            self.arrays["positions"][rows],
            cell=self.arrays["cells"][number],
            pbc=self.arrays["pbc"][number],
        )


def open_structures(work: Work, files: Sequence[tuple[Path, Part]]) -> Structures:
    """Find the structures of files in any format that `quests_jax.read` reads, and which of them are meant.

    Raises `InputError` as `quests_jax.read` does, and where a part of a file holds nothing.
    """
    known = []
    for path, part in files:
        check_input(path)
        numbers = (part.start, part.stop, part.step) if isinstance(part, slice) else (part,)
        known.append(File(str(path), str(path.absolute()), digest(path), () if part is None else numbers))
    missing = [number for number, file in enumerate(known) if not _is_complete(work, file)]
    if missing:
        work.run("reading", partial(_survey, work, tuple(known)), missing)
    return _found(work, tuple(known))


def _data(work: Work, files: tuple[File, ...], left_out: str) -> Stage:
    held = [[file.content, Path(file.path).name, list(file.numbers)] for file in files]
    about = {"files": held} | ({"left_out": left_out} if left_out else {})
    return work.stage("data", about, noted={"paths": [file.where for file in files]})


@lru_cache(maxsize=2)
def _found(work: Work, files: tuple[File, ...], left_out: str = "") -> Structures:
    counts, file, index, starts = [], [], [], []
    for number, each in enumerate(files):
        found = _stages(work, each)[0].load(0)
        chosen = _chosen(each, len(found["counts"]))
        counts.append(found["counts"][chosen])
        file.append(np.full(len(chosen), number))
        index.append(chosen)
        starts.append(found["starts"])
    numbers = np.arange(sum(map(len, counts)))
    if left_out:
        numbers = np.delete(numbers, _data(work, files, left_out).load(0)["left_out"])
    counts, file, index = (np.concatenate(parts)[numbers] for parts in (counts, file, index))
    return Structures(work, files, counts, file, index, starts, numbers, left_out)


def _chosen(file: File, count: int) -> np.ndarray:
    """Numbers of the structures of a file that are meant."""
    numbers, part = np.arange(count), file.part
    if part is not None:
        numbers = numbers[part] if isinstance(part, slice) else numbers[numbers == part % (count or 1)]
    if not len(numbers) or (isinstance(part, int) and not -count <= part < count):
        raise InputError(f"{file.path}: holds {counted(count, 'structure')} and none of those asked for.")
    return numbers


def _stages(work: Work, file: File) -> tuple[Stage, Stage]:
    """What is known of a file, and the pieces of its structures."""
    of_file = {"content": file.content, "name": Path(file.path).name}
    return work.stage("contents", of_file), work.stage("structures", of_file)


def _is_complete(work: Work, file: File) -> bool:
    about, pieces = _stages(work, file)
    if not about.path(0).exists():
        return False
    count = len(about.load(0, "starts")["starts"])
    return all(pieces.path(number).exists() for number in range(count))


def _survey(work: Work, files: tuple[File, ...], number: int) -> None:
    """Read a file, keep its structures in pieces, and when all are there, where each begins."""
    file = files[number]
    about, pieces = _stages(work, file)
    counts, starts = [], []
    try:
        for place, structures in enumerate(_in_pieces(stream(Path(file.where)))):
            starts.append(len(counts))
            counts += map(len, structures)
            pieces.save(place, _arrays(structures))
    except InputError as error:
        raise InputError(str(error).replace(file.where, file.path)) from None
    about.save(0, {"counts": np.asarray(counts, np.int64), "starts": np.asarray(starts, np.int64)})


def _in_pieces(structures: Iterator[Atoms]) -> Iterator[list[Atoms]]:
    piece, atoms = [], 0
    for structure in structures:
        if piece and (atoms + len(structure) > ROWS or len(piece) == STRUCTURES):
            yield piece
            piece, atoms = [], 0
        piece.append(structure)
        atoms += len(structure)
    yield piece


def _arrays(structures: Sequence[Atoms]) -> Arrays:
    return {
        "counts": np.array([len(atoms) for atoms in structures], np.int64),
        "numbers": numbers_of(structures),
        "positions": np.concatenate([atoms.positions for atoms in structures]),
        "cells": np.array([atoms.cell.array for atoms in structures]),
        "pbc": np.array([atoms.pbc for atoms in structures]),
    }


def shards_of(counts: np.ndarray, *, rows: int, structures: int) -> list[range]:
    """Runs of structures in order, each with at most `rows` atoms (or one structure) and `structures`."""
    shards, start, atoms = [], 0, 0
    for stop, count in enumerate(counts.tolist()):
        if stop > start and (atoms + count > rows or stop - start == structures):
            shards.append(range(start, stop))
            start, atoms = stop, 0
        atoms += count
    return [*shards, range(start, len(counts))]
