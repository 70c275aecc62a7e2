"""The command that puts everything about a data set on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from quests_jax.base.checks import InputError
from quests_jax.base.jax_versions import versions
from quests_jax.cli.file_arguments import Inputs
from quests_jax.cli.main_command import command
from quests_jax.cli.options import FILES, KERNEL, REFERENCE, WORK
from quests_jax.cli.past_memory import load_some
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.cli.typed_again import (
    typed,
)
from quests_jax.studies.report_conclusions import conclusions
from quests_jax.studies.report_survey import Survey, survey


@command(
    FILES,
    REFERENCE,
    click.option(
        "--full", is_flag=True, help="Compute bounds of what any choice can cover too, which takes longer."
    ),
    *KERNEL,
    *WORK,
    kind="report",
    examples=(
        "report data.xyz -o report.html",
        "report data.xyz -r training.xyz --full -o report.html -o report.json",
    ),
)
def report(run: Run, files: Inputs, reference: Inputs | None, full: bool) -> Report:
    """Write one page about FILE to look at and to decide.

    Conclusions first; then a map of all structures with their atoms in 3D, a list to sort, pick and save;
    then entropy, learning curve, what compression keeps, force tails and outliers. Open it in any browser;
    it needs no network. With --work, the page is of structures drawn at random.
    """
    if not click.get_current_context().params["outputs"]:
        raise InputError("report writes a page and needs a file for it; add -o report.html.")
    known = None if reference is None else run.load(reference).envs
    given = load_some(run, files)
    with run.stage("report"):
        found = survey(given.structures, given.envs, bandwidth=run.bandwidth, known=known, full=full)
    lines = given.about_draw() + conclusions(found, typed(files))
    made = [run.command, run.caption(), ", ".join(f"{k} {v}" for k, v in versions().items())]

    def draw(path: Path) -> None:
        from quests_jax.output.report_page import page_of, write_page

        title = f"Data set report: {given.name}"
        write_page(path, page_of(title, lines, found, given.structures, given.envs, made))

    rows = [
        ("structures", given.envs.n_structures),
        ("environments", int(given.envs.counts.sum())),
        ("entropy (nats)", found.entropy),
        ("diversity (nats)", found.diversity),
    ]
    return Report(_numbers(found) | {"drawn_from": given.drawn_from}, rows, draw=draw, advice=lines)


def _numbers(found: Survey) -> dict[str, Any]:
    """The survey as JSON holds it."""
    against = found.against
    return {
        "n_structures": found.contents["structures"],
        "n_environments": found.contents["environments"],
        "contents": found.contents,
        "quality": found.quality._asdict(),
        "entropy": found.entropy,
        "diversity": found.diversity,
        "learning_curve_limit": found.saturation.limit,
        "information_gap": found.saturation.gap,
        "like_another": found.fit.like_another,
        "suffice": found.suffice,
        "compression": found.comparison,
        "force_tails": found.force_tails,
        "outlier_threshold": found.outliers.threshold,
        "outliers": [row._asdict() for row in found.outliers.structures],
        "reference": None
        if against is None
        else {
            "covered": against.overlap,
            "baseline": against.baseline,
            "covers": found.covers,
            "mean_delta_entropy": float(against.delta_entropy.mean()),
            "max_delta_entropy": float(against.delta_entropy.max()),
        },
    }
