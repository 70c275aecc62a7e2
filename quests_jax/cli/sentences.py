"""What a command found, in sentences for a person, and what to do about it."""

from __future__ import annotations

from typing import Any

ENOUGH = 0.99  # coverage above which nothing more is advised
CLOSE = 0.95  # certified ratio above which no other choice of the size is worth a try


def about_choice(summary: dict[str, Any], *, name: str, kept: str) -> list[str]:
    """What a choice keeps, when it was complete, and what to type next."""
    size, total = summary["size"], summary["n_structures"]
    atoms, all_atoms = summary["selected_environments"], summary["n_environments"]
    sentences = [
        f"{size:,} of {total:,} structures, with {percent(atoms / all_atoms)} of the atoms, "
        f"{_covered(summary)}{_certificate(summary)}"
    ]
    if kept:
        sentences.append(f"kept besides: {kept}")
    if dropped := len(summary.get("dropped", ())):
        sentences.append(f"left out before the choice: {dropped:,} structure{'s' if dropped > 1 else ''}")
    if (count := summary.get("saturated")) is not None:
        sentences.append(_about_saturation(summary, count))
    elif (
        (summary["coverage"] or summary["overlap"]) < ENOUGH
        and size < total
        and not summary.get("limits", {}).get("coverage")
    ):
        sentences.append(f"To cover 99 %, ask for that: quests-jax compress {name} --coverage 0.99")
    return sentences


def _covered(summary: dict[str, Any]) -> str:
    overlap = percent(summary["overlap"])
    if summary["coverage"] is None:
        return f"cover {overlap} of the environments"
    return f"reach a coverage of {percent(summary['coverage'])} ({overlap} of the environments in full)"


def _certificate(summary: dict[str, Any]) -> str:
    ratio = summary["certified_ratio"]
    if ratio is None:
        return "."
    words = f", at least {percent(ratio)} of the largest possible at this size"
    return (
        f"{words}." if ratio >= CLOSE else f"{words}: see what other rules reach with `quests-jax compare`."
    )


def _about_saturation(summary: dict[str, Any], count: int) -> str:
    """After how many picks nothing was left to cover."""
    picks = summary["size"] - len(summary.get("kept", ()))
    gained = sum(summary["gains"])
    before, after = summary["coverage"] - gained, summary["coverage"]
    others = picks - count
    words = f"{count} of {picks} cover the pool ({percent(before)} → {percent(after)})"
    if not others:
        return f"{words}; more would add nothing."
    return f"{words}; the other {others} add nothing and are the farthest from what is chosen already."


def percent(share: float) -> str:
    """A share with the digits that matter: 100 %, 81.5 %, 0.2 %."""
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    return f"{100 * share:.2g} %" if share < 0.01 else f"{100 * share:.1f} %"
