"""What may be typed where a command takes structures."""

from __future__ import annotations

import io
from pathlib import Path

import ase.io
import pytest
from command_line import STRUCTURES, Call, call, json_of

from quests_jax.cli.file_arguments import parse_inputs

__all__ = ["call"]  # the fixture


@pytest.fixture
def folder(call: Call) -> Path:
    """A folder of two files and something else."""
    Path("pool").mkdir()
    ase.io.write("pool/a.xyz", STRUCTURES[:3], format="extxyz")
    Path("pool/b.xyz").write_text(Path("pool/a.xyz").read_text())
    Path("pool/notes.txt").write_text("nothing to read")
    return Path("pool")


@pytest.mark.parametrize(
    ("words", "atoms"),
    [
        ("data.xyz", 32),
        ("data.xyz pool/a.xyz", 44),
        ("pool", 24),
        ("pool/*.xyz", 24),
        ("**/*.xyz", 56),
        ("pool/b.xyz", 12),
        ("data.xyz@2", 4),
        ("data.xyz@-1", 4),
        ("data.xyz@::2", 16),
        ("data.xyz@:3 pool/a.xyz@1:", 20),
        ("pool/*.xyz@0", 8),
    ],
)
def test_everything_that_is_typed_is_read(call: Call, folder: Path, words: str, atoms: int) -> None:
    assert json_of(call("descriptors", *words.split(), "-k", "8", "--json"))["n_environments"] == atoms


def test_standard_input_is_a_file(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def give(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    give(Path("data.xyz").read_bytes())
    assert json_of(call("descriptors", "-", "--json"))["n_environments"] == 32
    give(b"")
    assert "standard input: the file is empty" in call("descriptors", "-").err
    monkeypatch.setattr("sys.stdin", None)
    assert "standard input is closed" in call("descriptors", "-").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("missing.xyz", "missing.xyz: no such file"),
        ("missing.xyz@3", "missing.xyz: no such file"),
        ("data.xyz@x", "data.xyz@x: no such file"),
        ("data.xyz@8", "none of those asked for"),
        ("data.xyz@::0", "no such file"),
        ("*.nothing", "no file fits this pattern"),
        ("void", "holds no structure files"),
        ("data.xyz pool/a.xyz data.xyz@3 flat.xyz", "flat.xyz: structure 1: the cell is singular"),
        ("data.xyz twin.xyz@1:", "twin.xyz: structure 1, atoms 0 and 1"),
    ],
)
def test_what_cannot_be_read_is_named(call: Call, folder: Path, words: str, message: str) -> None:
    Path("void").mkdir()
    flat, twin = STRUCTURES[1].copy(), STRUCTURES[1].copy()
    flat.cell[1] = 0
    twin.positions[1] = twin.positions[0]
    ase.io.write("flat.xyz", [STRUCTURES[0], flat], format="extxyz")
    ase.io.write("twin.xyz", [STRUCTURES[0], twin], format="extxyz")
    outcome = call("descriptors", *words.split())
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_file_that_is_given_twice_counts_twice_and_an_empty_name_is_none(call: Call) -> None:
    with pytest.warns(UserWarning, match="data.xyz is given 2 times"):
        assert json_of(call("descriptors", "data.xyz", "data.x*", "-k", "8", "--json"))["n_structures"] == 16
    assert "the name of a file is empty" in call("descriptors", "").err


def test_several_files_are_one_data_set(call: Call, folder: Path) -> None:
    whole = json_of(call("entropy", "data.xyz", "--json"))["entropy"]
    assert json_of(call("entropy", "data.xyz@:3", "data.xyz@3:", "--json"))["entropy"] == whole
    call("descriptors", "data.xyz@:3", "-o", "first.npz")
    assert json_of(call("entropy", "first.npz", "data.xyz@3:", "--json"))["entropy"] == pytest.approx(whole)


def test_each_part_of_an_overlap_matrix_is_a_file(call: Call, folder: Path) -> None:
    assert json_of(call("overlap-matrix", "pool", "--json"))["names"] == ["pool/a.xyz", "pool/b.xyz"]


def test_a_name_is_a_name_before_it_is_a_slice(call: Call, folder: Path) -> None:
    Path("pool/Pt@2.xyz").write_text(Path("pool/a.xyz").read_text())
    inputs = parse_inputs(None, None, "pool/Pt@2.xyz@1")  # pyright: ignore[reportArgumentType]
    assert inputs is not None
    assert inputs.files[0] == ("pool/Pt@2.xyz", 1)


def test_a_folder_gives_the_formats_of_large_data_and_no_results(tmp_path: Path) -> None:
    wanted = ["a.aselmdb", "b.parquet", "c.extxyz.bz2", "d.h5"]
    for name in (*wanted, "metrics.json", "descriptors.npz"):
        (tmp_path / name).write_bytes(b"x")
    found = parse_inputs(None, None, str(tmp_path))  # pyright: ignore[reportArgumentType]
    assert found is not None
    assert [Path(file.path).name for file in found.files] == wanted


def test_references_add_up(call: Call, folder: Path) -> None:
    words = "data.xyz -r data.xyz@:3 -r pool/a.xyz@1:".split()
    assert json_of(call("compress", *words, "-s", "2", "--json"))["reference_environments"] == 20
    told = " ".join(call("delta-entropy", *words, "-b", "0.001").out.split())
    assert "-r data.xyz@:3 -r pool/a.xyz@1:" in told


def test_a_part_without_a_file_is_refused(call: Call) -> None:
    found = call("split", "data.xyz", "-o", "train.xyz", "-o", "test.xyz")
    assert "3 parts and 2 files" in found.err
    assert not Path("train.xyz").exists()


def test_parts_of_other_sizes_than_asked_for_are_told(call: Call) -> None:
    structures = [atoms.copy() for atoms in STRUCTURES]
    for number, atoms in enumerate(structures):
        atoms.info["run"] = number // 6
    ase.io.write("runs.xyz", structures, format="extxyz")
    words = call("split", "runs.xyz", "--fractions", "0.5,0.5", "--group", "run").out
    assert "hold 75 %, 25 % of the structures instead of 50 %, 50 %" in " ".join(words.split())
