"""Entropies and overlaps of the subsets of GAP-20 carbon beside the published ones: see README.md."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from published import ENTROPY, NAMES, OVERLAP, TOLERANCE
from scipy.stats import pearsonr, spearmanr

import quests_jax as qj
from quests_jax.base.jax_versions import versions
from quests_jax.base.json_values import plain
from quests_jax.datasets import bundled
from quests_jax.information import overlap_matrix
from quests_jax.output.matplotlib_figures import COLORS
from quests_jax.output.terminal import show_progress

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "carbon_GAP20"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, compare, write results.json and figure.png, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of NAME.xyz.gz files, one per subset")
    parser.add_argument(
        "--smoke", action="store_true", help="parts of the bundled silicon under two of the names"
    )
    parser.add_argument("--output", type=Path, help="default: results.json, with --smoke smoke/results.json")
    options = parser.parse_args(arguments)
    folder = Path(__file__).parent / ("smoke" if options.smoke else "")
    options.output = options.output or folder / "results.json"
    options.output.parent.mkdir(exist_ok=True)
    x = _smoke() if options.smoke else _read(options.data)
    entropies = {name: _entropy(name, rows) for name, rows in x.items()}
    names = [name for name in NAMES if name in x]
    with show_progress(quiet=False):
        overlaps = 100 * overlap_matrix([x[name] for name in names], tolerance=TOLERANCE)
    results = {
        "smoke": options.smoke,
        "parameters": {"k": 32, "cutoff": 5.0, "bandwidth": qj.DEFAULT_BANDWIDTH, "tolerance": TOLERANCE},
        "dtype": "float64",
        "seed": None,
        "device": jax.default_backend(),
        "versions": versions(),
        "entropies": entropies,
        "names": names,
        "overlaps": overlaps,
        "correlations": _correlations(entropies, names, overlaps),
    }
    options.output.write_text(json.dumps(plain(results), indent=1) + "\n", encoding="utf-8")
    _draw(results, options.output.with_name("figure.png"))
    print(text(results))
    return 0


def _read(folder: Path) -> dict[str, np.ndarray]:
    files = {name: folder / f"{name}.xyz.gz" for name in ENTROPY}
    return {name: np.asarray(qj.environments(qj.read(f)).x) for name, f in files.items() if f.exists()}


def _smoke() -> dict[str, np.ndarray]:
    structures = qj.read(bundled())
    parts = {"Graphite": structures[::20], "Graphene": structures[1::20], "Diamond": structures[2::20]}
    return {name: np.asarray(qj.environments(part).x) for name, part in parts.items()}


def _entropy(name: str, x: np.ndarray) -> dict[str, Any]:
    H, log_n = ENTROPY[name]
    found = {"n_environments": len(x), "entropy": float(qj.entropy(x)), "max_entropy": math.log(len(x))}
    return found | {"published": H, "published_max": log_n, "share": len(x) / round(math.exp(log_n))}


def _published(names: Sequence[str]) -> np.ndarray:
    rows = [NAMES.index(name) for name in names]
    return np.array(OVERLAP)[np.ix_(rows, rows)]


def _correlations(entropies: dict[str, Any], names: Sequence[str], overlaps: np.ndarray) -> dict[str, Any]:
    ours, theirs = zip(*((e["entropy"], e["published"]) for e in entropies.values()), strict=True)
    apart = ~np.eye(len(names), dtype=bool)
    found = {"entropies_pearson": float(pearsonr(ours, theirs)[0])}
    if apart.sum() > 2:
        pairs = overlaps[apart], _published(names)[apart]
        found |= {
            "overlaps_pearson": float(pearsonr(*pairs)[0]),
            "overlaps_spearman": float(spearmanr(*pairs)[0]),
        }
    return found


def text(results: dict[str, Any]) -> str:
    """Both tables and the correlations."""
    lines = [
        "| subset | environments | of the published | H | published | ln n | published |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, e in results["entropies"].items():
        counts = f"{name} | {e['n_environments']:,} | {e['share']:.0%}"
        measured = (
            f"{e['entropy']:.3f} | {e['published']:g} | {e['max_entropy']:.2f} | {e['published_max']:g}"
        )
        lines.append(f"| {counts} | {measured} |")
    names, theirs = results["names"], _published(results["names"])
    lines += ["", "| reference \\ test | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for name, row, published in zip(names, results["overlaps"], theirs, strict=True):
        cells = [f"{value:.1f} ({known:.1f})" for value, known in zip(row, published, strict=True)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(
        [*lines, "", *(f"{name}: {value:.3f}" for name, value in results["correlations"].items())]
    )


def _draw(results: dict[str, Any], path: Path) -> None:
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for name, e in results["entropies"].items():
        left.plot(e["published"], e["entropy"], "o", color=COLORS[0], markersize=4 + 6 * min(e["share"], 1))
        left.annotate(
            name, (e["published"], e["entropy"]), fontsize=7, xytext=(4, -3), textcoords="offset points"
        )
    right.plot(_published(results["names"]).ravel(), np.ravel(results["overlaps"]), "o", color=COLORS[1])
    for axes, end, what in ((left, 12, "entropy (nats)"), (right, 100, "overlap (%)")):
        axes.plot([0, end], [0, end], color="0.7", zorder=0)
        axes.set_xlabel(f"published {what}")
        axes.set_ylabel(f"measured {what}")
    left.set_title("marker size: share of the published subset", fontsize=10)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    sys.exit(main())
