"""What a descriptor is, and how many structures are described: in batches, with progress, kept on disk."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import ase
import numpy as np

from quests_jax.base.checks import InputError
from quests_jax.base.progress import advance

BATCH = 128  # atoms that are described together, at least one structure


class Describe(Protocol):
    """Structures to one array [atoms, d] for each of them."""

    def __call__(self, structures: Sequence[ase.Atoms], /) -> Sequence[np.ndarray]:
        """The rows of each structure."""
        ...


class Descriptor(NamedTuple):
    """A descriptor by name."""

    name: str  # as it was typed: equal names with equal versions give equal arrays
    describe: Describe
    version: str = ""  # of what the arrays depend on besides the name, such as the content of a model
    kept: bool = False  # whether arrays are worth keeping on disk


def describe_all(descriptor: Descriptor, structures: Sequence[ase.Atoms]) -> np.ndarray:
    """Rows of all structures in float64, shape [n, d].

    Batches that are on disk already are read; see `cache_folder`.

    Raises:
      InputError: rows that do not fit the atoms, or widths that differ; the message names the structure.
    """
    rows: list[np.ndarray] = []
    done, total = 0, sum(map(len, structures))
    for batch in _batches(structures):
        for x in _described(descriptor, structures[batch]):
            _check(x, structures[len(rows)], len(rows), rows[0].shape[1] if rows else None)
            rows.append(x)
        done = sum(map(len, rows))
        advance("descriptors", done, total)
    return np.concatenate(rows) if rows else np.zeros((0, 0))


def cache_folder() -> Path | None:
    """Where arrays are kept: $QUESTS_JAX_DESCRIPTORS (empty: nowhere), or the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.environ.get("QUESTS_JAX_DESCRIPTORS", os.path.join(home, "quests_jax", "descriptors"))
    return Path(folder) if folder else None


def content_of(path: Path) -> str:
    """Digest of a file; raises `InputError` where there is none."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path.")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _batches(structures: Sequence[ase.Atoms]) -> Iterator[slice]:
    first, held = 0, 0
    for number, atoms in enumerate(structures, start=1):
        held += len(atoms)
        if held >= BATCH or number == len(structures):
            yield slice(first, number)
            first, held = number, 0


def _described(descriptor: Descriptor, structures: Sequence[ase.Atoms]) -> Sequence[np.ndarray]:
    path = _place(descriptor, structures) if descriptor.kept else None
    if path is not None and (known := _load(path, len(structures))) is not None:
        return known
    rows = [np.asarray(x, np.float64) for x in descriptor.describe(structures)]
    if path is not None:
        _keep(path, rows)
    return rows


def _place(descriptor: Descriptor, structures: Sequence[ase.Atoms]) -> Path | None:
    """The file of these structures, described so: named by a digest of their content."""
    if (folder := cache_folder()) is None:
        return None
    content = hashlib.sha256(f"{descriptor.name}\n{descriptor.version}".encode())
    for atoms in structures:
        for part in (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc):
            content.update(f"{part.shape}{part.dtype}".encode() + np.ascontiguousarray(part).tobytes())
    return folder / f"{content.hexdigest()[:32]}.npz"


def _load(path: Path, count: int) -> list[np.ndarray] | None:
    """What was kept; None where nothing was, or where it cannot be read."""
    try:
        with np.load(path) as arrays:
            return [arrays[f"x_{number}"] for number in range(count)]
    except (OSError, ValueError, EOFError, KeyError):
        return None


def _keep(path: Path, rows: Sequence[np.ndarray]) -> None:
    """Write rows, whole or not at all; a folder that cannot be written costs time, nothing else."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as stream:
            arrays: dict[str, Any] = {f"x_{number}": x for number, x in enumerate(rows)}
            np.savez(stream, **arrays)
        os.replace(stream.name, path)
    except OSError:
        return


def _check(x: np.ndarray, atoms: ase.Atoms, number: int, width: int | None) -> None:
    if x.ndim != 2 or len(x) != len(atoms):
        raise InputError(
            f"structure {number}: the descriptor has shape {x.shape} for {len(atoms)} atoms; "
            "give one row per atom."
        )
    if width is not None and x.shape[1] != width:
        raise InputError(
            f"structure {number}: the descriptor has {x.shape[1]} columns, that of structure 0 has {width}."
        )


def missing(package: str, install: str) -> Callable[[ImportError], InputError]:
    """The error for a package that is not installed."""

    def error(reason: ImportError) -> InputError:
        return InputError(f"this descriptor needs {package} ({reason}); run `{install}`.")

    return error
