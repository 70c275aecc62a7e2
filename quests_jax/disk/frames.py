"""Structures of a file on demand: where each begins is found once, and only those at work are read."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
from ase import Atoms

from quests_jax.atoms.structures import XYZ_SUFFIXES, decompressed, structure_suffix, validate, whole_file
from quests_jax.base.checks import InputError, located
from quests_jax.disk.work import Work

PLAIN = "plain.xyz"  # the decompressed file, kept in the folder of its stage


class Frames(NamedTuple):
    """The structures of an extended xyz file, without their content."""

    file: Path  # as the user named it, for messages
    plain: Path  # decompressed
    offset: np.ndarray  # [S + 1] int64, bytes
    counts: np.ndarray  # [S] int64, atoms

    def read(self, numbers: Sequence[int] | np.ndarray) -> list[Atoms]:
        """Some structures, in the order asked for; raises `InputError` as `quests_jax.read` does."""
        structures = []
        with open(self.plain, "rb") as stream, located(self.file):
            for number in numbers:
                stream.seek(self.offset[number])
                text = stream.read(self.offset[number + 1] - self.offset[number]).decode()
                structures.append(_parse(text, int(number)))
                validate(structures[-1:], first=int(number))
        return structures


def open_frames(work: Work, file: Path, identity: str) -> Frames:
    """Find where the structures of an extended xyz file begin, decompressing it into `work` if need be.

    Args:
      work: where to keep what was found.
      file: .xyz or .extxyz, perhaps with .gz.
      identity: digest of the file's content.

    Raises:
      InputError: another format, or a file that is cut short or is not extended xyz.
    """
    if structure_suffix(file) not in XYZ_SUFFIXES:
        raise InputError(f"{file}: only extended xyz is read piece by piece; convert it with `ase convert`.")
    stage = work.stage("frames", {"file": identity})
    plain = stage.folder / PLAIN if file.suffix == ".gz" else file

    def find(_: int) -> dict[str, np.ndarray]:
        if plain != file:
            with decompressed(file) as source, whole_file(plain) as target:
                shutil.copyfile(source, target)
        return _scan(plain, file)

    if plain != file and not plain.exists():
        stage.path(0).unlink(missing_ok=True)
    stage.complete(1, find)
    found = stage.load(0)
    return Frames(file, plain, found["offset"], found["counts"])


def shards_of(counts: np.ndarray, *, rows: int, structures: int) -> list[range]:
    """Runs of structures in order, each with at most `rows` atoms (or one structure) and `structures`."""
    shards, start, atoms = [], 0, 0
    for stop, count in enumerate(counts):
        if stop > start and (atoms + count > rows or stop - start == structures):
            shards.append(range(start, stop))
            start, atoms = stop, 0
        atoms += count
    return [*shards, range(start, len(counts))]


def _scan(plain: Path, file: Path) -> dict[str, np.ndarray]:
    offset, counts = [0], []
    with open(plain, "rb") as stream:
        while line := stream.readline().strip():
            if not line.isdigit():
                got = line[:40].decode(errors="replace")
                raise InputError(f"{file}: structure {len(counts)}: expected a number of atoms, got {got!r}.")
            lines = int(line) + 1
            if sum(1 for _ in zip(range(lines), iter(stream.readline, b""), strict=False)) < lines:
                raise InputError(f"{file}: structure {len(counts)} is cut short; copy the file again.")
            counts.append(lines - 1)
            offset.append(stream.tell())
    if not counts:
        raise InputError(f"{file}: holds no structures; check the file.")
    return {"offset": np.asarray(offset), "counts": np.asarray(counts)}


def _parse(text: str, number: int) -> Atoms:
    try:
        structure = ase.io.read(io.StringIO(text), format="extxyz")
    except Exception as error:  # ASE's readers raise whatever their parsers do
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"structure {number} cannot be read ({reason}); repair or remove it.") from None
    assert isinstance(structure, Atoms)
    return structure
