"""The recommended bandwidth scales with the data; the warning comes where nothing is like anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

import quests_jax as qj
from quests_jax import information
from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments, make_environments
from quests_jax.information import delta_entropy_of_others, likelihood_bandwidth, novelty_bandwidth
from quests_jax.studies import reference_thresholds
from quests_jax.studies.bandwidths import (
    LEVEL,
    bandwidth_fit,
    bandwidth_warning,
    bandwidths_by_element,
    recommended_bandwidth,
    typical_volume,
    with_bandwidths,
)
from quests_jax.studies.reference_thresholds import masses_of_others


def cloud(scale: float = 1.0, structures: int = 40) -> Environments:
    rows = np.random.default_rng(0).normal(0, scale, (5 * structures, 3))
    return make_environments(rows, np.repeat(np.arange(structures), 5))


def distorted_layers(amplitude: float) -> list:
    """Layers of three elements like MoSi2N4, each atom moved at random by much more than heat would."""
    layers = []
    for seed in range(8):
        layer = bulk("MoN", "rocksalt", a=4.2, cubic=True) * (2, 2, 1)
        layer.symbols[::4] = "Si"
        layer.center(vacuum=8, axis=2)
        layer.pbc = (True, True, False)
        layer.rattle(amplitude, seed=seed)
        layers.append(layer)
    return layers


@pytest.mark.parametrize("scale", [1e-3, 10.0, 1e4])
def test_a_recommendation_scales_with_the_data(scale):
    plain, scaled = recommended_bandwidth(cloud()), recommended_bandwidth(cloud(scale))
    assert scaled.value == pytest.approx(scale * plain.value, rel=1e-6)
    assert scaled.others["elbow"] == pytest.approx(scale * plain.others["elbow"], rel=1e-6)
    assert scaled.disagreement == pytest.approx(plain.disagreement, rel=1e-6)


def test_rules_find_bandwidths_of_any_size():
    y, x = (1e4 * np.random.default_rng(seed).normal(0, 1, (100, 3)) for seed in (0, 1))
    assert novelty_bandwidth(y, x) > 1e3
    assert likelihood_bandwidth(y, x) > 1e2


def test_copies_are_refused_instead_of_a_limit():
    x = np.random.default_rng(0).normal(0, 1, (50, 3))
    for rule in (novelty_bandwidth, likelihood_bandwidth):
        with pytest.raises(InputError, match="copies"):
            rule(x, x)
    with pytest.raises(InputError, match="the same"):
        novelty_bandwidth(np.zeros((5, 2)), np.zeros((5, 2)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    x = np.random.default_rng(0).normal(0, 1, (50, 3))
    y = x + 1
    y[7, 1] = bad
    for rule in (novelty_bandwidth, likelihood_bandwidth):
        with pytest.raises(InputError, match="y: environment 7 holds a value that is not finite"):
            rule(y, x)


def test_one_structure_has_no_recommendation():
    with pytest.raises(InputError, match="one structure"):
        recommended_bandwidth(make_environments(np.eye(3), np.zeros(3, int)))


def test_the_share_is_that_of_environments_which_others_cover():
    envs = cloud()
    dH = np.asarray(delta_entropy_of_others(envs.x, envs.structure_id, bandwidth=0.3))
    assert bandwidth_fit(envs, bandwidth=0.3).like_another == pytest.approx((dH < 1e-5).mean())


def test_some_rows_have_what_they_have_among_all():
    envs, rows = cloud(), np.array([3, 4, 77, 150])
    every = np.asarray(delta_entropy_of_others(envs.x, envs.structure_id, bandwidth=0.3))
    some = np.asarray(delta_entropy_of_others(envs.x, envs.structure_id, rows=rows, bandwidth=0.3))
    np.testing.assert_allclose(some, every[rows], rtol=1e-12)


def test_drawn_structures_have_the_mass_that_all_others_bring(monkeypatch):
    x = np.random.default_rng(3).normal(size=(90, 4)) * 0.02
    number = np.repeat(np.arange(30), 3)
    envs = make_environments(x, number, elements=np.tile([6, 8, 8], 30))
    everything = masses_of_others(envs, bandwidth=0.015)
    monkeypatch.setattr(reference_thresholds, "SMALL", 0)
    np.testing.assert_allclose(masses_of_others(envs, bandwidth=0.015), everything, atol=1e-10)
    monkeypatch.setattr(reference_thresholds, "ASKED", 20)
    some = masses_of_others(envs, bandwidth=0.015, seed=1)
    assert 20 <= len(some) < 40
    assert np.all(np.min(np.abs(some[:, None] - everything[None]), axis=1) < 1e-10)


def test_a_bandwidth_far_too_small_is_warned_of_and_the_recommended_one_is_not():
    envs = cloud()
    fit = bandwidth_fit(envs, bandwidth=1e-4)
    text = bandwidth_warning(fit)
    assert fit.like_another == 0 < LEVEL
    assert fit.recommended is not None
    assert f"--bandwidth {fit.recommended.value:.2g}" in text
    assert "rules of choice hardly differ" in text
    assert text.endswith("smaller force errors with cover and larger energy errors with msc.")
    assert bandwidth_warning(bandwidth_fit(envs, bandwidth=fit.recommended.value)) is None


def test_strongly_distorted_layers_are_warned_of():
    layers = distorted_layers(0.5)
    fit = bandwidth_fit(qj.environments(layers), bandwidth=0.015)
    assert fit.like_another < LEVEL
    assert "--bandwidth" in bandwidth_warning(fit)
    assert typical_volume(layers) is None


def test_silicon_is_not_warned_of(shared_data: Path):
    silicon = qj.read(shared_data / "mlearn" / "Si_test.xyz.gz")
    assert bandwidth_warning(bandwidth_fit(qj.environments(silicon), bandwidth=0.015)) is None


def test_one_structure_is_not_judged():
    fit = bandwidth_fit(make_environments(np.eye(3), np.zeros(3, int)), bandwidth=1.0)
    assert fit.fits
    assert bandwidth_warning(fit) is None


def test_each_element_may_have_a_bandwidth_of_its_own():
    """The kernel of two atoms of one element has the bandwidth of that element."""
    envs = cloud(structures=120)
    elements = np.tile([1, 8, 8, 8, 1], 120)
    wider = np.asarray(envs.x) * np.where(elements == 8, 5.0, 1.0)[:, None]
    told = make_environments(wider, envs.structure_id, elements=elements)
    found = bandwidths_by_element(told)
    assert list(found) == [1, 8]
    assert found[8] == pytest.approx(novelty_of(told, 8), rel=1e-12)
    assert 3 < found[8] / found[1] < 8
    scaled = with_bandwidths(told, found, bandwidth=0.5)
    p = np.asarray(information.self_kernel_sum(scaled, bandwidth=0.5))
    for Z, h in found.items():
        own = elements == Z
        np.testing.assert_allclose(p[own], information.self_kernel_sum(wider[own], bandwidth=h), rtol=1e-12)
    assert bandwidths_by_element(envs) == {}
    with pytest.raises(InputError, match="not told apart"):
        with_bandwidths(envs, found, bandwidth=0.5)


def novelty_of(envs: Environments, Z: int) -> float:
    return recommended_bandwidth(envs.take(envs.elements == Z)).value
