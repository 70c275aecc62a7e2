"""Entropy against the number of environments, and what is missing to the limit: see README.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import quests_jax as qj
from quests_jax.base.checks import InputError
from quests_jax.base.jax_versions import versions
from quests_jax.base.json_values import plain
from quests_jax.datasets import bundled
from quests_jax.information import LearningCurve, largest_entropy, learning_curve
from quests_jax.output.matplotlib_figures import COLORS, LINES

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FILES = (
    "carbon_GAP20/Fullerenes",
    "carbon_GAP20/Graphene",
    "carbon_GAP20/Diamond",
    "carbon_GAP20/Graphite",
    "carbon_GAP20/Nanotubes",
    "carbon_GAP20/SACADA",
    "carbon_GAP20/Liquid_Interface",
    "mlearn/Si_train",
    "mlearn/Li_train",
    "mol_MD17_ethanol/train_n1000",
    "mol_3BPA/train_300K",
)
FRACTIONS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # to which figure 2d of the paper compresses
SMALLEST, POINTS = 50, 10  # environments of the first sample, and sizes below the first fraction
REPEATS, SEED = 5, 0
LIMITS = {"mol_MD17_ethanol/train_n1000": 9.8}  # H_max of rMD17 ethanol, read off figure 2a, ± 0.1
LOST = {"carbon_GAP20/Fullerenes": (0.57, 0.36, 0.28, 0.26, 0.17, 0.11, 0.09, 0.07, 0.03)}  # off figure 2d


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the curves, fit them, write results.json and figure.png, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--smoke", action="store_true", help="parts of the bundled silicon")
    parser.add_argument("--output", type=Path, help="default: results.json, with --smoke smoke/results.json")
    options = parser.parse_args(arguments)
    folder = Path(__file__).parent / ("smoke" if options.smoke else "")
    options.output = options.output or folder / "results.json"
    options.output.parent.mkdir(exist_ok=True)
    sets = _smoke() if options.smoke else {name: qj.read(options.data / f"{name}.xyz.gz") for name in FILES}
    rows = []
    for name, structures in sets.items():
        print(name, file=sys.stderr, flush=True)
        rows.append({"file": name} | _curve(np.asarray(qj.environments(structures).x)))
        rows[-1] |= {"published_limit": LIMITS.get(name), "published_lost": LOST.get(name)}
    results = {"smoke": options.smoke, "seed": SEED, "repeats": REPEATS, "dtype": "float64"}
    results |= {"parameters": {"k": 32, "cutoff": 5.0, "bandwidth": qj.DEFAULT_BANDWIDTH}}
    results |= {"device": jax.default_backend(), "versions": versions(), "rows": rows}
    options.output.write_text(json.dumps(plain(results), indent=1) + "\n", encoding="utf-8")
    _draw(rows, options.output.with_name("figure.png"))
    print(text(results))
    return 0


def _smoke() -> dict[str, list]:
    return {"bundled": qj.read(bundled())[-15:]}


def _curve(x: np.ndarray) -> dict[str, Any]:
    small = np.geomspace(min(SMALLEST, 0.1 * len(x)), FRACTIONS[0] * len(x), POINTS, endpoint=False)
    sizes = np.unique(np.maximum(1, np.round([*small, *(f * len(x) for f in FRACTIONS)]))).astype(int)
    curve = learning_curve(x, sizes.tolist(), repeats=REPEATS, key=jax.random.key(SEED))
    limit, error = _limit(curve)
    gap = None if limit is None else limit - curve.mean[-1]
    found = {"n_environments": len(x), "sizes": sizes, "entropy": curve.mean, "half_width": curve.half_width}
    found |= {"lost": curve.mean[-1] - curve.mean[-len(FRACTIONS) :]}
    return found | {"limit": limit, "fit_error": error, "information_gap": gap}


def _limit(curve: LearningCurve) -> tuple[float | None, float | None]:
    """The limit, and how far the limits of fits to less data than the whole lie from it, at most.

    A fit that does not know its last points must find the same limit, or the limit says little.
    """
    try:
        whole, *shorter = (
            largest_entropy(LearningCurve(curve.sizes[:end], curve.entropies[:, :end]))
            for end in (len(curve.sizes), -2, -4)
        )
    except InputError:
        return None, None
    return whole, max(abs(whole - other) for other in shorter)


def text(results: dict[str, Any]) -> str:
    """The table of the README."""
    rows = results["rows"]
    lines = ["| file | environments | H | limit | ± | information gap | lost at 20 % | at 50 % |"]
    lines.append("|---" * 8 + "|")
    for row in rows:
        cells = [row["file"], f"{row['n_environments']:,}", f"{row['entropy'][-1]:.3f}"]
        names = ("limit", "fit_error", "information_gap")
        cells += ["-" if row[name] is None else f"{row[name]:.2f}" for name in names]
        cells += [f"{row['lost'][FRACTIONS.index(f)]:.2f}" for f in (0.2, 0.5)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    largest = max(row["n_environments"] for row in rows)
    left.plot([1, largest], np.log([1, largest]), color="0.7", linewidth=3, label="ln n")
    for number, row in enumerate(rows):
        style = {"color": COLORS[number % len(COLORS)], "linestyle": LINES[number // len(COLORS)]}
        name = row["file"].split("/")[-1] if row["file"].startswith("carbon") else row["file"]
        left.plot(row["sizes"], row["entropy"], label=name, **style)
        right.plot(np.multiply(100, FRACTIONS), row["lost"], marker="o", markersize=3, **style)
        if row["published_lost"]:
            right.plot(np.multiply(100, FRACTIONS), row["published_lost"], "x", color=style["color"])
    left.set_xscale("log")
    left.set_xlim(10, 1.2 * largest)
    left.set_xlabel("environments")
    left.set_ylabel("entropy (nats)")
    right.set_xlabel("environments kept (%); crosses: Fullerenes as published")
    right.set_ylabel("entropy lost (nats)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*left.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    sys.exit(main())
