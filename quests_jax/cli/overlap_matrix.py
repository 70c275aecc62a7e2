"""The command that compares the parts of a data set with each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import click
import numpy as np

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.cli.diagnosis_sentences import about_parts
from quests_jax.cli.file_arguments import Inputs
from quests_jax.cli.main_command import command
from quests_jax.cli.options import FILES, KERNEL, WORK
from quests_jax.cli.past_memory import described_on_disk, structures_on_disk
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.disk import Shards, Work, overlaps_of_shards, rerun_after_repairs
from quests_jax.disk.structure_facts import known_facts
from quests_jax.output.matplotlib_figures import draw_overlaps
from quests_jax.studies.overlaps import Parts, overlaps_of_parts

T = TypeVar("T")


@command(
    FILES,
    click.option("--by", help="Label of structures, such as config_type, that makes parts of a file."),
    *KERNEL,
    *WORK,
    kind="figures",
    examples=(
        "overlap-matrix bulk.xyz surfaces.xyz liquid.xyz -o overlaps.png",
        "overlap-matrix large.xyz larger.xyz.gz --work folder -o overlaps.json",
        "overlap-matrix data.xyz --by config_type -o overlaps.json -o overlaps.pdf",
    ),
)
def overlap_matrix(run: Run, files: Inputs, by: str | None) -> Report:
    """Share of each part of FILES that each other part covers, and their entropies.

    Parts are files, or the structures of a file that share a label. A row covers, a column is covered. With
    --work, environments stay on disk.
    """
    work = run.work
    if work is None:
        parts = _named(files, by, partial(_parts, run))
        with run.stage("overlaps"):
            found = overlaps_of_parts(list(parts), list(parts.values()), bandwidth=run.bandwidth)
    else:

        def on_disk() -> Parts:
            parts = _named(files, by, partial(_parts_on_disk, run, work))
            with run.stage("overlaps"):
                return overlaps_of_shards(list(parts), list(parts.values()), bandwidth=run.bandwidth)

        found = rerun_after_repairs(on_disk)
    data = {"names": found.names, "by": by, "n_environments": found.n_environments}
    data |= {"entropies": found.entropies, "max_entropies": found.limits, "tolerance": found.tolerance}
    data |= {"overlaps": found.overlaps}
    cells = []
    for part, name in enumerate(found.names):
        best, share = found.covered_most_by(part)
        numbers = float(found.entropies[part]), float(found.limits[part])
        cells.append((name, found.n_environments[part], *numbers, best or "none", 100 * share))
    title = run.title(files.name)
    drawn = partial(draw_overlaps, found.names, found.overlaps, found.entropies, found.limits, title=title)
    header = ("part", "environments", "H (nats)", "ln n", "covered most by", "overlap (%)")
    return Report(data, cells, header, draw=drawn, advice=about_parts(found))


def _named(
    files: Inputs, by: str | None, split: Callable[[Inputs, str | None], dict[str, T]]
) -> dict[str, T]:
    """All parts of all files by name; a label bears the name of its file where there are several."""
    parts = {}
    for file in files.each():
        for label, part in split(file, by).items():
            several = by is not None and len(files.files) > 1
            parts[f"{file.name}: {label}" if several else label] = part
    if len(parts) < 2:
        raise InputError(
            f"{files.name}: is one part only; give several files, or --by a label of structures."
        )
    return parts


def _parts(run: Run, file: Inputs, by: str | None) -> dict[str, Environments]:
    """Environments of the parts of a file: all of it, or one for each value of a label."""
    given = run.load(file)
    if by is None:
        return {file.name: given.envs}
    labels = _labels(file, by, [atoms.info for atoms in given.structures], given.envs.counts)
    number = np.asarray(given.envs.structure_id)
    return {label: given.envs.take((labels == label)[number]) for label in _filled(labels)}


def _parts_on_disk(run: Run, work: Work, file: Inputs, by: str | None) -> dict[str, Shards]:
    """`_parts` of environments on disk."""
    whole = structures_on_disk(run, file, work)
    if by is None:
        return {file.name: described_on_disk(run, whole)}
    labels = _labels(file, by, known_facts(whole), whole.counts)
    others = {label: np.flatnonzero(labels != label) for label in _filled(labels)}
    return {label: described_on_disk(run, whole.without(numbers)) for label, numbers in others.items()}


def _labels(file: Inputs, by: str, known: Sequence[Mapping[str, Any]], counts: np.ndarray) -> np.ndarray:
    """The label of every structure; "" of those without atoms."""
    if not len(known) or any(by not in facts for facts in known):
        raise InputError(f"{file.name}: some structures have no {by}; name a label that all of them have.")
    labels = [str(facts[by]) if count else "" for facts, count in zip(known, counts, strict=True)]
    return np.array(labels)


def _filled(labels: np.ndarray) -> list[str]:
    """Labels of structures with atoms, in the order in which they come."""
    return [label for label in dict.fromkeys(labels.tolist()) if label]
