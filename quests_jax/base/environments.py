"""The one data type that `atoms` makes and `cover` reads: environments and the structures they belong to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.array_checks import Rows, check_rows, check_structure_id
from quests_jax.base.checks import InputError, check_count, check_matrix

APART = 64.0  # bandwidths between the elements that `apart` sets apart
HEAVIEST = 118  # largest atomic number


@jax.tree_util.register_pytree_node_class
@dataclasses.dataclass(frozen=True, eq=False)
class Environments:
    """Environments of a data set: any descriptor will do, QUESTS' or SOAP or learned features.

    With `elements`, environments of different elements have nothing in common: the kernel of a pair is
    δ(Z_i, Z_j) K(x_i, x_j) in every measure, mass, rule and certificate that is given the environments.

    Under `jax.jit`, `grad` and `vmap` the descriptors are traced and differentiated; structure numbers and
    elements are part of the program. `envs[rows]` are some of the environments, see `take`.

    Raises:
      InputError: shapes that disagree, a value that is not finite, numbers that do not ascend from 0 on or
        are not below `n_structures`, or no atomic numbers.

    >>> import numpy as np
    >>> envs = Environments(np.array([[0.0], [0.5], [1.0]]), np.array([0, 0, 1]), 2)
    >>> len(envs), envs.counts.tolist(), len(envs[:2])
    (3, [2, 1], 2)
    """

    x: Rows  # [n, d] float, Å⁻¹ for QUESTS descriptors
    structure_id: ArrayLike  # [n] int32, ascending
    n_structures: int
    elements: ArrayLike | None = None  # [n] int32, atomic number of each center; None: not told apart

    def __post_init__(self) -> None:
        x = check_rows("x", self.x)
        total = check_count("n_structures", self.n_structures, minimum=0)
        for name, value in (
            ("x", x),
            ("structure_id", check_structure_id(self.structure_id, len(x), total)),
            ("n_structures", total),
            ("elements", _labels(self.elements, len(x))),
        ):
            object.__setattr__(self, name, value)

    def tree_flatten(self) -> tuple[tuple[Any], tuple[_Fixed, int, _Fixed]]:
        """The descriptors, and what is part of a program."""
        return (self.x,), (_Fixed(self.structure_id), self.n_structures, _Fixed(self.elements))

    @classmethod
    def tree_unflatten(cls, fixed: tuple[_Fixed, int, _Fixed], leaves: tuple[Any]) -> Environments:
        """Environments of leaves of any kind, which JAX hands in unchecked."""
        envs = object.__new__(cls)
        values = (*leaves, fixed[0].array, fixed[1], fixed[2].array)
        for field, value in zip(dataclasses.fields(cls), values, strict=True):
            object.__setattr__(envs, field.name, value)
        return envs

    def __getitem__(self, rows: ArrayLike | slice) -> Environments:
        """Some of the environments, see `take`."""
        return self.take(rows)

    @property
    def counts(self) -> np.ndarray:
        """Number of environments of each structure, shape [S]."""
        return np.bincount(np.asarray(self.structure_id), minlength=self.n_structures)

    def __len__(self) -> int:
        """n."""
        return np.shape(self.x)[0]

    def take(self, rows: ArrayLike | slice) -> Environments:
        """Some of the environments, by ascending numbers, a mask [n] or a slice; structures keep theirs."""
        rows = rows if isinstance(rows, slice) else np.asarray(rows)
        x = self.x if isinstance(self.x, jax.Array) else np.asarray(self.x)
        elements = None if self.elements is None else np.asarray(self.elements)[rows]
        return Environments(x[rows], np.asarray(self.structure_id)[rows], self.n_structures, elements)

    def arrays(self) -> dict[str, np.ndarray]:
        """`x`, and `elements` where they are told apart, as a file of arrays holds them."""
        labels = {} if self.elements is None else {"elements": np.asarray(self.elements)}
        return {"x": np.asarray(self.x)} | labels

    def in_float64(self) -> Environments:
        """The same with `x` as a NumPy array of float64."""
        return dataclasses.replace(self, x=np.asarray(self.x, np.float64))


class _Fixed:
    """An array that is part of a program: programs are shared where it is the same."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self._key = None if array is None else (array.shape, hash(array.tobytes()))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Fixed) or self._key != other._key:
            return False
        return self.array is other.array or np.array_equal(self.array, other.array)


def joined(parts: Sequence[Environments]) -> Environments:
    """The environments of several data sets one after the other, with the structures numbered on.

    Raises `InputError` where widths differ, or where some sets tell elements apart and others do not.
    """
    for number, part in enumerate(parts):
        check_matrix(f"part {number}", part.x, np.shape(parts[0].x)[1])
        check_alike(part, parts[0])
    before = np.cumsum([0, *(part.n_structures for part in parts)])
    numbers = [np.asarray(part.structure_id) + first for part, first in zip(parts, before, strict=False)]
    labels = [np.asarray(part.elements) for part in parts if part.elements is not None]
    return Environments(
        np.concatenate([np.asarray(part.x) for part in parts]),
        np.concatenate(numbers).astype(np.int32),
        int(before[-1]),
        np.concatenate(labels) if labels else None,
    )


