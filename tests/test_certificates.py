"""What `compress` says about its bound: whether it is a proof, and what an interruption leaves of it."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from quests_jax.atoms.describe import environments
from quests_jax.base.checks import InputError
from quests_jax.cover import posing
from quests_jax.cover.masses import dense_or_sparse
from quests_jax.information import delta_entropy
from quests_jax.studies import compression, kept_information
from quests_jax.studies.compression import compress

WIDE = 0.1


def rattled(seed: int) -> Atoms:
    structure = bulk("Cu", cubic=True)
    structure.rattle(0.05 * (1 + seed % 3), seed=seed)
    return structure


ENVS = environments([rattled(seed) for seed in range(12)])


def summary_of(**options):
    return compress(ENVS, size=3, bandwidth=WIDE, **options).summary


def test_a_certificate_is_a_proof_unless_it_is_sampled(monkeypatch):
    exact = summary_of(method="cover")
    assert (exact["bound"], exact["bound_failure_probability"]) == ("exact", 0)
    monkeypatch.setattr(dense_or_sparse, "DENSE", 0)
    monkeypatch.setattr(posing, "ALL", 0)
    monkeypatch.setattr(posing, "TARGETS", 20)
    sampled = summary_of(method="cover")
    assert (sampled["bound"], sampled["bound_failure_probability"]) == ("sampled", posing.FAILURE)
    assert exact["upper_bound"] <= sampled["upper_bound"] + 1e-9
    x, own = np.asarray(ENVS.x), np.isin(ENVS.structure_id, sampled["selected"])
    mass = np.exp(-np.asarray(delta_entropy(x, x[own], bandwidth=WIDE)))
    assert sampled["coverage"] == pytest.approx(np.minimum(mass, 1).mean(), rel=1e-9)


def test_without_a_certificate_there_is_no_bound():
    found = summary_of(certify="none")
    assert found["upper_bound"] is found["certified_ratio"] is found["bound"] is None
    assert 0 < found["coverage"] <= 1


def test_an_unknown_certificate_is_refused():
    with pytest.raises(InputError, match="certify must be one of quick, full, none"):
        summary_of(certify="perhaps")


def test_an_interruption_leaves_the_choice_without_a_certificate(monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    whole = summary_of()
    monkeypatch.setattr(compression, "certified", interrupted)
    with pytest.warns(UserWarning, match="the certificate was interrupted"):
        found = summary_of()
    assert found["selected"] == whole["selected"]
    assert found["upper_bound"] is None
    assert found["overlap"] == whole["overlap"]


def test_measures_from_masses_and_from_pairs_agree(monkeypatch):
    from_masses = summary_of()
    monkeypatch.setattr(dense_or_sparse, "DENSE", 0)
    from_pairs = summary_of(certify="none")
    for name in ("entropy", "diversity", "entropy_full", "diversity_full", "overlap", "max_delta_entropy"):
        assert from_pairs[name] == pytest.approx(from_masses[name], rel=1e-9)
    assert from_masses["entropy_full_half_width"] == 0


def test_the_entropy_of_a_large_data_set_is_an_estimate_unless_it_is_asked_for(monkeypatch):
    truth = summary_of(certify="none")["entropy_full"]
    monkeypatch.setattr(dense_or_sparse, "DENSE", 0)
    monkeypatch.setattr(kept_information, "EXACT", 10)
    monkeypatch.setattr(kept_information, "SAMPLE", 24)
    found = summary_of(certify="none")
    assert found["entropy_full_half_width"] > 0
    assert found["entropy_full"] == pytest.approx(truth, abs=3 * found["entropy_full_half_width"])
    assert summary_of(certify="none", exact=True)["entropy_full"] == pytest.approx(truth, rel=1e-9)


def test_seconds_of_the_stages_hold_everything():
    seconds = summary_of(method="cover")["seconds"]
    assert {"descriptors", "masses", "selection", "metrics", "certificate"} <= seconds.keys()
