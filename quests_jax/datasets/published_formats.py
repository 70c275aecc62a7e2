"""Readers of the formats of published data sets: structures with energies in eV and forces in eV/Å."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from quests_jax.atoms.formats import molecules_npz
from quests_jax.atoms.reading import read
from quests_jax.base.checks import InputError, located


def extended_xyz(path: Path, config_type: str | None = None) -> list[Atoms]:
    """Structures of an extended xyz file.

    Args:
        path: .xyz, .xyz.gz or .xyz.xz.
        config_type: only those with this `info["config_type"]`, in any case of letters.
    """
    structures = read(path)
    if config_type is not None:
        wanted = config_type.lower()
        structures = [a for a in structures if str(a.info.get("config_type")).lower() == wanted]
    return structures


def extended_xyz_files(*paths: Path) -> list[Atoms]:
    """Structures of several files, one after the other."""
    return [atoms for path in paths for atoms in extended_xyz(path)]


def rmd17(path: Path, split: Path | None = None) -> list[Atoms]:
    """Structures of one molecule of revised MD17 in the order of the file, or in that of a split."""
    with located(path):
        structures = list(molecules_npz.stream(path, str(path)))
    return structures if split is None else [structures[i] for i in np.loadtxt(split, dtype=int, ndmin=1)]


def mlearn(path: Path) -> list[Atoms]:
    """Structures of a JSON file of mlearn; `info["config_type"]` is the group."""
    with located(path):
        try:
            return [_mlearn(entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
        except (ValueError, KeyError, TypeError) as reason:
            raise InputError(f"not a file of mlearn ({reason}); download it again.") from None


def _mlearn(entry: dict) -> Atoms:
    sites = entry["structure"]["sites"]
    atoms = Atoms(
        [site["species"][0]["element"] for site in sites],
        positions=[site["xyz"] for site in sites],
        cell=entry["structure"]["lattice"]["matrix"],
        pbc=True,
    )
    _label(atoms, entry["outputs"]["energy"], np.array(entry["outputs"]["forces"]))
    atoms.info["config_type"] = entry["group"]
    return atoms


def _label(atoms: Atoms, energy: float | None, forces: np.ndarray) -> None:
    known = {"forces": forces} if energy is None else {"energy": energy, "forces": forces}
    atoms.calc = SinglePointCalculator(atoms, **known)
