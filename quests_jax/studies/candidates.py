"""Which structures of a data set are open to choice, which stay in any case, and which never do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce

from quests_jax.base.checks import InputError
from quests_jax.base.filter_expressions import Condition, Facts, as_number, parse_condition
from quests_jax.base.wording import agreeing, counted

SHOWN = 8  # names in a message
ALONE = 8.0  # Å; a single atom is isolated if no image of it is nearer


class Candidates(NamedTuple):
    """A data set of S structures, divided in three; numbers ascend."""

    pool: np.ndarray  # [p] int, open to choice
    kept: np.ndarray  # [k] int, stay in any case, besides what is chosen
    dropped: np.ndarray  # [d] int, never chosen
    isolated: np.ndarray  # [i] int, those of `kept` that are single atoms that nobody named

    @property
    def remaining(self) -> np.ndarray:
        """Everything that is not dropped."""
        return np.sort(np.concatenate([self.pool, self.kept]))


def everything(n_structures: int) -> Candidates:
    """A data set of which nothing more is known: all structures are open to choice."""
    none = np.zeros(0, int)
    return Candidates(np.arange(n_structures), none, none, none)


def find_candidates(
    structures: Sequence[Atoms],
    *,
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
    keep_isolated: bool = True,
) -> Candidates:
    """Divide a data set by conditions on its structures.

    A condition may ask for the names in `facts_of`: whatever `info` holds, formula, elements, n_atoms,
    energy_per_atom (eV) and max_force (eV/Å); see `base.filter_expressions` for how it is written. Fits of
    potentials need the energies of isolated atoms, so these stay unless a condition drops them.

    Args:
      structures: the data set.
      keep: conditions; what fulfills any of them stays.
      drop: conditions; structures that fulfill any of them and none of `keep` are left out.
      keep_isolated: whether isolated atoms stay too, where there are larger structures as well.

    Raises:
      InputError: a condition that cannot be read or asks for a name that no structure has, or no structure is
        left to choose from.
    """
    facts = list(map(facts_of, structures))
    alone = are_isolated(structures) if keep_isolated else np.zeros(len(facts), bool)
    return divided(facts, alone, keep=keep, drop=drop)


def divided(
    facts: Sequence[Facts], alone: np.ndarray, *, keep: Sequence[str] = (), drop: Sequence[str] = ()
) -> Candidates:
    """`find_candidates` from what is known of each structure; `alone` [S] are isolated atoms."""
    staying, going = ([parse_condition(text) for text in texts] for texts in (keep, drop))
    for condition in (*staying, *going):
        _check_names(condition, facts)
    for condition in staying:
        if not any(condition.holds(own) for own in facts):
            raise InputError(
                f"no structure fulfills {condition.text!r}, so nothing would be kept; correct it."
            )
    stays = np.array([any(condition.holds(own) for condition in staying) for own in facts], bool)
    goes = np.array([any(condition.holds(own) for condition in going) for own in facts], bool) & ~stays
    isolated = alone & ~stays & ~goes
    if all(own["n_atoms"] <= 1 for own in facts):
        isolated[:] = False
    pool = np.flatnonzero(~(stays | goes | isolated))
    if not len(pool):
        kept = f"{stays.sum()} {agreeing(stays.sum(), 'is', 'are')} kept in any case"
        raise InputError(
            f"no structure is left to choose from: {kept}, {goes.sum()} dropped; loosen the conditions."
        )
    return Candidates(pool, np.flatnonzero(stays | isolated), np.flatnonzero(goes), np.flatnonzero(isolated))


def are_isolated(structures: Iterable[Atoms]) -> np.ndarray:
    """Whether each structure is a single atom far from its images, shape [S].

    A primitive cell of one atom is not isolated: its images are its neighbors.
    """
    return np.array([len(atoms) == 1 and _is_alone(atoms) for atoms in structures], bool)


def _is_alone(atoms: Atoms) -> bool:
    if not atoms.pbc.any():
        return True
    periodic: Any = atoms.pbc
    reduced, _ = minkowski_reduce(atoms.cell.array, periodic)
    return float(np.linalg.norm(np.asarray(reduced)[periodic], axis=1).min()) >= ALONE


def facts_of(atoms: Atoms) -> Facts:
    """What conditions may ask of a structure, by name; None where it is not known."""
    results = atoms.calc.results if atoms.calc else {}
    energy, forces = results.get("energy"), results.get("forces")
    own = {
        "formula": atoms.get_chemical_formula(),
        "elements": "-".join(sorted(set(atoms.get_chemical_symbols()))),  # as Cl-Na
        "n_atoms": len(atoms),
        "energy": energy,
        "energy_per_atom": None if energy is None or not len(atoms) else float(energy) / len(atoms),
        "max_force": None
        if forces is None or not len(atoms)
        else float(np.linalg.norm(forces, axis=1).max()),
    }
    return {str(name): value for name, value in atoms.info.items()} | own


def labels_of(facts: Sequence[Facts], key: str, numbers: np.ndarray) -> list[str]:
    """The value of `key` for each of the structures of these numbers.

    Raises:
      InputError: a structure has no such value.
    """
    values = [facts[number].get(key) for number in numbers]
    lacking = [number for number, value in zip(numbers, values, strict=True) if value is None]
    if len(lacking) == len(values):
        raise _unknown(key, [facts[number] for number in numbers])
    if lacking:
        raise InputError(
            f"{len(lacking)} of {len(values)} structures {agreeing(len(lacking), 'has', 'have')} no {key}, "
            f"the first is structure {lacking[0]}; name a label that all of them have."
        )
    return [str(value) for value in values]


def numbers_of(facts: Sequence[Facts], key: str, numbers: np.ndarray) -> np.ndarray:
    """`labels_of` as numbers, shape [s].

    Raises:
      InputError: a structure has no such value, or it is no number.
    """
    values = [as_number(value) for value in labels_of(facts, key, numbers)]
    if None in values:
        raise InputError(f"{key} of structure {numbers[values.index(None)]} is no number; name another.")
    return np.asarray(values, float)


def describe_kept(facts: Sequence[Facts], candidates: Candidates) -> str:
    """What stays besides the choice, in words: "2 isolated atoms (Al, Li) and 3 asked for"."""
    words = []
    if count := len(candidates.isolated):
        symbols = Counter(facts[i]["formula"] for i in candidates.isolated)
        words.append(f"{counted(count, 'isolated atom')} ({', '.join(sorted(symbols))})")
    if count := len(candidates.kept) - len(candidates.isolated):
        words.append(f"{count} asked for")
    return " and ".join(words)


def _check_names(condition: Condition, facts: Sequence[Facts]) -> None:
    known = {name for own in facts for name in own}
    for name in sorted(condition.names - known):
        raise _unknown(name, facts)


def _unknown(name: str, facts: Sequence[Facts]) -> InputError:
    known = dict.fromkeys(key for own in facts for key, value in own.items() if value is not None)
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(list(known)[:SHOWN])}."
    return InputError(f"no structure has {name!r}; {hint}")
