"""The command for a first look at a data set."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.wording import agreeing, counted, percent
from quests_jax.cli.file_arguments import Inputs
from quests_jax.cli.input_contents import Given
from quests_jax.cli.main_command import command
from quests_jax.cli.options import FILES, KERNEL, LABELS
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.cli.typed_again import (
    Place,
    typed,
)
from quests_jax.studies.bandwidths import bandwidth_warning
from quests_jax.studies.cleaning import Cleaning
from quests_jax.studies.inspection import REDUNDANT, Contents, Range, Redundancy, redundancy
from quests_jax.studies.inspection import inspect as look_at

SHOWN = 6  # elements, formulas or names that are listed
HARMLESS = ("copy", "near copy")  # findings that are redundant, not wrong


@command(
    FILES,
    *KERNEL,
    *LABELS,
    examples=(
        "inspect data.xyz",
        "inspect 'runs/*/OUTCAR' -b auto",
        "inspect data.xyz --energy-key REF_energy",
    ),
)
def inspect(run: Run, files: Inputs, energy_key: str | None, forces_key: str | None) -> Report:
    """Look at FILE for the first time: contents, labels, faults, redundancy, and what to do next.

    Beyond 20,000 environments, entropy and diversity are estimated from a sample.
    """
    given = run.read(files, check=False)
    if not given.structures:
        return _of_descriptors(run, given, typed(files))
    with run.stage("contents"):
        contents, faults = look_at(given.structures, energy_key=energy_key, forces_key=forces_key)
    rows = [*_contents(contents, given.places), *_labels(contents, faults), *_faults(faults)]
    data: dict[str, Any] = {"contents": contents._asdict(), "labels": faults.labels.names}
    data |= {"faults": faults.counts(), "flawed": faults.removed}
    found = None
    try:
        envs = run.describe(given).envs
    except InputError as reason:  # what is wrong with structures must not keep the rest from a person
        rows.append(("information", f"cannot be measured: {reason}"))
    else:
        found = _measured(run, envs)
        apart = envs.elements is not None or bool(run.parameters.get("species"))
        rows += _information(found, len(envs))
        if len(contents.elements) > 1:
            rows.append(("elements", "told apart" if apart else "not told apart: add --elements center"))
        data |= _numbers(found)
    return Report(data, rows, advice=_verdict(faults, found, typed(files)))


def _of_descriptors(run: Run, given: Given, name: str) -> Report:
    """What can be said of environments whose structures nobody knows."""
    envs = run.describe(given).envs
    found = _measured(run, envs)
    n, d = envs.x.shape
    data = {"n_structures": envs.n_structures, "n_environments": n, "n_features": d} | _numbers(found)
    rows = [("structures", f"{envs.n_structures:,}"), ("environments", f"{n:,}, of {counted(d, 'feature')}")]
    small = f"  quests-jax compress {name} -s 0.1 -m cover -o picks.csv"
    return Report(data, [*rows, *_information(found, n)], advice=_next_steps(found, name, small, ""))


def _measured(run: Run, envs: Environments) -> Redundancy:
    """How redundant environments are; a bandwidth that does not fit is told on stderr and in JSON."""
    with run.stage("information"):
        found = redundancy(envs, bandwidth=run.bandwidth)
    if (text := bandwidth_warning(found.fit)) is not None:
        run.warnings.append(text)
        warnings.warn(text, stacklevel=2)
    return found


def _numbers(found: Redundancy) -> dict[str, Any]:
    return {
        "entropy": found.entropy.value,
        "diversity": found.diversity.value,
        "max_entropy": found.max_entropy,
        "distinct_environments": found.distinct,
        "like_another": found.fit.like_another,
        "bandwidth_fits": found.fit.fits,
    }


def _contents(found: Contents, places: Sequence[Place]) -> list[tuple[str, str]]:
    rows = [
        ("structures", f"{found.structures:,}, of {_span(found.sizes, 'g')} atoms"),
        ("atoms", f"{found.atoms:,}: {_counted(found.elements)}"),
        ("formulas", _kinds(found.formulas)),
        ("periodicity", _counted(found.periodicity)),
    ]
    if found.volumes is not None:
        rows.append(("volume", f"{_span(found.volumes, '.3g')} Å³ per atom"))
    rows.append(("single atoms", _counted(found.singles) if found.singles else "none"))
    if found.closest is not None:
        number, ratio, distance = found.closest
        where = f"in structure {places[number][1]}"
        rows.append(("shortest distance", f"{ratio:.2f} covalent radii ({distance:.2f} Å), {where}"))
    return rows


def _labels(found: Contents, faults: Cleaning) -> list[tuple[str, str]]:
    ranges = {"energy": (found.energy, "eV per atom"), "forces": (found.force, "eV/Å")}
    rows = []
    for kind, names in faults.labels.names.items():
        known = ", ".join(
            f"{name} {count:,}/{found.structures:,}" for name, count in names.most_common(SHOWN)
        )
        span, unit = ranges.get(kind, (None, ""))
        words = f"; {_span(span, '.4g')} {unit}" if span is not None else ""
        option = f"; --{kind}-key names another" if kind in ranges else ""
        nothing = f"none{option} (not needed to choose structures)"
        rows.append((kind, f"{known}{words}" if names else nothing))
    return rows


def _faults(faults: Cleaning) -> list[tuple[str, str]]:
    counts = faults.counts()
    copies = sum(counts[kind] for kind in HARMLESS)
    others = {kind: count for kind, count in counts.items() if count and kind not in HARMLESS}
    return [
        ("copies", counted(copies, "structure") if copies else "none"),
        ("faults", ", ".join(f"{kind} {count:,}" for kind, count in others.items()) or "none"),
    ]


def _information(found: Redundancy, n: int) -> list[tuple[str, str]]:
    H, fit = found.entropy, found.fit
    distinct = f"{found.distinct:,.0f} of {n:,} {agreeing(round(found.distinct), 'is', 'are')}"
    about = f" ± {H.half_width:.2g}" if H.half_width else ""
    like = "unknown: one structure only" if math.isnan(fit.like_another) else percent(fit.like_another)
    return [
        ("entropy H", f"{H.value:.3f}{about} nats, of {found.max_entropy:.3f} at most"),
        ("diversity D", f"{found.diversity.value:.3f} nats: {distinct} distinct"),
        ("like another structure's", like),
        ("bandwidth", "fits" if fit.fits else "too small for these data, see the warning"),
    ]


def _verdict(faults: Cleaning, found: Redundancy | None, name: str) -> list[str]:
    """What the data set is like, and the next two commands."""
    wrong = {finding.structure for finding in faults.findings if finding.kind not in HARMLESS}
    clean = f"  quests-jax clean {name} -o clean.xyz -o removed.xyz"
    small = f"  quests-jax compress {name} -s 0.1 -m cover -o small.xyz"
    if found is None:
        return [f"Some structures are broken. Next:\n{clean}\n  quests-jax inspect clean.xyz"]
    if wrong:
        have = agreeing(len(wrong), "has", "have")
        verdict = f"{counted(len(wrong), 'structure')} {have} faults: look before you train. Next:"
        return [f"{verdict}\n{clean}\n  quests-jax inspect clean.xyz"]
    return _next_steps(found, name, small, f"  quests-jax split {name} -o train.xyz -o valid.xyz -o test.xyz")


def _next_steps(found: Redundancy, name: str, small: str, split: str) -> list[str]:
    """How redundant the data are, and the commands that follow from it."""
    if not found.fit.fits:
        auto = small.replace(" -m cover", " -m cover -b auto")
        steps = [f"  quests-jax bandwidth {name}", auto]
        return ["\n".join(["Nothing is like anything else at this bandwidth. Next:", *steps])]
    steps = [step for step in (small, split) if step]
    if found.fit.like_another >= REDUNDANT:
        share = percent(found.fit.like_another)
        verdict = f"Redundant: {share} of the environments are like another structure's. Next:"
        return ["\n".join([verdict, *steps])]
    return ["\n".join(["Hardly redundant: compress gains little. Next:", *reversed(steps)])]


def _span(found: Range, digits: str) -> str:
    smallest, median, largest = (
        f"{value:,.0f}" if abs(value) >= 1000 else format(value, digits) for value in found
    )
    return smallest if smallest == largest else f"{smallest} to {largest} (median {median})"


def _kinds(counts: Counter[str]) -> str:
    return next(iter(counts), "") if len(counts) == 1 else f"{len(counts):,} kinds: {_counted(counts)}"


def _counted(counts: Counter[str]) -> str:
    shown = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(SHOWN))
    return shown + (f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else "")
