"""Sums, rows, entropy and diversity of whole files, computed with QUESTS; they lie beside the repository.

QUESTS drops one or another of several equally distant neighbors k and k + 1; here they share the place. So
the two agree to rounding without such ties, and with them to a bound that is given below.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from quests_jax.atoms.describe import get_descriptors
from quests_jax.atoms.neighbors import find_pairs, nearest
from quests_jax.atoms.reading import read
from quests_jax.information import diversity, entropy

pytestmark = [pytest.mark.optimised, pytest.mark.slow]

# Environments with a tie at k = 32 within 5 Å.
TIES = {
    "carbon_GAP20/Crystalline_Bulk": 76,
    "mlearn/Si_train": 0,
    "mlearn/Ge_train": 0,
    "mlearn/Li_train": 0,
    "mlearn/Mo_train": 1,
    "carbon_GAP20/Diamond": 432,
    "carbon_GAP20/Graphite": 1905,
    "carbon_GAP20/Nanotubes": 53,
    "carbon_GAP20/Fullerenes": 2,
    "carbon_GAP20/Crystalline_RSS": 966,
    "carbon_GAP20/Amorphous_Surfaces": 0,
    "mol_3BPA/train_300K": 0,
    "water_deepmd/data_0": 2,
    "SrTiO3_pypolymlp/train1": 9,
    "SiO_turq/train": 1400,
    "FitSNAP_InP_JPCA2020/s_iIn": 0,
}
ENTRY = 0.005  # Å⁻¹, more than any entry of a row changes with the choice among equally distant neighbors
ROW = 0.01  # Å⁻¹, more than the sum of a row changes with it
NATS = 0.02  # more than entropy and diversity change with it if all environments are tied


class File(NamedTuple):
    """One data file: what QUESTS found in it and what is found here."""

    expected: dict[str, Any]
    x: np.ndarray
    tied: np.ndarray  # numbers of the environments with a tie


@pytest.fixture(scope="module", params=TIES)
def file(request: pytest.FixtureRequest, shared_reference: Path, shared_data: Path) -> File:
    path = shared_reference / "quests_reference.json"
    expected = json.loads(path.read_text(encoding="utf-8"))["files"][request.param]
    structures = [atoms for name in expected["files"] for atoms in read(shared_data / name)]
    tied = nearest(find_pairs(structures, cutoff=5.0), k=32)[1].atoms
    assert len(tied) == TIES[request.param]
    return File(expected, get_descriptors(structures), tied)


def test_sums(file: File) -> None:
    expected, x, tied = file.expected["descriptor"], file.x, file.tied
    assert list(x.shape) == expected["shape"]
    assert abs(x.sum() - expected["sum"]) < 1e-7 + ROW * len(tied)
    assert abs((x**2).sum() - expected["sum_squares"]) < 1e-7 + ROW * len(tied)


def test_first_and_last_row(file: File) -> None:
    for i, name in ((0, "first_row"), (len(file.x) - 1, "last_row")):
        tolerance = ENTRY if i in file.tied else 1e-8
        np.testing.assert_allclose(file.x[i], file.expected["descriptor"][name], rtol=0, atol=tolerance)


def test_entropy_and_diversity(file: File) -> None:
    tolerance = 1e-6 + NATS * len(file.tied) / len(file.x)
    np.testing.assert_allclose(entropy(file.x), file.expected["entropy"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(diversity(file.x), file.expected["diversity"], rtol=0, atol=tolerance)
