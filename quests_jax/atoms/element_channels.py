"""Elements as continuous properties, so that similar elements are near and any number of them fits.

A channel of a descriptor weighs each neighbor by one property p(Z) in [0, 2], as in the alchemical kernels
of [willatt:18]: with four properties an environment has 1 + 4 blocks of columns for any number of elements.

What heat does to a channel grows with p itself, what an exchange of elements does with differences of p. So
properties are squared, which spreads them more than it raises them, and count twice as much as distances:
experiments/elements compares these weights with others.
"""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np
from ase.data import atomic_numbers, covalent_radii

from quests_jax.base.checks import InputError
from quests_jax.base.environments import HEAVIEST

IGNORE, CENTER, NEIGHBORS = "ignore", "center", "neighbors"
MODES = (IGNORE, CENTER, NEIGHBORS)  # what `elements` may be
N_CHANNELS = 4  # properties of `channel_weights`
STRENGTH = 2.0  # largest p, where that of a distance alone is 1

NOBLE = np.array([0, 2, 10, 18, 36, 54, 86, 118])  # atomic numbers that close a period
F_BLOCK = ((57, 71), (89, 103))  # first and last element: between groups 3 and 4
# Pauling's electronegativities from H to Lr; Allen's for He, Ne and Ar.
ELECTRONEGATIVITY = (
    *(2.20, 4.16, 0.98, 1.57, 2.04, 2.55, 3.04, 3.44, 3.98, 4.79, 0.93, 1.31, 1.61, 1.90, 2.19, 2.58),
    *(3.16, 3.24, 0.82, 1.00, 1.36, 1.54, 1.63, 1.66, 1.55, 1.83, 1.88, 1.91, 1.90, 1.65, 1.81, 2.01),
    *(2.18, 2.55, 2.96, 3.00, 0.82, 0.95, 1.22, 1.33, 1.60, 2.16, 1.90, 2.20, 2.28, 2.20, 1.93, 1.69),
    *(1.78, 1.96, 2.05, 2.10, 2.66, 2.60, 0.79, 0.89, 1.10, 1.12, 1.13, 1.14, 1.13, 1.17, 1.20, 1.20),
    *(1.10, 1.22, 1.23, 1.24, 1.25, 1.10, 1.27, 1.30, 1.50, 2.36, 1.90, 2.20, 2.20, 2.28, 2.54, 2.00),
    *(1.62, 2.33, 2.02, 2.00, 2.20, 2.20, 0.79, 0.90, 1.10, 1.30, 1.50, 1.38, 1.36, 1.28, 1.30, 1.30),
    *(1.30,) * 7,
)
UNKNOWN_ELECTRONEGATIVITY = 1.30  # of elements beyond Lr, for which nobody has measured one


def channel_weights(numbers: np.ndarray) -> np.ndarray:
    """Properties p_a(Z) in [0, 2] of atoms with these atomic numbers [n], shape [n, 4].

        p_a = 2 t_a²

    with t_a in [0, 1] the period, group, electronegativity or covalent radius, each scaled to its range over
    all elements. The elements of the f block lie between groups 3 and 4.

    Raises `InputError` for a number that is no element.

    >>> channel_weights(np.array([1, 8])).round(2).tolist()
    [[0.0, 0.0, 0.25, 0.0], [0.06, 1.56, 0.88, 0.05]]
    """
    numbers = np.asarray(numbers)
    wrong = numbers[(numbers < 1) | (numbers > HEAVIEST)].reshape(-1)
    if len(wrong):
        raise InputError(f"atomic number {wrong[0]} is no element, so it has no properties; ignore elements.")
    return _table()[numbers]


def check_species(species: Sequence[str] | None) -> list[str]:
    """The symbols as a list; raises `InputError` for a symbol that comes twice or a word in their place."""
    if isinstance(species, str):
        raise InputError(f"species: expected a list of symbols, got {species!r}; write ['Na', 'Cl'].")
    symbols = list(species or ())
    twice = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
    if twice:
        raise InputError(f"species: {', '.join(twice)} is given twice; name each element once.")
    return symbols


def atomic_number(symbol: str) -> int:
    """The atomic number of a chemical symbol; raises `InputError` where there is no such element."""
    if symbol not in atomic_numbers:
        raise InputError(f"species: {symbol!r} is no chemical symbol; write them like Na or Cl.")
    return atomic_numbers[symbol]


def numbers_of(structures: Sequence[ase.Atoms]) -> np.ndarray:
    """Atomic number of every atom, structure after structure, shape [n] int32."""
    return np.concatenate([np.zeros(0, int), *(atoms.numbers for atoms in structures)]).astype(np.int32)


def check_mode(elements: str) -> str:
    """Return `elements`; raise `InputError` unless it is one of `MODES`."""
    if elements not in MODES:
        raise InputError(f"elements must be one of {', '.join(MODES)}, got {elements!r}.")
    return elements


def period_and_group(number: int) -> tuple[int, float]:
    """Place of an element in the periodic table.

    >>> [period_and_group(Z) for Z in (1, 2, 8, 26, 71, 79)]
    [(1, 1.0), (1, 18.0), (2, 16.0), (4, 8.0), (6, 3.9333333333333336), (6, 11.0)]
    """
    period = int(np.searchsorted(NOBLE, number))
    for first, last in F_BLOCK:
        if first <= number <= last:
            return period, 3 + (number - first) / (last - first + 1)
    place, length = number - NOBLE[period - 1], NOBLE[period] - NOBLE[period - 1]
    columns_left = 1 if period == 1 else 2
    return period, float(place if place <= columns_left else 18 - (length - place))


def _table() -> np.ndarray:
    """Scaled properties by atomic number, shape [119, 4]; row 0 is of no element."""
    Z = range(1, HEAVIEST + 1)
    places = np.array([period_and_group(number) for number in Z])
    missing = (UNKNOWN_ELECTRONEGATIVITY,) * (HEAVIEST - len(ELECTRONEGATIVITY))
    columns = [places[:, 0], places[:, 1], (*ELECTRONEGATIVITY, *missing), covalent_radii[1 : HEAVIEST + 1]]
    values = np.stack(columns, axis=1)
    low, high = values.min(axis=0), values.max(axis=0)
    scaled = (values - low) / (high - low)
    return np.concatenate([np.zeros((1, len(columns))), STRENGTH * scaled**2])
