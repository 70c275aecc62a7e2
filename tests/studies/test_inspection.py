"""The first look: what a data set holds and what to do next, from the command line and from Python."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase import Atoms
from command_line import STRUCTURES, Call, call, json_of

from quests_jax.atoms.describe import environments
from quests_jax.information import diversity, entropy
from quests_jax.studies.inspection import inspect, redundancy

__all__ = ["call"]  # the fixture


def test_contents_are_counted():
    structures = [*STRUCTURES, Atoms("Au", info={"REF_energy": -3.0})]
    contents, faults = inspect(structures)
    assert (contents.structures, contents.atoms) == (9, 33)
    assert contents.elements == {"Cu": 32, "Au": 1}
    assert contents.periodicity == {"TTT": 8, "FFF": 1}
    assert contents.singles == {"Au": 1}
    assert contents.sizes == (1, 4, 4)
    assert 0.5 < contents.closest[1] < 1
    assert faults.labels.names["energy"] == {"REF_energy": 1}


def test_estimates_agree_with_what_they_estimate():
    envs = environments(STRUCTURES)
    exact = redundancy(envs, bandwidth=0.05)
    assert exact.entropy.value == pytest.approx(float(entropy(envs, bandwidth=0.05)))
    assert exact.distinct == pytest.approx(np.exp(float(diversity(envs, bandwidth=0.05))))
    sampled = redundancy(envs, bandwidth=0.05, exact=0)  # of everything: the sample is the whole
    assert sampled.entropy.value == pytest.approx(exact.entropy.value)


def test_the_command_ends_with_two_commands_to_type(call: Call):
    outcome = call("inspect", "data.xyz", "-b", "0.05")
    assert outcome.out.count("  quests-jax ") == 2
    assert all(len(line) <= 80 for line in outcome.out.splitlines() if "quests-jax" not in line)


def test_faults_and_a_structure_that_cannot_be_described_are_no_end(call: Call):
    broken = STRUCTURES[0].copy()
    broken.positions[1] = broken.positions[0]
    ase.io.write("broken.xyz", [*STRUCTURES, broken], format="extxyz")
    found = json_of(call("inspect", "broken.xyz", "--json"))
    assert found["faults"]["coincident"] == 1
    assert found["contents"]["structures"] == 9
    assert "quests-jax clean broken.xyz" in found["advice"][0]
    assert "entropy" not in found


def test_environments_without_structures_are_looked_at_too(call: Call):
    assert call("descriptors", "data.xyz", "-o", "data.npz").code == 0
    found, whole = (
        json_of(call("inspect", name, "-b", "0.05", "--json")) for name in ("data.npz", "data.xyz")
    )
    for name in ("entropy", "diversity", "like_another", "bandwidth_fits"):
        assert found[name] == whole[name]
    assert "quests-jax compress data.npz -b 0.05 -s 0.1" in " ".join(found["advice"])


def test_the_default_bandwidth_of_descriptors_of_unknown_origin_is_warned_of(call: Call):
    envs = environments(STRUCTURES)
    np.savez("own.npz", x=envs.x, structure_id=envs.structure_id)
    assert "own.npz: does not say what its descriptors are" in call("inspect", "own.npz").err
    given = call("inspect", "own.npz", "-b", "0.05")
    assert (given.err, "Å⁻¹" in given.out) == ("", False)
    assert "bandwidth 0.05 Å⁻¹" in call("inspect", "data.xyz", "-b", "0.05").out


@pytest.mark.filterwarnings("ignore:the rules for the bandwidth")
def test_descriptors_of_another_kind_get_a_bandwidth_that_fits_from_a_file_too(call: Call):
    structures = [atoms.copy() for atoms in STRUCTURES]
    for atoms in structures:
        atoms.set_array("features", 1e4 * atoms.positions)
    ase.io.write("own.xyz", structures, format="extxyz")
    words = ("--descriptor", "array:features", "--scale", "std")
    assert call("descriptors", "own.xyz", *words, "-o", "own.npz").code == 0
    found, whole = (
        json_of(call("inspect", *given, "--json")) for given in (["own.npz"], ["own.xyz", *words])
    )
    for name in ("descriptor", "scale", "bandwidth", "bandwidth_auto", "entropy"):
        assert found[name] == whole[name]
    assert found["bandwidth"] != 0.015
    assert json_of(call("inspect", "own.npz", "-b", "0.3", "--json"))["bandwidth"] == 0.3


def test_the_bandwidth_is_warned_of_and_auto_is_taken(call: Call):
    small = call("inspect", "data.xyz", "-b", "0.0001")
    assert "--bandwidth" in small.err
    found = json_of(call("inspect", "data.xyz", "-b", "auto", "--json"))
    assert found["bandwidth_fits"]
    assert found["bandwidth_auto"]["rule"] == "novelty"
    assert found["bandwidth"] == pytest.approx(found["bandwidth_auto"]["value"], rel=1e-2)
