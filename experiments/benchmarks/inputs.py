"""What is measured: real data sets beside the repository, or the bundled one and noisy copies of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms

import quests_jax as qj
from quests_jax.datasets import bundled

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
METALS = ("Si", "Ge", "Mo", "Li")
CARBON = "carbon_GAP20"
SMALL_CELLS = ("Crystalline_Bulk", "Crystalline_RSS", "Amorphous_Bulk_sample", "SACADA")
NOISE = 0.02  # Å, standard deviation of the copies' displacements


@dataclass(frozen=True)
class DataSet:
    """Structures under a name, and their environments once somebody asks for them."""

    name: str
    structures: list[Atoms]

    @cached_property
    def envs(self) -> qj.Environments:
        """Environments with default parameters, in float64."""
        return qj.environments(self.structures)

    @property
    def x(self) -> np.ndarray:
        """Descriptors [n, d] in float64."""
        return np.asarray(self.envs.x)


class Inputs(NamedTuple):
    """The data set of every case."""

    source: str
    entropy: list[DataSet]
    descriptors: list[DataSet]
    pool: DataSet  # random parts of it for the scaling with n
    gradient: list[DataSet]
    cover: DataSet
    test: DataSet  # queries of delta entropy, with `cover` as their reference
    files: list[Path]  # to read and describe in one go


def find_inputs(largest: int) -> Inputs:
    """The real data sets where they are, else generated ones with a pool of at least `largest` rows."""
    return real_inputs(SHARED) if SHARED.is_dir() else generated_inputs(largest)


def real_inputs(folder: Path) -> Inputs:
    """Files of `folder`: mlearn training sets, GAP-20 carbon and a molecule."""
    mlearn = [_from_file(folder, f"mlearn/{element}_train") for element in METALS]
    small = [_from_file(folder, f"{CARBON}/{name}") for name in SMALL_CELLS]
    files = sorted((folder / CARBON).glob("*.xyz.gz"))
    carbon = DataSet(CARBON, [atoms for file in files for atoms in qj.read(file)])
    return Inputs(
        source="real",
        entropy=[*mlearn, carbon],
        descriptors=[*mlearn, _from_file(folder, "mol_3BPA/train_300K"), *small],
        pool=carbon,
        gradient=[DataSet("mlearn", [atoms for data in mlearn for atoms in data.structures]), carbon],
        cover=mlearn[0],
        test=_from_file(folder, "mlearn/Si_test"),
        files=files,
    )


def generated_inputs(largest: int, limit: int | None = None) -> Inputs:
    """The bundled silicon, of which at most about `limit` environments are kept, and noisy copies of it."""
    structures = qj.read(bundled())
    if limit is not None:
        structures = _spread(structures, limit)
    silicon, noisy = DataSet("silicon", structures), DataSet("silicon, noisy", _copies(structures, 1, 1))
    copies = -(-largest // sum(map(len, structures)))
    pool = DataSet(f"silicon, {copies} copies", [*structures, *_copies(structures, 2, copies - 1)])
    return Inputs(
        source="generated",
        entropy=[silicon, pool],
        descriptors=[silicon, noisy],
        pool=pool,
        gradient=[pool],
        cover=silicon,
        test=noisy,
        files=[bundled()],
    )


def _from_file(folder: Path, name: str) -> DataSet:
    return DataSet(name, qj.read(folder / f"{name}.xyz.gz"))


def _spread(structures: Sequence[Atoms], limit: int) -> list[Atoms]:
    """Structures taken evenly from all, about `limit` atoms in all."""
    step = max(1, round(sum(map(len, structures)) / limit))
    return list(structures[::step])


def _copies(structures: Iterable[Atoms], first_seed: int, count: int) -> list[Atoms]:
    return [rattled(atoms, first_seed + number) for number in range(count) for atoms in structures]


def rattled(atoms: Atoms, seed: int) -> Atoms:
    """A copy with noise."""
    copy = atoms.copy()
    copy.rattle(NOISE, seed=seed)
    return copy
