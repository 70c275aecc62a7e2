"""Conformations of molecules in HDF5, as SPICE and ANI publish them: one group a molecule.

SPICE [eastman:23]: atomic_numbers [A], conformations [M, A, 3] in bohr, dft_total_energy [M] in hartree and
dft_total_gradient [M, A, 3] in hartree/bohr. ANI-1x [smith:20]: atomic_numbers [A], coordinates [M, A, 3] in
Å, wb97x_dz.energy [M] in hartree and wb97x_dz.forces [M, A, 3] in hartree/Å. The package `h5py` reads it:
`pip install 'quests_jax[hdf5]'`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms, units

from quests_jax.atoms.formats.entries import Entry, package, structure
from quests_jax.atoms.sources import EVERY, Source
from quests_jax.base.checks import InputError

NAME = "hdf5"
MAGIC = b"\x89HDF\r\n\x1a\n"
MOST_ATOMS = 50_000_000  # atoms of one file


class Layout(NamedTuple):
    """Names of the data of a group, and what they are multiplied with for Å, eV and eV/Å."""

    numbers: str
    positions: str
    energy: str
    forces: str
    length: float
    force: float


SPICE = Layout(
    "atomic_numbers",
    "conformations",
    "dft_total_energy",
    "dft_total_gradient",
    units.Bohr,
    -units.Hartree / units.Bohr,
)
ANI = Layout("atomic_numbers", "coordinates", "wb97x_dz.energy", "wb97x_dz.forces", 1.0, units.Hartree)


def recognises(head: bytes) -> bool:
    """Whether a file begins as HDF5 does."""
    return head.startswith(MAGIC)


def stream(path: Path, file: str, only: Container[int] = EVERY) -> Iterator[Atoms]:
    """The conformations with these numbers, molecule after molecule; `file` is how it was named."""
    h5py = package("h5py", "hdf5", "an HDF5 file")
    number, atoms, size = 0, 0, path.stat().st_size
    try:
        with h5py.File(path, "r") as content:
            for name in content:
                layout, numbers, shape = _shape(content[name], str(name))
                rows, held = shape[0], shape[0] * shape[1]
                if held + atoms > MOST_ATOMS or held > 40 * size:
                    raise InputError(
                        f"group {str(name)[:60]}: claims {held:,} atoms, more than its file can hold."
                    )
                own = [row for row in range(rows) if number + row in only]
                for row, entry in _entries(content[name], str(name), layout, numbers, own):
                    yield structure(entry, Source(file, number + row, NAME))
                number, atoms = number + rows, atoms + held
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"the HDF5 file is damaged or cut short ({reason}); copy it again.") from None


def _shape(group: Any, name: str) -> tuple[Layout, np.ndarray, tuple[int, int, int]]:
    """Layout of a group, the atomic numbers of its molecule, and the shape of its positions."""
    layout = next((each for each in (SPICE, ANI) if _has(group, each)), None)
    if layout is None:
        held = ", ".join(map(str, list(group)[:10])) if hasattr(group, "keys") else "data"
        raise InputError(f"HDF5, but its group {name[:60]} is laid out neither as SPICE nor as ANI: {held}.")
    numbers = np.asarray(group[layout.numbers])
    shape = group[layout.positions].shape
    if len(shape) != 3 or shape[1:] != (numbers.size, 3):
        raise InputError(f"group {name[:60]}: positions of shape {shape} for {numbers.size} atoms.")
    return layout, numbers, shape


def _entries(
    group: Any, name: str, layout: Layout, numbers: np.ndarray, rows: Sequence[int]
) -> Iterator[tuple[int, Entry]]:
    """Some conformations of a molecule."""
    if not rows:
        return
    shape = group[layout.positions].shape
    positions = _values(group, layout.positions, layout.length, shape)
    assert positions is not None
    energies = _values(group, layout.energy, units.Hartree, shape[:1])
    forces = _values(group, layout.forces, layout.force, shape)
    for row in rows:
        yield (
            row,
            Entry(
                numbers,
                positions[row],
                energy=None if energies is None or np.isnan(energies[row]) else energies[row],
                forces=None if forces is None or np.isnan(forces[row]).any() else forces[row],
                labels={"molecule": name},
            ),
        )


def _has(group: Any, layout: Layout) -> bool:
    return hasattr(group, "keys") and layout.numbers in group and layout.positions in group


def _values(group: Any, name: str, factor: float, shape: tuple[int, ...]) -> np.ndarray | None:
    if name not in group:
        return None
    if group[name].shape != shape:
        raise InputError(f"{name}: shape {group[name].shape} where {shape} is expected.")
    with np.errstate(over="ignore"):  # what is not finite is found with the structure
        return np.asarray(group[name], float) * factor
