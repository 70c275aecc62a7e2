"""The command that chooses structures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from ase import Atoms

from quests_jax.atoms.writing import add_labels
from quests_jax.base.checks import InputError, located
from quests_jax.base.filter_expressions import Facts
from quests_jax.base.selection_size import Size
from quests_jax.cli.choice_sentences import about_faults, rules_in_lines
from quests_jax.cli.choice_table import choice_report, sheet_of
from quests_jax.cli.file_arguments import Inputs
from quests_jax.cli.information import advise
from quests_jax.cli.input_contents import Given, Origin, origin_of
from quests_jax.cli.main_command import command
from quests_jax.cli.options import CHOICE, FILES, KERNEL, QUOTAS, REFERENCE, SEED, WORK
from quests_jax.cli.past_memory import described_on_disk, reference_of, structures_on_disk
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.cli.typed_again import (
    AGAIN,
    DESCRIPTION,
    typed,
)
from quests_jax.cover import prefix_metrics
from quests_jax.cover.rules.registry import find_rule
from quests_jax.disk import Work, compress_shards, rerun_after_repairs
from quests_jax.disk.structure_facts import bare_facts, divided_structures, known_facts
from quests_jax.studies.candidate_pool import Pool
from quests_jax.studies.candidates import (
    Candidates,
    are_isolated,
    describe_kept,
    divided,
    everything,
    facts_of,
    labels_of,
    numbers_of,
)
from quests_jax.studies.choice_within_limits import STRATIFIED, Amount, Groups
from quests_jax.studies.cleaning import find_broken
from quests_jax.studies.compression import CERTIFICATES, compress_environments

MEMORY = "needs the data in memory; leave out --work."
QUOTAS_OF_LABELS = ("keep", "drop", "by", "at_least")


class Asked(NamedTuple):
    """Options of `compress`, by their names on the command line."""

    size: Size | None
    atoms: Size | None
    budget: Size | None
    cost: str | None
    coverage: float | None
    min_gain: float | None
    method: str | None
    keep: tuple[str, ...]
    drop: tuple[str, ...]
    by: str | None
    at_least: int
    order: str | None
    rest: Path | None
    index_key: str | None
    certify: str
    exact: bool
    prefixes: bool
    seed: int


@command(
    FILES,
    *CHOICE,
    click.option(
        *("-m", "--method"),
        help="Rule of choice, see below.  [default: msc; cover with --coverage or --min-gain]",
    ),
    REFERENCE,
    *QUOTAS,
    click.option(
        "--order",
        type=click.Choice(["choice", "original"]),
        help="Order of the structures that are written.  [default: choice; original if all are chosen]",
    ),
    click.option("--rest", type=Path, help="File for the structures that are not chosen."),
    click.option("--index-key", help="Name in info for the number that each structure has in its file."),
    click.option(
        "--certify",
        type=click.Choice(CERTIFICATES),
        default="quick",
        show_default=True,
        help="Effort for the bound of what any choice could cover: quick takes about as long as the rest.",
    ),
    click.option(
        "--exact",
        is_flag=True,
        help="Compute the entropy of all environments exactly, however many there are.",
    ),
    click.option("--prefixes", is_flag=True, help="Measure the first 1, 2, ... structures too, in JSON."),
    SEED,
    *KERNEL,
    *WORK,
    kind="choice",
    examples=(
        "compress data.xyz -s 0.1 -o small.xyz -o small.json",
        "compress data.xyz --coverage 0.99 -o covering.xyz -o picks.csv",
        "compress data.xyz --atoms 20% -m cover -o small.xyz --rest others.xyz",
        "compress new.xyz -r known.xyz -s 20 -m cover -o added.xyz",
        "compress data.xyz -s 20 --by config_type --keep 'config_type=surface*' --drop 'max_force>50'",
        "compress 'runs/*.xyz' md.traj@::10 -s 5% -m cover --order original -o small.xyz",
        "compress data.xyz -s 1.0 -m cover --prefixes -o curve.json",
        "compress large.xyz.gz -s 0.05 -m cover --work folder -o small.xyz",
    ),
    notes=rules_in_lines(),
)
def compress(run: Run, files: Inputs, reference: Inputs | None, **options: Any) -> Report:
    """Choose the most informative structures of FILE.

    Say how many with one or more of these: a number or share of the structures (-s), of the atoms (--atoms)
    or of a cost of your own (--cost, --budget), the coverage to reach (--coverage), or the smallest gain
    in coverage that a structure is worth (--min-gain). Structures are written in order of choice, so the
    first n of them are the choice of size n; if all are chosen, in the order of FILE. From extended xyz
    to extended xyz they are copied as they stand. Isolated atoms among larger structures stay unless
    --drop names them. With --work, environments stay on disk, and what is finished is kept for the next
    run; with --scheduler, the workers of a Dask cluster that see the same folder divide the work.

    Conditions of --keep and --drop compare what info holds, formula, elements, n_atoms, energy_per_atom and
    max_force: 'config_type=bulk*', 'n_atoms>200 or max_force>=30', 'not REF_energy'.
    """
    asked = Asked(**options)
    if asked.method not in (None, STRATIFIED):
        find_rule(asked.method)
    run.refuse_bare_matrix(files)
    if run.work is not None:
        return _compress_on_disk(run, files, run.work, reference, asked)
    given = run.read(files, check=False)  # what is described is checked
    with located(given.name):
        facts, division = _divided(given, asked)
        amount, groups = _amount(asked, facts, division)
    known = None if reference is None else run.load(reference).envs
    data = run.describe(given.some(division.remaining))
    advise(files, len(data.envs), "-m cover --work FOLDER")
    fit = run.judge_bandwidth(data.envs)
    pool = Pool(data.envs, np.searchsorted(division.remaining, division.kept), division.remaining)
    with located(given.name):
        selection, summary = compress_environments(
            pool,
            amount,
            method=asked.method,
            reference=known,
            groups=groups,
            bandwidth=run.bandwidth,
            seed=asked.seed,
            certify=asked.certify,
            exact=asked.exact,
        )
    if asked.prefixes or run.writes(".csv"):
        order = np.searchsorted(division.remaining, selection.selected)
        with run.stage("prefixes"):
            found = prefix_metrics(data.envs, order, bandwidth=run.bandwidth, reference=known)
        summary["prefixes"] = found._asdict()
    counts = np.zeros(len(given.places), int)
    counts[division.remaining] = data.envs.counts
    again, kept = _again(files, reference, fits=fit.fits), describe_kept(facts, division)
    summary |= {"dropped": division.dropped}
    report = choice_report(run, summary, files, again, kept)
    report = _delivered(report, files, origin_of(given, counts), asked)
    if asked.rest is not None:
        rest = np.setdiff1d(np.arange(len(given.structures)), selection.selected)
        report = report._replace(apart={asked.rest: [given.structures[int(i)] for i in rest]})
    return report


def _divided(given: Given, asked: Asked) -> tuple[Sequence[Facts], Candidates]:
    """What is known of each structure, and which are open to choice."""
    if given.structures:
        facts = list(map(facts_of, given.structures))
        return facts, divided(facts, are_isolated(given.structures), keep=asked.keep, drop=asked.drop)
    for name in ("keep", "drop", "by", "cost", "rest", "index_key"):
        if getattr(asked, name):
            raise InputError(f"holds descriptors; --{name.replace('_', '-')} needs structures.")
    return [], everything(len(given.places))


def _amount(asked: Asked, facts: Sequence[Facts], division: Candidates) -> tuple[Amount, Groups | None]:
    """How much is asked for, of what is open to choice, and the quotas."""
    cost, groups = None, None
    if asked.cost is not None:
        cost = np.ones(len(facts))  # what stays besides costs nothing
        cost[division.pool] = numbers_of(facts, asked.cost, division.pool)
    if asked.by is not None:
        groups = Groups(labels_of(facts, asked.by, division.pool), asked.at_least)
    amount = Amount(asked.size, asked.atoms, asked.budget, cost, asked.coverage, asked.min_gain)
    return amount.resolved(len(division.pool)), groups


def _written(origin: Origin, numbers: np.ndarray, asked: Asked) -> Sequence[Atoms]:
    """The chosen structures, with their numbers where that is asked for."""
    chosen = origin.read(numbers)
    if asked.index_key is not None and chosen:
        for number, atoms in zip(numbers.tolist(), chosen, strict=True):
            add_labels(atoms, labels={asked.index_key: origin.place(number)[1]})
    return chosen


def _ordered(selected: np.ndarray, n_structures: int, asked: Asked) -> np.ndarray:
    """Numbers of the chosen structures as they are written; all of them make the file that was read."""
    usual = "original" if len(selected) == n_structures else "choice"
    return np.sort(selected) if (asked.order or usual) == "original" else selected


def _delivered(report: Report, files: Inputs, origin: Origin, asked: Asked) -> Report:
    """The report with the chosen structures, their places and the sheet, and what is wrong with them."""
    summary = report.data
    selected = np.asarray(summary["selected"], int)
    summary["places"] = [origin.place(number) for number in selected.tolist()]
    sheet = sheet_of(summary, origin.counts[selected].tolist())
    if not asked.prefixes:
        summary.pop("prefixes", None)
    numbers = _ordered(selected, len(origin.counts), asked)
    return _with_faults(
        report._replace(sheet=sheet, structures=_written(origin, numbers, asked)), numbers, files
    )


def _compress_on_disk(run: Run, files: Inputs, work: Work, reference: Inputs | None, asked: Asked) -> Report:
    """`compress` of environments on disk."""
    for name in ("coverage", "min_gain", "rest"):
        if getattr(asked, name):
            raise InputError(f"--{name.replace('_', '-')} {MEMORY}")
    if asked.certify != "quick":
        raise InputError(f"--certify {MEMORY}")

    def choose_from_disk() -> Report:
        whole = structures_on_disk(run, files, work)
        needed = asked.keep or asked.drop or asked.by or asked.cost
        facts = known_facts(whole) if needed else bare_facts(whole)
        with located(files.name):
            division = divided_structures(whole, facts, keep=asked.keep, drop=asked.drop)
            amount, groups = _amount(asked, facts, division)
        known = None if reference is None else reference_of(run, reference, work)
        shards = described_on_disk(run, whole.without(division.dropped))
        if groups is not None:
            labels = np.zeros(len(facts), object)
            labels[division.pool] = groups.labels
            groups = groups._replace(labels=[str(label) for label in labels[division.remaining]])
        with located(files.name):
            summary = compress_shards(
                shards,
                amount,
                method=asked.method or "msc",
                reference=known,
                groups=groups,
                kept=np.searchsorted(division.remaining, division.kept),
                bandwidth=run.bandwidth,
                seed=asked.seed,
                exact=asked.exact,
                prefixes=asked.prefixes,
            )
        summary |= {"dropped": division.dropped}
        again, kept = _again(files, reference, fits=True), describe_kept(facts, division)
        origin = Origin(whole.counts, whole.place, whole.read)
        return _delivered(choice_report(run, summary, files, again, kept), files, origin, asked)

    return rerun_after_repairs(choose_from_disk)


def _again(files: Inputs, reference: Inputs | None, *, fits: bool) -> str:
    """The files and options with which another choice is made; a bandwidth that does not fit is left out."""
    options = (*(AGAIN if fits else DESCRIPTION), *QUOTAS_OF_LABELS)
    return typed(files, reference=reference, options=options) + ("" if fits else " -b auto")


def _with_faults(report: Report, numbers: np.ndarray, files: Inputs) -> Report:
    """The report, with what is wrong with the chosen structures, which have these numbers."""
    found = find_broken(report.structures) if report.structures else []  # descriptors have none
    broken = [finding._replace(structure=int(numbers[finding.structure])) for finding in found]
    places = dict(zip(map(int, report.data["selected"]), report.data["places"], strict=True))
    report.data["flawed"] = sorted({finding.structure for finding in broken})
    more = about_faults(broken, places, typed(files, options=()))
    return report._replace(advice=[*report.advice, *more])
