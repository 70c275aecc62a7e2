"""A Behler-Parrinello network [behler:07]: jax-md's perceptrons on symmetry functions, trained with optax.

    E = Σ_i [μ_z(i) + N_z(i)(Ĝ_i)],    F_a = −∂E/∂R_a = Σ_j ∂E/∂v_aj − Σ_{i, j = a} ∂E/∂v_ij

One network per element. The loss is that of `ridge`, per atom, over batches of structures drawn at random.
Structures are padded to one shape, so one program trains on every choice; symmetry functions and their
derivatives are computed beforehand. Training is in float32 unless the data are not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from features import Features
from flax import nnx
from jax_md.nn import MLP
from ridge import ENERGY, Basis, Targets

from quests_jax.atoms.writing import whole_file
from quests_jax.base.progress import advance

ROUNDED = 8  # neighbors are padded to a multiple of this


class Training(NamedTuple):
    """How a network is trained."""

    hidden: tuple[int, ...] = (24, 24)
    steps: int = 1000
    batch: int = 8  # structures
    rate: float = 0.02  # of Adam, falling to 0 along a cosine
    chunk: int = 100  # steps between two looks at the structures held out
    patience: int | None = None  # looks without improvement before it stops; never where None


class Padded(NamedTuple):
    """Structures of one shape: A atoms, K neighbors; zeros where there are none."""

    values: jax.Array  # [S, A, g], Ĝ
    slopes: jax.Array  # [S, A, K, 3, g], ∂Ĝ/∂v
    neighbor: jax.Array  # [S, A, K] int32
    of_kind: jax.Array  # [S, A, N], 1 where an atom is of an element
    energies: jax.Array  # [S]
    forces: jax.Array  # [S, A, 3]


class State(NamedTuple):
    """Where training is."""

    params: Any
    optimizer: Any
    best: Any  # the parameters with the smallest loss on the structures held out
    best_loss: jax.Array  # []
    stale: jax.Array  # [] int32, looks since then
    chunk: jax.Array  # [] int32, chunks done


class Split(NamedTuple):
    """Structures of the data: to train on, and to look at."""

    chosen: np.ndarray  # [t] int
    held_out: np.ndarray  # [H] int


class Network(NamedTuple):
    """Functions of one shape of network, compiled once for all choices."""

    start: Callable[[int], State]
    advance: Callable[[State, Padded, jax.Array, jax.Array], State]
    predict: Callable[[Any, Padded], tuple[jax.Array, jax.Array]]
    loss: Callable[[Any, Padded], jax.Array]


def pad(found: Sequence[Features], basis: Basis, aims: Targets, *, dtype: Any = np.float32) -> Padded:
    """Scaled symmetry functions and targets of structures in one shape."""
    atoms = [len(one.values) for one in found]
    most = ROUNDED * -(-max(int(np.bincount(one.center, minlength=1).max()) for one in found) // ROUNDED)
    S, A, g = len(found), max(atoms), found[0].values.shape[1]
    values, slopes = np.zeros((S, A, g), dtype), np.zeros((S, A, most, 3, g), dtype)
    neighbor, of_kind = np.zeros((S, A, most), np.int32), np.zeros((S, A, basis.n_species), dtype)
    forces = np.zeros((S, A, 3), dtype)
    for s, (one, force) in enumerate(zip(found, np.split(aims.forces, np.cumsum(atoms)[:-1]), strict=True)):
        count = np.bincount(one.center, minlength=atoms[s])
        place = np.arange(len(one.center)) - np.repeat(np.cumsum(count) - count, count)
        values[s, : atoms[s]] = (one.values - basis.center) * basis.scale
        slopes[s, one.center, place] = one.slopes * basis.scale
        neighbor[s, one.center, place] = one.neighbor
        of_kind[s, np.arange(atoms[s]), one.species] = 1.0
        forces[s, : atoms[s]] = force
    return Padded(*map(jnp.asarray, (values, slopes, neighbor, of_kind, aims.energies.astype(dtype), forces)))


def unpad(found: tuple[jax.Array, jax.Array], data: Padded) -> Targets:
    """Energies and forces of the atoms that there are, in float64."""
    real = np.asarray(data.of_kind).any(axis=2)
    return Targets(np.asarray(found[0], np.float64), np.asarray(found[1], np.float64)[real])


def make_network(n_functions: int, n_species: int, training: Training) -> Network:
    """Networks of the same layers for every element."""
    optimizer = optax.adam(optax.cosine_decay_schedule(training.rate, training.steps))
    seeded = partial(_perceptron, n_functions, training.hidden)
    predict = partial(_predict, nnx.graphdef(seeded(0)))
    loss = partial(_loss, predict)

    def start(seed: int) -> State:
        each = [nnx.state(seeded(seed * n_species + z)) for z in range(n_species)]
        params = jax.tree.map(lambda *leaves: jnp.stack(leaves).astype(jnp.float32), *each)
        nothing = jnp.float32(jnp.inf), jnp.int32(0), jnp.int32(0)
        return State(params, optimizer.init(params), params, *nothing)

    return Network(start, jax.jit(partial(_advance, loss, optimizer)), jax.jit(predict), loss)


def _predict(shape: Any, params: Any, data: Padded) -> tuple[jax.Array, jax.Array]:
    return jax.vmap(partial(energy_and_forces, shape, params))(data)


def _loss(predict: Callable, params: Any, data: Padded) -> jax.Array:
    """Σ_s L_s, per atom."""
    energies, forces = predict(params, data)
    atoms = jnp.sum(data.of_kind, axis=(1, 2))
    each = ENERGY**2 * (energies - data.energies) ** 2 / atoms
    return (jnp.sum(each) + jnp.sum((forces - data.forces) ** 2) / 3) / jnp.sum(atoms)


def _advance(
    loss: Callable, optimizer: Any, state: State, data: Padded, batches: jax.Array, held_out: jax.Array
) -> State:
    """A step for every batch [steps, structures], then a look at the structures held out."""

    def step(carry: tuple[Any, Any], batch: jax.Array) -> tuple[tuple[Any, Any], None]:
        params, moments = carry
        updates, moments = optimizer.update(jax.grad(loss)(params, _take(data, batch)), moments)
        return (optax.apply_updates(params, updates), moments), None

    (params, moments), _ = jax.lax.scan(step, (state.params, state.optimizer), batches)
    now = loss(params, _take(data, held_out))
    better = now < state.best_loss
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), params, state.best)
    stale = jnp.where(better, 0, state.stale + 1)
    return State(params, moments, best, jnp.minimum(now, state.best_loss), stale, state.chunk + 1)


def _take(data: Padded, chosen: jax.Array) -> Padded:
    return jax.tree.map(lambda column: column[chosen], data)


def energy_and_forces(shape: Any, params: Any, one: Padded) -> tuple[jax.Array, jax.Array]:
    """E − Σ μ in eV and F [A, 3] in eV/Å of one padded structure."""

    def energy(values: jax.Array) -> jax.Array:
        by_kind = jax.vmap(lambda own: nnx.merge(shape, own)(values)[:, 0], out_axes=1)(params)  # [A, N]
        return jnp.sum(by_kind * one.of_kind)

    total, slope = jax.value_and_grad(energy)(one.values)
    pull = jnp.einsum("ag,akcg->akc", slope, one.slopes)  # ∂E/∂v
    others = jax.ops.segment_sum(pull.reshape(-1, 3), one.neighbor.reshape(-1), len(one.values))
    return total, jnp.sum(pull, axis=1) - others


def train(
    network: Network,
    data: Padded,
    split: Split,
    *,
    training: Training,
    seed: int,
    checkpoint: Path | None = None,
) -> State:
    """Train on the structures chosen, and keep the parameters that are best on those held out.

    With a `checkpoint`, the state is written there after every chunk, whole or not at all, and training goes
    on from it where it exists; the result is that of an uninterrupted run.
    """
    state = network.start(seed)
    if checkpoint is not None and checkpoint.exists():
        state = _restored(checkpoint, state)
    patience, held_out = training.patience or training.steps, jnp.asarray(split.held_out)
    while int(state.chunk) * training.chunk < training.steps and int(state.stale) < patience:
        generator = np.random.default_rng((seed, int(state.chunk)))
        batches = generator.choice(split.chosen, (training.chunk, training.batch))
        state = network.advance(state, data, jnp.asarray(batches), held_out)
        if checkpoint is not None:
            _keep(checkpoint, state)
        advance("training steps", int(state.chunk) * training.chunk, training.steps)
    return state


def _perceptron(n_functions: int, hidden: Sequence[int], seed: int) -> MLP:
    return MLP(n_functions, (*hidden, 1), rngs=nnx.Rngs(seed), activation=jnp.tanh, activate_final=False)


def _keep(path: Path, state: State) -> None:
    with whole_file(path) as unfinished, open(unfinished, "wb") as stream:
        np.savez(stream, *map(np.asarray, jax.tree.leaves(state)))


def _restored(path: Path, like: State) -> State:
    with np.load(path) as stored:
        leaves = [jnp.asarray(stored[f"arr_{number}"]) for number in range(len(stored.files))]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)
