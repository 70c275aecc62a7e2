"""What `compress` and `compare` found, in sentences for a person, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quests_jax.base.wording import agreeing, counted, percent
from quests_jax.cli.typed_again import (
    Place,
)
from quests_jax.cover.rules.registry import RULES
from quests_jax.studies.choice_within_limits import SOLVERS, STRATIFIED
from quests_jax.studies.cleaning import KINDS, Finding

ENOUGH = 0.99  # coverage above which nothing more is advised
CLOSE = 0.95  # certified ratio above which no other choice of the size is worth a try
ROUNDING = 1e-12  # coverage below this is what rounding leaves of a difference


def about_choice(summary: dict[str, Any], *, name: str, again: str, kept: str) -> list[str]:
    """What a choice keeps, when it was complete, and what to type next.

    `name` is the data set for other commands, `again` with all that the same command needs.
    """
    size, total = summary["size"], summary["n_structures"]
    atoms, all_atoms = summary["selected_environments"], summary["n_environments"]
    sentences = [
        f"{size:,} of {total:,} structures, with {percent(atoms / all_atoms)} of the atoms, "
        f"{_covered(summary)}{_certificate(summary, name)}"
    ]
    if kept:
        sentences.append(f"kept besides: {kept}")
    rule = RULES.get(summary["method"])
    if summary.get("overlap_before") is not None and (rule is None or not rule.complements):
        able = ", ".join(name for name, other in RULES.items() if other.complements)
        sentences.append(f"{summary['method']} does not look at the reference; these do: {able}.")
    if dropped := len(summary.get("dropped", ())):
        sentences.append(f"left out before the choice: {counted(dropped, 'structure')}")
    if (count := summary.get("saturated")) is not None:
        sentences.append(_about_saturation(summary, count))
    elif (
        (summary["coverage"] or summary["overlap"]) < ENOUGH
        and size < total
        and not summary.get("limits", {}).get("coverage")
    ):
        sentences.append(f"To cover 99 %, ask for that: quests-jax compress {again} -m cover --coverage 0.99")
    return sentences


def about_faults(broken: Sequence[Finding], places: dict[int, Place], name: str) -> list[str]:
    """How many of the chosen structures have faults, the first of them, and how to remove such structures."""
    if not broken:
        return []
    count = len({finding.structure for finding in broken})
    first = broken[0]
    file, index = places[first.structure]
    have = agreeing(count, "has", "have")
    return [
        f"{counted(count, 'chosen structure')} {have} faults: structure {index} of {file}, "
        f"{KINDS[first.kind]} ({first.reason}){', and others' if count > 1 else ''}. "
        f"To see all:\n  quests-jax clean {name}"
    ]


def _covered(summary: dict[str, Any]) -> str:
    overlap = percent(summary["overlap"])
    if summary["coverage"] is None:
        return f"{agreeing(summary['size'], 'covers', 'cover')} {overlap} of the environments"
    reach = agreeing(summary["size"], "reaches", "reach")
    return f"{reach} a coverage of {percent(summary['coverage'])} ({overlap} of the environments in full)"


def _certificate(summary: dict[str, Any], name: str) -> str:
    ratio = summary["certified_ratio"]
    if ratio is None:
        return "."
    words = f", at least {percent(ratio)} of the largest possible at this size."
    if ratio >= CLOSE or summary.get("overlap_before") is not None:  # compare takes no reference
        return words
    return f"{words} To see what other rules reach: quests-jax compare {name} -s {summary['size']}"


def _about_saturation(summary: dict[str, Any], count: int) -> str:
    """After how many picks nothing was left to cover."""
    picks = summary["size"] - len(summary.get("kept", ()))
    after = summary["coverage"]
    before = max(after - sum(summary["gains"]), 0.0)
    before = before if before > ROUNDING else 0.0
    others = picks - count
    of_coverage = summary["method"] in SOLVERS  # gains of other rules are in units of their own
    rise = f" ({percent(before)} → {percent(after)})" if of_coverage else ""
    add = f"{agreeing(others, 'adds', 'add')} nothing and {agreeing(others, 'is', 'are')} the farthest"
    far = f"{add} from what is chosen already"
    if not count:
        return f"All of the pool is covered before the choice{rise}; the {picks} {far}."
    words = f"{count} of {picks} {agreeing(count, 'covers', 'cover')} the pool{rise}"
    if not others:
        return f"{words}; more would add nothing."
    return f"{words}; the other {others} {far}."


def about_rules(rows: Sequence[dict[str, Any]], *, name: str, equal: str) -> list[str]:
    """Which rule is best for what at the largest size of a comparison, and how to use one."""
    largest = max(row["asked"] for row in rows)
    last = [row for row in rows if row["asked"] == largest]
    if len(last) < 2:
        return []
    best = min(last, key=lambda row: (-round(row["coverage"], 3), row["environments"]))
    closest = min(last, key=lambda row: row["max_delta_entropy"])
    merits = {
        best["method"]: [
            f"covers most ({percent(best['overlap'])} of the environments in full, with "
            f"{best['environments']:,} atoms)"
        ]
    }
    near = f"leaves nothing further away than {closest['max_delta_entropy']:.1f} nats"
    merits.setdefault(closest["method"], []).append(near)
    tails = [row for row in last if row["force_tail"] is not None]
    if tails and max(row["force_tail"] for row in tails) > 0:
        tail = max(tails, key=lambda row: row["force_tail"])
        kept = f"keeps most of the largest forces ({percent(tail['force_tail'])})"
        merits.setdefault(tail["method"], []).append(kept)
    words = [f"{method} {' and '.join(each)}" for method, each in merits.items()]
    sentences = [f"At {largest:,} {equal}, {'; '.join(words)}."]
    sentences += _about_chance(last)
    option = "-s" if equal == "structures" else "--atoms"
    sentences.append(
        f"To cover most: quests-jax compress {name} {option} {largest} -m {best['method']}"
        f"{' --by config_type' if best['method'] == STRATIFIED else ''}\n"
        "To train on, coverage is not all. On 22 data sets (experiments/potentials/RULES.md), choices of 10 "
        "% of the atoms had force and energy errors of 0.72 and 1.00 times those of random choices with "
        "-m msc, 0.77 and 0.73 with -m balanced, 1.17 and 0.96 with -m cover."
    )
    return sentences


def _about_chance(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Rules whose overlap lies within two deviations of random choices of the same size."""
    chance = next((row for row in rows if row["method"] == "random"), None)
    if chance is None or (spread := (chance["spread"] or {}).get("overlap")) is None:
        return []
    others = [row for row in rows if row["method"] != "random"]
    below = [row["method"] for row in others if row["overlap"] <= chance["overlap"] + 2 * spread]
    words = "better than chance in overlap (random + 2 deviations)"
    if others and len(below) == len(others):
        return [f"No rule is {words}: ask for a larger size before you rely on a difference."]
    return [f"Not {words}: {', '.join(below)}."] if below else []


def rules_in_lines() -> tuple[str, ...]:
    """Every rule with what it does, for --help."""
    by_label = "structures at random, of each label of --by in proportion"
    summaries = {name: rule.summary for name, rule in RULES.items()} | {STRATIFIED: by_label}
    return ("Rules:", *(f"  {name:<11} {summary}" for name, summary in summaries.items()))
