"""The command that chooses structures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from ase import Atoms

from quests_jax.base.checks import InputError, located
from quests_jax.base.sizes import Size
from quests_jax.cli.inputs import Inputs, parse_inputs
from quests_jax.cli.measures import advise
from quests_jax.cli.options import FILES, KERNEL, SIZE, WORK
from quests_jax.cli.run import Report, Run
from quests_jax.cli.shell import command
from quests_jax.cover import prefix_metrics
from quests_jax.cover.rules.registry import find_rule
from quests_jax.disk import Work, compress_shards, persevere
from quests_jax.studies.compression import CERTIFICATES
from quests_jax.studies.compression import compress as choose


@command(
    FILES,
    SIZE,
    click.option(
        "-m",
        "--method",
        default="msc",
        show_default=True,
        help="Rule of choice: msc, pareto, cover, relaxed, or another that `compare` knows.",
    ),
    click.option(
        "-r",
        "--reference",
        callback=parse_inputs,
        help="File with data that is there already, to complement.",
    ),
    click.option(
        "--certify",
        type=click.Choice(CERTIFICATES),
        default="quick",
        show_default=True,
        help="Bound of what any choice could cover: within about the time of the rest, to the end, or none.",
    ),
    click.option("--exact", is_flag=True, help="Entropy of all environments exactly, however many."),
    click.option("--prefixes", is_flag=True, help="Measure the first 1, 2, ... structures too, in JSON."),
    *KERNEL,
    *WORK,
    kind="structures",
    examples=(
        "compress data.xyz -s 0.1 -o small.xyz -o small.json",
        "compress data.xyz -s 1.0 -m cover --prefixes -o curve.json",
        "compress new.xyz -r known.xyz -s 100 -m cover -o added.xyz",
        "compress large.xyz.gz -s 0.05 -m cover --work folder -o small.xyz",
    ),
)
def compress(
    run: Run,
    files: Inputs,
    size: Size,
    method: str,
    reference: Inputs | None,
    certify: str,
    exact: bool,
    prefixes: bool,
) -> Report:
    """Choose the most informative structures of FILE.

    Structures are written in order of choice, so the first n of them are the choice of size n. With --work
    and -m cover, environments stay on disk, and what is finished is kept for the next run; with
    --coordinator, several processes that see the same folder divide the work.
    """
    find_rule(method)
    run.refuse_bare_matrix(files)
    if run.work is not None:
        if prefixes:
            raise InputError("--prefixes needs the data in memory; leave out --work.")
        return _compress_on_disk(run, files, run.work, size, method, reference)
    known = None if reference is None else run.load(reference).envs
    given = run.load(files)
    advise(files, len(given.x), "-m cover --work FOLDER")
    run.judge_bandwidth(given.envs)
    with located(given.name):
        options = {"bandwidth": run.bandwidth, "certify": certify, "exact": exact}
        result = choose(given.envs, size=size, method=method, reference=known, **options)
    if prefixes:
        with run.stage("prefixes"):
            options = {"bandwidth": run.bandwidth, "reference": None if known is None else known.x}
            found = prefix_metrics(given.envs, result.selection.selected, **options)._asdict()
        result.summary["prefixes"] = found
    chosen = [given.structures[i] for i in result.selection.selected] if given.structures else []
    return _report(run, result.summary, chosen)


def _compress_on_disk(
    run: Run, files: Inputs, work: Work, size: Size, method: str, reference: Inputs | None
) -> Report:
    """`compress` of environments on disk."""
    if method != "cover":
        raise InputError("with --work, use -m cover; other rules need the data in memory.")

    def choose_from_disk() -> tuple[dict[str, Any], Sequence[Atoms]]:
        shards = run.shards(files, work)
        with located(files.name):
            count = size.of(len(shards.counts))
        known = None if reference is None else run.known(reference, work)
        summary = compress_shards(shards, count=count, bandwidth=run.bandwidth, reference=known)
        return summary, [] if run.silent else shards.frames.read(summary["selected"])

    return _report(run, *persevere(choose_from_disk))


def _report(run: Run, summary: dict[str, Any], chosen: Sequence[Atoms]) -> Report:
    run.add(summary.pop("seconds"))
    rows = [
        ("structures", summary["n_structures"], summary["size"]),
        ("environments", summary["n_environments"], summary["selected_environments"]),
        ("entropy (nats)", summary["entropy_full"], summary["entropy"]),
        ("diversity (nats)", summary["diversity_full"], summary["diversity"]),
        ("overlap", 1.0, summary["overlap"]),
        ("largest delta entropy (nats)", "", summary["max_delta_entropy"]),
        ("certified ratio", "", summary["certified_ratio"]),
    ]
    return Report(summary, rows, ("", "all", summary["method"]), structures=chosen)
