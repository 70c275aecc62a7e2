"""Nequix, a universal potential, fine-tuned on choices of equal numbers of atoms: see RULES.md.

All parameters are trained by optax from the published ones [koker:25], on the loss of `ridge`; energies of
single atoms are fitted anew to each choice. It runs in an environment of its own and goes on where it was
stopped; tables are made from the stored fits:

    sh experiments/potentials/environment.sh nequix FOLDER
    PYTHONPATH=. FOLDER/bin/python experiments/potentials/nequix_fits.py --model FILE.nqx
    python experiments/potentials/nequix_fits.py --summary
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ase import Atoms
from cells import Case, Cell, Errors, add_options, run_cells, tested
from data import DataSet
from gap_sets import GAP_SETS
from protocol import FULL
from ridge import ENERGY, Targets

from quests_jax.atoms.learned import nequix
from quests_jax.base.jax_versions import versions
from quests_jax.base.padding import padded_size

METHODS = ("random", "msc", "balanced", "cover")
SNAP = [f"MoNbTaW_SNAP/{pair}_Test" for pair in ("MoTa", "MoW", "NbMo", "NbTa", "NbW", "TaW")]
CRYSTALS = (  # of few atoms, so that a fit takes minutes
    DataSet("carbon of GAP-17", (6,), 3.7, "carbon_GAP17_sample100/sample100"),
    DataSet("alloys of Mo, Nb, Ta and W", (41, 42, 73, 74), 4.8, "+".join(SNAP), most_tested=40),
    dataclasses.replace(next(data for data in GAP_SETS if data.name == "SiO"), most_tested=20),
)
STEPS = {"CH4 300 K": 60, "methane QM22": 60, "ethanol 100 K": 60, "ethanol and methanol": 60}
STEPS |= dict.fromkeys((data.name for data in CRYSTALS), 30)
SIZE = 0.1  # share of the atoms
BATCH = 4  # structures
RATE = 1e-4  # of Adam, falling to 0 along a cosine; ten times that makes CH4 worse than untrained
MADE_WITH = {"batch": BATCH, "rate": RATE, "steps": STEPS, "versions": versions()}


class Batch(NamedTuple):
    """Some structures as one graph; what fills it up belongs to a structure more, which nobody reads."""

    graph: nequix.Graph
    positions: np.ndarray  # [n, 3] Å
    structure: np.ndarray  # [n] int
    energies: np.ndarray  # [BATCH] eV
    forces: np.ndarray  # [n, 3] eV/Å
    counts: np.ndarray  # [BATCH] atoms


class Packing(NamedTuple):
    """What batches of a data set have in common, so that one program serves all."""

    config: dict[str, Any]  # of the model
    atoms: int
    pairs: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit what has no result yet, or say what the results are."""
    options = _parse(arguments)
    jax.config.update("jax_enable_x64", True)  # of the choices; the model is in float32
    run_cells(cells(options.seeds), partial(fit_and_test, file=options.model), options, MADE_WITH)
    return 0


def cells(seeds: int) -> list[Cell]:
    """All fits, a pool of every data set before the next pool."""
    sets = {data.name: data for data in (*FULL.data_sets, *GAP_SETS, *CRYSTALS)}
    return [
        Cell(sets[name], method, SIZE, seed) for seed in range(seeds) for name in STEPS for method in METHODS
    ]


def fit_and_test(case: Case, file: Path, rate: float = RATE, steps: int | None = None) -> Errors:
    """Fine-tune the model on a choice; errors of every test."""
    with jax.enable_x64(False):
        model, config = nequix.load(file)
        packing = _packing([*case.train, *(atoms for part in case.tests.values() for atoms in part)], config)
        counts, energies = _counts(case.train, case), _energies(case.train)
        shifts = np.linalg.lstsq(counts, energies - predicted(model, case.train, packing).energies)[0]
        count = STEPS[case.data.name] if steps is None else steps
        model = tuned(model, case.train, energies - counts @ shifts, packing, rate=rate, steps=count)
        found = {}
        for name, part in case.tests.items():
            energies, forces = predicted(model, part, packing)
            found[name] = tested(part, Targets(energies + _counts(part, case) @ shifts, forces))
        return found


def tuned(
    model: Any,
    structures: Sequence[Atoms],
    energies: np.ndarray,
    packing: Packing,
    *,
    rate: float,
    steps: int,
) -> Any:
    """The model after so many steps of Adam, each on the next structures of a random order."""
    optimizer = _optimizer(rate, steps)
    state, generator, order = optimizer.init(model), np.random.default_rng(0), np.zeros(0, int)
    for _ in range(steps):
        while len(order) < BATCH:
            order = np.concatenate([order, generator.permutation(len(structures))])
        chosen, order = order[:BATCH], order[BATCH:]
        batch = _batch([structures[i] for i in chosen], energies[chosen], packing)
        model, state = _step(model, state, batch, optimizer)
    return model


