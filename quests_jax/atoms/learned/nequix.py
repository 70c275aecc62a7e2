"""Invariant scalars of Nequix [koker:25], a universal potential in JAX; differentiable in the positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.atoms.learned.protocol import Descriptor, content_of, missing
from quests_jax.atoms.neighbors import find_pairs
from quests_jax.base.checks import InputError
from quests_jax.base.padding import padded_size

INSTALL = (
    "pip install --no-deps nequix && pip install e3nn-jax equinox jraph matscipy tqdm pyyaml h5py cloudpickle"
    " lmdb optax"
)


class Graph(NamedTuple):
    """Atoms and their pairs, found once and held fixed under differentiation; padding lies out of reach."""

    species: np.ndarray  # [n] int, index of the element in the model
    center: np.ndarray  # [p] int
    neighbor: np.ndarray  # [p] int
    offset: np.ndarray  # [p, 3] Å, lattice vector to the image of the neighbor


def nequix_descriptor(path: Path, *, layers: str = "last") -> Descriptor:
    """Scalars of the last layer, or of all layers one after the other (`layers` "all")."""
    if layers not in ("last", "all"):
        raise InputError(f"nequix: layers must be last or all, got {layers!r}.")
    version = content_of(path)
    model, config = load(path)
    program = jax.jit(lambda positions, graph: _features(model, positions, graph, layers))

    def describe(structures: Sequence[ase.Atoms]) -> Sequence[np.ndarray]:
        graph = make_graph(structures, config, padded=True)
        positions = np.zeros((len(graph.species), 3), np.float32)
        total = sum(map(len, structures))
        positions[:total] = np.concatenate([atoms.positions for atoms in structures])
        with jax.enable_x64(False):  # constants of the model follow the flag and would make all of it float64
            x = np.asarray(program(positions, graph), np.float64)[:total]
        return np.split(x, np.cumsum([len(atoms) for atoms in structures])[:-1])

    return Descriptor(f"nequix:{path}:{layers}", describe, version, kept=True)


def differentiable(path: Path, atoms: ase.Atoms, *, layers: str = "last") -> Callable[[jax.Array], jax.Array]:
    """Features [n, d] of one structure as a function of its positions [n, 3] in Å, in their dtype.

    Pairs are those of the structure that is given: find them anew when atoms have moved far.
    """
    model, config = load(path)
    graph = make_graph([atoms], config)

    def features(positions: jax.Array) -> jax.Array:
        cast = jax.tree.map(lambda leaf: _as(leaf, positions.dtype), model)
        return _features(cast, positions, graph, layers)

    return features


def load(path: Path) -> tuple[Any, dict[str, Any]]:
    """Model and configuration of a .nqx file."""
    content_of(path)
    try:
        from nequix.model import load_model  # pyright: ignore[reportMissingImports]
    except ImportError as reason:
        raise missing("nequix", INSTALL)(reason) from None
    with jax.enable_x64(False):  # the weights on disk are float32
        return load_model(path)


def make_graph(structures: Sequence[ase.Atoms], config: dict[str, Any], *, padded: bool = False) -> Graph:
    """Pairs within the cutoff of the model; raises `InputError` for elements that it does not know."""
    numbers = np.concatenate([atoms.numbers for atoms in structures])
    known = {Z: index for index, Z in enumerate(sorted(config["atomic_numbers"]))}
    if unknown := set(numbers.tolist()) - known.keys():
        raise InputError(f"nequix: the model knows no element with atomic number {min(unknown)}.")
    pairs = find_pairs(structures, cutoff=config["cutoff"])
    cells = np.concatenate([atoms.cell.array[None].repeat(len(atoms), axis=0) for atoms in structures])
    offset = np.einsum("pa,pab->pb", pairs.shift, cells[pairs.center])
    graph = Graph(np.array([known[Z] for Z in numbers.tolist()]), pairs.center, pairs.neighbor, offset)
    return _padded(graph, config["cutoff"]) if padded else graph


def _padded(graph: Graph, cutoff: float) -> Graph:
    """One more atom at least, and pairs of it beyond the cutoff, so that few programs are compiled."""
    n, p = len(graph.species), len(graph.center)
    more = padded_size(n + 1, smallest=64) - n
    extra = padded_size(p, smallest=4096) - p
    far = np.tile([2 * cutoff, 0, 0], (extra, 1))
    filler = np.full(extra, n)
    return Graph(
        np.pad(graph.species, (0, more)),
        np.concatenate([graph.center, filler]),
        np.concatenate([graph.neighbor, filler]),
        np.concatenate([graph.offset, far]),
    )


def _features(model: Any, positions: jax.Array, graph: Graph, layers: str) -> jax.Array:
    """Invariant scalars [n, d] of the layers, by the steps of `nequix.model.Nequix.node_energies`."""
    import e3nn_jax as e3nn
    from nequix.model import bessel_basis, polynomial_cutoff  # pyright: ignore[reportMissingImports]

    vector = positions[graph.neighbor] - positions[graph.center] + jnp.asarray(graph.offset, positions.dtype)
    distance = jnp.sqrt(jnp.sum(vector**2, axis=-1))
    radial = bessel_basis(distance, model.radial_basis_size, model.cutoff)
    radial = radial * polynomial_cutoff(distance, model.cutoff, model.radial_polynomial_p)[:, None]
    angular = e3nn.spherical_harmonics(
        e3nn.s2_irreps(model.lmax), vector, normalize=True, normalization="component"
    )
    species = jnp.asarray(graph.species)
    one_hot = jax.nn.one_hot(species, model.n_species, dtype=positions.dtype)
    features, scalars = e3nn.IrrepsArray(e3nn.Irreps(f"{model.n_species}x0e"), one_hot), []
    for layer in model.layers:
        features = layer(features, species, angular, radial, graph.neighbor, graph.center)
        scalars.append(features.filter("0e").array)
    return scalars[-1] if layers == "last" else jnp.concatenate(scalars, axis=-1)


def _as(leaf: Any, dtype: Any) -> Any:
    floating = isinstance(leaf, (jax.Array, np.ndarray)) and jnp.issubdtype(leaf.dtype, jnp.floating)
    return leaf.astype(dtype) if floating else leaf
