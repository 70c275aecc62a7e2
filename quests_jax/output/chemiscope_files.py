"""Files for chemiscope, which shows a map of environments beside the structures they belong to.

Chemiscope is an extra, `pip install 'quests_jax[viewer]'`, imported when a file is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from ase import Atoms

from quests_jax.base.checks import InputError

SUFFIX = ".chemiscope.json.gz"
MAP = "principal component"


def check_viewer(path: Path) -> None:
    """Raise `InputError` if `path` is for chemiscope and chemiscope is not installed."""
    if path.name.lower().endswith(SUFFIX) and find_spec("chemiscope") is None:
        raise InputError(f"{path}: needs chemiscope; run `pip install 'quests_jax[viewer]'`.")


def write_viewer(
    path: Path, structures: Sequence[Atoms], x: np.ndarray, values: Mapping[str, np.ndarray], *, cutoff: float
) -> None:
    """Write a chemiscope file: a map of the first two principal components of x, colored by the first value.

    Args:
      path: ends in `SUFFIX`.
      structures: with n atoms together.
      x: environments of all atoms in order, shape [n, d].
      values: numbers of all atoms by name, shape [n] each.
      cutoff: radius in Å of the environments that are drawn.
    """
    import chemiscope  # pyright: ignore[reportMissingImports]

    centered = x - x.mean(axis=0)
    _, axes = np.linalg.eigh(centered.T @ centered)
    shown = {MAP: centered @ axes[:, ::-1][:, :2], **values}
    chemiscope.write_input(
        str(path),
        [Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc) for atoms in structures],
        metadata={"name": "quests_jax"},
        properties={name: {"target": "atom", "values": np.asarray(v)} for name, v in shown.items()},
        environments=chemiscope.all_atomic_environments(structures, cutoff),
        settings=chemiscope.quick_settings(
            x=f"{MAP}[1]", y=f"{MAP}[2]", map_color=next(iter(values)), target="atom", periodic=True
        ),
    )
