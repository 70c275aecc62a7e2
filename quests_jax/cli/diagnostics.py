"""The commands that show what a data set holds, what it lacks and what is odd in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np
from ase.data import chemical_symbols

from quests_jax.base.checks import InputError, located
from quests_jax.base.json_values import plain
from quests_jax.cli.diagnosis_sentences import (
    about_bandwidth,
    about_outliers,
    about_saturation,
)
from quests_jax.cli.file_arguments import Inputs
from quests_jax.cli.input_contents import Place, labeled
from quests_jax.cli.main_command import command
from quests_jax.cli.options import DESCRIPTOR, FILES, KERNEL, REFERENCE_OR_FILE, SEED, WORK
from quests_jax.cli.past_memory import shards_of
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.cli.typed_again import (
    typed,
)
from quests_jax.disk import Shards, Work, outliers_of_shards, rerun_after_repairs
from quests_jax.output.chart_data import bandwidth_chart, histogram, learning_chart
from quests_jax.output.chemiscope_files import write_viewer
from quests_jax.output.files import FIGURE_SUFFIXES
from quests_jax.output.matplotlib_figures import draw
from quests_jax.studies.bandwidths import bandwidths_by_element, recommended_bandwidth, typical_volume
from quests_jax.studies.outliers import QUANTILE, Outliers, find_outliers
from quests_jax.studies.saturation import saturation

SHOWN = 10  # structures in a table; outputs hold all of them


@command(
    FILES,
    REFERENCE_OR_FILE,
    click.option(
        "-q",
        "--quantile",
        type=float,
        default=QUANTILE,
        show_default=True,
        help="Quantile of the reference's own delta entropies above which an environment is an outlier.",
    ),
    *KERNEL,
    *WORK,
    kind="diagnosis",
    examples=(
        "outliers data.xyz -o outliers.xyz -o outliers.png",
        "outliers large/ -r known.xyz --work folder -o outliers.json",
        "outliers new.xyz -r known.xyz -q 0.999 -o outliers.json",
        "outliers data.xyz -o outliers.chemiscope.json.gz",
    ),
)
def outliers(run: Run, files: Inputs, reference: Inputs | None, quantile: float) -> Report:
    """Find environments of FILE that are foreign to a reference, or to the rest of FILE.

    The threshold is a quantile of what the reference says of itself: the delta entropy of each of its
    environments against all its other structures. Extended xyz outputs hold delta_entropy and outlier of
    every atom, as does a file for chemiscope, which draws a map of all environments beside the structures.
    With --work, environments of FILE stay on disk, and outputs are .json and figures; without -r every two
    shards are compared, so the time grows with the square of their number.
    """
    if run.work is not None:
        return _outliers_on_disk(run, files, run.work, reference, quantile)
    known = None if reference is None else run.load(reference)
    given = run.load(files)
    with located((reference or files).name), run.stage("delta_entropy"):
        found = find_outliers(
            given.envs, None if known is None else known.envs, quantile=quantile, bandwidth=run.bandwidth
        )
    arrays = {"delta_entropy": found.delta_entropy, "outlier": found.is_outlier.astype(int)}
    structures = labeled(given, arrays)

    def view(path: Path) -> None:
        write_viewer(path, structures, given.x, arrays, cutoff=run.parameters["cutoff"])

    report = _report_outliers(
        run, found, given.name, np.asarray(given.envs.structure_id), given.places, quantile
    )
    return report._replace(structures=structures, view=view)


def _outliers_on_disk(
    run: Run, files: Inputs, work: Work, reference: Inputs | None, quantile: float
) -> Report:
    """`outliers` of environments on disk."""
    if any(path.suffix not in (".json", *FIGURE_SUFFIXES) for path in run.writing.outputs):
        raise InputError("with --work, structures are never in memory all at once; write to a .json file.")
    known = None if reference is None else run.load(reference).envs

    def measure() -> tuple[Shards, Outliers]:
        shards = shards_of(run, files, work)
        with located((reference or files).name), run.stage("delta_entropy"):
            asked = {"quantile": quantile, "bandwidth": run.bandwidth}
            return shards, outliers_of_shards(shards, known, **asked)

    shards, found = rerun_after_repairs(measure)
    places = [shards.structures.place(number) for number in range(len(shards.counts))]
    structure_id = np.repeat(np.arange(len(shards.counts)), shards.counts)
    return _report_outliers(run, found, files.name, structure_id, places, quantile)


def _report_outliers(
    run: Run,
    found: Outliers,
    name: str,
    structure_id: np.ndarray,
    places: Sequence[Place],
    quantile: float,
) -> Report:
    numbers = {"threshold": found.threshold, "quantile": quantile, "outliers": int(found.is_outlier.sum())}
    data = {"n_structures": len(places), "n_environments": len(structure_id)} | numbers
    data |= {
        "structures": [row._asdict() for row in found.structures],
        "structure_id": structure_id,
        "delta_entropy": found.delta_entropy,
    }
    return Report(
        data,
        [
            (row.structure, row.max_delta_entropy, row.atom, row.outliers, row.atoms)
            for row in found.structures
        ][:SHOWN],
        ("structure", "largest δH", "of atom", "outliers", "atoms"),
        draw=partial(draw, [histogram(found.delta_entropy, found.threshold)], title=run.title(name)),
        advice=about_outliers(found, places),
    )


@command(
    FILES,
    SEED,
    click.option(
        "--sample", type=int, default=4000, show_default=True, help="Number of environments to look at."
    ),
    *DESCRIPTOR,
    kind="figures",
    examples=("bandwidth data.xyz -o bandwidth.png",),
)
def bandwidth(run: Run, files: Inputs, sample: int, seed: int) -> Report:
    """Bandwidths that fit FILE, by five rules.

    Two rules use the volume per atom only. The others use the environments: the elbow of H(h)/ln n, the
    bandwidth at which 1 % of held-out structures' environments are novel, and the largest likelihood of one
    half of the structures under the other. Where elements are told apart, the recommended rule is also given
    for each element alone.
    """
    given = run.load(files)
    volume = None if run.is_learned else typical_volume(given.structures)
    with located(given.name), run.stage("bandwidths"):
        found = recommended_bandwidth(given.envs, volume=volume, sample=sample, seed=seed, likelihood=True)
        each = bandwidths_by_element(given.envs, sample=sample, seed=seed)
    by_element = {chemical_symbols[Z]: value for Z, value in each.items()}
    rules = {found.rule: found.value} | found.others
    data = {"n_environments": min(sample, len(given.envs)), "seed": seed, "rules": rules}
    data |= {"recommended": found.value, "disagreement": found.disagreement, "failed": found.failed}
    data |= {"bandwidths": found.bandwidths, "entropy_over_ln_n": found.entropy_over_ln_n}
    data["by_element"] = by_element
    unit = "" if run.is_learned or run.anonymous else " (Å⁻¹)"
    rows = [(f"{name}{unit}", value) for name, value in rules.items()]
    rows += [(f"{name}{unit}", "none") for name in found.failed]
    rows.append((f"recommended ({found.rule} rule)", found.value))
    if len(by_element) > 1:
        rows += [(f"recommended for {symbol} alone", value) for symbol, value in by_element.items()]
    chart = bandwidth_chart(found.bandwidths, found.entropy_over_ln_n, rules)
    drawn = partial(draw, [chart], title=run.title(given.name))
    return Report(
        data, rows, draw=drawn, advice=about_bandwidth(found, typed(files), several=len(by_element) > 1)
    )


@command(
    FILES,
    SEED,
    click.option("--repeats", type=int, default=5, show_default=True, help="Number of random orders."),
    *KERNEL,
    kind="figures",
    examples=("learning-curve data.xyz -o curve.png -o curve.json",),
)
def learning_curve(run: Run, files: Inputs, repeats: int, seed: int) -> Report:
    """Entropy of growing samples of FILE, and what more data would add.

    Samples are drawn without replacement. The information gap is the limit of the fitted curve minus the
    entropy of everything.
    """
    given = run.load(files)
    with run.stage("learning curve"):
        found = saturation(given.envs, repeats=repeats, bandwidth=run.bandwidth, seed=seed)
    curve = found.curve
    data = {"n_environments": len(given.envs), "seed": seed, "repeats": repeats, "sizes": curve.sizes}
    data |= {"entropy": curve.mean, "half_width": curve.half_width}
    data |= {"limit": found.limit, "information_gap": found.gap}
    rows = [
        (f"{size:,}", mean, width)
        for size, mean, width in plain(list(zip(curve.sizes, curve.mean, curve.half_width, strict=True)))
    ]
    rows += [("limit of the fit", found.limit, ""), ("information gap", found.gap, "")]
    drawn = partial(draw, [learning_chart(curve, found.limit)], title=run.title(given.name))
    header = ("environments", "H (nats)", "± (95 %)")
    return Report(data, rows, header, draw=drawn, advice=about_saturation(found, typed(files)))
