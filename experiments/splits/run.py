"""Splits by blocks of similar structures beside random splits: see README.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import quests_jax as qj
from quests_jax.base.jax_versions import versions
from quests_jax.base.json_values import plain
from quests_jax.datasets import bundled
from quests_jax.studies.bandwidths import bandwidth_fit
from quests_jax.studies.leakage import find_leakage
from quests_jax.studies.splitting import FRACTIONS, split

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FILES = ("mlearn/Si_train", "mlearn/Mo_train", "SiO_turq/train", "mol_MD17_ethanol/train_n1000")
SEEDS = (0, 1, 2)  # of the random splits
NUMBERS = ("environments", "structures", "copies", "force_error", "energy_error")
CUTOFF = 5.0  # Å, of the potential
HIDDEN = 60  # random units of the potential
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "potentials"))


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
    error = _errors(structures)
    cuts = [found.parts, *(_random(len(structures), seed) for seed in SEEDS)]
    blocks, *random = (_measured(envs, structures, parts, h) | error(parts) for parts in cuts)
    row = {"n_structures": len(structures), "n_environments": len(envs), "bandwidth": h}
    row |= {"blocks": found.n_blocks, "level": found.level, "sizes": [len(part) for part in found.parts]}
    return row | {"by blocks": blocks, "random": _mean(random), "random, each": random}


def _random(total: int, seed: int) -> tuple[np.ndarray, ...]:
    borders = np.round(np.cumsum(FRACTIONS)[:-1] * total).astype(int)
    return tuple(np.sort(part) for part in np.split(np.random.default_rng(seed).permutation(total), borders))


def _measured(envs: Any, structures: list, parts: Sequence[np.ndarray], h: float) -> dict:
    """What the first part knows of the last."""
    train, _, test = (envs.take(np.isin(np.asarray(envs.structure_id), part)) for part in parts)
    own = tuple([structures[i] for i in part] for part in (parts[2], parts[0]))
    found = find_leakage(test, train, structures=own, bandwidth=h)
    numbers = {"copies": len(found.copies), "verdict": found.verdict}
    return found.covered._asdict() | numbers | {"halves": found.halves.environments}


def _errors(structures: list) -> Callable[[Sequence[np.ndarray]], dict[str, float]]:
    """What measures the errors on the last part of a linear potential that is fitted to the first.

    The middle part chooses the penalty. Errors are root mean squares of forces (eV/Å) and of energies per
    atom (meV).
    """
    from features import features
    from ridge import ENERGY, PENALTIES, fit_shifts, loss, make_basis, predict, rows, solve, targets

    elements = np.unique(np.concatenate([atoms.numbers for atoms in structures]))
    known = features(structures, elements, cutoff=CUTOFF)
    # Scales of all structures: a function that is nearly constant in the first part must not become large.
    basis = make_basis(known, len(elements), n_hidden=HIDDEN, seed=0)

    def measure(parts: Sequence[np.ndarray]) -> dict[str, float]:
        shifts = fit_shifts([structures[i] for i in parts[0]], elements)
        train, valid, test = (
            rows([known[i] for i in part], basis, targets([structures[i] for i in part], elements, shifts))
            for part in parts
        )
        each = (ENERGY / np.sqrt(train.atoms))[:, None] * train.energy
        gram = each.T @ each + train.force.T @ train.force / 3
        weighted = ENERGY / np.sqrt(train.atoms) * train.targets.energies
        moment = each.T @ weighted + train.force.T @ train.targets.forces.reshape(-1) / 3
        fits = [solve(gram, moment, penalty) for penalty in PENALTIES]
        theta = min(fits, key=lambda one: loss(predict(valid, one), valid.targets, valid.atoms))
        found = predict(test, theta)
        force = np.sqrt(((found.forces - test.targets.forces) ** 2).mean())
        energy = np.sqrt((((found.energies - test.targets.energies) / test.atoms) ** 2).mean())
        return {"force_error": float(force), "energy_error": 1000 * float(energy)}

    return measure


def _mean(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: float(np.mean([each[name] for each in found])) for name in NUMBERS}


def text(results: dict[str, Any]) -> str:
    """The table of the README."""
    head = "file | h (Å⁻¹) | blocks | split | atoms covered | structures covered | copies"
    lines = [f"| {head} | error of forces (eV/Å) | of energies (meV/atom) |", "|---" * 9 + "|"]
    for row in results["rows"]:
        for name in ("random", "by blocks"):
            found = row[name]
            cells = [row["file"], f"{row['bandwidth']:g}", str(row["blocks"]), name]
            cells += [f"{100 * found['environments']:.1f} %", f"{100 * found['structures']:.0f} %"]
            cells.append(f"{found['copies']:.1f}")
            cells += [f"{found['force_error']:.3f}", f"{found['energy_error']:.1f}"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