def predicted(model: Any, structures: Sequence[Atoms], packing: Packing) -> Targets:
    """Energies and forces by the model."""
    energies, forces = [], []
    for first in range(0, len(structures), BATCH):
        some = structures[first : first + BATCH]
        energy, force = _predict(model, _batch(some, np.zeros(len(some)), packing))
        energies.append(np.asarray(energy, np.float64)[: len(some)])
        forces.append(np.asarray(force, np.float64)[: sum(map(len, some))])
    return Targets(np.concatenate(energies), np.concatenate(forces))


@jax.jit
def _predict(model: Any, batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Energies [BATCH] and forces [n, 3]."""

    def total(positions: jax.Array) -> tuple[jax.Array, jax.Array]:
        graph = batch.graph
        vectors = positions[graph.neighbor] - positions[graph.center] + graph.offset
        atoms = model.node_energies(vectors, graph.species, graph.neighbor, graph.center)[:, 0]
        return atoms.sum(), jax.ops.segment_sum(atoms, batch.structure, BATCH + 1)[:BATCH]

    slope, energies = jax.grad(total, has_aux=True)(batch.positions)
    return energies, -slope


def _loss(model: Any, batch: Batch) -> jax.Array:
    """Σ_s [κ² (E_s − E_s(θ))²/n_s + Σ_a |F_a − F_a(θ)|²/3] / Σ_s n_s."""
    energies, forces = _predict(model, batch)
    real = (batch.structure < BATCH)[:, None]
    energy = ENERGY**2 * ((energies - batch.energies) ** 2 / batch.counts).sum()
    return (energy + jnp.where(real, (forces - batch.forces) ** 2, 0.0).sum() / 3) / batch.counts.sum()


@partial(jax.jit, static_argnums=3)
def _step(model: Any, state: Any, batch: Batch, optimizer: optax.GradientTransformation) -> tuple[Any, Any]:
    updates, state = optimizer.update(jax.grad(_loss)(model, batch), state, model)
    return optax.apply_updates(model, updates), state


@lru_cache
def _optimizer(rate: float, steps: int) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(rate, max(steps, 1)))


def _packing(structures: Sequence[Atoms], config: dict[str, Any]) -> Packing:
    """Sizes that hold every batch of these structures."""
    atoms = max(map(len, structures))
    pairs = max(len(nequix.make_graph([each], config).center) for each in structures)
    return Packing(config, padded_size(BATCH * atoms + 1), padded_size(BATCH * pairs))


def _batch(structures: Sequence[Atoms], energies: np.ndarray, packing: Packing) -> Batch:
    """One more atom at least, whose pairs are beyond the cutoff."""
    graph = nequix.make_graph(structures, packing.config)
    counts = np.array([len(atoms) for atoms in structures])
    n, more = counts.sum(), packing.atoms - counts.sum()
    extra, missing = packing.pairs - len(graph.center), BATCH - len(structures)
    filler, far = np.full(extra, n), np.tile([2 * packing.config["cutoff"], 0, 0], (extra, 1))
    graph = nequix.Graph(
        np.pad(graph.species, (0, more)),
        np.concatenate([graph.center, filler]),
        np.concatenate([graph.neighbor, filler]),
        np.concatenate([graph.offset, far]).astype(np.float32),
    )
    empty = np.zeros((more, 3))
    return Batch(
        graph,
        np.concatenate([*(atoms.positions for atoms in structures), empty]).astype(np.float32),
        np.pad(np.repeat(np.arange(len(structures)), counts), (0, more), constant_values=BATCH),
        np.pad(energies, (0, missing)).astype(np.float32),
        np.concatenate([*(atoms.get_forces() for atoms in structures), empty]).astype(np.float32),
        np.pad(counts, (0, missing), constant_values=1),
    )


def _counts(structures: Sequence[Atoms], case: Case) -> np.ndarray:
    """Atoms of each element, shape [S, elements]."""
    return np.array([[(atoms.numbers == z).sum() for z in case.data.elements] for atoms in structures], float)


def _energies(structures: Sequence[Atoms]) -> np.ndarray:
    return np.array([atoms.get_potential_energy() for atoms in structures])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, help="a .nqx file")
    add_options(parser, "nequix_results.json")
    options = parser.parse_args(arguments)
    if options.model is None and not options.summary:
        parser.error("name a .nqx file with --model, or ask for --summary.")
    return options


if __name__ == "__main__":
    sys.exit(main())
