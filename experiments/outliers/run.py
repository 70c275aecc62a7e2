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
from scipy.stats import gaussian_kde

import quests_jax as qj
from quests_jax.compress import plain, versions
from quests_jax.datasets import bundled
from quests_jax.information import delta_entropy_of_others
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
PLANTED, TOP, SEED = 20, 40, 0
DISPLACED = 0.6  # Å, of one atom in each of as many structures: the other kind of planting
MAP_ROWS = 4000  # rows of the density of the map, at most


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
        moved = _displaced(sets[name], rng)
        rows.append(
            {"file": name, "foreign": _found(envs[name], foreign), "displaced": _found(envs[name], moved)}
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


def _displaced(structures: list, rng: np.random.Generator) -> np.ndarray:
    """Environments of moved atoms, one in each of some structures; their neighbors are not planted."""
    rows = []
    for s in rng.permutation(len(structures))[:PLANTED]:
        atoms = structures[s].copy()
        i = int(rng.integers(len(atoms)))
        direction = rng.normal(size=3)
        atoms.positions[i] += DISPLACED * direction / np.linalg.norm(direction)
        rows.append(qj.get_descriptors([atoms])[i])
    return np.array(rows)


def _found(envs: qj.Environments, planted: np.ndarray) -> dict[str, Any]:
    """Shares of the planted rows among the TOP most foreign ones, by delta entropy and on the map."""
    x = np.concatenate([np.asarray(envs.x), planted])
    together = np.full(len(planted), envs.n_structures)  # planted rows must not make one another known
    group = np.concatenate([np.asarray(envs.structure_id), together])
    scores = {"delta_entropy": np.asarray(delta_entropy_of_others(x, group)), "map": _sparsity(x)}
    last = np.arange(len(x)) >= len(x) - len(planted)
    return {
        name: float(last[np.argsort(-score, kind="stable")[:TOP]].sum() / len(planted))
        for name, score in scores.items()
    }


def _sparsity(x: np.ndarray) -> np.ndarray:
    """−ln of the density of each row on the map of the first two principal components."""
    centered = x - x.mean(axis=0)
    _, _, axes = np.linalg.svd(centered, full_matrices=False)
    flat = (centered @ axes[:2].T).T
    kept = np.random.default_rng(SEED).permutation(flat.shape[1])[:MAP_ROWS]
    return -gaussian_kde(flat[:, kept]).logpdf(flat)


def text(results: dict[str, Any]) -> str:
    """Shares found, file by file, and their means."""
    rows = results["rows"]
    kinds = [(kind, by) for kind in ("foreign", "displaced") for by in ("delta_entropy", "map")]
    lines = ["| file | " + " | ".join(f"{kind}, by {by.replace('_', ' ')}" for kind, by in kinds) + " |"]
    lines.append("|---" * (len(kinds) + 1) + "|")
    for row in rows:
        lines.append(f"| {row['file']} | " + " | ".join(f"{row[kind][by]:.0%}" for kind, by in kinds) + " |")
    means = [np.mean([row[kind][by] for row in rows]) for kind, by in kinds]
    return "\n".join([*lines, "| mean | " + " | ".join(f"{mean:.0%}" for mean in means) + " |"])


def _draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, kind in zip(figure.subplots(1, 2, sharey=True), ("foreign", "displaced"), strict=True):
        for number, by in enumerate(("delta_entropy", "map")):
            shares = [100 * row[kind][by] for row in rows]
            place = np.arange(len(rows)) + 0.4 * number - 0.2
            axes.barh(place, shares, 0.38, color=COLORS[number], label=f"by {by.replace('_', ' ')}")
        axes.set_yticks(range(len(rows)), [row["file"] for row in rows])
        axes.set_title(kind)
        axes.set_xlabel("planted environments found (%)")
        axes.grid(alpha=0.3, axis="x")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    axes.invert_yaxis()
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    sys.exit(main())
