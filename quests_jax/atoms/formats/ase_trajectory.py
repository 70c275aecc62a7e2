"""ASE trajectories, .traj: read by ASE, and copied image by image with every array and result."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, __version__
from ase.io import ulm
from ase.io.jsonio import encode
from ase.io.trajectory import TrajectoryReader, TrajectoryWriter

from quests_jax.atoms.sources import EVERY, Source, source_of, with_source
from quests_jax.atoms.structure_contents import Part, named_parts
from quests_jax.base.checks import InputError

NAME = "traj"
MAGIC, TAG = b"- of Ulm", "ASE-Trajectory"
BEGIN, ITEMS = 48, slice(32, 40)  # bytes of the header of the file, and where it counts its images
HEADER = ("pbc", "numbers", "masses", "constraints")  # that later images share with the first
ARRAYS = {"tags", "momenta", "masses", "initial_magmoms", "initial_charges"}


def recognises(head: bytes) -> bool:
    """Whether a file begins as a trajectory does."""
    return head.startswith(MAGIC)


def stream(path: Path, file: str, only: Container[int] = EVERY) -> Iterator[Atoms]:
    """The structures of an unpacked file with these numbers; `file` is how it was named."""
    size = path.stat().st_size
    with open(path, "rb") as start:
        begin = start.read(BEGIN)
    if len(begin) < BEGIN or not 0 <= np.frombuffer(begin[ITEMS], np.int64)[0] <= size // 8:
        raise InputError("the trajectory is cut short or damaged; copy it again.")
    number = 0
    try:
        with (
            open(path, "rb") as first,  # ASE leaves what it opens itself open where it cannot read it
            open(path, "rb") as second,
            ulm.Reader(first) as images,
            TrajectoryReader(second) as trajectory,
        ):
            shared: dict[str, Any] = {}
            for number in range(len(images)):
                image = images[number]
                _check_bounds(image, size)
                original = _original(image)
                shared = shared or {key: original[key] for key in HEADER if key in original}
                if number not in only:
                    continue
                atoms = trajectory[number]
                assert isinstance(atoms, Atoms)
                source = Source(
                    file, number, NAME, original=original if "numbers" in original else shared | original
                )
                yield with_source(atoms, source)
    except InputError as error:
        raise InputError(f"structure {number}: {error}") from None
    except Exception as error:  # ASE's readers raise whatever their parsers do
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"structure {number} cannot be read ({reason[:200]}); the file may be cut short."
        ) from None


def write(path: Path, structures: Sequence[Atoms], copied: Sequence[bool]) -> None:
    """Write a trajectory; structures that are `copied` are written as their original image."""
    with ulm.Writer(str(path), tag=TAG) as backend:
        writer = _Appending(backend)
        for number, (atoms, whole) in enumerate(zip(structures, copied, strict=True)):
            source = source_of(atoms) if whole else None
            if source is None:
                writer.write(atoms)
                continue
            if not number:
                backend.write(version=1, ase_version=__version__)
            _write_original(backend, source.original)
            writer.began()


def lost(atoms: Atoms) -> list[Part]:
    """What a trajectory cannot hold of a structure."""
    return [part for part in named_parts(atoms) if not _holds(*part)]


def amended(original: dict[str, Any], arrays: dict[str, Any], labels: dict[str, Any]) -> dict[str, Any]:
    """An image with more labels; arrays it cannot hold."""
    return original if arrays else original | {"info": original.get("info", {}) | labels}


def _holds(kind: str, name: Any, value: Any) -> bool:
    if kind == "array":
        return name in ARRAYS
    if kind == "label":
        return isinstance(name, str) and not name.lstrip("+-").isdigit() and _encodes(value)
    return kind == "result" or hasattr(value, "todict")


class _Appending(TrajectoryWriter):
    """ASE's writer on a backend that is open already; every image has its own header."""

    def __init__(self, backend: Any) -> None:
        super().__init__(None)
        self.backend, self.multiple_headers = backend, True

    def _open(self, filename: Any, mode: str) -> None:
        del filename, mode

    def began(self) -> None:
        """An image has been written by somebody else."""
        self.header_data = {}


def _original(image: Any) -> dict[str, Any]:
    """All that an image holds; names of parts that hold parts end in a dot."""
    parts = {}
    for key in image.keys():  # noqa: SIM118  (not a dictionary)
        value = getattr(image, key)
        if isinstance(value, ulm.Reader):
            parts[f"{key}."] = _original(value)
        else:
            parts[key] = value
    return parts


def _write_original(backend: Any, parts: dict[str, Any]) -> None:
    _write_parts(
        backend, {key: value for key, value in parts.items() if key not in ("version", "ase_version")}
    )
    backend.sync()


def _write_parts(backend: Any, parts: dict[str, Any]) -> None:
    for key, value in parts.items():
        if key.endswith("."):
            _write_parts(backend.child(key[:-1]), value)
        else:
            backend.write(key, value)


def _check_bounds(image: Any, size: int) -> None:
    """Refuse arrays that are longer than the file, before anything is allocated."""
    for value in _values(image):
        if isinstance(value, ulm.NDArrayReader):
            length = math.prod(int(n) for n in value.shape) * value.itemsize
            if length < 0 or value.offset < 0 or value.offset + length > size:
                raise InputError("holds an array that is longer than the file; it is cut short or damaged.")


def _values(image: Any) -> Iterable[Any]:
    for value in image._data.values():
        if isinstance(value, ulm.Reader):
            yield from _values(value)
        else:
            yield value


def _encodes(value: Any) -> bool:
    try:
        encode(value)
    except TypeError:
        return False
    return True
