"""Energies and forces of a fitted potential, where quippy-ase is installed: TEST.xyz to TEST.npz."""

from __future__ import annotations

import sys

import ase.io
import numpy as np
from quippy.potential import Potential  # pyright: ignore[reportMissingImports]

potential = Potential("", param_filename="gap.xml")
for name in sys.argv[1:]:
    energies, forces = [], []
    for atoms in ase.io.read(f"{name}.xyz", ":"):
        atoms.calc = potential
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
    np.savez(f"{name}.npz", energies=np.array(energies), forces=np.concatenate(forces))
