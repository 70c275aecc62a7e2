"""Commands on data past memory: many files in, provenance out."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from command_line import Call, call, json_of
from driver import crystals

import quests_jax as qj
from quests_jax.base.precision import double_precision
from quests_jax.disk import shards, tree_selection

pytestmark = pytest.mark.slow

__all__ = ["call"]  # the fixture


def write_pool() -> list[tuple[str, int]]:
    """Files of three formats in the order in which they are named below; the place of every structure."""
    structures = crystals(24)
    Path("folder").mkdir()
    qj.write("folder/a.xyz", structures[:6])
    qj.write("folder/b.traj", structures[6:12])
    qj.write("one.xyz", structures[12:18])
    qj.write("other.xyz.gz", structures[18:])
    places = [("one.xyz", i) for i in range(6)] + [("folder/a.xyz", i) for i in range(6)]
    return places + [("folder/b.traj", i) for i in range(6)] + [("other.xyz.gz", i) for i in (0, 2, 4)]


def test_a_choice_from_many_files_is_that_in_memory(call: Call) -> None:
    places = write_pool()
    words = ("compress", "one.xyz", "folder", "oth*.gz@::2", "-s", "5", "-m", "cover", "--overwrite")
    with double_precision():
        memory = json_of(call(*words, "--json", "-o", "memory.xyz"))
        disk = json_of(call(*words, "--json", "--work", "w", "-o", "disk.xyz", "-o", "picks.csv"))
    assert disk["n_structures"] == len(places)
    assert disk["selected"] == memory["selected"]
    assert disk["places"] == memory["places"] == [list(places[number]) for number in disk["selected"]]
    assert Path("disk.xyz").read_bytes() == Path("memory.xyz").read_bytes()
    rows = list(csv.DictReader(Path("picks.csv").read_text().splitlines()))
    assert [[row["file"], int(row["index"])] for row in rows] == disk["places"]
    for row, atoms in zip(rows, ase.io.read("disk.xyz", ":"), strict=True):
        original = ase.io.read(row["file"], int(row["index"]))
        np.testing.assert_array_equal(original.positions, atoms.positions)


def test_what_is_known_may_be_many_files_too(call: Call) -> None:
    write_pool()
    words = ("compress", "one.xyz", "-r", "folder", "-s", "2", "-m", "cover", "--json")
    memory, disk = (json_of(call(*words, *more)) for more in ((), ("--work", "w")))
    assert sorted(disk["selected"]) == sorted(memory["selected"])  # two add the same
    assert disk["reference_environments"] == 48


def test_other_inputs_are_refused_in_words(call: Call) -> None:
    write_pool()
    call("descriptors", "one.xyz", "-o", "one.npz")
    for name, message in (("one.npz", "holds descriptors"), ("rmd17:ethanol", "must be files")):
        outcome = call("metrics", name, "--work", "w")
        assert (outcome.code, message in outcome.err) == (2, True)


@pytest.mark.parametrize("method", ["msc", "random", "fps"])
def test_other_rules_choose_as_in_memory_where_the_root_holds_all(call: Call, method: str) -> None:
    write_pool()
    words = ("compress", "one.xyz", "folder", "-s", "4", "-m", method, "--json", "--seed", "3")
    memory, disk = (json_of(call(*words, *more)) for more in (("--certify", "none"), ("--work", "w")))
    for name in ("selected", "places", "method", "upper_bound", "bound", "certified_ratio"):
        assert disk[name] == memory[name], name
    for name in ("gains", "coverage", "overlap", "entropy", "diversity", "max_delta_entropy"):
        assert disk[name] == pytest.approx(memory[name], abs=1e-9), name


def test_a_larger_set_is_chosen_from_by_stages(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pool()
    monkeypatch.setattr(shards, "SHARD_STRUCTURES", 4)
    monkeypatch.setattr(tree_selection, "ROOT", 20)
    words = ("compress", "one.xyz", "folder", "-m", "msc", "--json", "--work", "w", "-s")
    few, more = (json_of(call(*words, size)) for size in ("3", "6"))
    assert (few["size"], more["size"]) == (3, 6)
    assert len(set(more["selected"])) == 6
    assert len(list(Path("w").glob("nominees-*/*.arrays"))) == 10  # five shards, two numbers of nominees
    assert more["coverage"] >= few["coverage"]


@contextmanager
def shards_of_a_few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shards, "SHARD_STRUCTURES", 7)
        yield


def assert_near(found: Any, expected: Any) -> None:
    """Equal but for rounding, whatever is in what; seconds are left aside."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected.keys() - {"seconds"}:
            assert_near(found[name], expected[name])
    elif isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            assert_near(one, other)
    else:
        assert found == (pytest.approx(expected, abs=1e-9) if isinstance(expected, float) else expected)


