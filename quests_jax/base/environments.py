"""The one data type that `atoms` makes and `cover` reads: environments and the structures they belong to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.checks import InputError, check_finite_rows, check_matrix


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Environments:
    """Environments of a data set: any descriptor will do, QUESTS' or SOAP or learned features."""

    x: ArrayLike  # [n, d] float, Å⁻¹ for QUESTS descriptors
    structure_id: ArrayLike  # [n] int32, ascending
    n_structures: int = dataclasses.field(metadata={"static": True})

    @property
    def counts(self) -> np.ndarray:
        """Number of environments of each structure, shape [S]."""
        return np.bincount(np.asarray(self.structure_id), minlength=self.n_structures)


def make_environments(x: ArrayLike, structure_id: ArrayLike, n_structures: int | None = None) -> Environments:
    """Environments from your own descriptors `x` [n, d] and the structure number of each row [n].

    Raises `InputError` if shapes disagree, a value is not finite, or the numbers do not ascend.
    """
    x, structure_id = np.asarray(x), np.asarray(structure_id)
    check_matrix("x", x)
    if structure_id.shape != x.shape[:1] or structure_id.dtype.kind not in "iu":
        raise InputError(
            f"structure_id: expected {len(x)} integers, one per environment, got {structure_id.shape}."
        )
    if np.any(np.diff(structure_id) < 0) or np.any(structure_id < 0):
        raise InputError(
            "structure_id must be ascending and start at 0 or above; sort the environments first."
        )
    check_finite_rows("x", x)
    total = int(structure_id[-1]) + 1 if len(structure_id) else 0
    if n_structures is not None and n_structures < total:
        raise InputError(f"n_structures is {n_structures}, but structure_id goes up to {total - 1}.")
    return Environments(x, structure_id.astype(np.int32), total if n_structures is None else n_structures)


def joined(parts: Sequence[Environments]) -> Environments:
    """The environments of several data sets one after the other, with the structures numbered on."""
    for number, part in enumerate(parts):
        check_matrix(f"part {number}", part.x, np.shape(parts[0].x)[1])
    before = np.cumsum([0, *(part.n_structures for part in parts)])
    numbers = [np.asarray(part.structure_id) + first for part, first in zip(parts, before, strict=False)]
    x = np.concatenate([np.asarray(part.x) for part in parts])
    return Environments(x, np.concatenate(numbers).astype(np.int32), int(before[-1]))
