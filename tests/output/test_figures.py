"""Figures: readable at any number of parts, honest about far values, and no formula in text of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from quests_jax.information import LearningCurve
from quests_jax.output import chart_data, matplotlib_figures

LARGEST_SIDE = 4000  # pixels
RNG = np.random.default_rng(0)
FORCES = RNG.lognormal(0, 2, 2000)
ROWS = [
    {"method": f"rule {m}", "asked": n, "size": n, "upper_bound": 1.0}
    | dict.fromkeys(chart_data.PANELS, 1e4 * n + m)
    for m in range(12)
    for n in (5, 50, 500)
]
FRAMES = [
    {"frame": i, "entropy": 1.0, "diversity": 2.0, "novel": None, "max_delta_entropy": 10.0**i}
    for i in range(5)
]
MADE = {
    "histogram": [chart_data.histogram(np.append(FORCES - 3, 1e5), 5.0)],
    "tails": [chart_data.tails_chart(FORCES, {"cover": FORCES[:9]})],
    "bandwidths": [
        chart_data.bandwidth_chart(
            np.geomspace(0.01, 1, 9), np.linspace(0, 1, 9), {f"rule {i}": 0.1 * i for i in range(9)}
        )
    ],
    "learning": [
        chart_data.learning_chart(LearningCurve(np.array([9, 90]), np.array([[1.0, 2], [1.1, 2]])), None)
    ],
    "comparison": chart_data.comparison_charts(ROWS),
    "trajectory": chart_data.trajectory_charts(FRAMES, 5.0),
}


@pytest.mark.parametrize("count", [2, 179])
def test_an_overlap_matrix_has_a_bounded_size_whatever_its_names(tmp_path: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    names = [f"a_long_config_type_$a^$_{i}" * 5 for i in range(count)]
    path = tmp_path / "overlaps.png"
    shares, entropies = rng.random((count, count)), rng.random(count)
    matplotlib_figures.draw_overlaps(
        names, shares, entropies, np.full(count, 6.0), path, title="cost$a^$.xyz"
    )
    assert max(imread(path).shape[:2]) <= LARGEST_SIDE


@pytest.mark.parametrize("kind", MADE)
def test_every_figure_has_a_bounded_size_whatever_its_title(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    title = "/a/long/path$a^$" * 60
    matplotlib_figures.draw(MADE[kind], path, title=title, columns=3 if kind == "comparison" else 1)
    assert max(imread(path).shape[:2]) <= LARGEST_SIDE


def test_no_point_of_a_chart_lies_outside_its_axes() -> None:
    for chart in (chart for made in MADE.values() for chart in made):
        low, high = (
            x if x is not None else y for x, y in zip(chart.y.limits, (-np.inf, np.inf), strict=True)
        )
        for series in chart.series:
            values = np.array([np.nan if value is None else value for value in series.y], float)
            assert not (values > high).any()
            assert series.look == "bars" or not (values < low).any()


def test_one_far_value_leaves_the_bins_of_the_others() -> None:
    near = np.random.default_rng(0).normal(-5, 1, 5000)
    values = np.append(near, 3000.0)
    edges = np.array(chart_data._bins(values))
    counts, _ = np.histogram(values, edges)
    assert counts.sum() == len(values)
    assert np.all(np.diff(edges) > 0)
    assert (counts[edges[:-1] < near.max()] > 0).sum() >= 5
    assert not chart_data._is_wide(near)


def test_a_thinned_distribution_keeps_its_ends_and_its_shares() -> None:
    values = np.random.default_rng(0).lognormal(0, 1, 50_000)
    x, share = chart_data._survival(values)
    assert len(x) <= chart_data.MOST_STEPS
    assert (x[0], x[-1]) == (values.min(), values.max())
    np.testing.assert_allclose(share, [(values >= each).mean() for each in x])