def write_labelled_pool() -> None:
    structures = crystals(20)
    for number, atoms in enumerate(structures):
        atoms.rattle(0.1, seed=100 + number)  # no two are alike
        if number % 3 == 0:
            del atoms[[0]]
        atoms.info |= {"config_type": "abc"[number % 3 * (number > 9)], "price": 1.0 + number % 4}
    structures.append(Atoms("Cu", cell=[20, 20, 20], pbc=True, info={"config_type": "atom", "price": 1.0}))
    qj.write("labelled.xyz", structures[:12])
    qj.write("more.traj", structures[12:])


@pytest.mark.parametrize(
    "words",
    [
        "-s 4 --keep n_atoms<4",
        "-s 4 --drop price>3",
        "-s 4 -m msc --keep price=2 --drop config_type=c",
        "-s 5 --by config_type",
        "-s 5 -m fps --by config_type",
        "--atoms 14",
        "--atoms 30% -m msc",
        "--cost price --budget 9",
        "-s 6 -m stratified --by config_type",
        "-s 4 -m msc --prefixes",
        "-s 4 --exact",
    ],
)
def test_conditions_quotas_and_budgets_are_those_in_memory(call: Call, words: str) -> None:
    write_labelled_pool()
    command = ("compress", "labelled.xyz", "more.traj", "-m", "cover", *words.split(), "--json")
    memory, disk = (json_of(call(*command, *more)) for more in ((), ("--work", "w")))
    for name in ("selected", "places", "kept", "dropped", "n_structures", "limits"):
        assert disk[name] == memory[name], name
    for name in ("coverage", "overlap", "entropy", "diversity", "max_delta_entropy"):
        assert disk[name] == pytest.approx(memory[name], abs=1e-9), name
    for name, values in memory.get("prefixes", {}).items():
        assert disk["prefixes"][name] == pytest.approx(values, abs=1e-9), name


@pytest.mark.parametrize("method", ["msc", "fps", "random"])
def test_smaller_choices_begin_larger_ones_past_the_root(
    call: Call, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    write_pool()
    monkeypatch.setattr(shards, "SHARD_STRUCTURES", 4)
    monkeypatch.setattr(tree_selection, "ROOT", 40)
    words = ("compress", "one.xyz", "folder", "-m", method, "--json", "--work", "w", "-s")
    few, more = (json_of(call(*words, size))["selected"] for size in ("2", "5"))
    assert more[:2] == few


@pytest.mark.parametrize(
    "words",
    [
        ("overlap", "one.xyz", "folder"),
        ("delta-entropy", "one.xyz", "-r", "folder"),
        ("outliers", "one.xyz", "-r", "folder", "-q", "0.5"),
        ("outliers", "labelled.xyz", "more.traj", "-q", "0.5"),
        ("trajectory", "one.xyz", "-r", "folder", "-q", "0.5"),
        ("trajectory", "folder"),
        ("overlap-matrix", "one.xyz", "folder/a.xyz"),
        ("overlap-matrix", "labelled.xyz", "more.traj", "--by", "config_type"),
        ("compare", "one.xyz", "folder", "-s", "3", "-m", "cover", "-m", "msc"),
    ],
    ids=lambda words: words[0],
)
def test_a_comparison_is_that_in_memory(call: Call, words: tuple[str, ...]) -> None:
    write_pool()
    write_labelled_pool()
    with shards_of_a_few():
        memory, disk = (json_of(call(*words, "--json", *more)) for more in ((), ("--work", "w")))
    assert memory.keys() == disk.keys()
    for name in memory.keys() - {"command", "seconds", "seconds_total"}:
        assert_near(disk[name], memory[name])
    if words[0] in ("delta-entropy", "outliers"):
        outcome = call(*words, "--work", "w", "-o", "new.xyz")
        assert (outcome.code, ".json" in outcome.err) == (2, True)
