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
from planting import DISPLACED, PLANTED, SEED, TOP, displaced, found

import quests_jax as qj
from quests_jax.compress import plain, versions
from quests_jax.datasets import bundled
from quests_jax.plots import COLORS

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
TITLES = {"within": "Planted in the whole file", "reference": "Planted in a tenth, beside a reference"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Plant, rank, count, write results.json and figure.png, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--smoke", action="store_true", help="parts of the bundled silicon")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("results.json"))
    options = parser.parse_args(arguments)
    sets = _smoke() if options.smoke else {name: qj.read(options.data / f"{name}.xyz.gz") for name in FILES}
    envs = {name: qj.environments(structures) for name, structures in sets.items()}
    rng, names, rows = np.random.default_rng(SEED), list(sets), []
    for number, name in enumerate(names):
        other = np.asarray(envs[names[(number + 1) % len(names)]].x)
        foreign = other[rng.permutation(len(other))[:PLANTED]]
        moved = displaced(sets[name], rng)
        rows.append(
            {"file": name, "foreign": found(envs[name], foreign), "displaced": found(envs[name], moved)}
        )
        print(name, file=sys.stderr, flush=True)
    results = {
        "smoke": options.smoke,
        "seed": SEED,
        "planted": PLANTED,
        "top": TOP,
        "displacement": DISPLACED,
    }
    results |= {"parameters": {"k": 32, "cutoff": 5.0, "bandwidth": qj.DEFAULT_BANDWIDTH}, "dtype": "float64"}
    results |= {"device": jax.default_backend(), "versions": versions(), "rows": rows}
    options.output.write_text(json.dumps(plain(results), indent=1) + "\n", encoding="utf-8")
    _draw(rows, options.output.with_name("figure.png"))
    print(text(results))
    return 0


def _smoke() -> dict[str, list]:
    structures = qj.read(bundled())
    return {"crystals": structures[:30], "others": structures[-20:]}


def text(results: dict[str, Any]) -> str:
    """Shares found, file by file, and their means, for either way of planting."""
    return "\n\n".join(f"{TITLES[way]}:\n\n{_table(results['rows'], way)}" for way in TITLES)


def _table(rows: Sequence[dict[str, Any]], way: str) -> str:
    kinds = [(kind, by) for kind in ("foreign", "displaced") for by in ("delta_entropy", "map")]
    titles = [f"{kind}, by {by.replace('_', ' ')}" for kind, by in kinds]
    lines = [f"| file | environments ranked | {' | '.join(titles)} |", "|---" * (len(kinds) + 2) + "|"]
    for row in rows:
        shares = [f"{row[kind][way][by]:.0%}" for kind, by in kinds]
        lines.append(f"| {row['file']} | {row['foreign'][way]['ranked']:,} | {' | '.join(shares)} |")
    means = [np.mean([row[kind][way][by] for row in rows]) for kind, by in kinds]
    return "\n".join([*lines, f"| mean | | {' | '.join(f'{mean:.0%}' for mean in means)} |"])


def _draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(9, 9), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2, sharey=True, sharex=True)
    for way, line in zip(TITLES, panels, strict=True):
        for axes, kind in zip(line, ("foreign", "displaced"), strict=True):
            for number, by in enumerate(("delta_entropy", "map")):
                shares = [100 * row[kind][way][by] for row in rows]
                place = np.arange(len(rows)) + 0.4 * number - 0.2
                axes.barh(place, shares, 0.38, color=COLORS[number], label=f"by {by.replace('_', ' ')}")
            axes.set_yticks(range(len(rows)), [row["file"] for row in rows])
            axes.set_title(f"{kind}, {TITLES[way].lower()}", fontsize=10)
            axes.grid(alpha=0.3, axis="x")
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("planted environments found (%)")
    panels[0, 0].invert_yaxis()
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    sys.exit(main())