def from_arrays(arrays: dict[str, np.ndarray]) -> Environments:
    """What `Environments.arrays` gave, as environments of one structure."""
    return Environments(arrays["x"], np.zeros(len(arrays["x"]), np.int32), 1, arrays.get("elements"))


def apart(envs: Environments, bandwidth: float) -> np.ndarray:
    """`x` in float64 as [n, d]; where elements are told apart, as [n, d + 3] with elements `APART`·h apart.

    For code that forms distances of its own: the kernel between two elements is then exp(−APART²/2), which
    is 0 in float64, and δH of an element that a choice lacks is finite, at least APART²/2.
    """
    x = np.asarray(envs.x, np.float64)
    if envs.elements is None:
        return x
    sites = np.stack(np.unravel_index(np.asarray(envs.elements), (5, 5, 5)), axis=1)  # one for each element
    return np.concatenate([x, APART * bandwidth * sites], axis=1)


def check_alike(y: Environments | Rows, x: Environments | Rows) -> None:
    """Raise `InputError` where one of two sets tells its elements apart and the other does not."""
    if (elements_of(y) is None) != (elements_of(x) is None):
        raise InputError(
            "one of two sets tells its elements apart and the other does not; describe both with the same "
            "elements, and hand over their Environments."
        )


def elements_of(x: Environments | Rows) -> np.ndarray | None:
    """Atomic number of each environment, shape [n]; None for rows that are not told apart."""
    if not isinstance(x, Environments) or x.elements is None:
        return None
    return np.asarray(x.elements)


def lacking(y: Environments, x: Environments) -> np.ndarray:
    """Which environments of y are of an element that x lacks, shape [m]: there δH(y|x) is infinite."""
    if y.elements is None or x.elements is None:
        return np.zeros(len(y), bool)
    return ~np.isin(np.asarray(y.elements), np.asarray(x.elements))


def rows_of(x: Environments | Rows) -> Rows:
    """The descriptors [n, d] of environments, or of an array that holds nothing else."""
    return x.x if isinstance(x, Environments) else x


def some_rows(x: Environments | Rows, rows: ArrayLike | slice) -> Environments | Rows:
    """Rows in any order for sums, which know no structures: environments of one structure, or an array."""
    rows = rows if isinstance(rows, slice) else np.asarray(rows)
    held = rows_of(x)
    picked = (held if isinstance(held, jax.Array) else np.asarray(held))[rows]
    if not isinstance(x, Environments):
        return picked
    elements = None if x.elements is None else np.asarray(x.elements)[rows]
    return Environments(picked, np.zeros(len(picked), np.int32), 1, elements)


def make_environments(
    x: ArrayLike,
    structure_id: ArrayLike,
    n_structures: int | None = None,
    elements: ArrayLike | None = None,
) -> Environments:
    """Environments from your own descriptors `x` [n, d] and the structure number of each row [n].

    With the atomic number of each center, `elements` [n], environments of different elements are told apart.
    Raises `InputError` if shapes disagree, a value is not finite, or the numbers do not ascend.

    >>> envs = make_environments([[0.0], [0.5], [1.0]], [0, 0, 1])
    >>> envs.n_structures, envs.x.dtype.name
    (2, 'float64')
    """
    x = check_rows("x", x)
    number = check_structure_id(structure_id, len(x))
    total = int(number[-1]) + 1 if len(number) else 0
    if n_structures is not None and n_structures < total:
        raise InputError(f"n_structures is {n_structures}, but structure_id goes up to {total - 1}.")
    return Environments(x, number, total if n_structures is None else n_structures, elements)


def _labels(elements: ArrayLike | None, n: int) -> np.ndarray | None:
    if elements is None:
        return None
    labels = np.asarray(elements)
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise InputError(f"elements: expected {n} integers, one per environment, got shape {labels.shape}.")
    if np.any((labels < 0) | (labels > HEAVIEST)):
        raise InputError(f"elements: expected atomic numbers from 0 to {HEAVIEST}.")
    return labels.astype(np.int32)


def structure_means(x: np.ndarray, structure_id: ArrayLike, n_structures: int) -> np.ndarray:
    """Mean of the rows x [n, d] of each structure, shape [S, d]; 0 where a structure has none."""
    number = np.asarray(structure_id)
    sums = np.zeros((n_structures, x.shape[1]))
    np.add.at(sums, number, x)
    return sums / np.maximum(np.bincount(number, minlength=n_structures), 1)[:, None]


def of_structures(envs: Environments, numbers: np.ndarray) -> Environments:
    """Environments of some structures, by ascending numbers; they are numbered from 0 in the result."""
    some = envs.take(np.isin(np.asarray(envs.structure_id), numbers))
    renumbered = np.searchsorted(numbers, np.asarray(some.structure_id)).astype(np.int32)
    return dataclasses.replace(some, structure_id=renumbered, n_structures=len(numbers))
