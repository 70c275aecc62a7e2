"""What a map of few dimensions says is covered, and what is: see README.md."""

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
from scipy.stats import spearmanr

import quests_jax as qj
from quests_jax.base.jax_versions import versions
from quests_jax.base.json_values import plain
from quests_jax.datasets import bundled
from quests_jax.output.matplotlib_figures import COLORS

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PAIRS = (  # test, reference
    ("carbon_GAP20/Graphite", "carbon_GAP20/Nanotubes"),
    ("carbon_GAP20/Fullerenes", "carbon_GAP20/Graphite"),
    ("carbon_GAP20/Nanotubes", "carbon_GAP20/Fullerenes"),
    ("carbon_GAP20/Liquid_Interface", "carbon_GAP20/Diamond"),
    ("mlearn/Si_test", "mlearn/Si_train"),
    ("mlearn/Li_test", "mlearn/Li_train"),
    ("mol_3BPA/mixedT_1200K_part", "mol_3BPA/train_300K"),
    ("mol_CH4_pwmat/MD_1000K", "mol_CH4_pwmat/MD_300K"),
    ("Si_CSI_PBE/iteration-2_liquid_1700K-1bar", "Si_CSI_PBE/iteration-1_crystal_0.2A-5p"),
    ("AgAu_pypolymlp/test-disp1", "AgAu_pypolymlp/train-standard-Au1"),
)
COMPONENTS, SMOKE = (1, 2, 3, 5, 10, 20, 40), (2, 10)
ROWS = 4000  # environments of either side, at most


def main(arguments: Sequence[str] | None = None) -> int:
    """Project, measure, write results.json and figure.png, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--smoke", action="store_true", help="parts of the bundled silicon")
    parser.add_argument("--output", type=Path, help="default: results.json, with --smoke smoke/results.json")
    options = parser.parse_args(arguments)
    folder = Path(__file__).parent / ("smoke" if options.smoke else "")
    options.output = options.output or folder / "results.json"
    options.output.parent.mkdir(exist_ok=True)
    sets = _smoke() if options.smoke else _read(options.data)
    rows, components = [], SMOKE if options.smoke else COMPONENTS
    for test, reference in (("hot", "cold"),) if options.smoke else PAIRS:
        print(test, file=sys.stderr, flush=True)
        names = {"test": test, "reference": reference}
        rows.append(names | _compare(sets[test], sets[reference], components))
    results = {"smoke": options.smoke, "seed": 0, "rows_at_most": ROWS, "components": components}
    results |= {"parameters": {"k": 32, "cutoff": 5.0, "bandwidth": qj.DEFAULT_BANDWIDTH}, "dtype": "float64"}
    results |= {"device": jax.default_backend(), "versions": versions(), "rows": rows}
    options.output.write_text(json.dumps(plain(results), indent=1) + "\n", encoding="utf-8")
    _draw(rows, options.output.with_name("figure.png"))
    print(text(results))
    return 0


def _smoke() -> dict[str, np.ndarray]:
    structures = qj.read(bundled())
    return {"cold": _sample(structures[:5]), "hot": _sample(structures[64:68])}


def _read(folder: Path) -> dict[str, np.ndarray]:
    names = {name for pair in PAIRS for name in pair}
    return {name: _sample(qj.read(folder / f"{name}.xyz.gz")) for name in sorted(names)}


def _sample(structures: list) -> np.ndarray:
    x = np.asarray(qj.environments(structures).x)
    return x[np.random.default_rng(0).permutation(len(x))[:ROWS]]


def _compare(y: np.ndarray, x: np.ndarray, components: Sequence[int]) -> dict[str, Any]:
    """Overlap of y with x, whole and by maps of principal components of both, with the same bandwidth.

    A projection only brings points together, so a map never covers less: the difference is what it hides.
    """
    axes, variance = _principal_axes(np.concatenate([y, x]))
    dH = np.asarray(qj.delta_entropy(y, x))
    maps = []
    for m in components:
        flat = np.asarray(qj.delta_entropy(y @ axes[:, :m], x @ axes[:, :m]))
        hidden = float((flat <= 0)[dH > 0].mean()) if (dH > 0).any() else None
        maps.append({"components": m, "variance": float(variance[:m].sum()), "hidden": hidden})
        maps[-1] |= {"overlap": float((flat <= 0).mean()), "rank_correlation": _ranks(dH, flat)}
    return {"n_test": len(y), "n_reference": len(x), "overlap": float((dH <= 0).mean()), "maps": maps}


def _principal_axes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal axes as columns, [d, d], and the share of the variance along each, [d]."""
    _, lengths, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return axes.T, lengths**2 / (lengths**2).sum()


def _ranks(dH: np.ndarray, flat: np.ndarray) -> float:
    return float(spearmanr(dH, flat)[0])


def text(results: dict[str, Any]) -> str:
    """The table of the README."""
    rows = results["rows"]
    shown = (2, 10)
    lines = ["| test, reference | variance on 2 axes | overlap | " + " | ".join(f"on {m}" for m in shown)]
    lines[0] += " | novel, hidden on 2 | on 10 | rank correlation on 2 |"
    lines.append("|---" * 8 + "|")
    for row in rows:
        at = {found["components"]: found for found in row["maps"]}
        hidden = ["-" if at[m]["hidden"] is None else f"{at[m]['hidden']:.0%}" for m in (2, 10)]
        cells = [f"{row['test']}, {row['reference']}", f"{at[2]['variance']:.0%}", f"{row['overlap']:.0%}"]
        cells += [f"{at[m]['overlap']:.0%}" for m in shown] + hidden + [f"{at[2]['rank_correlation']:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for number, row in enumerate(rows):
        style = {"color": COLORS[number % len(COLORS)], "linestyle": "-" if number < len(COLORS) else "--"}
        style |= {"marker": "o", "markersize": 4}
        label = f"{row['test'].split('/')[-1]}, {row['reference'].split('/')[-1]}"
        m = [found["components"] for found in row["maps"]]
        if row["maps"][0]["hidden"] is not None:
            left.plot(m, [100 * found["hidden"] for found in row["maps"]], label=label, **style)
        right.plot(m, [100 * found["variance"] for found in row["maps"]], **style)
    left.set_ylabel("novel, but covered on the map (%)")
    right.set_ylabel("variance that the map shows (%)")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(COMPONENTS, [str(m) for m in COMPONENTS])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("principal components of the map")
        axes.set_ylim(0, 102)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    sys.exit(main())
