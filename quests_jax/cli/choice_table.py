"""What a choice keeps, as a table on the terminal and as a sheet of its picks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quests_jax.cli.choice_sentences import about_choice
from quests_jax.cli.file_arguments import Inputs
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.cli.typed_again import (
    typed,
)


def choice_report(run: Run, summary: dict[str, Any], files: Inputs, again: str, kept: str) -> Report:
    """The table of a choice beside the whole, and sentences on it; `again` makes another one."""
    run.add(summary.pop("seconds"))
    size, atoms = summary["size"], summary["selected_environments"]
    rows = [
        ("structures", summary["n_structures"], size, _percent(size / summary["n_structures"])),
        ("atoms", summary["n_environments"], atoms, _percent(atoms / summary["n_environments"])),
        ("entropy (nats)", _estimated(summary, "entropy_full"), summary["entropy"], ""),
        ("diversity (nats)", _estimated(summary, "diversity_full"), summary["diversity"], ""),
        ("overlap", 1.0, summary["overlap"], ""),
        ("largest delta entropy (nats)", "", summary["max_delta_entropy"], ""),
        (f"certified ratio{_chance(summary)}", "", summary["certified_ratio"], ""),
    ]
    if summary.get("overlap_before") is not None:
        rows.insert(4, ("overlap of the reference alone", "", summary["overlap_before"], ""))
    return Report(
        summary,
        rows,
        ("", "all", summary["method"], "share"),
        advice=about_choice(summary, name=typed(files), again=again, kept=kept),
    )


def sheet_of(summary: dict[str, Any], atoms: Sequence[int]) -> list[dict[str, Any]]:
    """One row for each pick, in order of choice."""
    covered = summary.get("prefixes", {}).get("coverage", [None] * summary["size"])
    columns = zip(summary["places"], atoms, summary["gains"], covered, strict=True)
    return [
        {"order": order, "file": file, "index": index, "atoms": count, "gain": gain, "coverage": share}
        for order, ((file, index), count, gain, share) in enumerate(columns)
    ]


def _estimated(summary: dict[str, Any], name: str) -> float | str:
    """A measure of all environments, with half of its 95 % confidence interval where it is an estimate."""
    half_width = summary.get(f"{name}_half_width")
    return f"{summary[name]:.4f} ± {half_width:.4f}" if half_width else summary[name]


def _chance(summary: dict[str, Any]) -> str:
    """Whether the bound behind the ratio may fail, and how rarely."""
    chance = summary.get("bound_failure_probability")
    return f" (but for a chance of {chance:.0e})" if chance else ""


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
