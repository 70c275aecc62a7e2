"""Everything that is wrong with the structures of a data set and their labels, all at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import ase
import numpy as np

from quests_jax.atoms.contacts import bonded_across, closest_contacts
from quests_jax.atoms.labels import Labels, find_labels
from quests_jax.atoms.validation import find_flaws
from quests_jax.studies.copies import EXACT, find_copies

MIN_DISTANCE = 0.5  # sums of covalent radii
MAX_FORCE = 100.0  # eV/Å
COINCIDENT = 1e-2  # Å; two atoms nearer than this are one atom written twice
NET_FORCE = 0.2  # eV/Å per atom; forces of one calculation cancel to far less
SAME_ENERGY = 1e-3  # eV per atom, that the energies of copies may differ by
SAME_FORCE = 0.05  # eV/Å, that the forces of copies may differ by
FAR_ENERGY = 10.0  # eV per atom, above what squeezing atoms costs, and
FAR_SPREADS = 20.0  # spreads of the energies of a composition: both must be exceeded
MEMBERS = 5  # structures of one composition that make a spread
ACROSS = 0.1  # share of atoms bonded across a border without periodicity that is a contradiction
CRYSTAL = 8  # atoms from which borders are looked at

KINDS = {  # in the order in which they are reported
    "broken": "positions or cell that cannot be",
    "empty": "no atoms",
    "coincident": "atoms at the same place",
    "contact": "atoms too close",
    "cell": "cell and periodicity contradict",
    "copy": "exact copy, also rotated, shifted or permuted",
    "near copy": "nearly a copy",
    "conflict": "copy with other labels",
    "missing": "label missing that others have",
    "not finite": "label that is not finite",
    "force": "force too large",
    "net force": "forces do not cancel",
    "energy": "energy far from its composition",
}

SHAPELESS = ("broken", "empty")  # kinds of findings that leave nothing to compare


class Finding(NamedTuple):
    """One thing that is wrong with one structure."""

    structure: int
    kind: str  # in `KINDS`
    reason: str  # for a person, with numbers


class Cleaning(NamedTuple):
    """What is wrong with which structures of a data set."""

    n_structures: int
    findings: list[Finding]  # by structure
    labels: Labels

    @property
    def removed(self) -> np.ndarray:
        """Numbers of the structures with findings."""
        return np.unique(np.array([finding.structure for finding in self.findings], int))

    @property
    def kept(self) -> np.ndarray:
        """Numbers of the structures without."""
        return np.setdiff1d(np.arange(self.n_structures), self.removed)

    def counts(self) -> dict[str, int]:
        """How many structures have a finding of each kind."""
        found = Counter(kind for _, kind in {(finding.structure, finding.kind) for finding in self.findings})
        return {kind: found[kind] for kind in KINDS}

    def reasons(self, structure: int) -> str:
        """All that is wrong with one structure, in one line."""
        return "; ".join(f"{f.kind}: {f.reason}" for f in self.findings if f.structure == structure)


class Limits(NamedTuple):
    """What counts as wrong."""

    min_distance: float = MIN_DISTANCE  # sums of covalent radii
    max_force: float = MAX_FORCE  # eV/Å
    tolerance: float | None = None  # Å, about how far the atoms of a near copy have moved; None: do not look


def find_faults(
    structures: Sequence[ase.Atoms],
    *,
    limits: Limits = Limits(),  # noqa: B008  (it cannot be changed)
    energy_key: str | None = None,
    forces_key: str | None = None,
) -> Cleaning:
    """Find what is wrong with the structures and the labels of a data set; nothing stops the search.

    Looked for are the kinds in `KINDS`. A label counts as missing where others have it; single atoms need no
    forces. Net forces and energies are judged by generous limits that sound calculations do not reach. Of
    several copies, one without faults counts as the original, if there is one.

    Args:
      structures: with any flaws; read them with `read(path, check=False)`.
      limits: closest contact, largest force, and how far the atoms of a near copy may have moved.
      energy_key: name of the energies (see `find_labels`).
      forces_key: name of the forces.

    >>> from ase.build import bulk
    >>> silicon = [bulk("Si", a=a) for a in (5.4, 5.5, 5.4, 2.0)]
    >>> {f.structure: f.kind for f in find_faults(silicon).findings}
    {2: 'copy', 3: 'contact'}
    """
    labels = find_labels(structures, energy_key=energy_key, forces_key=forces_key)
    findings = _without_others(structures, labels, limits)
    shapeless = {finding.structure for finding in findings if finding.kind in SHAPELESS}
    sound = [i for i in range(len(structures)) if i not in shapeless]
    findings += _energies(structures, labels)
    flagged = {finding.structure for finding in findings}
    ordered = sorted(sound, key=lambda number: (number in flagged, number))
    findings += _copies(structures, ordered, labels, limits.tolerance)
    return Cleaning(len(structures), _in_order(findings), labels)


def find_broken(structures: Sequence[ase.Atoms]) -> list[Finding]:
    """What is wrong with structures and their labels by themselves: not copies, nor energies of others.

    Much faster than `find_faults`, whose other arguments have their defaults.

    >>> from ase.build import bulk
    >>> [(f.structure, f.kind) for f in find_broken([bulk("Si"), bulk("Si"), bulk("Si", a=2.0)])]
    [(2, 'contact')]
    """
    return _in_order(_without_others(structures, find_labels(structures), Limits()))


def _without_others(structures: Sequence[ase.Atoms], labels: Labels, limits: Limits) -> list[Finding]:
    """What is wrong with each structure by itself."""
    flaws = find_flaws(structures)
    sound = [i for i in range(len(structures)) if i not in flaws and len(structures[i])]
    findings = [Finding(number, "broken", flaw) for number, flaw in flaws.items()]
    findings += [Finding(i, "empty", "no atoms") for i, atoms in enumerate(structures) if not len(atoms)]
    findings += _contacts(structures, sound, limits.min_distance)
    findings += _cells(structures, sound)
    findings += _labels(structures, labels)
    findings += _forces(structures, labels, limits.max_force)
    return findings


def _in_order(findings: list[Finding]) -> list[Finding]:
    """By structure, then as in `KINDS`."""
    kinds = list(KINDS)
    return sorted(findings, key=lambda finding: (finding.structure, kinds.index(finding.kind)))


def _contacts(structures: Sequence[ase.Atoms], sound: Sequence[int], least: float) -> Iterator[Finding]:
    found = closest_contacts([structures[i] for i in sound])
    for number, ratio, distance, (i, j) in zip(sound, *found, strict=True):
        if distance < COINCIDENT:
            yield Finding(number, "coincident", f"atoms {i} and {j} are {distance:.2g} Å apart")
        elif ratio < least:
            pair = "-".join(structures[number].symbols[[i, j]])
            words = f"atoms {i} and {j} ({pair}) are {distance:.3f} Å apart, {ratio:.2f} covalent radii"
            yield Finding(number, "contact", words)


def _cells(structures: Sequence[ase.Atoms], sound: Sequence[int]) -> Iterator[Finding]:
    """Cells without periodicity across whose borders atoms would be bonded."""
    for number in sound:
        atoms = structures[number]
        if atoms.pbc.all() or len(atoms) < CRYSTAL or atoms.cell.rank < 3:
            continue
        share = bonded_across(atoms)
        if share.max() >= ACROSS:
            axis = "abc"[int(share.argmax())]
            words = f"{share.max():.0%} of the atoms"
            yield Finding(
                number, "cell", f"not periodic along {axis}, but {words} are bonded across the border"
            )


def _labels(structures: Sequence[ase.Atoms], labels: Labels) -> Iterator[Finding]:
    for name in ("energy", "forces", "stress"):
        values = getattr(labels, name)
        expected = name != "stress" and any(value is not None for value in values)
        for number, value in enumerate(values):
            if value is None and expected and (name == "energy" or len(structures[number]) > 1):
                yield Finding(number, "missing", f"no {name}")
            elif value is not None and not np.isfinite(value).all():
                place = "" if name != "forces" else f" of atom {_first_bad(value)}"
                yield Finding(number, "not finite", f"{name}{place}")


def _first_bad(forces: np.ndarray) -> int:
    return int(np.flatnonzero(~np.isfinite(forces).all(axis=1))[0])


def _forces(structures: Sequence[ase.Atoms], labels: Labels, most: float) -> Iterator[Finding]:
    for number, forces in enumerate(labels.forces):
        if forces is None or not len(forces) or not np.isfinite(forces).all():
            continue
        norms = np.linalg.norm(forces, axis=1)
        worst = int(norms.argmax())
        if norms[worst] > most:
            symbol = structures[number].symbols[worst]
            yield Finding(number, "force", f"{norms[worst]:.4g} eV/Å on atom {worst} ({symbol})")
        elif (net := float(np.linalg.norm(forces.sum(axis=0)))) > NET_FORCE * len(forces):
            yield Finding(number, "net force", f"{net:.3g} eV/Å in all, {net / len(forces):.2g} per atom")


def _energies(structures: Sequence[ase.Atoms], labels: Labels) -> Iterator[Finding]:
    """Energies per atom far from those of the same composition; single atoms have their own."""
    groups = defaultdict(list)
    for number, (atoms, energy) in enumerate(zip(structures, labels.energy, strict=True)):
        if energy is not None and np.isfinite(energy) and len(atoms) > 1:
            groups[str(atoms.symbols.formula.reduce()[0])].append((number, energy / len(atoms)))
    for formula, members in groups.items():
        energies = np.array([energy for _, energy in members])
        middle = float(np.median(energies))
        spread = 1.4826 * float(np.median(np.abs(energies - middle)))
        limit = max(FAR_ENERGY, FAR_SPREADS * spread)
        for number, energy in members if len(members) >= MEMBERS else ():
            if abs(energy - middle) > limit:
                words = f"{energy:.3f} eV per atom; the median of {formula} is {middle:.3f}"
                yield Finding(number, "energy", words)


def _copies(
    structures: Sequence[ase.Atoms], ordered: Sequence[int], labels: Labels, tolerance: float | None
) -> Iterator[Finding]:
    """Copies of earlier structures, exact ones first."""
    group = [structures[i] for i in ordered]
    exact = np.array(ordered, int)[find_copies(group)] if group else np.zeros(0, int)
    for number, first in zip(ordered, exact, strict=True):
        if first != number:
            difference = _difference(labels, number, first, len(structures[number]))
            kind = "conflict" if difference else "copy"
            yield Finding(number, kind, f"of structure {first}{difference}")
    if tolerance is None or tolerance <= EXACT:
        return
    left = [number for number, first in zip(ordered, exact, strict=True) if first == number]
    near = find_copies([structures[i] for i in left], tolerance=tolerance)
    for place, first in enumerate(near):
        if first != place:
            yield Finding(left[place], "near copy", f"of structure {left[first]}, within {tolerance:g} Å")


def _difference(labels: Labels, number: int, first: int, atoms: int) -> str:
    """What the labels of two copies differ in; nothing where they agree or one has none."""
    words = []
    one, other = labels.energy[number], labels.energy[first]
    if one is not None and other is not None and np.isfinite(one - other):
        change = abs(one - other) / atoms
        if change > SAME_ENERGY:
            words.append(f"ΔE {change:.3g} eV per atom")
    mine, its = labels.forces[number], labels.forces[first]
    if mine is not None and its is not None and np.isfinite(mine).all() and np.isfinite(its).all():
        norms = [np.sort(np.linalg.norm(each, axis=1)) for each in (mine, its)]
        change = float(np.abs(norms[0] - norms[1]).max())
        if change > SAME_FORCE:
            words.append(f"ΔF {change:.3g} eV/Å")
    return f", but {', '.join(words)}" if words else ""
