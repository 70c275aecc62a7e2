"""A file of arrays is read back as it was written, or it is known to be damaged."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from damage import damaged, kinds

from quests_jax.disk.checksummed_arrays import Damaged, read_arrays, verify, write_arrays

ARRAYS = {
    "x": np.arange(12.0).reshape(4, 3),
    "float32": np.array([1.5, np.nan], np.float32),
    "elements": np.array([6, 8], np.int32),
    "nothing": np.zeros((0, 3)),
    "one": np.array(True),
    "file": np.array("Gd₂O₃.xyz"),
    "names": np.array(["a", "long name"]),
    "every other": np.arange(10)[::2],
}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        # bit for bit, as NaN is not equal to itself
        and one[name].tobytes() == other[name].tobytes()
        for name in one
    )


def test_arrays_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    write_arrays(tmp_path / "file", ARRAYS, "this one")
    assert same(read_arrays(tmp_path / "file", "this one"), ARRAYS)
    assert same(
        read_arrays(tmp_path / "file", "this one", ["x", "one"]), {n: ARRAYS[n] for n in ("x", "one")}
    )
    assert verify(tmp_path / "file") == "this one"


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="x: arrays of object"):
        write_arrays(tmp_path / "file", {"x": np.array([{}])}, "")


def test_every_bit_counts(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_arrays(path, ARRAYS, "this one")
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        with pytest.raises(Damaged, match="file"):
            read_arrays(path, "this one")


@pytest.mark.parametrize("kind", kinds)
def test_no_damage_is_silent_and_none_ends_in_a_traceback(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    write_arrays(path, ARRAYS, "this one")
    write_arrays(other, ARRAYS, "the other")
    content, moments = path.read_bytes(), random.Random(kind)
    for _ in range(200):
        harmed = damaged(content, other.read_bytes(), kind, moments)
        path.write_bytes(harmed)
        try:
            assert same(read_arrays(path, "this one"), ARRAYS)
            assert harmed == content
        except Damaged:
            pass


def test_what_is_gone_is_damaged(tmp_path: Path) -> None:
    for missing in (tmp_path / "no file", tmp_path):
        with pytest.raises(Damaged):
            read_arrays(missing, "this one")
