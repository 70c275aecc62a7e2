"""Structures into files and out of them."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from zoo import zoo

from quests_jax.atoms.formats import STRUCTURE_SUFFIXES, structure_suffix
from quests_jax.atoms.reading import read
from quests_jax.atoms.writing import check_output, whole_file, write
from quests_jax.base.checks import InputError


def labeled_structures() -> list[ase.Atoms]:
    """The zoo with an energy and forces on each member."""
    rng, structures = np.random.default_rng(0), list(zoo(0).values())
    for atoms in structures:
        forces = rng.normal(size=(len(atoms), 3))
        atoms.calc = SinglePointCalculator(atoms, energy=float(rng.normal()), forces=forces)
    return structures


@pytest.mark.parametrize("suffix", STRUCTURE_SUFFIXES)
def test_what_is_written_is_read(tmp_path: Path, suffix: str) -> None:
    written = labeled_structures()
    write(tmp_path / f"data{suffix}", written)
    found = read(tmp_path / f"data{suffix}")
    assert len(found) == len(written)
    for one, other in zip(found, written, strict=True):
        assert one.get_chemical_symbols() == other.get_chemical_symbols()
        assert one.pbc.tolist() == other.pbc.tolist()
        tolerance = {"rtol": 0, "atol": 1e-8}  # extended xyz keeps eight decimals
        np.testing.assert_allclose(one.positions, other.positions, **tolerance)
        np.testing.assert_allclose(one.cell.array, other.cell.array, **tolerance)
        np.testing.assert_allclose(one.get_forces(), other.get_forces(), **tolerance)
        np.testing.assert_allclose(one.get_potential_energy(), other.get_potential_energy(), **tolerance)
    assert [path.name for path in tmp_path.iterdir()] == [f"data{suffix}"]


@pytest.mark.parametrize("suffix", STRUCTURE_SUFFIXES)
def test_writing_replaces_what_was_there(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data{suffix}"
    for structures in (labeled_structures(), labeled_structures()[:2]):
        write(path, structures)
        assert len(read(path)) == len(structures)


def test_other_formats_are_read(tmp_path: Path) -> None:
    crystal = bulk("NaCl", "rocksalt", a=5.64)
    for name in ("data.cif", "data.vasp"):
        ase.io.write(tmp_path / name, crystal)
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        for path in (tmp_path / name, packed):
            np.testing.assert_allclose(read(path)[0].get_volume(), crystal.get_volume(), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.xyz", ".xyz"), ("A.XYZ.GZ", ".xyz.gz"), ("b.2.extxyz", ".extxyz"), ("a.cif", None), ("xyz", None)],
)
def test_suffixes(name: str, suffix: str | None) -> None:
    assert structure_suffix(name) == suffix


def refusal(path: Path) -> str:
    """The one line that reading `path` is refused with; it must name the file."""
    with pytest.raises(InputError) as refused:
        read(path)
    message = str(refused.value)
    assert "\n" not in message
    assert str(path) in message
    return message


HEADER = 'Properties=species:S:1:pos:R:3 pbc="T T T" Lattice='
CUBE = '"3 0 0 0 3 0 0 0 3"'
GOOD = f"2\n{HEADER}{CUBE}\nC 0 0 0\nC 1.5 1.5 1.5\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "empty|no structures"),
        ("\n\n", "no structures"),
        ("hello\nworld\n", "structure 0"),
        (GOOD[: GOOD.index("C 1.5")], "structure 0"),
        (GOOD + GOOD[: GOOD.index("C 1.5") + 5], "structure 1"),
        (GOOD + GOOD[:10], "structure 1"),
        (GOOD + GOOD.replace("C 1.5", "C nan"), "structure 1, atom 1.*not finite"),
        (GOOD + GOOD.replace("C 0", "C -inf"), "structure 1, atom 0.*not finite"),
        (GOOD + GOOD.replace("3 0 0 0 3", "3 0 0 0 nan"), "structure 1.*cell.*not finite"),
        (GOOD + GOOD.replace(CUBE, '"3 0 0 0 3 0 3 3 0"'), "structure 1.*singular"),
        (GOOD + GOOD.replace(CUBE, '"0 0 0 0 0 0 0 0 0"'), "structure 1.*singular"),
        (GOOD.replace("T T T", "T F T").replace(CUBE, '"3 0 0 0 3 0 6 0 0"'), "structure 0.*singular"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_bad_files_are_refused(tmp_path: Path, content: str, expected: str, packed: bool) -> None:
    path = tmp_path / ("data.xyz.gz" if packed else "data.xyz")
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    assert re.search(expected, refusal(path))


def test_missing_files_and_directories_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "data.xyz")
    assert "not a file" in refusal(tmp_path)


@pytest.mark.parametrize("suffix", [".db", ".traj", ".cif", ".json", ".vasp", ".unheard-of", ""])
def test_garbage_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data{suffix}"
    path.write_text("garbage")
    refusal(path)


@pytest.mark.parametrize("suffix", [".traj", ".db", ".xyz.gz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_files_cut_short_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"data{suffix}"
    write(path, labeled_structures())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refusal(path)


@pytest.mark.parametrize("share", np.linspace(0.05, 0.95, 10))
def test_damaged_gzip_files_are_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "data.xyz.gz"
    write(path, labeled_structures())
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 0xFF
    path.write_bytes(content)
    refusal(path)


def test_any_cell_will_do_without_periodicity_along_it(tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    flat = GOOD.replace(CUBE, '"3 0 0 0 3 0 3 3 0"')
    path.write_text(flat.replace("T T T", "T T F") + flat.replace("T T T", "F F F"))
    assert len(read(path)) == 2


@pytest.mark.parametrize("name", ["data", "data.cif", "data.xyz.zip", "missing/data.xyz"])
def test_files_that_cannot_be_written_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as refused:
        write(tmp_path / name, [ase.Atoms("C")])
    assert str(tmp_path / name) in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, kind: type[BaseException]) -> None:
    path = tmp_path / "data.xyz"
    path.write_text("old")

    def fail_half_way() -> None:
        with whole_file(path) as unfinished:
            unfinished.write_text("half")
            raise kind

    with pytest.raises(kind):
        fail_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".xyz", ".xyz.gz", ".traj"])
def test_a_structure_that_cannot_be_written_leaves_no_file(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match="structure 1"):
        write(tmp_path / f"data{suffix}", [ase.Atoms("C"), "carbon"])  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    with whole_file(path) as unfinished:
        unfinished.write_text("new")
        assert not path.exists()
        assert unfinished.parent == tmp_path
        written = unfinished.stat().st_ino
    assert path.stat().st_ino == written  # renamed, not copied
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_outputs_that_can_be_written_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "old.json").touch()
    check_output(tmp_path / "new.json", overwrite=False, suffixes=(".json",))
    check_output(tmp_path / "NEW.JSON", overwrite=False, suffixes=(".xyz", ".json"))
    check_output(tmp_path / "old.json", overwrite=True, suffixes=(".json",))
    assert (tmp_path / "old.json").read_text() == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("old.json", "exists"),
        ("new.txt", "unknown output format"),
        ("json", "unknown output format"),
        ("folder.json", "directory"),
        ("missing/new.json", "does not exist"),
        ("old.json/new.json", "does not exist"),
    ],
)
def test_outputs_that_cannot_be_written_are_refused(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InputError, match=expected) as refused:
        check_output(tmp_path / name, overwrite=False, suffixes=(".json",))
    assert str(tmp_path / name) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert (tmp_path / "old.json").read_text() == "old"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything can be written")
def test_a_directory_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"):
        check_output(tmp_path / "new.json", overwrite=False, suffixes=(".json",))
