"""What the stored Gaussian approximation potentials do away from their data: see RULES.md.

Dynamics hotter than the training data, until two atoms are closer than 0.6 of the shortest distance of their
elements in the training part; and energies of the strained cells of a data set, relative to their mean. The
potentials are those that `gap.py --keep FOLDER` kept.

    python experiments/potentials/dynamics.py --gap PYTHON --fits FOLDER   # goes on where it was stopped
    python experiments/potentials/dynamics.py --summary                    # the tables
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from cells import DATA
from data import DataSet, Part, read_part, split
from dynamics_tables import over_sets, table
from gap import METHODS, PREDICT, run_program, write_labelled
from gap_sets import GAP_SETS
from ratio_tables import interval, stored_rows

from quests_jax.atoms.neighbors import find_pairs
from quests_jax.base.jax_versions import versions
from quests_jax.output.files import write_json

KELVIN = {  # well above what was trained on
    "Ge": 3000,
    "methane QM22": 3000,
    "ethanol and methanol": 2000,
    "Li": 1500,
    "Ni": 4000,
    "SiO": 4000,
}
STRAINED = {  # groups of strained cells; all structures of these config types
    "Ge": ("Elastic",),
    "Li": ("Elastic",),
    "Si": ("Elastic",),
    "Mo without surfaces": ("Elastic",),
    "Ni": ("elastic",),
    "Fe": ("EOS_001_Jun2020", "EOS_100"),
    "InP": ("EOS", "Strain"),
}
SIZE, SEED = 0.1, 1  # share of the atoms, and pool, of the potentials
ATOMS = 12  # a structure with about as many is set in motion
PICOSECONDS, STEP, LIGHT_STEP = 1.0, 2.0, 0.5  # ps; fs, without and with hydrogen
CLOSE = 0.6  # of the shortest distance of the training part
RUNS = 1  # draws of velocities
MOST = 60  # strained cells
PROGRAM = Path(__file__).parent / "gap_dynamics.py"


class Setting(NamedTuple):
    """What all potentials of a data set are asked."""

    start: Atoms
    closest: dict[str, float]  # Å, by pair of atomic numbers
    strained: list[Atoms]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what has no result yet, or say what the results are."""
    options = _parse(arguments)
    rows = stored_rows(options.output)
    if not options.summary:
        for row in _missing(rows, options):
            rows.append(row)
            write_json(options.output, {"picoseconds": PICOSECONDS, "versions": versions(), "rows": rows})
            print(json.dumps(row), file=sys.stderr, flush=True)
    if not rows:
        sys.exit(f"{options.output}: no results yet; run without --summary first.")
    print(f"{table(rows)}\n{over_sets(rows, interval)}")
    return 0


def _missing(done: Sequence[dict[str, Any]], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    there = {(row["data"], row["method"]) for row in done}
    settings = lru_cache(maxsize=None)(partial(_setting, folder=options.data))
    for data in GAP_SETS:
        for method in METHODS:
            kept = [options.fits / f"{data.name}, {method}, {SIZE}, {SEED}, {draw}" for draw in (0, 1)]
            fit = next((folder for folder in kept if folder.exists()), kept[0])
            wanted = data.name in KELVIN or data.name in STRAINED
            if not wanted or (data.name, method) in there or not fit.exists():
                continue
            yield {"data": data.name, "method": method} | _row(data, settings(data), fit, options.gap)


def _setting(data: DataSet, folder: Path) -> Setting:
    train, tests = split(data, partial(read_part, folder))
    known = [*train.structures, *tests["in"].structures]
    start = min(known, key=lambda atoms: abs(len(atoms) - ATOMS))
    strained = _strained(data, known)
    return Setting(start, _shortest(train, data.cutoff), strained)


def _strained(data: DataSet, structures: Sequence[Atoms]) -> list[Atoms]:
    kinds = STRAINED.get(data.name, ())
    found = [atoms for atoms in structures if atoms.info.get("config_type") in kinds]
    return [found[i] for i in np.linspace(0, len(found) - 1, min(MOST, len(found))).astype(int)]


def _shortest(part: Part, cutoff: float) -> dict[str, float]:
    """The shortest distance of each pair of elements."""
    shortest: dict[str, float] = {}
    for atoms in part.structures:
        found = find_pairs([atoms], cutoff=cutoff)
        ends = atoms.numbers[found.center], atoms.numbers[found.neighbor]
        for a, b, r in zip(*ends, found.distance, strict=True):
            key = f"{min(a, b)} {max(a, b)}"
            shortest[key] = min(float(r), shortest.get(key, np.inf))
    return shortest


def _row(data: DataSet, setting: Setting, fit: Path, python: Path) -> dict[str, Any]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in fit.glob("gap.xml*"):
            shutil.copy(file, folder)
        if data.name in KELVIN:
            found |= {"kelvin": KELVIN[data.name], "atoms": len(setting.start)}
            write_labelled(folder / "start.xyz", [setting.start])
            step = LIGHT_STEP if 1 in data.elements else STEP
            run = {"kelvin": KELVIN[data.name], "step": step, "steps": round(1e3 * PICOSECONDS / step)}
            run["closest"] = {pair: CLOSE * r for pair, r in setting.closest.items()}
            times = []
            for seed in range(RUNS):
                (folder / "run.json").write_text(json.dumps(run | {"seed": seed}))
                run_program([str(python), str(PROGRAM)], folder, environment)
                steps = json.loads((folder / "time.json").read_text())["steps"]
                times.append(round(1e-3 * step * steps, 4) if steps <= run["steps"] else None)
            found["collapsed"] = times
        if setting.strained:
            write_labelled(folder / "strained.xyz", setting.strained)
            run_program([str(python), str(PREDICT), "strained"], folder, environment)
            energies = np.load(folder / "strained.npz")["energies"]
            found |= {"strained": len(energies), "strained_rmse": _relative_error(setting.strained, energies)}
    return found


def _relative_error(structures: Sequence[Atoms], energies: np.ndarray) -> float:
    """Of energies of atoms relative to their mean, root mean square in meV."""
    atoms = np.array([len(each) for each in structures])
    wrong = (energies - np.array([each.get_potential_energy() for each in structures])) / atoms
    return float(f"{1e3 * wrong.std():.4g}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--gap", type=Path, help="Python of the environment with quippy-ase")
    parser.add_argument("--fits", type=Path, help="folder in which gap.py kept the potentials")
    parser.add_argument("--summary", action="store_true", help="tables of the stored results")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "dynamics_results.json")
    options = parser.parse_args(arguments)
    if not options.summary and (options.gap is None or options.fits is None):
        parser.error("name --gap, the Python with quippy-ase, and --fits, the kept potentials; or --summary.")
    return options


if __name__ == "__main__":
    sys.exit(main())
