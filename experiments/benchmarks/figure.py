"""The figure: time of the entropy against the number of environments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from measuring import Record
from summary import curves, exponents, pool_records

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (after the backend is chosen)

STYLES = {
    "quests_jax float64": ("tab:blue", "o-"),
    "quests_jax float32": ("tab:cyan", "o-"),
    "quests best": ("tab:red", "s-"),
    "quests default": ("tab:orange", "s-"),
    "numpy dense": ("tab:gray", "^-"),
    "dense roofline float64": ("tab:blue", ":"),
    "dense roofline float32": ("tab:cyan", ":"),
}
GROWTH_STYLES = {"msc": ("tab:blue", "o-"), "cover": ("tab:green", "s-"), "quests msc": ("tab:red", "^-")}


def draw(records: Sequence[Record], path: Path) -> None:
    """Draw the scaling on logarithmic axes, with the exponents in the legend; hollow where extrapolated."""
    if not pool_records(records):
        return
    fitted = exponents(records)
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    for name, (n, seconds) in curves(records).items():
        color, style = STYLES[name]
        label = f"{name}, $n^{{{fitted[name]:.2f}}}$" if name in fitted else name
        axes.loglog(n, seconds, style, color=color, label=label)
    _mark_extrapolated(axes, records)
    axes.set(xlabel="environments n", ylabel="time of the entropy / s", title=_title(records))
    axes.grid(which="major", alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_growth(records: Sequence[Record], path: Path) -> None:
    """Draw the processor time of whole commands against the number of environments, with exponents."""
    growth = sorted((r for r in records if r["case"] == "growth"), key=lambda record: record["n"])
    if len(growth) < 2:
        return
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    for kind, (color, style) in GROWTH_STYLES.items():
        taken = [(r["n"], r["contenders"][kind]) for r in growth if kind in r["contenders"]]
        if len(taken) < 2:
            continue
        n, seconds = np.array([(n, sample["processor_seconds"]) for n, sample in taken], float).T
        exponent = np.polyfit(np.log(n), np.log(seconds), 1)[0]
        axes.loglog(n, seconds, style, color=color, label=f"{kind}, $n^{{{exponent:.2f}}}$")
    axes.set(xlabel="environments n", ylabel="processor time of the whole command / s")
    axes.grid(which="major", alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _mark_extrapolated(axes: plt.Axes, records: Sequence[Record]) -> None:
    for record in pool_records(records):
        quests = record["contenders"].get("quests best")
        if quests and record["n"] > record["quests_rows"]:
            axes.loglog(record["n"], quests["median"], "s", color="tab:red", markerfacecolor="white")
            axes.set_xlabel("environments n (hollow: extrapolated from fewer)")


def _title(records: Sequence[Record]) -> str:
    return next((f"{record['data']} and random parts of it" for record in pool_records(records)), "")
