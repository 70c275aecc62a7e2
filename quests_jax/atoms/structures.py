"""Structures in and out of files, whole or not at all, and the checks that every structure must pass."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import ase
import ase.io
import numpy as np

from quests_jax.base.checks import FlawedStructure, InputError, located

STRUCTURE_SUFFIXES = (".xyz", ".extxyz", ".xyz.gz", ".extxyz.gz", ".db", ".traj")
XYZ_SUFFIXES = tuple(suffix for suffix in STRUCTURE_SUFFIXES if "xyz" in suffix)  # these keep every array
SMALLEST_HEIGHT = 1e-3  # Å; a periodic cell flatter than this, by its singular values, is taken for a mistake


def read(path: str | os.PathLike[str]) -> list[ase.Atoms]:
    """Read every structure of a file in any format ASE knows; `.gz` is decompressed first.

    ASE seeks backwards while it reads extended xyz, which takes quadratic time inside a gzip stream.

    Raises:
      InputError: the file is missing, empty, cut short or unreadable, or a structure fails `validate`;
        the message names the file, the structure and the atom, counted from 0.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path.")
    if not path.is_file():
        raise InputError(f"{path}: not a file; give the path of a structure file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; nothing to read.")
    with decompressed(path) as plain:
        structures = _read_all(plain, path)
    if not structures:
        raise InputError(f"{path}: holds no structures; check the file.")
    with located(path):
        validate(structures)
    return structures


def validate(structures: Sequence[ase.Atoms], *, first: int = 0) -> None:
    """Raise `InputError` at the first structure whose positions or cell cannot be a structure's.

    `first` is the number of the first structure, for the message.
    """
    if not len(structures):
        raise InputError("no structures; give at least one.")
    flawed = _flawed_cells(structures)
    finite = np.isfinite(np.concatenate([atoms.positions for atoms in structures])).all(axis=1)
    flawed[np.repeat(np.arange(len(flawed)), [len(atoms) for atoms in structures])[~finite]] = True
    if flawed.any():
        number = int(flawed.argmax())
        raise FlawedStructure(first + number, _flaw(structures[number]))


def write(path: str | os.PathLike[str], structures: Sequence[ase.Atoms]) -> None:
    """Write structures in the format of the suffix (see `STRUCTURE_SUFFIXES`), whole or not at all."""
    check_output(path, overwrite=True, suffixes=STRUCTURE_SUFFIXES)
    suffix = str(structure_suffix(path))
    file_format = {".db": "db", ".traj": "traj"}.get(suffix, "extxyz")
    with whole_file(path) as unfinished:
        if suffix.endswith(".gz"):
            with gzip.open(unfinished, "wt", encoding="utf-8") as stream:
                ase.io.write(stream, list(structures), format=file_format)
        else:
            ase.io.write(unfinished, list(structures), format=file_format)


def structure_suffix(path: str | os.PathLike[str]) -> str | None:
    """The suffix in `STRUCTURE_SUFFIXES` that the name ends in, or None."""
    name = Path(path).name.lower()
    return max((s for s in STRUCTURE_SUFFIXES if name.endswith(s)), key=len, default=None)


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes that name on success and vanishes on failure."""
    path = Path(path)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-", suffix="".join(path.suffixes))
    os.close(descriptor)
    unfinished = Path(name)
    unfinished.unlink()  # ASE's database appends to a file that exists
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


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


@contextmanager
def decompressed(path: Path) -> Iterator[Path]:
    """Yield the path of the file without `.gz`: itself, or a temporary file that vanishes afterwards."""
    if path.suffix.lower() != ".gz":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.stem
        try:
            with gzip.open(path) as source, open(plain, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: not a complete gzip file ({error}); copy it again.") from None
        yield plain


def _read_all(plain: Path, path: Path) -> list[ase.Atoms]:
    structures: list[ase.Atoms] = []
    extended = structure_suffix(plain) in (".xyz", ".extxyz")
    try:
        for atoms in ase.io.iread(plain, index=":", format="extxyz" if extended else None):
            structures.append(atoms)
    except Exception as error:  # ASE's readers raise whatever their parsers do
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path}: structure {len(structures)} cannot be read ({reason}); the file may be cut short or "
            "in another format."
        ) from None
    return structures


def _flawed_cells(structures: Sequence[ase.Atoms]) -> np.ndarray:
    """Whether each cell is not finite, or its periodic vectors span less than `SMALLEST_HEIGHT`."""
    cells = np.array([atoms.cell.array for atoms in structures])
    periodic = np.array([atoms.pbc for atoms in structures])
    flawed = np.zeros(len(cells), bool)
    flawed[~np.isfinite(cells).all(axis=(1, 2))] = True
    for pattern in np.unique(periodic, axis=0):
        if pattern.any():
            alike = np.flatnonzero(~flawed & (periodic == pattern).all(axis=1))
            smallest = np.linalg.svd(cells[alike][:, pattern], compute_uv=False).min(axis=1)
            flawed[alike] = smallest < SMALLEST_HEIGHT
    return flawed


def _flaw(atoms: ase.Atoms) -> str:
    """The rest of the sentence about a structure that is flawed."""
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        place = f"atom {bad[0]}: position {atoms.positions[bad[0]]}"
        return f", {place} is not finite; repair or remove the structure."
    if not np.isfinite(atoms.cell.array).all():
        return ": the cell holds a value that is not finite; repair it."
    return (
        ": the cell is singular along a periodic direction; "
        "give three independent cell vectors or switch periodicity off."
    )
