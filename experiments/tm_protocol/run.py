"""Metals cold, warm and molten: entropies, overlaps of the regimes, and compression; see README.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ase import Atoms
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import pearsonr

import quests_jax as qj
from quests_jax.base.jax_versions import versions
from quests_jax.base.json_values import plain
from quests_jax.datasets import metals, simulate
from quests_jax.output.matplotlib_figures import COLORS
from quests_jax.studies.comparison import compare_environments, force_tail
from quests_jax.studies.kept_information import entropy_and_diversity

METHODS, SMOKE = ("msc", "cover", "random", "k-means", "fps", "mean-fps"), ("msc", "random")
SIZE, SEED = 0.1, 0  # share of the structures that is kept
STRUCTURES, LONGER = 40, 3.0  # structures of each regime, and length of a run over that of `generate metals`
# TM23 in [schwalbe-koda:25], notebook 04-TM23: overlaps of the full set, of warm and of molten data with cold
# data, in percent; the tolerance is not known.
PUBLISHED = {
    "Ni": "99.4 / 91.8 / 43.7",
    "Cu": "99.5 / 87.5 / 45.5",
    "Pd": "99.3 / 88.1 / 39.5",
    "Ag": "99.6 / 89.3 / 48.9",
    "Pt": "99.5 / 93.8 / 53.8",
    "Au": "98.4 / 87.0 / 47.8",
}
TOLERANCE = 1.0  # nats, beside the usual 1e-5


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, measure, write results.json and figure.png, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a few steps of two metals")
    parser.add_argument("--output", type=Path, help="default: results.json, with --smoke smoke/results.json")
    options = parser.parse_args(arguments)
    folder = Path(__file__).parent / ("smoke" if options.smoke else "")
    options.output = options.output or folder / "results.json"
    options.output.parent.mkdir(exist_ok=True)
    rows = []
    for metal in ("Al", "Cu") if options.smoke else metals.MELTING:
        print(metal, file=sys.stderr, flush=True)
        methods = SMOKE if options.smoke else METHODS
        rows.append({"metal": metal} | _study(_simulated(metal, options.smoke), methods))
        rows[-1]["published"] = PUBLISHED.get(metal, "not in TM23")
    results = {"smoke": options.smoke, "seed": SEED, "size": SIZE, "tolerance": TOLERANCE, "dtype": "float64"}
    results |= {"parameters": {"k": 32, "cutoff": 5.0, "bandwidth": qj.DEFAULT_BANDWIDTH}}
    results |= {"device": jax.default_backend(), "versions": versions(), "rows": rows}
    H, D = ([row[name] for row in rows] for name in ("entropy", "diversity"))
    results["entropy_diversity"] = float(pearsonr(H, D)[0])
    options.output.write_text(json.dumps(plain(results), indent=1) + "\n", encoding="utf-8")
    _draw(rows, options.output.with_name("figure.png"))
    print(text(results))
    return 0


def _simulated(metal: str, smoke: bool) -> dict[str, list[Atoms]]:
    """Structures of each regime."""
    found = {}
    for row in metals.RECIPE:
        if row.config_type.startswith(metal):
            n, longer = (3, 0.02) if smoke else (STRUCTURES, LONGER)
            row = row._replace(n_structures=n, picoseconds=row.picoseconds * longer)
            found[row.config_type.split("_")[1]] = simulate((row,), metals.POTENTIAL, seed=SEED)
    return found


def _study(regimes: dict[str, list[Atoms]], methods: Sequence[str]) -> dict[str, Any]:
    structures = [atoms for part in regimes.values() for atoms in part]
    envs = qj.environments(structures)
    x = {name: np.asarray(qj.environments(part).x) for name, part in regimes.items()}
    x |= {"train": _environments(structures[::2]), "test": _environments(structures[1::2])}
    H, D = entropy_and_diversity(np.asarray(envs.x), bandwidth=qj.DEFAULT_BANDWIDTH)
    found: dict[str, Any] = {"n_structures": len(structures), "n_environments": len(envs.x)}
    found |= {"entropy": H, "diversity": D, "efficiency": 100 * H / np.log(len(envs.x))}
    for name, y, known in (
        ("full_from_full", "test", "train"),
        ("warm_from_cold", "warm", "cold"),
        ("melt_from_cold", "melt", "cold"),
        ("cold_from_melt", "cold", "melt"),
    ):
        dH = np.asarray(qj.delta_entropy(x[y], x[known]))
        found |= {name: float((dH < 1e-5).mean()), f"{name}_tolerant": float((dH < TOLERANCE).mean())}
    rows = compare_environments(envs, sizes=(SIZE,), methods=methods, tail=force_tail(structures))
    names = ("overlap", "diversity", "entropy", "environments", "max_delta_entropy", "force_tail")
    return found | {"compression": {row["method"]: {name: row[name] for name in names} for row in rows}}


def _environments(structures: list[Atoms]) -> np.ndarray:
    return np.asarray(qj.environments(structures).x)


def text(results: dict[str, Any]) -> str:
    """The tables of the README."""
    rows = results["rows"]
    lines = ["| metal | environments | H | D | efficiency | held out | cold → warm | cold → melt |"]
    lines[0] += " within 1 nat | melt → cold | TM23 |"
    lines.append("|---" * 11 + "|")
    for row in rows:
        cells = [row["metal"], f"{row['n_environments']:,}", f"{row['entropy']:.2f}"]
        cells += [f"{row['diversity']:.2f}", f"{row['efficiency']:.0f} %"]
        names = ("full_from_full", "warm_from_cold", "melt_from_cold", "melt_from_cold_tolerant")
        cells += [f"{row[name]:.1%}" for name in (*names, "cold_from_melt")] + [row["published"]]
        lines.append("| " + " | ".join(cells) + " |")
    measures = ("diversity", "entropy", "overlap", "max_delta_entropy", "force_tail")
    lines += ["", "| rule at 10 %, mean over metals | " + " | ".join(measures) + " |"]
    lines.append("|---" * (len(measures) + 1) + "|")
    for method in rows[0]["compression"]:
        means = [np.mean([row["compression"][method][name] or 0.0 for row in rows]) for name in measures]
        lines.append(f"| {method} | " + " | ".join(f"{mean:.2f}" for mean in means) + " |")
    return "\n".join(lines)


def _draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    place = np.arange(len(rows))
    names = {"full_from_full": "held out", "warm_from_cold": "cold → warm", "melt_from_cold": "cold → melt"}
    for number, (name, label) in enumerate(names.items()):
        heights = [100 * row[name] for row in rows]
        left.bar(place + 0.27 * (number - 1), heights, 0.25, color=COLORS[number], label=label)
    for number, method in enumerate(rows[0]["compression"]):
        heights = [row["compression"][method]["diversity"] for row in rows]
        right.bar(place + 0.14 * (number - 2.5), heights, 0.13, color=COLORS[number], label=method)
    left.set_ylabel("overlap (%)")
    right.set_ylabel(f"diversity of the choice at {SIZE:.0%} (nats)")
    for axes in (left, right):
        axes.set_xticks(place, [row["metal"] for row in rows])
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=9)
        axes.grid(alpha=0.3, axis="y")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    sys.exit(main())
