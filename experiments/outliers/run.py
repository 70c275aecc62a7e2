"""Planted environments found by delta entropy and by a two-dimensional map: see README.md."""

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
from planting import DRAWS, PLANTED, SEED, TOP, displaced, found, kinds

import quests_jax as qj
from quests_jax.base.jax_versions import versions
from quests_jax.base.json_values import plain
from quests_jax.datasets import bundled
from quests_jax.output.matplotlib_figures import COLORS

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FILES = (  # each is planted with environments of the next one
    "mlearn/Si_train",
    "mlearn/Mo_train",
    "mlearn/Li_train",
    "carbon_GAP20/Fullerenes",
    "carbon_GAP20/Nanotubes",
    "carbon_GAP20/Graphite",
    "mol_3BPA/train_300K",
    "FitSNAP_InP_JPCA2020/EOS",
    "SrTiO3_pypolymlp/test1",
    "SiO_turq/test",
)
RANKINGS = {"delta_entropy": "by delta entropy (mean, and each file)", "map": "by a map of two axes"}
TITLES = {"within": "Planted in the whole file", "reference": "Planted in a tenth, beside a reference"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Plant, rank, count, write results.json and figure.png, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--smoke", action="store_true", help="parts of the bundled silicon")
    parser.add_argument("--output", type=Path, help="default: results.json, with --smoke smoke/results.json")
    options = parser.parse_args(arguments)
    folder = Path(__file__).parent / ("smoke" if options.smoke else "")
    options.output = options.output or folder / "results.json"
    options.output.parent.mkdir(exist_ok=True)
    sets = _smoke() if options.smoke else {name: qj.read(options.data / f"{name}.xyz.gz") for name in FILES}
    envs = {name: qj.environments(structures) for name, structures in sets.items()}
    n_draws = 1 if options.smoke else DRAWS
    rows = []
    for name, other in zip(sets, [*sets][1:] + [*sets][:1], strict=True):
        foreign, row = np.asarray(envs[other].x), {"file": name}
        for kind, distance in kinds().items():
            draws = []
            for draw in range(n_draws):
                rng = np.random.default_rng([SEED, draw])
                planted = (
                    displaced(sets[name], distance, rng)
                    if distance
                    else foreign[rng.permutation(len(foreign))[:PLANTED]]
                )
                draws.append(found(envs[name], planted))
            row[kind] = jax.tree.map(lambda *of: float(np.mean(of)), *draws)
        rows.append(row)
        print(name, file=sys.stderr, flush=True)
    results = {"smoke": options.smoke, "seed": SEED, "planted": PLANTED, "top": TOP, "draws": n_draws}
    results |= {"parameters": {"k": 32, "cutoff": 5.0, "bandwidth": qj.DEFAULT_BANDWIDTH}, "dtype": "float64"}
    results |= {"device": jax.default_backend(), "versions": versions(), "rows": rows}
    options.output.write_text(json.dumps(plain(results), indent=1) + "\n", encoding="utf-8")
    _draw(rows, options.output.with_name("figure.png"))
    print(text(results))
    return 0


def _smoke() -> dict[str, list]:
    structures = qj.read(bundled())
    return {"crystals": structures[:3], "others": structures[-8:]}


def text(results: dict[str, Any]) -> str:
    """Shares found, file by file, and their means, for either way of planting."""
    return "\n\n".join(f"{TITLES[way]}:\n\n{_table(results['rows'], way)}" for way in TITLES)


def _table(rows: Sequence[dict[str, Any]], way: str) -> str:
    lines = [f"| file | environments ranked | {' | '.join(kinds())} |", "|---" * (len(kinds()) + 2) + "|"]
    for row in rows:
        shares = [f"{row[kind][way]['delta_entropy']:.0%} / {row[kind][way]['map']:.0%}" for kind in kinds()]
        lines.append(f"| {row['file']} | {row['foreign'][way]['ranked']:,.0f} | {' | '.join(shares)} |")
    by_kind = [[np.mean([row[kind][way][by] for row in rows]) for by in RANKINGS] for kind in kinds()]
    means = [f"{entropy:.0%} / {density:.0%}" for entropy, density in by_kind]
    return "\n".join([*lines, f"| mean | | {' | '.join(means)} |"])


def _draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, way in zip(panels, TITLES, strict=True):
        for number, (by, label) in enumerate(RANKINGS.items()):
            place = np.arange(len(kinds())) + 0.24 * number - 0.12
            shares = np.array([[100 * row[kind][way][by] for row in rows] for kind in kinds()])
            for column in shares.T:
                axes.plot(place, column, "o", ms=4, alpha=0.35, color=COLORS[number], mec="none")
            axes.plot(place, shares.mean(axis=1), "_", ms=18, mew=2.5, color=COLORS[number], label=label)
        names = [kind.replace("displaced ", "") for kind in kinds()]
        axes.set_xticks(range(len(names)), names)
        axes.set_xlabel("environments of another file, or of an atom displaced by")
        axes.set_title(TITLES[way], fontsize=10)
        axes.grid(alpha=0.3, axis="y")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("planted environments found (%)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    sys.exit(main())
