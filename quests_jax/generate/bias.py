"""Delta entropy of a structure against what is known, as a differentiable function of positions and cell.

Kernel sums are smooth everywhere and their logarithm is finite however foreign the structure is. The QUESTS
descriptor is smooth wherever no neighbors k and k + 1 swap inside the cutoff; there it jumps, by up to a few
bandwidths in dense matter. `Known(smooth=True)` uses the descriptor of `atoms.smooth`, which has no jumps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.atoms.describe import get_descriptors
from quests_jax.atoms.descriptors import descriptors
from quests_jax.atoms.neighbors import Neighbors
from quests_jax.atoms.smooth import get_smooth_descriptors, smooth_descriptors
from quests_jax.base.array_checks import Rows
from quests_jax.base.checks import InputError
from quests_jax.base.defaults import DEFAULT_CUTOFF, DEFAULT_K
from quests_jax.base.padding import padded_size
from quests_jax.base.precision import follows_dtype
from quests_jax.information import DEFAULT_BANDWIDTH, log_kernel_sum

Pool = Callable[[jax.Array], jax.Array]  # δH [n] of all atoms to a number, such as jnp.mean
Energy = Callable[[jax.Array], jax.Array]  # positions [n, 3] in Å to eV


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Known:
    """Known environments, and how environments are described.

    >>> known = Known(np.zeros((2, 7)), k=4, cutoff=3.0)
    >>> known.padded().x.shape  # references of similar sizes share a program
    (256, 7)
    """

    x: Rows  # [r, 2k − 1] Å⁻¹, see `known_environments`
    weights: ArrayLike | None = None  # [r] of the rows of x, 1 each where not given
    bandwidth: float = DEFAULT_BANDWIDTH  # Å⁻¹
    k: int = dataclasses.field(default=DEFAULT_K, metadata={"static": True})
    cutoff: float = dataclasses.field(default=DEFAULT_CUTOFF, metadata={"static": True})  # Å
    smooth: bool = dataclasses.field(default=False, metadata={"static": True})

    def including(self, structures: Sequence[ase.Atoms]) -> Known:
        """The same with the environments of more structures, each of weight 1."""
        more = _described(structures, self.k, self.cutoff, self.smooth)
        weights = None if self.weights is None else np.append(self.weights, np.ones(len(more)))
        return dataclasses.replace(self, x=np.concatenate([self.x, more]), weights=weights)

    def padded(self) -> Known:
        """The same with rows of zero weight appended, so that references of similar sizes share a program."""
        x = np.asarray(self.x)
        weights = np.ones(len(x), x.dtype) if self.weights is None else np.asarray(self.weights)
        extra = padded_size(len(x), smallest=256) - len(x)
        rows = np.concatenate([x, np.broadcast_to(x[:1], (extra, x.shape[1]))])
        return dataclasses.replace(
            self, x=jnp.asarray(rows), weights=jnp.asarray(np.pad(weights, (0, extra)))
        )


@follows_dtype
def known_environments(
    structures: Sequence[ase.Atoms],
    *,
    k: int = DEFAULT_K,
    cutoff: float = DEFAULT_CUTOFF,
    bandwidth: float = DEFAULT_BANDWIDTH,
    smooth: bool = False,
) -> Known:
    """Environments of these structures as the known ones; smooth ones if asked for.

    >>> from ase.build import bulk
    >>> copper = bulk("Cu", cubic=True)
    >>> known_environments([copper], k=4, cutoff=3.0).x.shape  # the four atoms are alike
    (4, 7)
    """
    x = _described(structures, k, cutoff, smooth)
    return Known(x, bandwidth=bandwidth, k=k, cutoff=cutoff, smooth=smooth)


@follows_dtype
def delta_entropies(positions: ArrayLike, cell: ArrayLike, neighbors: Neighbors, known: Known) -> jax.Array:
    """δH(X_i(R) | x) of every atom i of one structure, differentiable in `positions` and `cell`.

    Args:
      positions: shape [n, 3], in Å.
      cell: lattice vectors as rows, shape [3, 3], in Å.
      neighbors: the result of `find_neighbors`; if smooth, candidates as `smooth_descriptors` takes them.
      known: reference environments.

    Returns:
      Shape [n], in nats.

    >>> from ase.build import bulk
    >>> copper = bulk("Cu", cubic=True)
    >>> from quests_jax.atoms import find_neighbors
    >>> known = known_environments([copper], k=4, cutoff=3.0)
    >>> near = find_neighbors(copper, k=4, cutoff=3.0)
    >>> dH = delta_entropies(copper.positions, copper.cell.array, near, known)
    >>> [round(float(each), 2) for each in dH]  # −ln 4
    [-1.39, -1.39, -1.39, -1.39]
    """
    if known.smooth:
        y = smooth_descriptors(positions, cell, neighbors, k=known.k, cutoff=known.cutoff)
    else:
        if neighbors.k != known.k:
            raise InputError(f"neighbors: k is {neighbors.k}, but what is known has k = {known.k}.")
        y = descriptors(positions, cell, neighbors, cutoff=known.cutoff)
    return -log_kernel_sum(y, known.x, bandwidth=known.bandwidth, weights=known.weights)


@follows_dtype
@partial(jax.jit, static_argnames="pool")
def pooled_with_slope(
    positions: ArrayLike, cell: ArrayLike, neighbors: Neighbors, known: Known, pool: Pool
) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    """((pool δH, δH [n]), d pool δH / dR [n, 3]) in nats and nats/Å; arguments as in `delta_entropies`."""

    def pooled(positions: jax.Array) -> tuple[jax.Array, jax.Array]:
        dH = delta_entropies(positions, cell, neighbors, known)
        return pool(dH), dH

    return jax.value_and_grad(pooled, has_aux=True)(positions)


def biased(
    energy: Energy, known: Known, cell: ArrayLike, *, target: float, stiffness: float, pool: Pool = jnp.mean
) -> Callable[..., jax.Array]:
    """Energy with a harmonic bias on delta entropy, to drive a simulation to where the data have not been.

        E_b(R) = E(R) + (κ/2) (pool δH(X(R) | x) − δH*)²

    Args:
      energy: E in eV of positions, shape [n, 3], in Å.
      known: reference environments; smooth ones, since where the descriptor jumps the energy would.
      cell: lattice vectors as rows, shape [3, 3], in Å.
      target: δH* in nats.
      stiffness: κ in eV/nat².
      pool: δH of all atoms, shape [n], to a number.

    Returns:
      E_b in eV as a function of positions and, by keyword, `neighbors`: candidates found within a larger
      cutoff than that of `known`, which hold until an atom has moved by half of the difference. It fits
      `jax_md.simulate` in real-space coordinates.

    Raises:
      InputError: descriptors that are not smooth.

    >>> from ase.build import bulk
    >>> copper = bulk("Cu", cubic=True)
    >>> known = known_environments([copper], k=4, cutoff=3.0, smooth=True)
    >>> energy = biased(lambda R, **_: 0.0, known, copper.cell.array, target=2.0, stiffness=1.0)
    >>> callable(energy)
    True
    """
    if not known.smooth:
        raise InputError("a bias needs smooth descriptors; use known_environments(..., smooth=True).")

    @follows_dtype
    def total(positions: jax.Array, *, neighbors: Neighbors) -> jax.Array:
        value = pool(delta_entropies(positions, cell, neighbors, known))
        return energy(positions) + 0.5 * stiffness * (value - target) ** 2

    return total


def _described(structures: Sequence[ase.Atoms], k: int, cutoff: float, smooth: bool) -> np.ndarray:
    describe = get_smooth_descriptors if smooth else get_descriptors
    return describe(structures, k=k, cutoff=cutoff)
