"""Structures of a file on demand: the start of each is found once, and only those needed are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms

from quests_jax.atoms.formats import EXTXYZ, format_of_content
from quests_jax.atoms.formats.extxyz import Frame, read_frame, scan
from quests_jax.atoms.packing import is_packed, pieces, unpack
from quests_jax.atoms.reading import HEAD, check_input
from quests_jax.atoms.validation import validate
from quests_jax.atoms.writing import whole_file
from quests_jax.base.checks import InputError, located
from quests_jax.disk.files import Damaged
from quests_jax.disk.work import Work, digest

PLAIN = "plain.xyz"  # the unpacked file, kept in the folder of its stage


class Frames(NamedTuple):
    """Places of the structures in an extended xyz file."""

    file: Path  # as the user named it, for messages
    plain: Path  # unpacked
    places: np.ndarray  # [S, 4] int64: the fields of each `Frame`

    @property
    def counts(self) -> np.ndarray:
        """Atoms of each structure, shape [S]."""
        return self.places[:, Frame._fields.index("atoms")]

    def read(self, numbers: Sequence[int] | np.ndarray) -> list[Atoms]:
        """Some structures, in the order asked for; raises `InputError` as `quests_jax.read` does."""
        structures = []
        with open(self.plain, "rb") as stream, located(self.file):
            for number in map(int, numbers):
                frame = Frame(*self.places[number].tolist())
                stream.seek(frame.start)
                text = stream.read(frame.stop - frame.start)
                structures.append(read_frame(text, str(self.file), number, frame))
                validate(structures[-1:], first=number)
        return structures


def open_frames(work: Work, file: Path, identity: str) -> Frames:
    """Find where the structures of an extended xyz file begin, unpacking it into `work` if need be.

    Args:
      work: where to keep what was found.
      file: extended xyz, perhaps packed.
      identity: digest of the file's content.

    Raises:
      InputError: another format, or a file that is cut short or is not extended xyz.
    """
    check_input(file)
    with located(file):
        if format_of_content(next(pieces(file), b"")[:HEAD], file.name) is not EXTXYZ:
            raise InputError("only extended xyz is read piece by piece; convert it with `ase convert`.")
    stage = work.stage("frames", {"file": identity})
    plain = stage.folder / PLAIN if is_packed(file) else file

    def find(_: int) -> dict[str, np.ndarray]:
        if plain != file:
            with located(file), whole_file(plain) as target:
                unpack(file, target)
        with located(file), open(plain, "rb") as stream:
            places = list(scan(stream, plain.stat().st_size))
        if not places:
            raise InputError(f"{file}: holds no structures; check the file.")
        content = digest(plain) if plain != file else identity
        return {"places": np.asarray(places, np.int64), "content": np.array(content)}

    if plain != file and not plain.exists():
        stage.path(0).unlink(missing_ok=True)
    stage.complete(1, find)
    found = stage.load(0)
    if plain != file and digest(plain) != str(found["content"]):
        plain.unlink(missing_ok=True)
        stage.path(0).unlink(missing_ok=True)
        raise Damaged(str(plain))
    return Frames(file, plain, found["places"])


def shards_of(counts: np.ndarray, *, rows: int, structures: int) -> list[range]:
    """Runs of structures in order, each with at most `rows` atoms (or one structure) and `structures`."""
    shards = []
    start = 0
    atoms = 0
    for stop, count in enumerate(counts):
        if stop > start and (atoms + count > rows or stop - start == structures):
            shards.append(range(start, stop))
            start, atoms = stop, 0
        atoms += count
    return [*shards, range(start, len(counts))]
