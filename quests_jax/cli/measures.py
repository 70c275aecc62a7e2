"""The commands that measure a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from quests_jax.cli.options import DESCRIPTOR, FILE, KERNEL, REFERENCE_HELP, WORK
from quests_jax.cli.shell import command

if TYPE_CHECKING:
    from quests_jax.cli.run import Report, Run


@command(
    FILE,
    *DESCRIPTOR,
    kind="descriptors",
    examples=("descriptors data.xyz -o data.npz", "descriptors salt.xyz --species Na,Cl -o salt.npz"),
)
def descriptors(run: Run, file: str) -> Report:
    """Descriptors of the environments of FILE.

    A .npz output can stand wherever a structure file can; a .npy output holds the matrix alone.
    """
    from quests_jax.cli import commands

    return commands.descriptors(run, file)


@command(FILE, *KERNEL, examples=("entropy data.xyz -b 0.015 -o entropy.json",))
def entropy(run: Run, file: str) -> Report:
    """Entropy H of the environments of FILE, in nats."""
    from quests_jax.cli import commands

    return commands.entropy(run, file)


@command(FILE, *KERNEL, examples=("diversity data.xyz",))
def diversity(run: Run, file: str) -> Report:
    """Diversity D of the environments of FILE, in nats.

    It is the logarithm of how many environments are distinct at this bandwidth.
    """
    from quests_jax.cli import commands

    return commands.diversity(run, file)


@command(
    FILE,
    *KERNEL,
    click.option("--sample", type=int, help="Estimate from this many environments, with an interval."),
    *WORK,
    examples=(
        "metrics data.xyz --json",
        "metrics large.xyz.gz --work folder --sample 2000",
        "metrics large.xyz.gz --work folder -o metrics.json",
    ),
)
def metrics(run: Run, file: str, sample: int | None) -> Report:
    """Entropy, diversity and efficiency of FILE.

    The efficiency is the entropy in percent of its maximum, the logarithm of the number of environments.
    With --work, environments stay on disk, and what is finished is kept for the next run.
    """
    from quests_jax.cli import commands

    return commands.metrics(run, file, sample)


@command(
    FILE,
    click.option("-r", "--reference", required=True, help=REFERENCE_HELP),
    *KERNEL,
    kind="atoms",
    examples=("delta-entropy new.xyz -r known.xyz -o new_dH.xyz -o new_dH.json",),
)
def delta_entropy(run: Run, file: str, reference: str) -> Report:
    """Delta entropy of every atom of FILE, in nats.

    Above 0 an environment is novel to the reference. Extended xyz outputs hold it as a per-atom array.
    """
    from quests_jax.cli import commands

    return commands.delta_entropy(run, file, reference)


@command(
    click.argument("test"),
    click.argument("reference"),
    *KERNEL,
    examples=("overlap test.xyz train.xyz -o overlap.json",),
)
def overlap(run: Run, test: str, reference: str) -> Report:
    """Share of TEST that REFERENCE covers.

    An environment is covered if its delta entropy against REFERENCE is below the tolerance.
    """
    from quests_jax.cli import commands

    return commands.overlap(run, test, reference)


@command(
    click.argument("files", nargs=-1, required=True),
    click.option("--by", help="Label of structures, such as config_type, that makes parts of a file."),
    *KERNEL,
    kind="figures",
    examples=(
        "overlap-matrix bulk.xyz surfaces.xyz liquid.xyz -o overlaps.png",
        "overlap-matrix data.xyz --by config_type -o overlaps.json -o overlaps.pdf",
    ),
)
def overlap_matrix(run: Run, files: tuple[str, ...], by: str | None) -> Report:
    """Share of each part of FILES that each other part covers, and their entropies.

    Parts are files, or the structures of a file that share a label. A row covers, a column is covered.
    """
    from quests_jax.cli import diagnostics

    return diagnostics.overlap_matrix(run, files, by)
