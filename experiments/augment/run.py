"""Evaluations that it takes to make a structure foreign, by gradient and by Monte Carlo: see README.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from figure import draw, text
from monte_carlo import MOVE, Chain
from monte_carlo import run as monte_carlo

import quests_jax as qj
from quests_jax.atoms.neighbors import find_neighbors, find_pairs
from quests_jax.base.checks import InputError
from quests_jax.base.jax_versions import versions
from quests_jax.datasets import bundled
from quests_jax.generate.augmentation import TOLERANCE, Goal, augment
from quests_jax.generate.bias import Known, delta_entropies, known_environments, pooled_with_slope
from quests_jax.output.files import write_json
from quests_jax.output.terminal import show_progress

jax.config.update("jax_enable_x64", True)  # of this process: it calls JAX itself

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "mlearn" / "Si_train.xyz.gz"
STARTS = 3  # crystals
SEEDS = 3
TARGET = 30.0  # nats
CLOSEST = (1.6, 2.0)  # Å
STEPS = 1000  # of Monte Carlo, as in QUESTS; 100 of the gradient
MOVES = (0.05, 0.1)  # Å, larger ones than those of QUESTS, tried at the first closest approach
POOLS = {"mean": (np.mean, jnp.mean), "max": (np.max, jnp.max)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Generate, count, write results.json and figure.png, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="file of structures of silicon")
    parser.add_argument("--smoke", action="store_true", help="the bundled silicon and few steps")
    parser.add_argument("--output", type=Path, help="default: results.json, with --smoke smoke/results.json")
    options = parser.parse_args(arguments)
    folder = Path(__file__).parent / ("smoke" if options.smoke else "")
    options.output = options.output or folder / "results.json"
    options.output.parent.mkdir(exist_ok=True)
    structures = qj.read(bundled())[::16] if options.smoke else qj.read(options.data)
    pools = ("mean",) if options.smoke else POOLS  # a program each
    starts, seeds, steps = (1, 1, 10) if options.smoke else (STARTS, SEEDS, STEPS)
    known = known_environments(structures)
    crystals = find_crystals(structures, starts)
    with show_progress(quiet=False):
        rows = [
            _by_gradient(number, structures[number], known, pool, closest, seed)
            for pool in pools
            for closest in CLOSEST
            for number in crystals
            for seed in range(seeds)
        ]
        rows += _by_monte_carlo(structures, crystals, np.asarray(known.x), seeds, steps)
    results = {"smoke": options.smoke, "seeds": list(range(seeds)), "starts": crystals, "target": TARGET}
    results |= {"tolerance": TOLERANCE}
    results |= {"parameters": {"k": 32, "cutoff": 5.0, "bandwidth": qj.DEFAULT_BANDWIDTH}, "dtype": "float64"}
    results |= {"device": jax.default_backend(), "versions": versions(), "steps": steps}
    results |= {"seconds": _seconds(structures[crystals[0]], known), "rows": rows}
    write_json(options.output, results)
    draw(results, options.output.with_name("figure.png"))
    print(text(results))
    return 0


def find_crystals(structures: Sequence[Any], count: int) -> list[int]:
    """Numbers of 64-atom crystals, spread over those that are strained or at low temperature."""
    names = ("Elastic", "crystal_300K")
    found = [
        i for i, atoms in enumerate(structures) if atoms.info["config_type"] in names and len(atoms) == 64
    ]
    return [found[round(place)] for place in np.linspace(0, len(found) - 1, count)]


def _by_gradient(
    number: int, start: Any, known: Known, pool: str, closest: float, seed: int
) -> dict[str, Any]:
    goal = Goal(target=TARGET, pool=POOLS[pool][1], closest=closest)
    row = {"method": "gradient", "start": number, "seed": seed, "of": pool, "closest": closest}
    try:
        found = augment(start, known, goal=goal, key=jax.random.key(seed))
    except InputError as reason:
        print(f"start {number}, seed {seed}: {reason}", file=sys.stderr)
        return row | {"first": None, "landed": None, "shortest": None, "best": []}
    shortest = float(find_pairs([found.structure], cutoff=3.0).distance.min())
    return row | _counted(found.history) | {"landed": len(found.history), "shortest": shortest}


def _by_monte_carlo(
    structures: Sequence[Any], crystals: Sequence[int], x: np.ndarray, seeds: int, steps: int
) -> list[dict[str, Any]]:
    """A chain each; its score is minus what is to reach the target, or the score that QUESTS uses."""
    every = lambda dH: float(np.abs(dH - TARGET).mean())  # noqa: E731
    rows, chains = [], []
    for pool, (value, _) in POOLS.items():
        own = lambda dH, value=value: -float(value(dH))  # noqa: E731
        cases = [(closest, MOVE, f"-{pool}", own) for closest in (None, *CLOSEST)]
        cases += [(CLOSEST[0], move, f"-{pool}", own) for move in MOVES] + [(None, MOVE, "target", every)]
        for closest, move, name, score in cases:
            for number in crystals:
                for seed in range(seeds):
                    rng = np.random.default_rng([seed, number])
                    chains.append(Chain(structures[number].copy(), score, value, closest, rng, move))
                    row = {"method": "Monte Carlo", "score": name, "start": number, "seed": seed}
                    rows.append(row | {"of": pool, "closest": closest, "move": move})
    monte_carlo(chains, x, steps, TARGET - TOLERANCE)
    return [
        row | _counted(np.array(chain.history)) | {"shortest": chain.shortest}
        for row, chain in zip(rows, chains, strict=True)
    ]


def _counted(history: np.ndarray) -> dict[str, Any]:
    """The first evaluation that reaches the target to the tolerance, and the best value on the way."""
    reached = np.flatnonzero(history >= TARGET - TOLERANCE)
    best = np.maximum.accumulate(history) if len(history) else history
    places = np.unique(np.geomspace(1, max(len(best), 1), 40).astype(int))
    shown = [[int(place), round(float(best[place - 1]), 3)] for place in places if place <= len(best)]
    return {"first": int(reached[0]) + 1 if len(reached) else None, "best": shown}


def _seconds(atoms: Any, known: Known) -> dict[str, float]:
    """Time of one evaluation of a structure, with and without its gradient."""
    place = jnp.asarray(atoms.positions), jnp.asarray(atoms.cell.array), find_neighbors(atoms)
    calls = {"value": lambda: jax.jit(delta_entropies)(*place, reference)}
    calls["gradient"] = lambda: pooled_with_slope(*place, reference, jnp.mean)[1]
    reference, found = known.padded(), {}
    for name, call in calls.items():
        jax.block_until_ready(call())
        times = []
        for _ in range(10):
            begun = time.perf_counter()
            jax.block_until_ready(call())
            times.append(time.perf_counter() - begun)
        found[name] = float(np.median(times))
    return found


if __name__ == "__main__":
    sys.exit(main())
