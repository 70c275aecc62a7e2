"""Files that ASE would read in part, guess at, or fail on: read whole, or refused in words."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import sqlite3
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms

import quests_jax as qj
from quests_jax.atoms.formats.completeness import check_whole
from quests_jax.base.checks import InputError

LATTICE = 'Lattice="4 0 0 0 4 0 0 0 9"'
ATOMS = "C 0 0 0\nC 0 0 1.4\nO 1.2 0 2\n"
FRAME = f"3\n{LATTICE}\n{ATOMS}"


def only(folder: Path, text: str | bytes) -> Atoms:
    """The one structure of an extended xyz text."""
    path = folder / "in.xyz"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    (atoms,) = qj.read(path)
    return atoms


def refusal(path: Path) -> str:
    """What reading a file is refused with, which names the file once."""
    with pytest.raises(InputError) as refused:
        qj.read(path)
    text = str(refused.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    assert text.count(path.name) == 1
    return text


# ---- Extended xyz ----


def test_a_byte_order_mark_is_no_part_of_a_frame(tmp_path: Path) -> None:
    structures = [only(tmp_path, b"\xef\xbb\xbf" + FRAME.encode())] * 2
    qj.write(tmp_path / "out.xyz", structures)
    assert (tmp_path / "out.xyz").read_text() == FRAME * 2
    (tmp_path / "in.xyz").write_bytes(FRAME.encode("utf-16"))
    assert "text in UTF-16" in refusal(tmp_path / "in.xyz")


@pytest.mark.parametrize(
    "text", ["[[1, 7, 3], [4, 5, 8], [9, 6, 2]]", "_JSON [[1, 7, 3], [4, 5, 8], [9, 6, 2]]"]
)
@pytest.mark.filterwarnings("ignore:.*the stress is not symmetric")
def test_arrays_in_brackets_are_rows(tmp_path: Path, text: str) -> None:
    atoms = only(tmp_path, f'3\nLattice="[[4, 0, 0], [1, 4, 0], [0, 0, 9]]" stress="{text}"\n{ATOMS}')
    np.testing.assert_array_equal(atoms.cell.array, [[4, 0, 0], [1, 4, 0], [0, 0, 9]])
    np.testing.assert_array_equal(atoms.get_stress(), [1, 5, 2, 8, 3, 7])  # the upper half


@pytest.mark.parametrize(
    ("columns", "first", "words"),
    [
        (
            "species:S:1:pos:R:3",
            "Si1 0 0 0",
            "atom 0, line 3: 'Si1' is no chemical symbol; write the element",
        ),
        ("species:S:1:pos:R:3", "D 0 0 0", "'D' is no chemical symbol"),
        ("species:S:1:pos:R:3", "6 0 0 0", "'6' is no chemical symbol; declare Z:I:1 for atomic numbers"),
        ("Z:I:1:pos:R:3", "200 0 0 0", "atom 0: no element has the number 200"),
        ("Z:I:1:pos:R:3", "-1 0 0 0", "no element has the number -1"),
        ("Z:R:1:pos:R:3", "6.5 0 0 0", "Properties: Z:R:1 cannot be Z"),
        ("species:S:1:Z:I:1:pos:R:3", "C 7 0 0 0", "line 3: C has the atomic number 7"),
        ("species:S:1:pos:R:3", "C 1_0 0 0", "atom 0, line 3: '1_0' is no number"),
        ("species:S:1:pos:R:3", "C ٣ 0 0", "'٣' is no number"),
        ("species:S:1:pos:R:3", "C 0.0D0 0 0", "'0.0D0'"),
        ("species:S:1:pos:R:3", "C -10.000-10.000 0", "has 3 columns where 4 are declared"),
    ],
)
def test_what_is_no_element_and_no_number_is_named(
    tmp_path: Path, columns: str, first: str, words: str
) -> None:
    (tmp_path / "in.xyz").write_text(f"1\nProperties={columns}\n{first}\n")
    assert words in refusal(tmp_path / "in.xyz")


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        ("pos:R:3:forces:R:3:species:S:1", "0 0 0 1 2 3 C\n0 0 1 1 2 3 o\n"),
        ("id:I:1:species:S:1:pos:R:3:label:S:1", "1 c 0 0 0 a_1\n2 O 0 0 1 ß\n"),
        ("Z:I:1:pos:R:3", "6 0 0 0\n8 0 0 1\n"),
        ("species:S:1:Z:I:1:pos:R:3", "C 6 0 0 0\nO 8 0 0 1\n"),
        ("Species:S:1:POS:R:3", "C\t0\t0\t0\r\nO\t0\t0\t1\r\n"),
    ],
)
def test_columns_in_any_order_are_read(tmp_path: Path, columns: str, rows: str) -> None:
    atoms = only(tmp_path, f"2\nProperties={columns}\n{rows}")
    assert atoms.get_chemical_symbols() == ["C", "O"]
    np.testing.assert_array_equal(atoms.positions, [[0, 0, 0], [0, 0, 1]])


def test_frames_without_atoms_are_read_and_copied(tmp_path: Path) -> None:
    text = f"0\n{LATTICE}\n{FRAME}0\n\n{FRAME}1\n{LATTICE}\nC 0 0 0\n"
    (tmp_path / "in.xyz").write_text(text)
    structures = qj.read(tmp_path / "in.xyz")
    assert [len(atoms) for atoms in structures] == [0, 3, 0, 3, 1]
    qj.write(tmp_path / "out.xyz", structures)
    assert (tmp_path / "out.xyz").read_text() == text


@pytest.mark.parametrize(
    "comment", ["it's a note", 'he"llo', "{a", "water = ", "= =", "Größe α 水", "x" * 10**6]
)
def test_comments_of_any_kind_are_read_and_copied(tmp_path: Path, comment: str) -> None:
    text = f"3\n{comment}\n{ATOMS}"
    qj.write(tmp_path / "out.xyz", [only(tmp_path, text)])
    assert (tmp_path / "out.xyz").read_text(encoding="utf-8") == text


# ---- Other formats ----


def xdatcar(steps: int, *, again: bool = False) -> str:
    """Steps of an XDATCAR of two atoms; with its header before each, as where the cell changes."""
    header = "NaCl\n 1.0\n 5 0 0\n 0 5 0\n 0 0 5\n Na Cl\n 1 1\n"
    coordinates = " 0.0 0.0 0.0\n 0.5 0.5 0.5\n"
    body = [f"Direct configuration= {number + 1:5d}\n{coordinates}" for number in range(steps)]
    return header + (header if again else "").join(body)


@pytest.mark.parametrize("again", [False, True])
def test_an_xdatcar_is_read_whole(tmp_path: Path, again: bool) -> None:
    path, text = tmp_path / "XDATCAR", xdatcar(3, again=again)
    path.write_text(text + "\n\n")
    assert len(qj.read(path)) == 3
    step = text.index("Direct configuration=     3")
    for harmed, words in (
        (text + "garbage here\n", f"line {text.count(chr(10)) + 1}: belongs to no step"),
        (text + "\n" + xdatcar(1)[:40] + "\n", "belongs to no step"),
        (text[:step] + "odd\n" + text[step:], "line"),
        (text[:-5] + "\n", f"line {text.count(chr(10))}: expected one of 2 positions"),
        (text[:-1], "last line is not complete"),
        (text[: -len(" 0.5 0.5 0.5\n")], "expected one of 2 positions"),
        (text.replace("\n 1 1\n", "\n 1 99999999999\n"), "expected one of 100000000000 positions"),
        (text.replace("Direct configuration=     2", "Konfig=     2"), "line"),
    ):
        path.write_text(harmed)
        assert words in refusal(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "-- Iteration 1( 1) --\nFREE ENERGIE OF THE ION-ELECTRON SYSTEM\n-- Iteration 2( 1) --\n",
            "line 3: begins",
        ),
        ("-- Iteration 1( 1) --\n", "line 1: begins a step that does not end"),
        (
            "-- Iteration 1( 1) --\nFREE ENERGIE OF THE ION-ELECTRON SYSTEM\nenergy -1.2",
            "last line is not complete",
        ),
    ],
)
def test_an_outcar_that_ends_within_a_step_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "OUTCAR").write_text(text)
    with pytest.raises(InputError, match=words):
        check_whole(tmp_path / "OUTCAR", "vasp-out")


@pytest.mark.parametrize("selective", [False, True])
def test_a_poscar_of_other_atoms_than_it_says_is_refused(tmp_path: Path, selective: bool) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    if selective:
        atoms.set_constraint(FixAtoms([0]))
    path = tmp_path / "POSCAR"
    ase.io.write(path, atoms, format="vasp", sort=True)
    text = path.read_text()
    path.write_text(text + "\n" + " 0.0 0.1 0.2\n" * 8)  # velocities
    assert len(qj.read(path)[0]) == 8
    path.write_text(text.replace(" 4   4", " 4   3"))
    assert f"line {16 + selective}: follows the last of 7 atoms" in refusal(path)
    lines = text.splitlines()
    for harmed in (text.replace(" 4   4", " 4   5"), "\n".join([*lines[:-1], " 0.5"]), "\n".join(lines[:-1])):
        path.write_text(harmed)
        assert "expected one of" in refusal(path)
    path.write_text(text.replace(" 4   4", " 999999999 0.5"))
    assert "line 7: expected numbers of atoms" in refusal(path)
    path.write_text(text.replace("Cartesian", "garbage"))
    assert f"line {8 + selective}: expected Direct or Cartesian" in refusal(path)
    path.write_bytes(text.replace(" 4   4", " 4   3").replace("\n", "\r").encode())
    assert "follows the last of 7 atoms" in refusal(path)


CUT = {  # name of a file: format
    "a.cif": "cif",
    "a.pdb": "proteindatabank",
    "a.gro": "gromacs",
    "a.mol": "mol",
    "a.res": "res",
    "a.xsf": "xsf",
    "a.gen": "gen",
    "a.cfg": "cfg",
    "a.json": "json",
    "a.data": "lammps-data",
    "geometry.in": "aims",
    "a.con": "eon",
    "POSCAR": "vasp",
    "XDATCAR": "vasp-xdatcar",
    "a.traj": "traj",
    "a.extxyz": "extxyz",
}


@pytest.mark.parametrize("name", CUT)
@pytest.mark.filterwarnings("ignore")
def test_a_file_that_is_cut_is_never_read_in_part(tmp_path: Path, name: str) -> None:
    made = [bulk("Cu", cubic=True) * (2, 1, 1) for _ in range(3)]
    for number, atoms in enumerate(made):
        atoms.rattle(0.1, seed=number)
    several = CUT[name] in ("cif", "proteindatabank", "xsf", "json", "vasp-xdatcar", "traj", "extxyz")
    path = tmp_path / name
    ase.io.write(path, made if several else made[0], format=CUT[name])
    whole = [len(atoms) for atoms in qj.read(path)]
    assert whole == [8] * (3 if several else 1)
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)  # whole structures are whole files, so the cut is within a line
    for number in range(1, len(lines), max(1, len(lines) // 40)):
        if len(lines[number]) > 8:
            path.write_bytes(b"".join(lines[:number]) + lines[number][:7])
            with contextlib.suppress(InputError):
                assert [len(atoms) for atoms in qj.read(path)] == whole, number


def test_types_of_lammps_data_are_no_elements(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "a.data", bulk("Cu"), format="lammps-data")
    structures = []
    with pytest.warns(UserWarning, match="types 1, 2, ... are read as H, He"):
        structures = qj.read(tmp_path / "a.data")
    with pytest.raises(InputError, match="elements"):
        qj.write(tmp_path / "out.xyz", structures)


def test_a_database_that_somebody_writes_is_refused(tmp_path: Path) -> None:
    qj.write(tmp_path / "a.db", [bulk("Cu")] * 3)
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("DELETE FROM systems WHERE id=2")
        connection.commit()
        assert "another program is writing" in refusal(tmp_path / "a.db")
    assert len(qj.read(tmp_path / "a.db")) == 2


def test_names_of_files_are_any_text(tmp_path: Path) -> None:
    for name in (
        "a b.xyz",
        "-o.xyz",
        "line\nend.xyz",
        "ß水.xyz",
        "a@1.xyz",
        "c$^.xyz",
        "x.EXTXYZ",
        "none",
        "[1].xyz",
    ):
        (tmp_path / name).write_text(FRAME)
        assert len(qj.read(tmp_path / name)) == 1
        qj.write(tmp_path / f"out-{name.removesuffix('.EXTXYZ')}.xyz", qj.read(tmp_path / name))
        assert (tmp_path / f"out-{name.removesuffix('.EXTXYZ')}.xyz").read_text() == FRAME


def test_links_are_followed_and_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.xyz").write_text(FRAME)
    (tmp_path / "link.xyz").symlink_to("in.xyz")
    assert len(qj.read(tmp_path / "link.xyz")) == 1
    (tmp_path / "nowhere.xyz").symlink_to("gone")
    assert "no such file" in refusal(tmp_path / "nowhere.xyz")
    os.mkfifo(tmp_path / "pipe.xyz")
    assert "is a pipe" in refusal(tmp_path / "pipe.xyz")


# ---- Packed files, the disk, and what is no structure ----


def test_a_bomb_names_its_file_once(tmp_path: Path) -> None:
    for content in (bytes(80 << 20), FRAME.encode() * (50_000_000 // len(FRAME))):
        (tmp_path / "in.xyz.gz").write_bytes(gzip.compress(content))
        assert "times its size" in refusal(tmp_path / "in.xyz.gz")
    (tmp_path / "in.xyz.gz").write_bytes(gzip.compress(FRAME.encode())[:-4])
    assert "not a complete gzip file" in refusal(tmp_path / "in.xyz.gz")


def test_a_full_temporary_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "in.xyz.gz").write_bytes(gzip.compress(FRAME.encode()))
    for name in ("unpack", "tempfile.TemporaryDirectory"):
        with monkeypatch.context() as patched:
            patched.setattr(f"quests_jax.atoms.compressed_files.{name}", full)
            words = refusal(tmp_path / "in.xyz.gz")
            assert "No space left" in words
            assert "set TMPDIR" in words


def test_structures_of_pymatgen_are_named_with_what_converts_them() -> None:
    structure = type("Structure", (), {"__module__": "pymatgen.core.structure"})()
    for use in (qj.environments, qj.get_descriptors, lambda given: qj.write("out.xyz", given)):
        with pytest.raises(InputError, match="structure 1 is a pymatgen Structure; .*AseAtomsAdaptor"):
            use([bulk("Cu"), structure])
        with pytest.raises(
            InputError, match="expected a list of structures, got a pymatgen Structure; .*AseAtomsAdaptor"
        ):
            use(structure)


def test_databases_and_trajectories_cannot_name_unknown_elements(tmp_path: Path) -> None:
    atoms = bulk("Cu")
    atoms.numbers[:] = 300
    ase.io.write(tmp_path / "in.traj", atoms)
    assert "structure 0, atom 0: no element has the number 300" in refusal(tmp_path / "in.traj")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only Linux tells which files are open")
def test_a_damaged_trajectory_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "in.traj"
    ase.io.write(path, bulk("Cu"))
    path.write_bytes(path.read_bytes().replace(b'"numbers.":', b'"numbers.";'))
    with pytest.raises(InputError) as refused:
        qj.read(path)
    assert str(path) not in map(os.path.realpath, Path("/proc/self/fd").iterdir()), refused
