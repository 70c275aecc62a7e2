"""The commands that measure a data set."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial

import click
import numpy as np

import quests_jax.information as information
from quests_jax.atoms.formats import XYZ_SUFFIXES
from quests_jax.base.checks import InputError
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.cli.inputs import Inputs, parse_inputs
from quests_jax.cli.options import DESCRIPTOR, FILES, KERNEL, REFERENCE_HELP, WORK
from quests_jax.cli.run import Report, Run, labeled
from quests_jax.cli.shell import command
from quests_jax.disk import Work, estimate, persevere, self_sums
from quests_jax.studies.compression import entropy_and_diversity, measures_of

MANY = 200_000  # environments of which pairs take minutes and masses gigabytes
LABELS = {
    "n_environments": "environments",
    "entropy": "entropy (nats)",
    "diversity": "diversity (nats)",
    "efficiency": "efficiency (%)",
    "max_entropy": "largest entropy, ln n (nats)",
}


@command(
    FILES,
    *DESCRIPTOR,
    kind="descriptors",
    examples=("descriptors data.xyz -o data.npz", "descriptors salt.xyz --species Na,Cl -o salt.npz"),
)
def descriptors(run: Run, files: Inputs) -> Report:
    """Descriptors of the environments of FILE.

    A .npz output can stand wherever a structure file can; a .npy output holds the matrix alone.
    """
    envs = run.load(files).envs
    n, d = np.shape(envs.x)
    data = {"n_structures": envs.n_structures, "n_environments": n, "n_features": d}
    return Report(data, [("structures", envs.n_structures), ("environments", n), ("features", d)], envs=envs)


@command(FILES, *KERNEL, examples=("entropy data.xyz -b 0.015 -o entropy.json",))
def entropy(run: Run, files: Inputs) -> Report:
    """Entropy H of the environments of FILE, in nats."""
    measure = partial(information.entropy, bandwidth=run.bandwidth)
    return _measured(run, files, lambda x: {"entropy": float(measure(x))})


@command(FILES, *KERNEL, examples=("diversity data.xyz",))
def diversity(run: Run, files: Inputs) -> Report:
    """Diversity D of the environments of FILE, in nats.

    It is the logarithm of how many environments are distinct at this bandwidth.
    """
    measure = partial(information.diversity, bandwidth=run.bandwidth)
    return _measured(run, files, lambda x: {"diversity": float(measure(x))})


@command(
    FILES,
    *KERNEL,
    click.option("--sample", type=int, help="Estimate from this many environments, with an interval."),
    *WORK,
    examples=(
        "metrics data.xyz --json",
        "metrics large.xyz.gz --work folder --sample 2000",
        "metrics large.xyz.gz --work folder -o metrics.json",
    ),
)
def metrics(run: Run, files: Inputs, sample: int | None) -> Report:
    """Entropy, diversity and efficiency of FILE.

    The efficiency is the entropy in percent of its maximum, the logarithm of the number of environments.
    With --work, environments stay on disk, and what is finished is kept for the next run.
    """
    if run.work is not None:
        return _metrics_on_disk(run, files, run.work, sample)
    if sample is not None:
        raise InputError("--sample estimates from a folder of shards; add --work FOLDER.")

    def measure(x: np.ndarray) -> dict[str, float]:
        advise(files, len(x), "--work FOLDER (and --sample 2000 for an estimate)")
        H, D = entropy_and_diversity(x, bandwidth=run.bandwidth)
        return {"entropy": H, "diversity": D, "efficiency": _efficiency(H, len(x))}

    return _measured(run, files, measure)


@command(
    FILES,
    click.option("-r", "--reference", required=True, callback=parse_inputs, help=REFERENCE_HELP),
    *KERNEL,
    kind="atoms",
    examples=("delta-entropy new.xyz -r known.xyz -o new_dH.xyz -o new_dH.json",),
)
def delta_entropy(run: Run, files: Inputs, reference: Inputs) -> Report:
    """Delta entropy of every atom of FILE, in nats.

    Above 0 an environment is novel to the reference. Extended xyz outputs hold it as a per-atom array.
    """
    given, known = run.load(files), run.load(reference)
    y, x = given.x, known.x
    with run.stage("delta_entropy"):
        dH = np.asarray(information.delta_entropy(y, x, bandwidth=run.bandwidth))
    tolerance = overlap_tolerance(dH.dtype)
    found = {"mean": float(dH.mean()), "max": float(dH.max()), "novel": float((dH >= tolerance).mean())}
    sizes = {"n_environments": len(y), "reference_environments": len(x), "tolerance": tolerance}
    arrays = {"structure_id": given.envs.structure_id, "delta_entropy": dH}
    rows = [
        ("environments", len(y)),
        ("reference environments", len(x)),
        ("share that is novel", found["novel"]),
        ("mean delta entropy (nats)", found["mean"]),
        ("largest delta entropy (nats)", found["max"]),
        ("in structure", int(np.asarray(given.envs.structure_id)[dH.argmax()])),
    ]
    return Report(sizes | found | arrays, rows, structures=labeled(given, {"delta_entropy": dH}))


@command(
    click.argument("test", callback=parse_inputs),
    click.argument("reference", callback=parse_inputs),
    *KERNEL,
    examples=("overlap test.xyz train.xyz -o overlap.json",),
)
def overlap(run: Run, test: Inputs, reference: Inputs) -> Report:
    """Share of TEST that REFERENCE covers.

    An environment is covered if its delta entropy against REFERENCE is below the tolerance.
    """
    y, x = run.load(test).x, run.load(reference).x
    with run.stage("overlap"):
        share = float(information.overlap(y, x, bandwidth=run.bandwidth))
    data = {"overlap": share, "tolerance": overlap_tolerance(y.dtype)}
    data |= {"n_environments": len(y), "reference_environments": len(x)}
    rows = [("environments", len(y)), ("reference environments", len(x)), ("overlap", share)]
    return Report(data, rows)


def advise(files: Inputs, n: int, options: str) -> None:
    """Say what there is for a file as large as this."""
    if n > MANY and len(files.files) == 1 and files.name.endswith(XYZ_SUFFIXES):
        warnings.warn(
            f"{n:,} environments take long at once; add {options} to work piece by piece, in little memory, "
            "in a run that goes on where it was stopped.",
            stacklevel=2,
        )


def _metrics_on_disk(run: Run, files: Inputs, work: Work, sample: int | None) -> Report:
    """`metrics` of environments on disk: exactly, or from a sample with 95 % confidence intervals."""

    def measure() -> tuple[int, dict[str, float]]:
        shards = run.shards(files, work)
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


def _efficiency(entropy: float, n: int) -> float:
    """Entropy in percent of its largest value; 100 for a single environment."""
    return 100 * entropy / math.log(n) if n > 1 else 100.0


def _measured(run: Run, files: Inputs, measure: Callable[[np.ndarray], dict[str, float]]) -> Report:
    x = run.load(files).x
    with run.stage("kernel"):
        found = measure(x)
    data = {"n_environments": len(x)} | found | {"max_entropy": math.log(len(x))}
    return Report(data, [(LABELS[name], value) for name, value in data.items()])
