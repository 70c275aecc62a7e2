"""What the commands of the command line do: read, compute, report. Nothing here knows click."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms

import quests_jax.information as information
from quests_jax.augment import Goal
from quests_jax.augment import augment as augment_one
from quests_jax.checks import InputError, check_count, check_size, located
from quests_jax.chunks import advance
from quests_jax.collective import Known, known_environments
from quests_jax.compare import compare_environments, config_types, find_rules, force_tail, table
from quests_jax.compress import compress as choose
from quests_jax.compress import entropy_and_diversity, find_method, plain
from quests_jax.cover import prefix_metrics
from quests_jax.datasets import generate as simulate
from quests_jax.environments import Environments
from quests_jax.numerics import overlap_tolerance
from quests_jax.plots import draw_comparison
from quests_jax.runs import Report, Run, labeled

LABELS = {
    "n_environments": "environments",
    "entropy": "entropy (nats)",
    "diversity": "diversity (nats)",
    "efficiency": "efficiency (%)",
    "max_entropy": "largest entropy, ln n (nats)",
}


def descriptors(run: Run, file: str) -> Report:
    """Descriptors of every atom."""
    envs = run.describe(file, run.read(file))
    n, d = np.shape(envs.x)
    data = {"n_structures": envs.n_structures, "n_environments": n, "n_features": d}
    return Report(data, [("structures", envs.n_structures), ("environments", n), ("features", d)], envs=envs)


def entropy(run: Run, file: str) -> Report:
    """H of the environments, beside the largest value it could have."""
    return _measured(run, file, lambda x: {"entropy": float(information.entropy(x, bandwidth=run.bandwidth))})


def diversity(run: Run, file: str) -> Report:
    """D of the environments, beside the largest value it could have."""
    return _measured(
        run, file, lambda x: {"diversity": float(information.diversity(x, bandwidth=run.bandwidth))}
    )


def metrics(run: Run, file: str) -> Report:
    """H, D and the efficiency 100 H / ln n, from one kernel sum."""

    def measure(x: np.ndarray) -> dict[str, float]:
        H, D = entropy_and_diversity(x, bandwidth=run.bandwidth)
        efficiency = 100 * H / math.log(len(x)) if len(x) > 1 else 100.0
        return {"entropy": H, "diversity": D, "efficiency": efficiency}

    return _measured(run, file, measure)


def delta_entropy(run: Run, file: str, reference: str) -> Report:
    """δH of every atom against a reference, kept as a per-atom array of the structures."""
    given, known = run.read(file), run.read(reference)
    envs = run.describe(file, given)
    y, x = np.asarray(envs.x), np.asarray(run.describe(reference, known).x)
    with run.stage("delta_entropy"):
        dH = np.asarray(information.delta_entropy(y, x, bandwidth=run.bandwidth))
    tolerance = overlap_tolerance(dH.dtype)
    found = {"mean": float(dH.mean()), "max": float(dH.max()), "novel": float((dH >= tolerance).mean())}
    sizes = {"n_environments": len(y), "reference_environments": len(x), "tolerance": tolerance}
    arrays = {"structure_id": envs.structure_id, "delta_entropy": dH}
    rows = [
        ("environments", len(y)),
        ("reference environments", len(x)),
        ("share that is novel", found["novel"]),
        ("mean delta entropy (nats)", found["mean"]),
        ("largest delta entropy (nats)", found["max"]),
        ("in structure", int(np.asarray(envs.structure_id)[dH.argmax()])),
    ]
    return Report(sizes | found | arrays, rows, structures=labeled(given, envs, {"delta_entropy": dH}))


def overlap(run: Run, test: str, reference: str) -> Report:
    """Share of the environments of `test` that `reference` covers."""
    given, known = run.read(test), run.read(reference)
    y, x = np.asarray(run.describe(test, given).x), np.asarray(run.describe(reference, known).x)
    with run.stage("overlap"):
        share = float(information.overlap(y, x, bandwidth=run.bandwidth))
    data = {"overlap": share, "tolerance": overlap_tolerance(y.dtype)}
    data |= {"n_environments": len(y), "reference_environments": len(x)}
    rows = [("environments", len(y)), ("reference environments", len(x)), ("overlap", share)]
    return Report(data, rows)


def compress(
    run: Run, file: str, size: int | float, method: str, reference: str | None, prefixes: bool
) -> Report:
    """The choice, its summary, and the chosen structures in order of choice."""
    find_method(method)
    _refuse_bare_matrix(file)
    given = run.read(file)
    with located(file):
        check_size(size, given.n_structures if isinstance(given, Environments) else len(given))
    known = None if reference is None else run.describe(reference, run.read(reference))
    envs = run.describe(file, given)
    result = choose(envs, size=size, method=method, reference=known, bandwidth=run.bandwidth)
    summary = result.summary
    run.seconds.update({stage: summary["seconds"][stage] for stage in ("selection", "metrics")})
    chosen = [] if isinstance(given, Environments) else [given[i] for i in summary["selected"]]
    data = {name: value for name, value in summary.items() if name not in ("k", "cutoff", "seconds")}
    if prefixes:
        with run.stage("prefixes"):
            options = {"bandwidth": run.bandwidth, "reference": None if known is None else known.x}
            data["prefixes"] = prefix_metrics(envs, summary["selected"], **options)._asdict()
    rows = [
        ("structures", summary["n_structures"], summary["size"]),
        ("environments", summary["n_environments"], summary["selected_environments"]),
        ("entropy (nats)", summary["entropy_full"], summary["entropy"]),
        ("diversity (nats)", summary["diversity_full"], summary["diversity"]),
        ("overlap", 1.0, summary["overlap"]),
        ("largest delta entropy (nats)", "", summary["max_delta_entropy"]),
        ("certified ratio", "", summary["certified_ratio"]),
    ]
    return Report(data, rows, ("", "all", method), structures=chosen)


def compare(run: Run, file: str, sizes: Sequence[int | float], methods: Sequence[str]) -> Report:
    """Rows of numbers, one per size and method, and a figure of them."""
    _refuse_bare_matrix(file)
    given = run.read(file)
    structures = [] if isinstance(given, Environments) else given
    tail, labels = force_tail(structures), config_types(structures)
    find_rules(methods, labels)
    with located(file):
        for size in sizes:
            check_size(size, given.n_structures if isinstance(given, Environments) else len(given))
    envs = run.describe(file, given)
    known = {"bandwidth": run.bandwidth, "tail": tail, "labels": labels}
    with run.stage("comparison"):
        rows = compare_environments(envs, sizes=sizes, methods=methods or None, **known)
    data = {"n_structures": envs.n_structures, "n_environments": envs.counts.sum(), "rows": rows}
    header, cells = table(rows)
    draw = partial(draw_comparison, rows, title=f"{file}: {run.caption()}")
    return Report(data, cells, header, draw=draw)


class Asked(NamedTuple):
    """Options of `augment`, by their names on the command line."""

    number: int
    index: int | None
    target: float
    pool: str
    closest: float | None
    max_steps: int
    smooth: bool
    seed: int


def augment(run: Run, file: str, reference: str | None, asked: Asked) -> Report:
    """New structures with the delta entropy of each atom, and from which structure each was made."""
    given = run.read(file)
    if isinstance(given, Environments):
        raise InputError(f"{file}: holds descriptors; give structures to start from.")
    starts = _starts(file, len(given), asked)
    known = _known(run, reference or file, given if reference is None else run.read(reference), asked.smooth)
    goal = Goal(asked.target, getattr(jnp, asked.pool), asked.closest, asked.max_steps)
    data = asked._asdict() | {"reference_environments": np.shape(known.x)[0]}
    made, structures, key = [], [], jax.random.key(asked.seed)
    with run.stage("augmentation"):
        for number, start in enumerate(starts):
            advance("new structures", number, len(starts))
            with located(f"{file}: structure {start}"):
                new = augment_one(given[start], known, goal=goal, key=jax.random.fold_in(key, number))
            known, dH = known.including([new.structure]), new.delta_entropy
            new.structure.arrays["delta_entropy"] = dH
            new.structure.info |= {"start": start, "closest_approach": new.closest}
            structures.append(new.structure)
            made.append({"start": start, "mean_delta_entropy": dH.mean(), "max_delta_entropy": dH.max()})
            made[-1] |= {"closest": new.closest, "evaluations": len(new.history)}
    header = ("start", "mean δH", "largest δH", "no atoms closer than (Å)", "evaluations")
    rows = [list(row.values()) for row in plain(made)]
    return Report(data | {"structures": made}, rows, header, structures=structures)


def generate(run: Run, seed: int) -> Report:
    """The simulated silicon data set."""
    with run.stage("simulation"):
        structures = simulate(seed=seed, progress=lambda _, done, total: advance("simulation", done, total))
    atoms = sum(map(len, structures))
    data = {"seed": seed, "n_structures": len(structures), "n_environments": atoms}
    return Report(data, [("structures", len(structures)), ("atoms", atoms)], structures=structures)


def _starts(file: str, total: int, asked: Asked) -> list[int]:
    """Numbers of the structures to start from, in turn: the one asked for, or drawn at random."""
    check_count("number", asked.number)
    if asked.index is None:
        return np.random.default_rng(asked.seed).integers(total, size=asked.number).tolist()
    if not 0 <= asked.index < total:
        raise InputError(f"{file}: has no structure {asked.index}; give a number from 0 to {total - 1}.")
    return [asked.index] * asked.number


def _known(run: Run, file: str, data: Sequence[Atoms] | Environments, smooth: bool) -> Known:
    if not isinstance(data, Environments):
        with run.stage("descriptors"), located(file):
            return known_environments(data, **run.parameters, smooth=smooth)
    if smooth:
        raise InputError(
            f"{file}: holds descriptors of the usual kind; give structures, or leave out --smooth."
        )
    return Known(data.x, **run.parameters)


def _refuse_bare_matrix(file: str) -> None:
    if file.endswith(".npy"):
        raise InputError(f"{file}: does not say which structure an environment is of; use a .npz file.")


def _measured(run: Run, file: str, measure: Callable[[np.ndarray], dict[str, float]]) -> Report:
    x = np.asarray(run.describe(file, run.read(file)).x)
    with run.stage("kernel"):
        found = measure(x)
    data = {"n_environments": len(x)} | found | {"max_entropy": math.log(len(x))}
    return Report(data, [(LABELS[name], value) for name, value in data.items()])
