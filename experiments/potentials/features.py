"""Symmetry functions of every atom and their derivatives, for any cell: what both models are made of.

Indices: i a central atom, j and l its neighbors (images included), v_j the vector from i to j, z a species.

    radial    G_i = Σ_{j of z} exp(−η r_j²) f(r_j),     f(r) = (1 + cos πr/r_c)/2 below r_c
    angular   G_i = Σ_{j of z, l of z', j ≠ l} 2^(1−ζ) (1 + λ cos θ_jl)^ζ exp(−η(r_j² + r_l² + r_jl²)) f f f

[behler:07], in the form of jax-md, whose angular term is an oracle of the tests; here derivatives are in
closed form and all parameters share the work on a triple. Neighbors are pairs with integer shifts, never a
minimum image, so cells may be smaller than the cutoff. Lengths in Å.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms

from quests_jax.atoms.neighbors import Pairs, find_pairs
from quests_jax.base.numerics import safe_reciprocal, safe_sqrt
from quests_jax.base.progress import advance

ROWS = 64  # environments per call
WIDTH = 8  # neighbors are padded to a multiple of this, so few programs serve all atoms
RADIAL = (0.01, 0.03, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)  # η in Å⁻²
ETAS = (0.005, 0.05, 0.15)
ANGULAR = tuple(itertools.product(ETAS, (-1, 1), (1, 4, 16)))  # η, λ, ζ


class Features(NamedTuple):
    """Symmetry functions of the atoms of one structure, and what forces need."""

    values: np.ndarray  # [n, g], G_i
    slopes: np.ndarray  # [P, 3, g], ∂G_i/∂v_j of each pair
    center: np.ndarray  # [P] int, i
    neighbor: np.ndarray  # [P] int, j
    species: np.ndarray  # [n] int, place in the list of elements


def features(structures: Sequence[Atoms], elements: Sequence[int], *, cutoff: float) -> list[Features]:
    """Symmetry functions of all atoms, structure by structure.

    Args:
      structures: any cells and any periodicity.
      elements: atomic numbers in a fixed order; every atom is one of them.
      cutoff: r_c in Å.

    Returns:
      `Features` with g = 8 N + 9 N (N + 1) columns for N elements, in float64.

    Raises:
      InputError: coincident atoms.
      ValueError: an element that is not listed.
    """
    species = np.concatenate([[list(elements).index(z) for z in atoms.numbers] for atoms in structures])
    pairs = _by_center(find_pairs(structures, cutoff=cutoff))
    g = len(RADIAL) * len(elements) + len(ANGULAR) * len(elements) * (len(elements) + 1) // 2
    values, slopes = np.zeros((len(species), g)), np.zeros((len(pairs.center), 3, g))
    for rows, pair, kinds in _blocks(pairs, species):
        vectors = np.where((pair >= 0)[..., None], pairs.vector[pair], 0.0)
        of_kind = (kinds[..., None] == np.arange(len(elements))).astype(float)
        G, dG = map(np.asarray, _program(vectors, of_kind, cutoff=cutoff))
        values[rows] = G[: len(rows)]
        slopes[pair[pair >= 0]] = dG[pair >= 0]
    return list(_split(Features(values, slopes, pairs.center, pairs.neighbor, species), structures))


def _split(whole: Features, structures: Sequence[Atoms]) -> Iterator[Features]:
    """One structure after another, its atoms numbered from 0."""
    first = 0
    for atoms in structures:
        rows = slice(first, first + len(atoms))
        own = slice(*np.searchsorted(whole.center, (rows.start, rows.stop)))
        ends = whole.center[own] - first, whole.neighbor[own] - first
        yield Features(whole.values[rows], whole.slopes[own], *ends, whole.species[rows])
        first = rows.stop


def _by_center(pairs: Pairs) -> Pairs:
    order = np.argsort(pairs.center, kind="stable")
    return Pairs(*(column[order] for column in pairs[:-1]), n_atoms=pairs.n_atoms)


def _blocks(pairs: Pairs, species: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """ROWS atoms with about as many neighbors: atoms, pairs [ROWS, K] (−1: none), species of neighbors."""
    count = np.bincount(pairs.center, minlength=pairs.n_atoms)
    start = np.cumsum(count) - count
    width = np.maximum(-(-count // WIDTH), 1) * WIDTH
    done = 0
    for k in np.unique(width):
        alike, place = np.flatnonzero(width == k), np.arange(k)
        for first in range(0, len(alike), ROWS):
            atoms = alike[first : first + ROWS]
            pair = np.full((ROWS, k), -1)
            pair[: len(atoms)] = np.where(place < count[atoms, None], start[atoms, None] + place, -1)
            yield atoms, pair, np.where(pair >= 0, species[pairs.neighbor[pair]], -1)
            done += len(atoms)
            advance("symmetry functions", done, pairs.n_atoms)


@partial(jax.jit, static_argnames="cutoff")
def _program(vectors: jax.Array, of_kind: jax.Array, *, cutoff: float) -> tuple[jax.Array, jax.Array]:
    return jax.vmap(partial(environment, cutoff=cutoff))(vectors, of_kind)


def environment(vectors: jax.Array, of_kind: jax.Array, *, cutoff: float) -> tuple[jax.Array, jax.Array]:
    """G [g] and ∂G/∂v [K, 3, g] of one atom.

    Args:
      vectors: to its neighbors, shape [K, 3], in Å; padding is zero.
      of_kind: 1 where a neighbor is of a species, shape [K, N]; zeros for padding.
      cutoff: r_c in Å.
    """
    r = safe_sqrt(jnp.sum(vectors**2, axis=1))
    radial, along = _radial(r, cutoff)
    G = (radial @ of_kind).reshape(-1)
    dG = (along[:, :, None] * of_kind[None])[:, :, None] * vectors[None, :, :, None]
    angles, turns = _angular(vectors, r, of_kind, cutoff)
    slopes = [jnp.moveaxis(part, 0, 2).reshape(*vectors.shape, -1) for part in (dG, turns)]
    return jnp.concatenate([G, angles.reshape(-1)]), jnp.concatenate(slopes, axis=2)


def _cut(r: jax.Array, cutoff: float) -> tuple[jax.Array, jax.Array]:
    """f(r) and f'(r)/r; zero derivative at r = 0."""
    inside, phase = r < cutoff, jnp.pi / cutoff * r
    slope = -0.5 * jnp.pi / cutoff * jnp.sin(phase) * safe_reciprocal(r)
    return jnp.where(inside, 0.5 + 0.5 * jnp.cos(phase), 0.0), jnp.where(inside, slope, 0.0)


