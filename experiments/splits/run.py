"""Splits by blocks of similar structures beside random splits: see README.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import quests_jax as qj
from quests_jax.base.plain import plain
from quests_jax.base.versions import versions
from quests_jax.datasets import bundled
from quests_jax.studies.bandwidths import bandwidth_fit
from quests_jax.studies.leakage import find_leakage
from quests_jax.studies.splitting import FRACTIONS, split

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "potentials"))

from features import features
from ridge import best_fit, equations, fit_shifts, make_basis, predict, rows, targets

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FILES = ("mlearn/Si_train", "mlearn/Mo_train", "FitSNAP_InP_JPCA2020/EOS", "SiO_turq/train")
SEEDS = (0, 1, 2)  # of the random splits
HIDDEN, CUTOFF = 32, 5.0  # of the ridge potential; Å
NUMBERS = ("environments", "structures", "copies", "energy", "force")


def main(arguments: Sequence[str] | None = None) -> int:
    """Split every set in both ways, write results.json and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--smoke", action="store_true", help="a part of the bundled silicon")
    parser.add_argument("--output", type=Path, help="default: results.json, with --smoke smoke/results.json")
    options = parser.parse_args(arguments)
    folder = Path(__file__).parent / ("smoke" if options.smoke else "")
    options.output = options.output or folder / "results.json"
    options.output.parent.mkdir(exist_ok=True)
    if options.smoke:
        sets = {"silicon": qj.read(bundled())[::8]}
    else:
        sets = {name: qj.read(options.data / f"{name}.xyz.gz") for name in FILES}
    found = [{"file": name} | _study(name, structures) for name, structures in sets.items()]
    results = {"smoke": options.smoke, "seeds": SEEDS, "fractions": FRACTIONS, "dtype": "float64"}
    results |= {"device": jax.default_backend(), "versions": versions(), "rows": found}
    options.output.write_text(json.dumps(plain(results), indent=1) + "\n", encoding="utf-8")
    print(text(results))
    return 0


def _study(name: str, structures: list) -> dict[str, Any]:
    print(name, file=sys.stderr, flush=True)
    envs = qj.environments(structures)
    fit = bandwidth_fit(envs, bandwidth=qj.DEFAULT_BANDWIDTH)
    like_enough = fit.like_another >= 0.5 or fit.recommended is None
    h = qj.DEFAULT_BANDWIDTH if like_enough else float(f"{fit.recommended.value:.2g}")
    found = split(envs, bandwidth=h)
    measure = _Potential(structures)
    blocks = _measured(envs, structures, found.parts, h, measure)
    random = [_measured(envs, structures, _random(len(structures), seed), h, measure) for seed in SEEDS]
    row = {"n_structures": len(structures), "n_environments": len(envs), "bandwidth": h}
    row |= {"blocks": found.n_blocks, "level": found.level, "sizes": [len(part) for part in found.parts]}
    return row | {"by blocks": blocks, "random": _mean(random), "random, each": random}


def _random(total: int, seed: int) -> tuple[np.ndarray, ...]:
    borders = np.round(np.cumsum(FRACTIONS)[:-1] * total).astype(int)
    return tuple(np.sort(part) for part in np.split(np.random.default_rng(seed).permutation(total), borders))


def _measured(envs: Any, structures: list, parts: Sequence[np.ndarray], h: float, measure: Any) -> dict:
    """What the first part knows of the last, and errors of a potential that is fitted to the first."""
    train, _, test = (envs.take(np.isin(np.asarray(envs.structure_id), part)) for part in parts)
    own = tuple([structures[i] for i in part] for part in (parts[2], parts[0]))
    found = find_leakage(test, train, structures=own, bandwidth=h)
    numbers = found.covered._asdict() | {"copies": len(found.copies), "verdict": found.verdict}
    return numbers | measure(parts)


class _Potential:
    """The ridge potential of experiments/potentials, with everything that does not depend on the split."""

    def __init__(self, structures: list) -> None:
        self.structures = structures
        self.elements = sorted({int(z) for atoms in structures for z in atoms.numbers})
        self.features = features(structures, self.elements, cutoff=CUTOFF)

    def __call__(self, parts: Sequence[np.ndarray]) -> dict[str, float]:
        """Errors on the last part in meV per atom and eV/Å, fitted to the first, judged on the second."""
        train, valid, test = ([self.structures[i] for i in part] for part in parts)
        shifts = fit_shifts(train, self.elements)
        own = [[self.features[i] for i in part] for part in parts]
        basis = make_basis(own[0], len(self.elements), n_hidden=HIDDEN, seed=0)
        models = [
            rows(each, basis, targets(given, self.elements, shifts))
            for each, given in zip(own, (train, valid, test), strict=True)
        ]
        theta, _ = best_fit(equations(models[0]), np.arange(len(train)), models[1])
        found, aim = predict(models[2], theta), models[2].targets
        energy = np.sqrt(np.mean(((found.energies - aim.energies) / models[2].atoms) ** 2))
        return {"energy": 1e3 * energy, "force": np.sqrt(np.mean((found.forces - aim.forces) ** 2))}


def _mean(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: float(np.mean([each[name] for each in found])) for name in NUMBERS}


def text(results: dict[str, Any]) -> str:
    """The table of the README."""
    lines = ["| file | h (Å⁻¹) | blocks | split | atoms covered | structures | copies | meV/atom | eV/Å |"]
    lines.append("|---" * 9 + "|")
    for row in results["rows"]:
        for name in ("random", "by blocks"):
            found = row[name]
            cells = [row["file"], f"{row['bandwidth']:g}", str(row["blocks"]), name]
            cells += [f"{100 * found['environments']:.1f} %", f"{100 * found['structures']:.0f} %"]
            cells += [f"{found['copies']:.1f}", f"{found['energy']:.1f}", f"{found['force']:.3f}"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
