"""What may be asked of a choice: limits, what stays, what goes, quotas, outputs."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from command_line import STRUCTURES, Call, call, json_of

import quests_jax as qj
from quests_jax.atoms.describe import environments
from quests_jax.base.checks import InputError
from quests_jax.studies.candidates import find_candidates

__all__ = ["call"]  # the fixture

WIDE = 0.1  # a bandwidth at which these few environments cover one another in part
KINDS = ["a", "a", "a", "a", "a", "b", "b", "c"]
ENVS = environments(STRUCTURES)
REPEATED = [STRUCTURES[i] for i in (0, 1, 2, 0, 1, 2, 0, 1)]  # three different ones
ATOM = Atoms("Al", info={"config_type": "IsolatedAtom"})


@pytest.fixture
def pool(call: Call) -> str:
    """A file of structures of three kinds, with an isolated atom."""
    labeled = [atoms.copy() for atoms in STRUCTURES]
    for atoms, kind in zip(labeled, KINDS, strict=True):
        atoms.info["config_type"] = kind
        atoms.info["hours"] = float(len(atoms) * (1 + (kind == "a")))
    ase.io.write("pool.xyz", [*labeled, ATOM], format="extxyz")
    return "pool.xyz"


@pytest.mark.parametrize("method", ["cover", "msc", "random", "fps", "facility", "relaxed"])
def test_atoms_are_a_budget(method: str) -> None:
    summary = qj.compress(STRUCTURES, atoms=13, method=method).summary
    assert summary["selected_environments"] == 12
    assert qj.compress(STRUCTURES, atoms=0.5, method=method).summary["selected_environments"] == 16


def test_coverage_is_reached_with_as_few_as_needed() -> None:
    found = qj.compress(ENVS, coverage=0.9, bandwidth=WIDE).summary
    assert found["method"] == "cover"
    assert found["coverage"] >= 0.9 > found["coverage"] - found["gains"][-1]
    assert qj.compress(ENVS, coverage=1.0, bandwidth=WIDE).summary["overlap"] == 1.0


def test_gains_end_where_they_are_too_small() -> None:
    everything = qj.compress(ENVS, size=1.0, method="cover").summary
    least = everything["gains"][3]
    found = qj.compress(ENVS, min_gain=least).summary
    assert found["selected"] == everything["selected"][:3]


def test_costs_of_any_kind_keep_a_budget() -> None:
    cost = np.arange(1.0, 9.0)
    found = qj.compress(ENVS, cost=cost, budget=10, method="cover", bandwidth=WIDE)
    assert cost[found.selection.selected].sum() <= 10
    cheap = qj.compress(ENVS, cost=cost, coverage=0.8, bandwidth=WIDE)
    dear = qj.compress(ENVS, cost=cost[::-1], coverage=0.8, bandwidth=WIDE)
    assert cost[cheap.selection.selected].sum() <= cost[dear.selection.selected].sum()


@pytest.mark.parametrize("method", ["cover", "diversity", "relaxed"])
def test_a_saturated_cover_says_so_and_goes_on_by_distance(method: str) -> None:
    found = qj.compress(REPEATED, size=5, method=method)
    assert found.summary["saturated"] == 3
    assert found.summary["gains"][3:] == [0.0, 0.0]
    assert len({str(atoms.positions) for atoms in found.structures[:3]}) == 3
    known = qj.compress(REPEATED, size=2, method=method, reference=REPEATED)
    assert known.summary["saturated"] == 0
    assert known.summary["overlap_before"] == 1.0


@pytest.mark.parametrize("method", ["cover", "msc", "random", "fps"])
def test_of_every_label_some_are_chosen(method: str) -> None:
    found = qj.compress(ENVS, size=4, by=KINDS, at_least=1, method=method, bandwidth=WIDE).summary
    assert len(found["selected"]) == 4 == len(set(found["selected"]))
    assert {KINDS[i] for i in found["selected"]} == {"a", "b", "c"}
    twice = qj.compress(ENVS, size=5, by=KINDS, at_least=2, method=method).summary
    assert sorted(KINDS[i] for i in twice["selected"]) == ["a", "a", "b", "b", "c"]


def test_stratified_draws_each_label_in_proportion() -> None:
    found = qj.compress(ENVS, size=4, by=KINDS, method="stratified").summary
    assert sorted(KINDS[i] for i in found["selected"])[:2] == ["a", "a"]


def test_random_rules_follow_their_seed() -> None:
    first, again, other = (
        qj.compress(ENVS, size=5, method="random", seed=seed).summary for seed in (1, 1, 2)
    )
    assert first["selected"] == again["selected"] != other["selected"]
    assert first["seed"] == 1


def test_structures_come_back_where_environments_were_given_beside_them() -> None:
    found = qj.compress(STRUCTURES, environments=ENVS, size=2)
    assert [
        atoms is STRUCTURES[i] for atoms, i in zip(found.structures, found.summary["selected"], strict=True)
    ]
    assert len(found.structures) == 2


def test_what_stays_is_known_to_the_choice_and_comes_besides() -> None:
    structures = [*STRUCTURES, ATOM]
    found = qj.compress(structures, size=2, keep="number=5", method="cover")
    assert found.summary["kept"] == [5, 8] == found.summary["selected"][:2]
    assert found.summary["size"] == 4
    assert qj.compress(structures, size=2, drop="n_atoms=1").summary["kept"] == []
    assert qj.compress([ATOM, ATOM], size=1).summary["kept"] == []


def test_what_goes_is_left_out_of_everything() -> None:
    found = qj.compress(STRUCTURES, size=3, drop="number<4").summary
    alone = qj.compress(STRUCTURES[4:], size=3).summary
    assert found["selected"] == [4 + i for i in alone["selected"]]
    assert found["dropped"] == [0, 1, 2, 3]
    for name in ("entropy_full", "overlap", "coverage", "n_structures"):
        assert found[name] == alone[name]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 2, "method": "msc", "coverage": 0.9}, "msc does not look at coverage"),
        ({"atoms": 12, "method": "k-means"}, "k-means cannot keep a budget"),
        ({"budget": 12}, "a budget needs to know"),
        ({"atoms": 12, "budget": 12, "cost": np.ones(8)}, "either atoms or a cost"),
        ({"cost": np.ones(3), "budget": 2}, "cost: expected a number for each"),
        ({"coverage": 1.5}, "coverage must be in"),
        ({"size": 2, "by": KINDS}, "3 groups of at least 1 need 3 structures"),
        ({"size": 2, "method": "stratified"}, "say which label"),
        ({"size": 2, "keep": "number=99"}, "no structure fulfills 'number=99'"),
        ({"size": 2, "keep": "numbr=9"}, "did you mean number"),
        ({"size": 2, "drop": "number>=0"}, "no structure is left to choose from"),
        ({"size": 2, "by": "numbr"}, "did you mean number"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        qj.compress(STRUCTURES, **options)
    assert "\n" not in str(refused.value)


# ---- the command line ----


def test_isolated_atoms_stay_and_are_announced(call: Call, pool: str) -> None:
    outcome = call("compress", pool, "-s", "2", "-o", "small.xyz")
    assert "kept besides: 1 isolated atom (Al)" in outcome.out
    assert [len(atoms) for atoms in ase.io.read("small.xyz", ":")] == [1, 4, 4]


def test_isolated_atoms_stay_on_disk_too(call: Call, pool: str) -> None:
    found = [
        json_of(call("compress", pool, "-s", "0.25", "-m", "cover", "-b", "0.015", "--json", *options))
        for options in ((), ("--work", "folder"))
    ]
    for name in ("selected", "kept", "size", "n_structures"):
        assert found[1][name] == found[0][name]
    for name in ("coverage", "overlap", "entropy", "gains"):
        assert found[1][name] == pytest.approx(found[0][name], abs=1e-6)
    assert found[1]["kept"] == [8]
    assert "kept besides: 1 isolated atom" in call("compress", pool, "-m", "cover", "--work", "folder").out


def test_a_cell_of_one_atom_is_not_isolated() -> None:
    images = [bulk("Al", a=a) for a in (3.9, 4.05, 4.2)]
    skewed = images[0].copy()
    skewed.set_cell(skewed.cell.array + np.array([[0, 0, 0], [9, 0, 9], [0, 0, 0]]) @ skewed.cell.array)
    boxed = Atoms("Al", cell=[12, 12, 12], pbc=True)
    found = find_candidates([*STRUCTURES, *images, skewed, boxed, ATOM])
    assert found.isolated.tolist() == [len(STRUCTURES) + 4, len(STRUCTURES) + 5]


def test_a_saturated_choice_is_announced(call: Call) -> None:
    ase.io.write("twice.xyz", REPEATED, format="extxyz")
    outcome = call("compress", "twice.xyz", "-m", "cover", "-s", "5")
    assert "3 of 5 cover the pool (0 % → 100 %); the other 2 add nothing" in " ".join(outcome.out.split())


def test_picks_rest_order_and_index_are_written(call: Call, pool: str) -> None:
    words = f"compress {pool}@1: data.xyz@:2 -s 3 --order original --index-key place --rest rest.xyz".split()
    outcome = call(*words, "-o", "small.xyz", "-o", "picks.csv", "-o", "small.json")
    assert outcome.code == 0, outcome.err
    found = json.loads(Path("small.json").read_text())
    with open("picks.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [[row["file"], int(row["index"])] for row in rows] == found["places"]
    assert [int(row["order"]) for row in rows] == [0, 1, 2, 3]
    n, kept = found["n_environments"], len(found["kept"])  # isolated atoms, which cover themselves
    assert float(rows[-1]["coverage"]) == pytest.approx((found["coverage"] * (n - kept) + kept) / n)
    assert sum(int(row["atoms"]) for row in rows) == found["selected_environments"]
    small, rest = (ase.io.read(name, ":") for name in ("small.xyz", "rest.xyz"))
    places = [found["places"][i] for i in np.argsort(found["selected"])]
    assert [atoms.info["place"] for atoms in small] == [index for _, index in places]
    assert len(small) + len(rest) == 10


def test_chosen_and_left_out_frames_are_the_bytes_of_the_input(call: Call) -> None:
    lines = "1\n  own=\"%d  x\" Lattice='4 0 0 0 4 0 0 0 %d'\tpbc=T,T,T \nCu  0.0 .5e0   %.9f\n"
    frames = [(lines % (i, 4 + i, i / 7)).encode() for i in range(6)]
    Path("odd.xyz").write_bytes(b"".join(frames))
    words = "compress odd.xyz -s 2 -m cover -o small.xyz --rest rest.xyz -o small.json".split()
    outcome = call(*words)
    assert outcome.code == 0, outcome.err
    selected = json.loads(Path("small.json").read_text())["selected"]
    assert Path("small.xyz").read_bytes() == b"".join(frames[i] for i in selected)
    rest = [frame for i, frame in enumerate(frames) if i not in selected]
    assert Path("rest.xyz").read_bytes() == b"".join(rest)


def test_quotas_costs_and_conditions_are_options(call: Call, pool: str) -> None:
    found = json_of(call("compress", pool, "-s", "3", "--by", "config_type", "--drop", "n_atoms=1", "--json"))
    assert {KINDS[i] for i in found["selected"]} == {"a", "b", "c"}
    assert found["dropped"] == [8]
    line = f"compress {pool} --drop n_atoms=1 --cost hours --budget 13 -m cover --json"
    found = json_of(call(*line.split()))
    assert sum(4.0 * (1 + (KINDS[i] == "a")) for i in found["selected"]) <= 13
    found = json_of(call("compress", pool, "--atoms", "50%", "-m", "cover", "--json"))
    assert found["selected_environments"] == 17
    assert (
        json_of(call("compress", pool, "--coverage", "0.5", "--cost", "hours", "--json"))["coverage"] >= 0.5
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("compress pool.xyz -s 9", "size 9 is larger than the data set of 8"),
        ("compress pool.xyz -s 2 --rest pool.xyz --overwrite", "is an input"),
        ("compress pool.xyz -s 2 -o a.xyz --rest a.xyz", "is an input"),
        ("compress pool.xyz -s 2 --cost config_type --budget 3", "config_type of structure 0 is no number"),
        ("compress pool.xyz -s 2 --keep 'a='", "condition"),
        ("compress data.npz -s 2 --keep n_atoms=4", "--keep needs structures"),
        ("compress pool.xyz -m cover --work folder --coverage 0.5", "--coverage needs the data in memory"),
    ],
)
def test_options_that_do_not_fit_are_refused(call: Call, pool: str, line: str, words: str) -> None:
    call("descriptors", "data.xyz", "-o", "data.npz")
    outcome = call(*shlex.split(line))
    assert outcome.code == 2, outcome.out
    assert words in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_rule_that_ignores_the_reference_says_so_and_names_others(call: Call) -> None:
    words = ("compress", "data.xyz", "-s", "2", "-r", "data.xyz")
    text = " ".join(call(*words, "-m", "random").out.split())
    assert "random does not look at the reference; these do: msc, pareto, cover" in text
    assert "does not look at" not in call(*words, "-m", "cover").out
    assert "use one of msc, pareto, cover" in call("compress", "data.xyz", "--atoms", "9", "-m", "direct").err


def test_commands_to_type_next_ask_for_the_same_descriptor_and_kernel(call: Call) -> None:
    words = (
        "compress",
        "data.xyz",
        "-s",
        "1",
        "-m",
        "random",
        "-k",
        "8",
        "--elements",
        "ignore",
        "-b",
        "auto",
    )
    text = " ".join(call(*words).out.split())
    assert "quests-jax compress data.xyz -k 8 --elements ignore -b auto -m cover --coverage 0.99" in text
    assert "quests-jax compress data.xyz -m cover --coverage 0.99" in " ".join(call(*words[:6]).out.split())


@pytest.mark.filterwarnings("ignore::UserWarning")  # that the bandwidth does not fit
def test_a_command_to_type_next_keeps_quotas_and_replaces_a_bandwidth_that_does_not_fit(call: Call) -> None:
    words = ("compress", "data.xyz", "-s", "2", "-m", "random", "-b", "0.0001", "--drop", "number=7")
    text = " ".join(call(*words).out.split())
    assert "quests-jax compress data.xyz --drop number=7 -b auto -m cover --coverage 0.99" in text


def test_chosen_structures_with_faults_are_told(call: Call) -> None:
    broken = STRUCTURES[3].copy()
    broken.positions[1] = broken.positions[0] + [0.4, 0.0, 0.0]
    ase.io.write("broken.xyz", [*STRUCTURES, broken], format="extxyz")
    words = ("compress", "broken.xyz", "-s", "3", "-m", "msc", "-b", "0.05")
    found = json_of(call(*words, "--json"))
    assert found["flawed"] == [8]
    assert "1 chosen structure has faults: structure 8 of broken.xyz" in " ".join(call(*words).out.split())
    assert json_of(call("compress", "data.xyz", "-s", "2", "-b", "0.05", "--json"))["flawed"] == []
