"""Dynamics with a fitted potential, where quippy-ase is installed: run.json and start.xyz to time.json.

It stops when two atoms are closer than allowed, or at the end.
"""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
from ase import units
from ase.geometry import get_distances
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from quippy.potential import Potential  # pyright: ignore[reportMissingImports]

FRICTION = 0.01  # 1/fs

run = json.loads(Path("run.json").read_text())
atoms = ase.io.read("start.xyz")
atoms.calc = Potential("", param_filename="gap.xml")
generator = np.random.default_rng(run["seed"])
MaxwellBoltzmannDistribution(atoms, temperature_K=run["kelvin"], rng=generator)
dynamics = Langevin(
    atoms, run["step"] * units.fs, temperature_K=run["kelvin"], friction=FRICTION / units.fs, rng=generator
)
numbers = atoms.numbers
pairs = [[f"{min(a, b)} {max(a, b)}" for b in numbers] for a in numbers]
numbers = atoms.numbers
pairs = [[f"{min(a, b)} {max(a, b)}" for b in numbers] for a in numbers]
closest = np.array([[run["closest"].get(pair, 0.0) for pair in row] for row in pairs])
np.fill_diagonal(closest, 0.0)
steps = 0
while steps < run["steps"]:
    dynamics.run(1)
    steps += 1
    distances = get_distances(atoms.positions, cell=atoms.cell, pbc=atoms.pbc)[1]
    if not np.isfinite(atoms.positions).all() or (distances < closest).any():
        break
else:
    steps = run["steps"] + 1
Path("time.json").write_text(json.dumps({"steps": steps}))
