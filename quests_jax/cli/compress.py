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
from quests_jax.base.selection_size import Size
from quests_jax.base.wording import counted
from quests_jax.cli.choice_sentences import about_faults, rules_in_lines
from quests_jax.cli.choice_table import choice_report, sheet_of
from quests_jax.cli.command_group import command
from quests_jax.cli.command_run import Report, Run
from quests_jax.cli.diagnosis_sentences import AGAIN, DESCRIPTION, typed
from quests_jax.cli.information import advise
from quests_jax.cli.inputs import Inputs
from quests_jax.cli.loaded_data import Data, Given
from quests_jax.cli.options import CHOICE, FILES, KERNEL, QUOTAS, REFERENCE, SEED, WORK
from quests_jax.cover import prefix_metrics
from quests_jax.cover.rules.registry import find_rule
from quests_jax.disk import Work, compress_shards, rerun_after_repairs
from quests_jax.disk.compression import isolated_atoms
from quests_jax.studies.candidates import (
    Candidates,
    describe_kept,
    everything,
    find_candidates,
    labels_of,
    numbers_of,
)
from quests_jax.studies.choosing import STRATIFIED, Amount, Groups
from quests_jax.studies.cleaning import find_broken
from quests_jax.studies.compression import CERTIFICATES, compress_environments
from quests_jax.studies.pool import Pool

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

    Say how many with one or more of these: a number or share of the structures (-s), of the atoms
    (--atoms) or of a cost of your own (--cost, --budget), the share of the environments to cover
    (--coverage), or the smallest gain in coverage that a structure is worth (--min-gain). Structures are
    written in order of choice, so the first n of them are the choice of size n; if all are chosen, in the
    order of FILE. From extended xyz to extended xyz they are copied as they stand. Isolated atoms among
    larger structures stay unless --drop names them. With --work, environments stay on disk, and what is
    finished is kept for the next run; with --scheduler, the workers of a Dask cluster that see the same
    folder divide the work.

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
    division, cost, groups = _asked_of(given, asked)
    amount = Amount(asked.size, asked.atoms, asked.budget, cost, asked.coverage, asked.min_gain)
    with located(given.name):
        amount = amount.resolved(len(division.pool))
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
    selected = selection.selected
    if asked.prefixes or run.writes(".csv"):
        order = np.searchsorted(division.remaining, selected)
        with run.stage("prefixes"):
            found = prefix_metrics(data.envs, order, bandwidth=run.bandwidth, reference=known)
        summary["prefixes"] = found._asdict()
    summary |= {"dropped": division.dropped, "places": [given.places[i] for i in selected]}
    again = _again(files, reference, fits=fit.fits)
    report = choice_report(run, summary, files, again, describe_kept(given.structures, division))
    numbers = _ordered(selected, len(given.places), asked)
    chosen = _written(given, numbers, asked)
    report = report._replace(sheet=sheet_of(summary, _atoms_of(data, division, summary)), structures=chosen)
    report = _with_faults(report, numbers, files)
    if asked.rest is not None:
        rest = np.setdiff1d(np.arange(len(given.structures)), selected)
        report = report._replace(apart={asked.rest: [given.structures[i] for i in rest]})
    if not asked.prefixes:
        summary.pop("prefixes", None)
    return report


def _asked_of(given: Given, asked: Asked) -> tuple[Candidates, np.ndarray | None, Groups | None]:
    """What is open to choice, what each structure costs, and the quotas, from labels of the structures."""
    if given.structures:
        with located(given.name):
            division = find_candidates(given.structures, keep=asked.keep, drop=asked.drop)
            cost, groups = None, None
            if asked.cost is not None:
                cost = np.ones(len(given.structures))  # what stays besides costs nothing
                cost[division.pool] = numbers_of(given.structures, asked.cost, division.pool)
            if asked.by is not None:
                groups = Groups(labels_of(given.structures, asked.by, division.pool), asked.at_least)
        return division, cost, groups
    for name in ("keep", "drop", "by", "cost", "rest", "index_key"):
        if getattr(asked, name):
            raise InputError(f"{given.name}: holds descriptors; --{name.replace('_', '-')} needs structures.")
    return everything(len(given.places)), None, None


def _written(given: Given, numbers: np.ndarray, asked: Asked) -> Sequence[Atoms]:
    """The chosen structures, with their numbers where that is asked for."""
    chosen = [given.structures[i] for i in numbers] if given.structures else []
    if asked.index_key is not None:
        for number, atoms in zip(numbers, chosen, strict=True):
            add_labels(atoms, labels={asked.index_key: given.places[number][1]})
    return chosen


def _ordered(selected: np.ndarray, n_structures: int, asked: Asked) -> np.ndarray:
    """Numbers of the chosen structures as they are written; all of them make the file that was read."""
    usual = "original" if len(selected) == n_structures else "choice"
    return np.sort(selected) if (asked.order or usual) == "original" else selected


def _atoms_of(data: Data, division: Candidates, summary: dict[str, Any]) -> list[int]:
    """Atoms of each pick."""
    return data.envs.counts[np.searchsorted(division.remaining, summary["selected"])].tolist()


def _compress_on_disk(run: Run, files: Inputs, work: Work, reference: Inputs | None, asked: Asked) -> Report:
    """`compress` of environments on disk."""
    usual = {"order": "choice", "at_least": 1, "method": asked.method, "size": asked.size}
    usual |= {"seed": asked.seed, "certify": "quick"}
    for name, value in asked._asdict().items():
        if value and value != usual.get(name):
            raise InputError(f"--{name.replace('_', '-')} {MEMORY}")
    if asked.method == STRATIFIED:
        raise InputError(f"-m {STRATIFIED} {MEMORY}")

    def choose_from_disk() -> tuple[dict[str, Any], list[dict[str, Any]], np.ndarray, Sequence[Atoms]]:
        shards = run.shards(files, work)
        with located(files.name):
            isolated = isolated_atoms(shards.structures)
            count = (asked.size or Size(0.1, is_fraction=True)).of(len(shards.counts) - len(isolated))
        known = None if reference is None else run.known(reference, work)
        asked_for = {"count": count, "bandwidth": run.bandwidth, "kept": isolated, "seed": asked.seed}
        asked_for |= {"method": asked.method or "msc"}
        summary = compress_shards(shards, reference=known, **asked_for)
        selected = np.asarray(summary["selected"])
        summary["places"] = [shards.structures.place(number) for number in selected]
        counts = shards.counts[selected].tolist()
        numbers = _ordered(selected, len(shards.counts), asked)
        return summary, sheet_of(summary, counts), numbers, shards.structures.read(numbers)

    summary, sheet, numbers, chosen = rerun_after_repairs(choose_from_disk)
    report = choice_report(run, summary, files, _again(files, reference, fits=True), _kept_on_disk(summary))
    return _with_faults(report._replace(structures=chosen, sheet=sheet), numbers, files)


def _kept_on_disk(summary: dict[str, Any]) -> str:
    count = len(summary["kept"])
    return counted(count, "isolated atom") if count else ""


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
