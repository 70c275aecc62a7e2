"""Descriptors of a MACE potential, which is not written in JAX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np

from quests_jax.atoms.learned.protocol import Descriptor, content_of, missing


def mace_descriptor(path: Path) -> Descriptor:
    """Invariant node features of all layers of a MACE potential, through `mace-torch`."""
    version = content_of(path)
    try:
        from mace.calculators import MACECalculator  # pyright: ignore[reportMissingImports]
    except ImportError as reason:
        raise missing("mace-torch", "pip install mace-torch")(reason) from None
    calculator = MACECalculator(model_paths=str(path), device="cpu")

    def describe(structures: Sequence[ase.Atoms]) -> Sequence[np.ndarray]:
        return [calculator.get_descriptors(atoms, invariants_only=True) for atoms in structures]

    return Descriptor(f"mace:{path}", describe, version, kept=True)
