"""The command that follows a simulation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import click
import numpy as np

from quests_jax.atoms.formats import structure_suffix
from quests_jax.base.environments import Environments
from quests_jax.cli.diagnosis_sentences import (
    about_trajectory,
)
from quests_jax.cli.file_arguments import Inputs
from quests_jax.cli.input_contents import Origin, origin_of
from quests_jax.cli.main_command import command
from quests_jax.cli.options import FILES, KERNEL, REFERENCE, WORK
from quests_jax.cli.past_memory import shards_of
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.cli.typed_again import (
    Place,
)
from quests_jax.disk import follow_shards, rerun_after_repairs
from quests_jax.output.chart_data import trajectory_charts
from quests_jax.output.matplotlib_figures import draw
from quests_jax.studies.trajectories import QUANTILE, Trajectory, follow

SHOWN = 10  # frames in a table; outputs hold all of them


@command(
    FILES,
    REFERENCE,
    click.option(
        *("-q", "--quantile"),
        type=float,
        default=QUANTILE,
        show_default=True,
        help="Threshold: the delta entropy below which this share of structures like the reference's stays.",
    ),
    click.option("--above", type=float, help="Threshold in nats instead; frames above it are written."),
    click.option("--fail-above", type=float, help="Exit with code 1 if a frame lies above this, in nats."),
    *KERNEL,
    *WORK,
    kind="frames",
    examples=(
        "trajectory md.xyz -r training.xyz -o md.png -o md.json",
        "trajectory md.xyz -r training.xyz --above 5 -o novel.xyz",
        "trajectory md.xyz -r training.xyz --fail-above 20 --quiet",
    ),
)
def trajectory(
    run: Run,
    files: Inputs,
    reference: Inputs | None,
    quantile: float,
    above: float | None,
    fail_above: float | None,
) -> Report:
    """Follow a simulation: what each frame holds, and where it leaves what a reference knows.

    A frame is outside if an atom's delta entropy against the reference lies above the threshold. It comes
    from the reference's own structures, each measured against all others: of further frames of their kind at
    most 1 % lie above it, or more where the reference has less than a hundred structures; the output says how
    many. The table shows the worst frames first; structure outputs hold the frames that are outside. With
    --work, environments of FILE stay on disk.
    """
    known = None if reference is None else run.load(reference).envs
    found, origin = _followed(run, files, known, {"threshold": above, "quantile": quantile})
    counts, places = origin.counts, [origin.place(number) for number in range(len(origin.counts))]
    frames = _frames(found, places)
    data = {"n_structures": len(counts), "n_environments": int(counts.sum()), "frames": frames}
    order = list(range(0, len(frames), -(-len(frames) // SHOWN)))
    written = any(structure_suffix(path) is not None for path in run.writing.outputs)
    structures, threshold, failed, element = [], None, False, ""
    if (novelty := found.novelty) is not None:
        order, threshold = novelty.order()[:SHOWN].tolist(), novelty.threshold
        outside = novelty.above
        data |= {
            "threshold": threshold,
            "false_alarms": novelty.alarms,
            "above": outside,
            "worst": novelty.worst,
        }
        data |= {"first": int(outside[0]) if len(outside) else None}
        structures = origin.read(outside) if written else []
        if len(outside) and len(worst := origin.read(np.array([novelty.worst]))):
            element = str(worst[0].symbols[int(novelty.atom[novelty.worst])])
        failed = fail_above is not None and bool((novelty.largest > fail_above).any())
    one_file = len({file for file, _ in places}) == 1
    names = list(frames[0])[1 if one_file else 0 :]
    return Report(
        data,
        [[frames[i][name] for name in names] for i in order],
        [name.replace("_", " ").replace("max delta entropy", "largest δH") for name in names],
        sets=[structures],
        draw=partial(draw, trajectory_charts(frames, threshold), title=run.title(files.name)),
        advice=about_trajectory(found, origin.place, element, written=written),
        failed=failed,
    )


def _followed(
    run: Run, files: Inputs, known: Environments | None, options: dict[str, Any]
) -> tuple[Trajectory, Origin]:
    """The trajectory, and where its frames come from."""
    work = run.work
    if work is None:
        given = run.load(files)
        with run.stage("frames"):
            found = follow(given.envs, known, bandwidth=run.bandwidth, **options)
        return found, origin_of(given, given.envs.counts)

    def on_disk() -> tuple[Trajectory, Origin]:
        shards = shards_of(run, files, work)
        with run.stage("frames"):
            found = follow_shards(shards, known, bandwidth=run.bandwidth, **options)
        return found, Origin(shards.counts, shards.structures.place, shards.structures.read)

    return rerun_after_repairs(on_disk)


def _frames(found: Trajectory, places: Sequence[Place]) -> list[dict[str, float | int | str | None]]:
    """One row per frame, with its number in its file; None where a frame has no atoms."""
    columns = {"entropy": found.entropy, "diversity": found.diversity}
    if found.novelty is not None:
        columns |= {"novel": found.novelty.novel, "max_delta_entropy": found.novelty.largest}
        columns |= {"atom": found.novelty.atom}
    rows = []
    for number, (file, index) in enumerate(places):
        row = {name: column[number].item() for name, column in columns.items()}
        empty = np.isnan(found.entropy[number])
        rows.append({"file": file, "frame": index} | (dict.fromkeys(row) if empty else row))
    return rows
