"""The commands that measure a data set."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import click
import numpy as np

import quests_jax.information as information
from quests_jax.atoms.formats import XYZ_SUFFIXES
from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.cli.diagnosis_sentences import (
    about_overlap,
)
from quests_jax.cli.file_arguments import Inputs, parse_inputs
from quests_jax.cli.input_contents import Data, labeled
from quests_jax.cli.main_command import command
from quests_jax.cli.options import DESCRIPTOR, FILES, KERNEL, REFERENCE_HELP, WORK
from quests_jax.cli.past_memory import shards_of
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.cli.typed_again import (
    typed,
)
from quests_jax.disk import Shards, Work, compare_shards, estimate, rerun_after_repairs, self_sums
from quests_jax.studies.kept_information import entropy_and_diversity, measures_of
from quests_jax.studies.overlaps import Comparison, compare_with_reference

MANY = 1_000_000  # environments of which pairs take minutes and masses gigabytes
HALF_WIDTH = "_half_width"  # of a 95 % confidence interval: end of its name in JSON
LABELS = {
    "n_structures": "structures",
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

    def measure(envs: Environments) -> dict[str, float]:
        return {"entropy": float(information.entropy(envs, bandwidth=run.bandwidth))}

    return _measured(run, files, measure)


@command(FILES, *KERNEL, examples=("diversity data.xyz",))
def diversity(run: Run, files: Inputs) -> Report:
    """Diversity D of the environments of FILE, in nats.

    It is the logarithm of how many environments are distinct at this bandwidth.
    """

    def measure(envs: Environments) -> dict[str, float]:
        return {"diversity": float(information.diversity(envs, bandwidth=run.bandwidth))}

    return _measured(run, files, measure)


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

    def measure(envs: Environments) -> dict[str, float]:
        advise(files, len(envs), "--work FOLDER (and --sample 2000 for an estimate)")
        H, D = entropy_and_diversity(envs, bandwidth=run.bandwidth)
        return {"entropy": H, "diversity": D, "efficiency": _efficiency(H, len(envs))}

    return _measured(run, files, measure)


@command(
    FILES,
    click.option(
        *("-r", "--reference"), required=True, multiple=True, callback=parse_inputs, help=REFERENCE_HELP
    ),
    *KERNEL,
    *WORK,
    kind="atoms",
    examples=(
        "delta-entropy new.xyz -r known.xyz -o new_dH.xyz -o new_dH.json",
        "delta-entropy large.xyz.gz -r known.xyz --work folder -o large_dH.json",
    ),
)
def delta_entropy(run: Run, files: Inputs, reference: Inputs) -> Report:
    """Delta entropy of every atom of FILE, in nats.

    Above 0 an environment is novel to the reference. Extended xyz outputs hold it as a per-atom array. With
    --work, environments of FILE stay on disk, and outputs are .json.
    """
    if run.work is not None and any(path.suffix != ".json" for path in run.writing.outputs):
        raise InputError("with --work, structures are never in memory all at once; write to a .json file.")
    known = run.load(reference)
    against = _against(run, files, known.envs)
    found, dH = against.found, against.found.delta_entropy
    data = _compared(found, len(known.envs)) | _of_shared_elements(dH)
    data |= {"novel": 1 - found.overlap, "structure_id": against.structure_id, "delta_entropy": dH}
    file, index = against.place(int(against.structure_id[dH.argmax()]))
    rows = [
        ("environments", len(dH)),
        ("reference environments", len(known.envs)),
        ("share that is novel", data["novel"]),
        ("of the reference, to its other structures", 1 - found.baseline),
        ("of elements that the reference lacks", data["missing_elements"]),
        ("mean delta entropy (nats)", data["mean"]),
        ("largest delta entropy (nats)", data["max"]),
        (f"in structure, of {file}", index),
    ]
    return Report(
        data,
        rows,
        structures=labeled(against.given, {"delta_entropy": dH}) if against.given is not None else (),
        advice=about_overlap(found, typed(files), reference),
    )


@command(
    click.argument("test", callback=parse_inputs),
    click.argument("reference", callback=parse_inputs),
    *KERNEL,
    *WORK,
    examples=("overlap test.xyz train.xyz -o overlap.json", "overlap large/ train.xyz --work folder"),
)
def overlap(run: Run, test: Inputs, reference: Inputs) -> Report:
    """Share of TEST that REFERENCE covers.

    An environment is covered if its delta entropy against REFERENCE is below the tolerance. With --work,
    environments of TEST stay on disk.
    """
    known = run.load(reference)
    run.judge_bandwidth(known.envs)
    found = _against(run, test, known.envs).found
    rows = [
        ("environments", len(found.delta_entropy)),
        ("reference environments", len(known.envs)),
        ("overlap", found.overlap),
        ("overlap of the reference with its other structures", found.baseline),
    ]
    advice = about_overlap(found, typed(test), reference)
    return Report(_compared(found, len(known.envs)), rows, advice=advice)


class Against(NamedTuple):
    """A data set against a reference, and where its structures are."""

    found: Comparison
    structure_id: np.ndarray  # [m]
    place: Callable[[int], tuple[str, int]]
    given: Data | None  # where it is in memory


def _against(run: Run, files: Inputs, known: Environments) -> Against:
    work = run.work
    if work is None:
        given = run.load(files)
        with run.stage("delta_entropy"):
            found = compare_with_reference(given.envs, known, bandwidth=run.bandwidth)
        return Against(found, np.asarray(given.envs.structure_id), given.places.__getitem__, given)

    def on_disk() -> Against:
        shards = shards_of(run, files, work)
        with run.stage("delta_entropy"):
            found = compare_shards(shards, known, bandwidth=run.bandwidth)
        number = np.repeat(np.arange(len(shards.counts)), shards.counts)
        return Against(found, number, shards.structures.place, None)

    return rerun_after_repairs(on_disk)


def _of_shared_elements(dH: np.ndarray) -> dict[str, Any]:
    """Mean and largest δH of the environments whose element the reference holds, and how many others are."""
    shared = dH[np.isfinite(dH)]
    mean, largest = (float(shared.mean()), float(shared.max())) if len(shared) else (None, None)
    return {"mean": mean, "max": largest, "missing_elements": len(dH) - len(shared)}


def _compared(found: Comparison, n_reference: int) -> dict[str, Any]:
    """The numbers of a comparison, for JSON."""
    sizes = {"n_environments": len(found.delta_entropy), "reference_environments": n_reference}
    shares = {"overlap": found.overlap, "baseline": found.baseline, "verdict": found.verdict}
    return shares | sizes | {"tolerance": found.tolerance}


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

    def measure() -> tuple[Shards, dict[str, float]]:
        shards = shards_of(run, files, work)
        with run.stage("kernel"):
            if sample is not None:
                H, D = estimate(shards, rows=sample, bandwidth=run.bandwidth, seed=0)
                widths = {f"entropy{HALF_WIDTH}": H.half_width, f"diversity{HALF_WIDTH}": D.half_width}
                found = {"entropy": H.value, "diversity": D.value, "sample": sample, "seed": 0} | widths
            else:
                H, D = measures_of(self_sums(shards, bandwidth=run.bandwidth))
                found = {"entropy": H, "diversity": D}
        return shards, found

    shards, found = rerun_after_repairs(measure)
    n = shards.n_environments
    data = {"n_structures": len(shards.counts), "n_environments": n} | found
    data |= {"efficiency": _efficiency(found["entropy"], n), "max_entropy": math.log(n)}
    shown = [name for name in data if not name.endswith(HALF_WIDTH)]
    rows = [(LABELS.get(name, name), data[name], data.get(f"{name}{HALF_WIDTH}", "")) for name in shown]
    return Report(data, rows, ("", "", "± (95 %)" if sample is not None else ""))


def _efficiency(entropy: float, n: int) -> float:
    """Entropy in percent of its largest value; 100 for a single environment."""
    return 100 * entropy / math.log(n) if n > 1 else 100.0


def _measured(run: Run, files: Inputs, measure: Callable[[Environments], dict[str, float]]) -> Report:
    given = run.load(files)
    with run.stage("kernel"):
        found = measure(given.envs)
    n = len(given.envs)
    data: dict[str, Any] = {"n_structures": given.envs.n_structures, "n_environments": n} | found
    data |= {"max_entropy": math.log(n)}
    rows: list[tuple[str, Any]] = [(LABELS[name], value) for name, value in data.items()]
    if given.structures:
        elements = sorted({symbol for atoms in given.structures for symbol in set(atoms.symbols)})
        data["symbols"] = elements
        rows.insert(2, ("elements", " ".join(elements)))
    return Report(data, rows, advice=["For labels, distances, copies and a verdict: quests-jax inspect FILE"])
