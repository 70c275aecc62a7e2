"""Energies, forces and stresses under the names that people give them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import ase
import numpy as np

from quests_jax.base.checks import InputError

# Names in order of preference; upper and lower case are the same, and so are - and _.
ORIGINS = ("", "ref_", "dft_", "qm_", "true_", "target_")
ENERGIES = ("energy", "free_energy", "total_energy", "potential_energy")
FORCES = ("forces", "force")
STRESSES = ("stress", "stresses")
VIRIALS = ("virial", "virials")
VOIGT = ((0, 5, 4), (5, 1, 3), (4, 3, 2))  # places of xx, yy, zz, yz, xz, xy in a matrix


class Labels(NamedTuple):
    """Labels of S structures; None where a structure has none, values as they stand where it has."""

    energy: tuple[float | None, ...]  # eV, [S]
    forces: tuple[np.ndarray | None, ...]  # eV/Å, [S] of [A, 3]
    stress: tuple[np.ndarray | None, ...]  # eV/Å³, [S] of [3, 3], positive where the cell is under tension
    names: dict[str, Counter[str]]  # how many structures have each label under each name

    def complete(self, kind: str) -> bool:
        """Whether every structure has this label: "energy", "forces" or "stress"."""
        return all(value is not None for value in getattr(self, kind))


def find_labels(
    structures: Sequence[ase.Atoms], *, energy_key: str | None = None, forces_key: str | None = None
) -> Labels:
    """Find the labels of structures in results of their calculators, in `info` and in `arrays`.

    Energies may be called energy, free_energy, total_energy or potential_energy, forces may be called force,
    and a stress may be a virial (stress = −virial / volume). Each may have REF_, dft_, qm_, true_ or target_
    in front, in upper or lower case. Where a data set has several, the name that most structures have comes
    first, and of names that are equally common the plainest; the others fill gaps.

    Args:
      structures: the data set.
      energy_key: name of the energies instead.
      forces_key: name of the forces instead.

    Returns:
      `Labels`.

    Raises:
      InputError: no structure has the name that is asked for, or forces under it do not fit the atoms.

    >>> from ase import Atoms
    >>> labels = find_labels([Atoms("H", info={"REF_energy": -13.6}), Atoms("H")])
    >>> labels.energy, labels.names["energy"]
    ((-13.6, None), Counter({'REF_energy': 1}))
    """
    held = [_held(atoms) for atoms in structures]
    counts = [len(atoms) for atoms in structures]
    volumes = [abs(atoms.cell.volume) for atoms in structures]
    energy, energies = _find(held, energy_key, ENERGIES, lambda _, name, value: _as_number(value))
    as_forces = lambda s, name, value: _as_array(value, (counts[s], 3))  # noqa: E731
    forces, of_forces = _find(held, forces_key, FORCES, as_forces)
    as_stress = lambda s, name, value: _as_stress(value, volumes[s], _plain(name))  # noqa: E731
    stress, stresses = _find(held, None, STRESSES + VIRIALS, as_stress)
    return Labels(energy, forces, stress, {"energy": energies, "forces": of_forces, "stress": stresses})


def _held(atoms: ase.Atoms) -> dict[str, Any]:
    """Everything that may be a label of a structure, by name; what a calculator holds comes first."""
    results = dict(getattr(atoms.calc, "results", {})) if atoms.calc else {}
    return {**atoms.info, **atoms.arrays, **results}


def _find(
    held: Sequence[Mapping[str, Any]],
    key: str | None,
    known: Sequence[str],
    convert: Callable[[int, str, Any], Any],
) -> tuple[tuple[Any, ...], Counter[str]]:
    """The label of each structure under the preferred name that it has, and how often each name occurs."""
    ranks = _ranks(dict.fromkeys(name for names in held for name in names), key, known)
    if key is not None and not ranks:
        raise InputError(f"{key}: no structure has a label of this name; found {_offered(held)}.")
    found = []
    for number, names in enumerate(held):
        values = {name: convert(number, name, names[name]) for name in names.keys() & ranks.keys()}
        found.append({name: value for name, value in values.items() if value is not None})
    if key is not None and not any(found):
        raise InputError(f"{key}: its values are no such label; name another.")
    counts = Counter(name for values in found for name in values)
    order = sorted(counts, key=lambda name: (-counts[name], ranks[name]))
    return tuple(next((values[name] for name in order if name in values), None) for values in found), counts


def _ranks(names: Iterable[str], key: str | None, known: Sequence[str]) -> dict[str, int]:
    """Place in the order of preference of those names that may be a label."""
    if key is not None:
        return {name: 0 for name in names if name == key}
    candidates = [origin + name for origin in ORIGINS for name in known]
    return {name: candidates.index(_folded(name)) for name in names if _folded(name) in candidates}


def _offered(held: Sequence[Mapping[str, Any]]) -> str:
    names = dict.fromkeys(name for each in held for name in each if name not in ("numbers", "positions"))
    return ", ".join(list(names)[:12]) or "none"


def _folded(name: str) -> str:
    return str(name).lower().replace("-", "_")


def _plain(name: str) -> str:
    """A name without where the label is from."""
    folded = _folded(name)
    return next((folded.removeprefix(origin) for origin in ORIGINS[1:] if folded.startswith(origin)), folded)


def _as_number(value: Any) -> float | None:
    try:
        if value is None:
            return None
        return float(np.asarray(value, float).reshape(()))
    except (TypeError, ValueError):
        return None


def _as_array(value: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    try:
        return np.asarray(value, float).reshape(shape) if np.size(value) == np.prod(shape) else None
    except (TypeError, ValueError):
        return None


def _as_stress(value: Any, volume: float, name: str) -> np.ndarray | None:
    matrix = _as_array(value, (3, 3))
    voigt = _as_array(value, (6,))
    if matrix is None and voigt is not None:
        matrix = voigt[np.array(VOIGT)]
    if matrix is None or name in STRESSES:
        return matrix
    return -matrix / volume if volume > 0 else None
