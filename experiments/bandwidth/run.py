"""How far entropies, their order and what is chosen depend on the bandwidth: see README.md."""

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
from quests_jax.cover.rules.registry import find_rule
from quests_jax.datasets import bundled
from quests_jax.information import cutoff_rule, gaussian_rule
from quests_jax.output.matplotlib_figures import COLORS, LINES
from quests_jax.studies.comparison import measure

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
BANDWIDTHS = (0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.045, 0.06, 0.09)  # Å⁻¹
USUAL = BANDWIDTHS.index(qj.DEFAULT_BANDWIDTH)
FILES = (
    "carbon_GAP20/Diamond",
    "carbon_GAP20/Graphite",
    "carbon_GAP20/Nanotubes",
    "carbon_GAP20/Fullerenes",
    "carbon_GAP20/Liquid_Interface",
    "mlearn/Si_train",
    "mlearn/Mo_train",
    "mlearn/Li_train",
    "FitSNAP_InP_JPCA2020/EOS",
    "SrTiO3_pypolymlp/train1",
    "mol_3BPA/train_300K",
    "mol_CH4_pwmat/MD_300K",
)
RULES, SIZE = ("msc", "cover", "random"), 0.1  # share of the structures


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure at every bandwidth, write results.json and figure.png, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--smoke", action="store_true", help="parts of the bundled silicon")
    parser.add_argument("--output", type=Path, help="default: results.json, with --smoke smoke/results.json")
    options = parser.parse_args(arguments)
    folder = Path(__file__).parent / ("smoke" if options.smoke else "")
    options.output = options.output or folder / "results.json"
    options.output.parent.mkdir(exist_ok=True)
    sets = _smoke() if options.smoke else {name: qj.read(options.data / f"{name}.xyz.gz") for name in FILES}
    rows = [{"file": name} | _study(name, structures) for name, structures in sets.items()]
    results = {"smoke": options.smoke, "seed": 0, "size": SIZE, "rules": RULES, "dtype": "float64"}
    results |= {"parameters": {"k": 32, "cutoff": 5.0, "bandwidth": qj.DEFAULT_BANDWIDTH}}
    results |= {"device": jax.default_backend(), "versions": versions(), "bandwidths": BANDWIDTHS}
    results |= {"rows": rows, "order": _order(rows)}
    options.output.write_text(json.dumps(plain(results), indent=1) + "\n", encoding="utf-8")
    _draw(rows, options.output.with_name("figure.png"))
    print(text(results))
    return 0


def _smoke() -> dict[str, list]:
    return {"cold": qj.read(bundled())[:2], "hot": qj.read(bundled())[64:66]}


def _study(name: str, structures: list) -> dict[str, Any]:
    print(name, file=sys.stderr, flush=True)
    envs = qj.environments(structures)
    share = np.asarray(qj.entropy(envs.x, bandwidth=np.array(BANDWIDTHS))) / np.log(len(envs.x))
    volumes = [atoms.cell.volume / len(atoms) for atoms in structures if atoms.pbc.all()]
    V = float(np.median(volumes)) if volumes else None
    rules = {} if V is None else {"volume": V, "gaussian": gaussian_rule(V), "cutoff": cutoff_rule(V)}
    choices = [_choices(envs, h) for h in BANDWIDTHS]
    usual = {rule: choices[USUAL][rule]["selected"] for rule in RULES}
    for found in choices:
        for rule, row in found.items():
            row["shared"] = float(np.isin(row.pop("selected"), usual[rule]).mean())
    return {"n_environments": len(envs.x), "share": share, "rules": rules, "choices": choices}


def _choices(envs: qj.Environments, h: float) -> dict[str, dict[str, Any]]:
    """What each rule chooses at this bandwidth, and keeps of the data set at the same bandwidth."""
    problem = qj.cover_problem(envs, bandwidth=h)
    found = {}
    for name in RULES:
        chosen = find_rule(name).choose(envs, size=SIZE, bandwidth=h, reference=None).selected
        kept = measure(problem, envs, chosen)
        found[name] = {key: float(kept[key]) for key in ("overlap", "entropy", "diversity")}
        found[name]["selected"] = chosen
    return found


def _order(rows: Sequence[dict[str, Any]]) -> list[float]:
    """Rank correlation over the files of H/ln n at each bandwidth with that at the usual one."""
    shares = np.array([row["share"] for row in rows])
    return [float(spearmanr(shares[:, column], shares[:, USUAL])[0]) for column in range(len(BANDWIDTHS))]


def text(results: dict[str, Any]) -> str:
    """The tables of the README: by bandwidth, over all files; and the rules by volume."""
    rows = results["rows"]
    lines = ["| h (Å⁻¹) | H / ln n | order | msc: same choice | cover | msc: overlap | cover | random |"]
    lines[0] += " D: msc > random |"
    lines.append("|---" * 9 + "|")
    for number, h in enumerate(results["bandwidths"]):
        at = [row["choices"][number] for row in rows]
        mean = lambda rule, key, at=at: float(np.mean([found[rule][key] for found in at]))  # noqa: E731
        more = sum(found["msc"]["diversity"] > found["random"]["diversity"] for found in at)
        cells = [f"{h:g}", f"{np.mean([row['share'][number] for row in rows]):.2f}"]
        cells += [f"{results['order'][number]:.2f}", *(f"{mean(r, 'shared'):.0%}" for r in RULES[:2])]
        cells += [*(f"{mean(r, 'overlap'):.2f}" for r in RULES), f"{more}/{len(at)}"]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| file | Å³ per atom | gaussian rule | cutoff rule |", "|---|---|---|---|"]
    for row in (row for row in rows if row["rules"]):
        cells = [f"{row['rules'][key]:.3f}" for key in ("gaussian", "cutoff")]
        lines.append(f"| {row['file']} | {row['rules']['volume']:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    left, right = (figure := Figure(figsize=(11, 6), layout="constrained")).subplots(1, 2)
    FigureCanvasAgg(figure)
    for number, row in enumerate(rows):
        style = {"color": COLORS[number % len(COLORS)], "linestyle": LINES[number // len(COLORS)]}
        left.plot(BANDWIDTHS, row["share"], label=row["file"], **style)
    for number, rule in enumerate(RULES):
        keys = {"overlap": "overlap", "shared": f"chosen at {qj.DEFAULT_BANDWIDTH} too"}
        for key, line in zip(list(keys)[: 1 if rule == "random" else 2], ("-", "--"), strict=False):
            mean = [np.mean([row["choices"][at][rule][key] for row in rows]) for at in range(len(BANDWIDTHS))]
            right.plot(BANDWIDTHS, mean, line, color=COLORS[number], marker="o", label=f"{rule}: {keys[key]}")
    for axes, label in ((left, "H / ln n"), (right, f"mean over files, {SIZE:.0%} of the structures")):
        axes.set_ylabel(label)
        axes.set(xscale="log", xlabel="bandwidth (Å⁻¹)", ylim=(0, 1.02))
        axes.set_xticks(BANDWIDTHS, [f"{h:g}" for h in BANDWIDTHS], fontsize=8)
        axes.minorticks_off()
        axes.axvline(qj.DEFAULT_BANDWIDTH, color="0.8", zorder=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, frameon=False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    sys.exit(main())
