"""Structures of many files on disk are those that are read in memory, and bad files are named."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from ase.db import connect
from driver import crystals

import quests_jax as qj
from quests_jax.atoms.structure_contents import differences
from quests_jax.base.checks import InputError
from quests_jax.disk import Work, describe_files, rerun_after_repairs, shards
from quests_jax.disk import structures as module
from quests_jax.disk.cover_targets import Asked, pose_on_disk
from quests_jax.disk.structures import Structures, open_structures, shards_of
from quests_jax.studies.choice_within_limits import Limits


def files(folder: Path) -> list[Path]:
    """Nine structures in files of four kinds, with an energy each."""
    structures = crystals(9)
    for number, atoms in enumerate(structures):
        atoms.info["energy_of_mine"] = number / 3
    text = folder / "one.xyz"
    qj.write(text, structures[:4])
    packed = folder / "two.extxyz.gz"
    packed.write_bytes(gzip.compress(text.read_bytes()))
    qj.write(folder / "three.traj", structures[4:7])
    with connect(folder / "four.db") as rows:
        for atoms in structures[7:]:
            rows.write(atoms, key_value_pairs={"mine": 1.5})
    return [text, packed, folder / "three.traj", folder / "four.db"]


def test_files_of_any_format_are_what_is_read_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STRUCTURES", 3)
    paths = files(tmp_path)
    inside = [atoms for path in paths for atoms in qj.read(path)]
    on_disk = open_structures(Work(tmp_path / "work"), [(path, None) for path in paths])
    assert on_disk.counts.tolist() == [len(atoms) for atoms in inside]
    for number, atoms in enumerate(on_disk.bare(range(len(inside)))):
        np.testing.assert_array_equal(atoms.positions, inside[number].positions)
        np.testing.assert_array_equal(atoms.cell, inside[number].cell)
        assert atoms.pbc.tolist() == inside[number].pbc.tolist()
        assert list(atoms.symbols) == list(inside[number].symbols)
    order = [8, 0, 12, 3, 5, 0]
    for number, atoms in zip(order, on_disk.read(order), strict=True):
        assert differences(atoms, inside[number]) == []
    assert on_disk.place(9) == (str(paths[2]), 1)


@pytest.mark.parametrize("part", [slice(1, None, 2), slice(-2, None), -1, 2])
def test_a_part_of_a_file(tmp_path: Path, part: slice | int) -> None:
    path = files(tmp_path)[0]
    on_disk = open_structures(Work(tmp_path / "work"), [(path, part), (path, None)])
    expected = np.atleast_1d(np.arange(4)[part]).tolist()
    assert on_disk.index.tolist() == [*expected, 0, 1, 2, 3]
    with pytest.raises(InputError, match="holds 4 structures and none of those"):
        open_structures(Work(tmp_path / "work"), [(path, 4)])
    with pytest.raises(InputError, match="holds 4 structures and none of those"):
        open_structures(Work(tmp_path / "work"), [(path, slice(4, None))])


def test_workers_are_sent_names_and_no_arrays(tmp_path: Path) -> None:
    on_disk = open_structures(Work(tmp_path / "work"), [(path, None) for path in files(tmp_path)])
    sent = pickle.dumps(on_disk)
    assert len(sent) < 2000
    received = pickle.loads(sent)
    assert isinstance(received, Structures)
    assert received.counts.tolist() == on_disk.counts.tolist()


def test_workers_are_sent_where_environments_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_STRUCTURES", 2)
    described = describe_files(Work(tmp_path / "work"), files(tmp_path), k=4, cutoff=4.0)
    sent = pickle.dumps(pose_on_disk(described, Asked(Limits(2)), bandwidth=0.015, targets=20))
    assert len(sent) < 4000
    received = pickle.loads(sent).shards
    assert received.runs == described.runs
    np.testing.assert_array_equal(received.environments(1).x, described.environments(1).x)


@pytest.mark.filterwarnings("ignore:.*was damaged or gone")
@pytest.mark.parametrize("stage", ["contents", "structures"])
@pytest.mark.parametrize("harm", [lambda content: content[:-9], lambda content: content[:99] + content[98:]])
def test_what_was_read_is_read_again_if_it_is_damaged(tmp_path: Path, stage: str, harm) -> None:
    path = files(tmp_path)[1]

    def pipeline() -> list[int]:
        module._found.cache_clear()
        on_disk = open_structures(Work(tmp_path / "work"), [(path, None)])
        return [len(atoms) for atoms in on_disk.bare(range(4))]

    assert pipeline() == [4] * 4
    (result,) = (tmp_path / "work").glob(f"{stage}-*/*.arrays")
    result.write_bytes(harm(result.read_bytes()))
    assert rerun_after_repairs(pipeline) == [4] * 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n \n", "holds no structures"),
        ("", "the file is empty"),
        ("many\nx\n", "structure 0, line 1: expected a number of atoms, got 'many'"),
        ("1\n\nCu 0 0 0\n3\n\nCu 0 0 0\n", "structure 1, line 4: says 3 atoms, but the file ends after 1"),
    ],
)
def test_a_bad_file_is_refused_by_the_name_it_was_given(
    tmp_path: Path, text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.xyz").write_text(text)
    with pytest.raises(InputError, match=f"^data.xyz: {message}"):
        open_structures(Work(tmp_path / "work"), [(Path("data.xyz"), None)])


def test_a_file_that_changes_meanwhile_is_named(tmp_path: Path) -> None:
    path = files(tmp_path)[0]
    on_disk = open_structures(Work(tmp_path / "work"), [(path, None)])
    qj.write(path, crystals(2, atoms=8))
    for number in (1, 3):
        with pytest.raises(InputError, match=r"one.xyz: has changed meanwhile"):
            on_disk.read([number])


def test_shards_are_runs_within_both_limits() -> None:
    counts = np.random.default_rng(0).integers(0, 40, 200)
    shards = shards_of(counts, rows=100, structures=7)
    assert [number for shard in shards for number in shard] == list(range(200))
    assert all(len(shard) <= 7 and counts[shard].sum() <= 100 for shard in shards)
    assert shards_of(np.array([500, 500]), rows=100, structures=7) == [range(1), range(1, 2)]
