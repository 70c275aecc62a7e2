"""What an active learning of several rules came to: see active.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

STOP = 0.9  # share of the environments covered at which nothing more needs a label
RIGHT = 1.1  # error where labelling stops over that at the end, at most, where stopping was right
Rows = Sequence[dict[str, Any]]


def table(rows: Rows) -> str:
    """Errors of the test after each iteration, and whether it was right to stop where coverage says so."""
    last = max(row["iteration"] for row in rows)
    heads = [f"{number}: covered before, forces, energies" for number in range(1, last + 1)]
    heads += ["labels where it stops, and at the end", "forces there over those at the end", "right"]
    lines = [f"| model | rule | {' | '.join(heads)} |", "| --- | --- |" + " --- |" * len(heads)]
    for model, method in dict.fromkeys((row["model"], row["method"]) for row in rows):
        some = means_of_steps(rows, model, method)
        cells = [
            f"{100 * row['covered']:.0f} %, {row['force_rmse']:.3f}, {row['energy_rmse']:.1f}" for row in some
        ]
        lines.append(f"| {model} | {method} | {' | '.join([*cells, *_stopped(some)])} |")
    return "\n".join(lines)


def _stopped(steps: Rows) -> list[str]:
    """Labels and errors where the pool is covered before anything of it is labelled."""
    stop = next((i for i, step in enumerate(steps) if step["covered"] >= STOP), None)
    if stop is None or stop == 0:
        return [f"never, {steps[-1]['labels']:.0f}", "-", "-"]
    ratio = steps[stop - 1]["force_rmse"] / steps[-1]["force_rmse"]
    labels = f"{steps[stop - 1]['labels']:.0f}, {steps[-1]['labels']:.0f}"
    return [labels, f"{ratio:.2f}", "yes" if ratio <= RIGHT else "no"]


def means_of_steps(rows: Rows, model: str, method: str) -> list[dict[str, float]]:
    """Each iteration of a rule, as the mean over seeds."""
    last = max(row["iteration"] for row in rows)
    return [_mean(rows, model, method, number) for number in range(1, last + 1)]


def _mean(rows: Rows, model: str, method: str, iteration: int) -> dict[str, float]:
    """Over seeds: geometric for errors."""
    names = {"model": model, "method": method, "iteration": iteration}
    some = [row for row in rows if all(row[key] == value for key, value in names.items())]
    found = {key: float(np.mean([row[key] for row in some])) for key in ("covered", "labels")}
    errors = ("force_rmse", "energy_rmse")
    return found | {key: float(np.exp(np.mean([np.log(row[key]) for row in some]))) for key in errors}