def _radial(r: jax.Array, cutoff: float) -> tuple[jax.Array, jax.Array]:
    """exp(−η r²) f(r) and its derivative over r, each [8, K]."""
    eta, (f, df) = jnp.array(RADIAL)[:, None], _cut(r, cutoff)
    gaussian = jnp.exp(-eta * r[None] ** 2)
    return gaussian * f[None], gaussian * (df[None] - 2.0 * eta * f[None])


def _angular(
    vectors: jax.Array, r: jax.Array, of_kind: jax.Array, cutoff: float
) -> tuple[jax.Array, jax.Array]:
    """Angular functions [18, N (N + 1)/2] and their derivatives by v_j, [18, K, 3, N (N + 1)/2].

    With a = r_j and c = r_jl, ∂T/∂v_j = (T_a/a) v_j + (T_c/c) (v_j − v_l).
    """
    term, by_a, by_c = _triples(vectors, r, cutoff)
    first, second = np.triu_indices(of_kind.shape[1])
    value = jnp.einsum("ja,pjl,lb->pab", of_kind, term, of_kind)[:, first, second]
    own, others = (by_a + by_c) @ of_kind, vectors[:, :, None] * of_kind[:, None, :]
    slope = vectors[None, :, :, None] * own[:, :, None] - jnp.einsum("pjl,lcb->pjcb", by_c, others)
    mixed = [slope[..., b] * of_kind[None, :, None, a] for a, b in ((first, second), (second, first))]
    return value, mixed[0] + mixed[1]


def _triples(vectors: jax.Array, r: jax.Array, cutoff: float) -> tuple[jax.Array, jax.Array, jax.Array]:
    """T, T_a/a and T_c/c of all pairs of neighbors, each [18, K, K]; zero for j = l."""
    dots, squares = vectors @ vectors.T, r**2
    apart = 1.0 - jnp.eye(len(r))
    c2 = jnp.maximum(squares[:, None] + squares[None] - 2.0 * dots, 0.0) * apart
    (f, df), (fc, dfc) = _cut(r, cutoff), _cut(safe_sqrt(c2), cutoff)
    inverse = safe_reciprocal(r)
    cosine = jnp.clip(dots * inverse[:, None] * inverse[None], -1.0, 1.0)
    by_a = inverse[:, None] * inverse[None] - cosine * inverse[:, None] ** 2  # (∂cos/∂a)/a
    by_c = -inverse[:, None] * inverse[None]
    gaussians = {eta: apart * jnp.exp(-eta * (squares[:, None] + squares[None] + c2)) for eta in ETAS}
    terms = []
    for eta, lam, zeta in ANGULAR:
        base = 1.0 + lam * cosine
        power = 2.0 ** (1 - zeta) * base ** (zeta - 1)
        fff = gaussians[eta] * f[:, None] * f[None] * fc
        term, bend = power * base * fff, lam * zeta * power * fff
        slope_a = gaussians[eta] * df[:, None] * f[None] * fc * power * base
        slope_c = gaussians[eta] * f[:, None] * f[None] * dfc * power * base
        slope = -2.0 * eta * term
        terms.append((term, slope + slope_a + bend * by_a, slope + slope_c + bend * by_c))
    return tuple(map(jnp.stack, zip(*terms, strict=True)))
