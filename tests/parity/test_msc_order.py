"""The order in which MSC picks structures, against QUESTS wherever QUESTS is finite and free of ties."""

from __future__ import annotations

import json

import pytest

from quests_jax.atoms import environments, read
from quests_jax.cover import msc

pytestmark = pytest.mark.slow

FILES = [
    "carbon_GAP20/Amorphous_Surfaces",
    "carbon_GAP20/Crystalline_Bulk",
    "carbon_GAP20/Crystalline_RSS",
    "carbon_GAP20/Diamond",
    "carbon_GAP20/Fullerenes",
    "carbon_GAP20/Graphite",
    "carbon_GAP20/Nanotubes",
    "FitSNAP_InP_JPCA2020/s_iIn",
    "mlearn/Ge_train",
    "mlearn/Li_train",
    "mlearn/Mo_train",
    "mlearn/Si_train",
    "mol_3BPA/train_300K",
    "SiO_turq/train",
    "SrTiO3_pypolymlp/train1",
    "water_deepmd/data_0",
]


@pytest.mark.parametrize("name", FILES)
def test_same_structures_in_the_same_order(name, shared_data, shared_reference):
    entry = json.loads((shared_reference / "quests_reference.json").read_text())["files"][name]
    theirs = entry["compression"]["msc"]["indices_0.10"]
    decided = entry["compression"]["msc"]["first_step_with_tie_or_infinite_score"]
    structures = [atoms for file in entry["files"] for atoms in read(shared_data / file)]
    ours = list(msc(environments(structures), size=len(theirs)).selected)
    steps = len(theirs) if decided is None else decided  # from there on QUESTS keeps the lowest index
    assert ours[:steps] == theirs[:steps]
