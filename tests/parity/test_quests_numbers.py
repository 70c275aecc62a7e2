"""Numbers that the QUESTS package gave for structures made by formula."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated import BANDWIDTH, CUTOFF, K, generated_structures

from quests_jax.atoms.describe import get_descriptors
from quests_jax.atoms.neighbors import find_pairs, nearest
from quests_jax.information import delta_entropy, diversity, entropy

pytestmark = pytest.mark.optimised

TOLERANCE = {"rtol": 0, "atol": 1e-8}


@pytest.fixture(scope="module")
def numbers() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("quests_numbers.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def x() -> dict[str, np.ndarray]:
    """Descriptors of each generated structure."""
    structures = generated_structures()
    rows = get_descriptors(list(structures.values()), k=K, cutoff=CUTOFF)
    ends = np.cumsum([len(atoms) for atoms in structures.values()])
    return dict(zip(structures, np.split(rows, ends[:-1]), strict=True))


def test_the_numbers_belong_to_these_parameters(numbers: dict[str, Any]) -> None:
    assert numbers["header"]["parameters"] == {"k": K, "cutoff": CUTOFF, "bandwidth": BANDWIDTH}
    assert numbers["header"]["versions"]["quests"] == "2026.2.22"


def test_no_environment_is_tied() -> None:
    pairs = find_pairs(list(generated_structures().values()), cutoff=CUTOFF)
    assert len(nearest(pairs, k=K)[1].atoms) == 0


def test_descriptors(numbers: dict[str, Any], x: dict[str, np.ndarray]) -> None:
    assert list(numbers["rows"]) == list(x)
    for name, rows in numbers["rows"].items():
        np.testing.assert_allclose(x[name][: len(rows)], rows, **TOLERANCE, err_msg=name)


def test_entropy_and_diversity(numbers: dict[str, Any], x: dict[str, np.ndarray]) -> None:
    everything = np.concatenate(list(x.values()))
    np.testing.assert_allclose(entropy(everything, bandwidth=BANDWIDTH), numbers["entropy"], **TOLERANCE)
    np.testing.assert_allclose(diversity(everything, bandwidth=BANDWIDTH), numbers["diversity"], **TOLERANCE)


def test_delta_entropy(numbers: dict[str, Any], x: dict[str, np.ndarray]) -> None:
    for name, expected in numbers["delta_entropy"].items():
        found = delta_entropy(x[name], x["cold fcc"], bandwidth=BANDWIDTH)
        np.testing.assert_allclose(found, expected, **TOLERANCE, err_msg=name)
