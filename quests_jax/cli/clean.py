"""The command that finds and removes what is wrong with a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from quests_jax.atoms.writing import add_labels
from quests_jax.base.checks import InputError
from quests_jax.base.wording import agreeing, counted, percent
from quests_jax.cli.file_arguments import Inputs
from quests_jax.cli.main_command import command
from quests_jax.cli.options import FILES, LABELS
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.cli.typed_again import (
    Place,
    typed,
)
from quests_jax.studies.cleaning import KINDS, MAX_FORCE, MIN_DISTANCE, Cleaning, Limits, find_faults

REASON = "removed"  # name of the reason in info


@command(
    FILES,
    click.option(
        "--min-distance",
        type=float,
        default=MIN_DISTANCE,
        show_default=True,
        help="Smallest distance that is sound, in sums of covalent radii.",
    ),
    click.option(
        "--max-force",
        type=float,
        default=MAX_FORCE,
        show_default=True,
        help="Largest force that is sound, in eV/Å.",
    ),
    click.option("--tolerance", type=float, help="Find near copies too, whose atoms moved by less, in Å."),
    *LABELS,
    kind="structures",
    examples=(
        "clean data.xyz",
        "clean data.xyz -o clean.xyz -o removed.xyz -o findings.json",
        "clean data.xyz --max-force 30 --tolerance 0.05 -o clean.xyz",
    ),
)
def clean(
    run: Run,
    files: Inputs,
    min_distance: float,
    max_force: float,
    tolerance: float | None,
    energy_key: str | None,
    forces_key: str | None,
) -> Report:
    """Find everything that is wrong with FILE at once, and write what is right.

    Copies (also rotated, reflected, shifted or with atoms in another order), copies with other labels, atoms
    too close or at the same place, huge forces, forces that do not cancel, labels that are missing or not
    finite, energies far from those of the same composition, cells and periodicity that contradict. The first
    output of structures holds those without findings, as they stand in FILE; the second the others, with the
    reasons under `removed` in info.
    """
    given = run.read(files, check=False)
    if not given.structures:
        raise InputError(f"{given.name}: holds descriptors; give a file of structures.")
    with run.stage("faults"):
        limits = Limits(min_distance, max_force, tolerance)
        found = find_faults(given.structures, limits=limits, energy_key=energy_key, forces_key=forces_key)
    removed = [given.structures[i] for i in found.removed]
    for number, atoms in zip(found.removed, removed, strict=True):
        add_labels(atoms, labels={REASON: found.reasons(int(number))})
    counts = found.counts()
    data = {"n_structures": found.n_structures, "kept": found.kept, "removed": found.removed}
    data |= {"counts": counts, "findings": [_in_place(finding, given.places) for finding in found.findings]}
    rows = [(kind, KINDS[kind], counts[kind], _example(found, kind, given.places)) for kind in KINDS]
    return Report(
        data,
        [row for row in rows if row[2]] or [("nothing", "", 0, "")],
        ("finding", "what it is", "structures", "first"),
        sets=[[given.structures[i] for i in found.kept], removed],
        advice=_advice(found, typed(files), run.writing.outputs),
    )


def _in_place(finding, places: Sequence[Place]) -> dict:
    file, index = places[finding.structure]
    return finding._asdict() | {"file": file, "index": index}


def _example(found: Cleaning, kind: str, places: Sequence[Place]) -> str:
    first = next((finding for finding in found.findings if finding.kind == kind), None)
    return "" if first is None else f"{places[first.structure][1]}: {first.reason}"


def _advice(found: Cleaning, name: str, writes: Sequence[Path]) -> list[str]:
    bad, total = len(found.removed), found.n_structures
    if not bad:
        clean = "The only structure is" if total == 1 else f"All {counted(total, 'structure')} are"
        return [f"{clean} clean. Next:\n  quests-jax inspect {name}"]
    share = percent(bad / total)
    have, are = agreeing(bad, "has", "have"), agreeing(total - bad, "is", "are")
    words = [f"{bad:,} of {total:,} structures ({share}) {have} findings; {total - bad:,} {are} clean."]
    if found.counts()["conflict"]:
        words.append(
            "Copies with other labels: one of the two is wrong, or they are from different methods. The "
            "first one stays; look at both."
        )
    if not writes:
        words.append(f"To write both parts:\n  quests-jax clean {name} -o clean.xyz -o removed.xyz")
    elif writes[0].suffix != ".json":
        words.append(f"Next:\n  quests-jax inspect {writes[0]}")
    return words
