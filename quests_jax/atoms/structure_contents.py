"""What a structure holds beside elements, positions and cell, and whether two structures hold the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixCartesian
from ase.stress import full_3x3_to_voigt_6_stress

STRUCTURE = ("numbers", "positions")


class Part(NamedTuple):
    """One thing that a structure holds."""

    kind: str  # array, label, result or constraint
    name: Any
    value: Any


def named_parts(atoms: Atoms) -> Iterator[Part]:
    """All arrays, results of the calculator, labels (`info`) that do not repeat a result, and constraints."""
    results = getattr(atoms.calc, "results", {}) if atoms.calc is not None else {}
    results = {name: value for name, value in results.items() if value is not None}
    yield from (Part("array", name, array) for name, array in atoms.arrays.items() if name not in STRUCTURE)
    yield from (Part("result", name, value) for name, value in results.items())
    for name, value in atoms.info.items():
        if name not in results or not same(value, results[name]):
            yield Part("label", name, value)
    yield from (Part("constraint", type(each).__name__, each) for each in atoms.constraints)


def without(atoms: Atoms, parts: Sequence[Part]) -> Atoms:
    """A copy that does not hold these parts; the structure itself if there are none."""
    if not parts:
        return atoms
    dropped = {(part.kind, part.name) for part in parts}
    reduced = atoms.copy()
    reduced.set_constraint([c for c in atoms.constraints if ("constraint", type(c).__name__) not in dropped])
    for kind, name in dropped:
        if kind == "array":
            del reduced.arrays[name]
        elif kind == "label":
            del reduced.info[name]
    results = {p.name: p.value for p in named_parts(atoms) if p.kind == "result" and p[:2] not in dropped}
    if results:
        reduced.calc = SinglePointCalculator(reduced, **results)
    return reduced


def differences(one: Atoms, other: Atoms) -> list[str]:
    """Names of what two structures do not share; [] if they are the same.

    A result and a label of the same name count as one, and an array as the list with its values: formats do
    not tell them apart.
    """
    found = []
    for name in ("numbers", "positions", "pbc", "cell"):
        if not same(np.asarray(getattr(one, name)), np.asarray(getattr(other, name))):
            found.append(name)
    mine, theirs = _merged(one), _merged(other)
    found += sorted(str(name) for name in mine.keys() ^ theirs.keys())
    found += [str(name) for name in mine.keys() & theirs.keys() if not same(mine[name], theirs[name])]
    if not same(_fixed(one), _fixed(other)):
        found.append("constraints")
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal; NaN equals NaN, and a list the array of its values."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, str) and isinstance(other, str):  # NumPy has a type of its own
        return str(one) == str(other)
    if isinstance(one, (str, bytes)) or isinstance(other, (str, bytes)) or one is None or other is None:
        return type(one) is type(other) and one == other
    try:
        one, other = np.asarray(one), np.asarray(other)
    except ValueError:  # lists of lists of unequal lengths
        return one == other
    if one.shape != other.shape or (one.dtype.kind == "b") != (other.dtype.kind == "b"):
        return False
    if one.dtype.kind in "fc" or other.dtype.kind in "fc":
        return np.array_equal(one, other, equal_nan=True)
    return bool(np.all(one == other))


def _merged(atoms: Atoms) -> dict[Any, Any]:
    parts: dict[Any, Any] = {}
    for kind, name, value in named_parts(atoms):
        if kind != "constraint" and (name not in parts or kind == "result"):
            parts[name] = in_voigt_order(value) if name == "stress" else value
    return parts


def in_voigt_order(stress: Any) -> Any:
    """Six values of a symmetric stress of nine; anything else as it is."""
    if np.shape(stress) == (3, 3) and np.array_equal(stress, np.transpose(stress), equal_nan=True):
        return full_3x3_to_voigt_6_stress(stress)
    return stress


def _fixed(atoms: Atoms) -> Any:
    """Constraints as a mask where that is what they are, else what they say of themselves."""
    mask = np.zeros((len(atoms), 3), bool)
    others = []
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            mask[constraint.index] = True
        elif isinstance(constraint, FixCartesian):
            mask[constraint.index] |= np.asarray(constraint.mask, bool)
        else:
            others.append(constraint.todict() if hasattr(constraint, "todict") else repr(constraint))
    return {"mask": mask, "others": others}
