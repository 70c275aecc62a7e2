"""The commands that show what a data set holds and lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from quests_jax.cli.options import DESCRIPTOR, FILE, KERNEL, REFERENCE, REFERENCE_OR_FILE, SEED
from quests_jax.cli.shell import command

if TYPE_CHECKING:
    from quests_jax.cli.run import Report, Run


@command(
    FILE,
    REFERENCE_OR_FILE,
    click.option(
        "-q",
        "--quantile",
        type=float,
        default=0.99,
        show_default=True,
        help="Of the reference's own delta entropies: above it, an environment is an outlier.",
    ),
    *KERNEL,
    kind="diagnosis",
    examples=(
        "outliers data.xyz -o outliers.xyz -o outliers.png",
        "outliers new.xyz -r known.xyz -q 0.999 -o outliers.json",
        "outliers data.xyz -o outliers.chemiscope.json.gz",
    ),
)
def outliers(run: Run, file: str, reference: str | None, quantile: float) -> Report:
    """Find environments of FILE that are foreign to a reference, or to the rest of FILE.

    The threshold is a quantile of what the reference says of itself: the delta entropy of each of its
    environments against all its other structures. Extended xyz outputs hold delta_entropy and outlier of
    every atom, as does a file for chemiscope, which draws a map of all environments beside the structures.
    """
    from quests_jax.cli import diagnostics

    return diagnostics.outliers(run, file, reference, quantile)


@command(
    FILE,
    SEED,
    click.option("--sample", type=int, default=4000, show_default=True, help="Environments to look at."),
    *DESCRIPTOR,
    kind="figures",
    examples=("bandwidth data.xyz -o bandwidth.png",),
)
def bandwidth(run: Run, file: str, sample: int, seed: int) -> Report:
    """Bandwidths that fit FILE, by five rules.

    Two rules use the volume per atom only. The others use the environments: the elbow of H(h)/ln n, the
    bandwidth at which 1 % of held-out structures' environments are novel, and the largest likelihood of one
    half of the structures under the other.
    """
    from quests_jax.cli import diagnostics

    return diagnostics.bandwidth(run, file, sample, seed)


@command(
    FILE,
    SEED,
    click.option("--repeats", type=int, default=5, show_default=True, help="Random orders."),
    *KERNEL,
    kind="figures",
    examples=("learning-curve data.xyz -o curve.png -o curve.json",),
)
def learning_curve(run: Run, file: str, repeats: int, seed: int) -> Report:
    """Entropy of growing samples of FILE, and what more data would add.

    Samples are drawn without replacement. The information gap is the limit of the fitted curve minus the
    entropy of everything.
    """
    from quests_jax.cli import diagnostics

    return diagnostics.learning_curve(run, file, repeats, seed)


@command(
    FILE,
    REFERENCE,
    *KERNEL,
    kind="figures",
    examples=("trajectory md.xyz -r training.xyz -o md.png -o md.json",),
)
def trajectory(run: Run, file: str, reference: str | None) -> Report:
    """Entropy and diversity of every frame of FILE, and its novelty to a reference."""
    from quests_jax.cli import diagnostics

    return diagnostics.trajectory(run, file, reference)


@command(
    FILE,
    REFERENCE,
    *KERNEL,
    kind="report",
    examples=(
        "report data.xyz -o report.html",
        "report data.xyz -r training.xyz -o report.html -o report.json",
    ),
)
def report(run: Run, file: str, reference: str | None) -> Report:
    """Write one self-contained page about FILE.

    What it holds, its entropy and learning curve, what compression keeps with the certified bound, force
    tails, and outliers with structure numbers. Open it in any browser; it needs no network.
    """
    from quests_jax.cli import diagnostics

    return diagnostics.report(run, file, reference)
