"""What the commands of the command line do: read, compute, report. Nothing here knows click."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms

import quests_jax.information as information
from quests_jax.atoms.structures import XYZ_SUFFIXES
from quests_jax.base.checks import InputError, located
from quests_jax.base.environments import Environments
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.sizes import Size, check_size
from quests_jax.cli.run import Report, Run, labeled
from quests_jax.cover import prefix_metrics
from quests_jax.cover.rules.registry import find_rule
from quests_jax.disk import Work, compress_shards, estimate, persevere, self_sums
from quests_jax.output.figures import draw_comparison
from quests_jax.studies.comparison import compare_environments, config_types, find_rules, force_tail, table
from quests_jax.studies.compression import compress as choose
from quests_jax.studies.compression import entropy_and_diversity, measures_of

MANY = 200_000  # environments of which pairs take minutes and masses gigabytes
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


def metrics(run: Run, file: str, sample: int | None = None) -> Report:
    """H, D and the efficiency 100 H / ln n, from one kernel sum; or their estimates from a sample."""
    if run.work is not None:
        return large_metrics(run, file, run.work, sample)
    if sample is not None:
        raise InputError("--sample estimates from a folder of shards; add --work FOLDER.")

    def measure(x: np.ndarray) -> dict[str, float]:
        _advise(file, len(x), "--work FOLDER (and --sample 2000 for an estimate)")
        H, D = entropy_and_diversity(x, bandwidth=run.bandwidth)
        return {"entropy": H, "diversity": D, "efficiency": _efficiency(H, len(x))}

    return _measured(run, file, measure)


def large_metrics(run: Run, file: str, work: Work, sample: int | None) -> Report:
    """`metrics` of environments on disk: exactly, or from a sample with 95 % confidence intervals."""

    def measure() -> tuple[int, dict[str, float]]:
        shards = run.shards(file, work)
        with run.stage("kernel"):
            if sample is not None:
                H, D = estimate(shards, rows=sample, bandwidth=run.bandwidth, seed=0)
                widths = {"entropy_half_width": H.half_width, "diversity_half_width": D.half_width}
                found = {"entropy": H.value, "diversity": D.value, "sample": sample, "seed": 0} | widths
            else:
                H, D = measures_of(self_sums(shards, bandwidth=run.bandwidth))
                found = {"entropy": H, "diversity": D}
        return shards.n_environments, found

    n, found = persevere(measure)
    data = {"n_environments": n} | found | {"efficiency": _efficiency(found["entropy"], n)}
    data |= {"max_entropy": math.log(n)}
    return Report(data, [(LABELS.get(name, name), value) for name, value in data.items()])


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


def compress(run: Run, file: str, size: Size, method: str, reference: str | None, prefixes: bool) -> Report:
    """The choice, its summary, and the chosen structures in order of choice."""
    find_rule(method)
    _refuse_bare_matrix(file)
    if run.work is not None:
        if prefixes:
            raise InputError("--prefixes needs the data in memory; leave out --work.")
        return large_compress(run, file, run.work, size, method, reference)
    given = run.read(file)
    with located(file):
        check_size(size, given.n_structures if isinstance(given, Environments) else len(given))
    known = None if reference is None else run.describe(reference, run.read(reference))
    envs = run.describe(file, given)
    _advise(file, int(envs.counts.sum()), "-m cover --work FOLDER")
    result = choose(envs, size=size, method=method, reference=known, bandwidth=run.bandwidth)
    summary = result.summary
    run.seconds.update({stage: summary["seconds"][stage] for stage in ("selection", "metrics")})
    if prefixes:
        with run.stage("prefixes"):
            options = {"bandwidth": run.bandwidth, "reference": None if known is None else known.x}
            summary["prefixes"] = prefix_metrics(envs, summary["selected"], **options)._asdict()
    chosen = [] if isinstance(given, Environments) else [given[i] for i in summary["selected"]]
    return _compressed(summary, method, chosen)


def large_compress(run: Run, file: str, work: Work, size: Size, method: str, reference: str | None) -> Report:
    """`compress` of environments on disk."""
    if method != "cover":
        raise InputError("with --work, use -m cover; other rules need the data in memory.")

    def choose_from_disk() -> tuple[dict[str, Any], Sequence[Atoms]]:
        shards = run.shards(file, work)
        with located(file):
            count = check_size(size, len(shards.counts))
        known = None if reference is None else run.known(reference, work)
        summary = compress_shards(shards, count=count, bandwidth=run.bandwidth, reference=known)
        return summary, [] if run.silent else shards.frames.read(summary["selected"])

    summary, chosen = persevere(choose_from_disk)
    run.seconds.update(summary["seconds"])
    return _compressed(summary, method, chosen)


def _compressed(summary: dict[str, Any], method: str, chosen: Sequence[Atoms]) -> Report:
    data = {name: value for name, value in summary.items() if name not in ("k", "cutoff", "seconds")}
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


def compare(run: Run, file: str, sizes: Sequence[Size], methods: Sequence[str]) -> Report:
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


def _refuse_bare_matrix(file: str) -> None:
    if file.endswith(".npy"):
        raise InputError(f"{file}: does not say which structure an environment is of; use a .npz file.")


def _advise(file: str, n: int, options: str) -> None:
    """Say what there is for a file as large as this."""
    if n > MANY and file.endswith(XYZ_SUFFIXES):
        warnings.warn(
            f"{n:,} environments take long at once; add {options} to work piece by piece, in little memory, "
            "in a run that goes on where it was stopped.",
            stacklevel=2,
        )


def _efficiency(entropy: float, n: int) -> float:
    """Entropy in percent of its largest value; 100 for a single environment."""
    return 100 * entropy / math.log(n) if n > 1 else 100.0


def _measured(run: Run, file: str, measure: Callable[[np.ndarray], dict[str, float]]) -> Report:
    x = np.asarray(run.describe(file, run.read(file)).x)
    with run.stage("kernel"):
        found = measure(x)
    data = {"n_environments": len(x)} | found | {"max_entropy": math.log(len(x))}
    return Report(data, [(LABELS[name], value) for name, value in data.items()])
