"""Structures read piece by piece are those that ASE reads, and bad files are named."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from driver import crystals

import quests_jax as qj
from quests_jax.base.checks import InputError
from quests_jax.disk import Work, rerun_after_repairs
from quests_jax.disk.frames import Frames, open_frames, shards_of


@pytest.mark.parametrize("name", ["data.xyz", "data.extxyz", "data.xyz.gz"])
def test_frames_are_what_ase_reads(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    qj.write(tmp_path / "data.xyz", crystals(9))
    text = (tmp_path / "data.xyz").read_bytes()
    file.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    frames = open_frames(Work(tmp_path / "work"), file, "identity")
    assert frames.counts.tolist() == [4] * 9
    assert frames.read(range(9)) == qj.read(file)
    assert frames.read([7, 2]) == [qj.read(file)[7], qj.read(file)[2]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n \n", "holds no structures"),
        ("", "the file is empty"),
        ("many\nx\n", "structure 0, line 1: expected a number of atoms, got 'many'"),
        ("1\n\nCu 0 0 0\n3\n\nCu 0 0 0\n", "structure 1, line 4: says 3 atoms, but the file ends after 1"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "data.xyz"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        open_frames(Work(tmp_path / "work"), file, "identity")


def test_a_bad_structure_is_named_by_its_number_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "data.xyz"
    file.write_text("1\n\nCu 0 0 0\n" * 5 + "1\n\nCu 0 nan 0\n")
    frames = open_frames(Work(tmp_path / "work"), file, "identity")
    with pytest.raises(InputError, match=r"data.xyz: structure 5, atom 0: .* not finite"):
        frames.read([4, 5])


def test_other_formats_are_refused(tmp_path: Path) -> None:
    qj.write(tmp_path / "data.traj", crystals(1))
    with pytest.raises(InputError, match="only extended xyz"):
        open_frames(Work(tmp_path), tmp_path / "data.traj", "identity")


def test_shards_are_runs_within_both_limits() -> None:
    counts = np.random.default_rng(0).integers(0, 40, 200)
    shards = shards_of(counts, rows=100, structures=7)
    assert [number for shard in shards for number in shard] == list(range(200))
    assert all(len(shard) <= 7 and counts[shard].sum() <= 100 for shard in shards)
    assert shards_of(np.array([500, 500]), rows=100, structures=7) == [range(1), range(1, 2)]


@pytest.mark.filterwarnings("ignore:.*was damaged or gone")
@pytest.mark.parametrize("harm", [lambda text: text.replace(b"Cu", b"Pb"), lambda text: b"", None])
def test_the_unpacked_copy_has_a_checksum(tmp_path: Path, harm) -> None:
    file = tmp_path / "data.xyz.gz"
    qj.write(file, crystals(3))

    def pipeline() -> Frames:
        return open_frames(Work(tmp_path / "work"), file, "identity")

    plain = rerun_after_repairs(pipeline).plain
    plain.unlink() if harm is None else plain.write_bytes(harm(plain.read_bytes()))
    assert rerun_after_repairs(pipeline).read(range(3)) == qj.read(file)
