"""Conformations of one molecule in .npz, as revised MD17 comes [christensen:20].

Arrays: nuclear_charges [A], coords [M, A, 3] in Å, energies [M] in kcal/mol, forces [M, A, 3] in kcal/mol/Å.
"""

from __future__ import annotations

import zipfile
from collections.abc import Container, Iterator
from pathlib import Path

import numpy as np
from ase import Atoms, units

from quests_jax.atoms.formats.entries import Entry, structure
from quests_jax.atoms.sources import EVERY, Source
from quests_jax.base.checks import InputError

NAME = "molecules-npz"
MAGIC = b"PK\x03\x04"
WANTED = ("nuclear_charges", "coords")
KCAL_PER_MOL = units.kcal / units.mol  # eV
LARGEST_RATIO = 200  # of unpacked to packed size


def recognises(head: bytes) -> bool:
    """Whether a file begins as a zip archive does and names an array of this layout."""
    return head.startswith(MAGIC) and any(
        f"{name}.npy".encode() in head for name in (*WANTED, "energies", "forces")
    )


def stream(path: Path, file: str, only: Container[int] = EVERY) -> Iterator[Atoms]:
    """The conformations with these numbers; `file` is how it was named."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST_RATIO * path.stat().st_size:
                raise InputError(f"holds more than {LARGEST_RATIO} times its size, which no structures do.")
        with np.load(path, allow_pickle=False) as arrays:
            missing = [name for name in WANTED if name not in arrays]
            if missing:
                raise InputError(
                    f"an .npz file without {' and '.join(missing)}; it holds {', '.join(arrays)}."
                )
            numbers, positions = arrays["nuclear_charges"], arrays["coords"]
            energies = arrays["energies"] * KCAL_PER_MOL if "energies" in arrays else None
            forces = arrays["forces"] * KCAL_PER_MOL if "forces" in arrays else None
    except InputError:
        raise
    except Exception as error:  # a damaged archive makes zipfile and NumPy raise whatever they like
        raise InputError(f"the .npz file is damaged or cut short ({error}); copy it again.") from None
    if positions.ndim != 3:
        raise InputError(f"coords: expected one array of positions per structure, got {positions.shape}.")
    for name, values in (("energies", energies), ("forces", forces)):
        if values is not None and values.shape[:1] != positions.shape[:1]:
            raise InputError(f"{len(positions)} structures, but {name} of shape {values.shape}.")
    for row in range(len(positions)):
        if row in only:
            entry = Entry(
                numbers,
                positions[row],
                energy=None if energies is None else energies[row],
                forces=None if forces is None else forces[row],
            )
            yield structure(entry, Source(file, row, NAME))
