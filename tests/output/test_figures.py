"""Figures: readable at any number of parts, honest about far values, and no formula in text of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from quests_jax.output import figures

LARGEST_SIDE = 4000  # pixels


@pytest.mark.parametrize("count", [2, 179])
def test_an_overlap_matrix_has_a_bounded_size_whatever_its_names(tmp_path: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    names = [f"a_long_config_type_$a^$_{i}" * 5 for i in range(count)]
    path = tmp_path / "overlaps.png"
    shares, entropies = rng.random((count, count)), rng.random(count)
    figures.draw_overlaps(names, shares, entropies, np.full(count, 6.0), path, title="cost$a^$.xyz")
    assert max(imread(path).shape[:2]) <= LARGEST_SIDE


def test_one_far_value_leaves_the_bins_of_the_others() -> None:
    near = np.random.default_rng(0).normal(-5, 1, 5000)
    values = np.append(near, 3000.0)
    edges = np.array(figures._bins(values))
    counts, _ = np.histogram(values, edges)
    assert counts.sum() == len(values)
    assert np.all(np.diff(edges) > 0)
    assert (counts[edges[:-1] < near.max()] > 0).sum() >= 5
    assert not figures._is_wide(near)
