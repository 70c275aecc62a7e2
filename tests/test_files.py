"""People's files: read whole, understood or refused, and copied as they are; in memory and with --work."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixBondLength
from command_line import Call, call, json_of

import quests_jax as qj
from quests_jax.atoms.sources import provenance, source_of
from quests_jax.base.checks import InputError

__all__ = ["call"]  # the fixture
pytestmark = pytest.mark.filterwarnings("ignore:at the bandwidth")  # which structures so few do not fit

SMALL = ("-k", "4", "-c", "3")
LATTICE = 'Lattice="4 0 0 0 4 0 0 0 9"'
ATOMS = "C 0 0 0\nC 0 0 1.4\nC 1.2 0 2\n"
FRAME = f"3\n{LATTICE}\n{ATOMS}"
LABELED = "Properties=species:S:1:pos:R:3:forces:R:3"
MOVED = "C 0 0 0 0.1 0 0\nC 0 0 1.4 0 0.2 0\nC 1.2 0 2 0 0 0.3\n"


def write_text(text: str, name: str = "in.xyz") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def only(text: str) -> Atoms:
    """The one structure of an extended xyz text."""
    (atoms,) = qj.read(write_text(text))
    return atoms


def refusal(call: Call, *words: str) -> str:
    """What a command is refused with: in one line, and with nothing written."""
    outcome = call(*words)
    assert outcome.code == 2
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert not list(Path().glob("out*"))
    return outcome.err


def copied(call: Call, name: str = "in.xyz", *options: str) -> bytes:
    """What `compress` writes if it keeps everything."""
    outcome = call("compress", name, "-s", "1.0", "-m", "random", *SMALL, "-o", "out.xyz", *options)
    assert outcome.code == 0, outcome.err
    return Path("out.xyz").read_bytes()


# ---- What is not read is refused ----


@pytest.mark.parametrize("between", ["\n", "\n\n  \n", "\r\n"])
def test_blank_lines_between_frames_are_read_over(call: Call, between: str) -> None:
    write_text(between + FRAME + between + FRAME + between)
    for options in ((), ("--work", "folder")):
        found = json_of(call("metrics", "in.xyz", *SMALL, "--json", *options))
        assert (found["n_structures"], found["n_environments"]) == (2, 6)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (FRAME + "garbage here\n", 6),
        (FRAME + "C 9 9 9\n" + FRAME, 6),
        (FRAME.replace("3\n", "2\n", 1) + FRAME, 5),
        (FRAME + FRAME.replace("3\n", "4\n", 1), 6),
        (FRAME + FRAME[:-3], 10),
        (FRAME + "3\n", 6),
        (FRAME + "-3\n" + ATOMS, 6),
        (FRAME.replace("C 0 0 1.4\n", "\n"), 4),
        (FRAME.replace("C 0 0 1.4", "C 0 0"), 4),
    ],
)
def test_text_that_is_no_frame_is_refused_with_its_line(call: Call, text: str, line: int) -> None:
    write_text(text)
    words = refusal(call, "metrics", "in.xyz", *SMALL)
    assert f"line {line}" in words
    assert "in.xyz: structure" in words
    assert f"line {line}" in refusal(call, "metrics", "in.xyz", *SMALL, "--work", "folder")


@pytest.mark.parametrize(
    "header",
    ["Properties=species:S:1", "Properties=pos:R:3", "Properties=species:S:1:pos:R:2", "Properties=x"],
)
def test_columns_without_elements_or_positions_are_refused(call: Call, header: str) -> None:
    write_text(f"1\n{header}\nC 0 0 0\n")
    assert "structure 0, line 2: Properties" in refusal(call, "metrics", "in.xyz")


def test_a_vasprun_that_ends_early_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    path.write_text('<?xml version="1.0"?>\n<modeling>\n<atominfo></atominfo>\n')
    with pytest.raises(InputError, match="before </modeling>"):
        qj.read(path)


# ---- Header keys in any case and any known dialect ----


@pytest.mark.parametrize(
    "header",
    [
        f'lattice="4 0 0 0 4 0 0 0 9" {LABELED.replace("Properties", "properties")} energy=-1',
        f"{LATTICE} {LABELED.replace('forces', 'force')} Energy=-1",
        f'{LATTICE.upper()} {LABELED.replace("forces", "FORCES")} ENERGY=-1 Pbc="1 1 1"',
        f'{LATTICE} note="" {LABELED} energy=-1',
        f"{LATTICE} note= {LABELED} energy = -1",
    ],
)
def test_headers_are_read_as_their_programs_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    monkeypatch.chdir(tmp_path)
    atoms = only(f"3\n{header}\n{MOVED}")
    np.testing.assert_array_equal(atoms.cell.array, np.diag([4.0, 4, 9]))
    np.testing.assert_array_equal(atoms.get_forces(), np.diag([0.1, 0.2, 0.3]))
    assert atoms.get_potential_energy() == -1
    assert atoms.pbc.all()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('PBC="1 1 0"', "TTF"),
        ('pbc="f f f"', "FFF"),
        ("pbc=FFF", "FFF"),
        ('pbc="T, T, F"', "TTF"),
        ('pbc="true false TRUE"', "TFT"),
        ("pbc=F", "FFF"),
        ("pbc=[T, F, T]", "TFT"),
        ('pbc="T/T/F"', "TTF"),
        ('note="" pbc="T T F"', "TTF"),
        ("", "TTT"),
        ("pbc=none", None),
        ('pbc="T T"', None),
        ('pbc="1 1 2"', None),
        ("pbc", None),
        ('pbc="T T F" PBC="T T T"', None),
    ],
)
def test_periodicity_is_understood_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, meant: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    text = f"3\n{LATTICE} {written}\n{ATOMS}"
    if meant is None:
        with pytest.raises(InputError, match="line 2"):
            only(text)
    else:
        assert "".join("FT"[int(p)] for p in only(text).pbc) == meant


@pytest.mark.parametrize(
    "header",
    [
        'Lattice="4 0 0 0 4 0 0 0"',
        "Lattice=cubic",
        'Lattice="4 0 0 0 4 0 0 0 9" lattice="4 0 0 0 4 0 0 0 8"',
        'cell="4 4 9"',
        "pbc=T",
        f"{LATTICE} energy=low",
        f'{LATTICE} energy="-1 -2"',
        f"{LATTICE} energy=-1 energy=-2",
        f'{LATTICE} stress="1 2 3"',
        f"{LATTICE} Properties=species:S:1:pos:R:3 properties=species:S:1:pos:R:3:forces:R:3",
        f'note="open {LATTICE}',
    ],
)
def test_what_decides_something_is_never_guessed(call: Call, header: str) -> None:
    write_text(f"3\n{header}\n{ATOMS}")
    assert "structure 0, line 2: " in refusal(call, "metrics", "in.xyz")


def test_six_stresses_are_in_the_order_of_voigt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    six = only(f'3\n{LATTICE} stress="1 2 3 4 5 6"\n{ATOMS}')
    nine = only(f'3\n{LATTICE} stress="1 6 5 6 2 4 5 4 3"\n{ATOMS}')
    np.testing.assert_array_equal(six.get_stress(), [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(nine.get_stress(), six.get_stress())


def test_a_stress_that_is_not_symmetric_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match="structure 0: the stress is not symmetric"):
        atoms = only(f'3\n{LATTICE} stress="1 6 5 7 2 4 5 4 3"\n{ATOMS}')
    with pytest.raises(InputError, match="stress is not symmetric"):
        qj.write("out.traj", [atoms])


def test_more_columns_than_declared_are_copied_and_not_converted(call: Call) -> None:
    write_text(f"3\nE=-1\n{MOVED}")
    assert copied(call) == Path("in.xyz").read_bytes()
    Path("out.xyz").unlink()
    words = refusal(call, "compress", "in.xyz", "-s", "1", *SMALL, "-o", "out.db")
    assert "columns beyond those declared" in words


def test_results_that_are_missing_are_no_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert only(f"3\n{LATTICE} energy=None\n{ATOMS}").calc is None


@pytest.mark.parametrize(
    "labels", ["run=003 under=12_0 git=12e345 big=12345678901234567890", 'path="C:\\\\"']
)
def test_labels_are_text_where_a_number_would_lose_some_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: str
) -> None:
    monkeypatch.chdir(tmp_path)
    atoms = only(f"3\n{LATTICE} {labels} n=3 x=0.5\n{ATOMS}")
    for pair in labels.replace("\\\\", "\\").replace('"', "").split():
        key, _, text = pair.partition("=")
        assert atoms.info[key] == text
    assert (atoms.info["n"], atoms.info["x"]) == (3, 0.5)


def test_ordinary_frames_are_what_ase_reads(tmp_path: Path) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    atoms.calc = SinglePointCalculator(atoms, energy=-1.5, forces=np.ones((2, 3)), stress=np.arange(6.0))
    atoms.info |= {"name": "two words", "flag": True, "list": [True, False], "n": 3, "v": np.arange(3.0)}
    atoms.arrays |= {"tags": np.array([1, 2]), "bond": np.ones((2, 2)), "kind": np.array(["a", "b"], object)}
    atoms.set_constraint(FixAtoms([1]))
    ase.io.write(tmp_path / "data.xyz", [atoms, bulk("Cu")], format="extxyz")
    for one, other in zip(
        qj.read(tmp_path / "data.xyz"), ase.io.read(tmp_path / "data.xyz", ":"), strict=True
    ):
        assert one == other
        assert one.info.keys() == other.info.keys()
        assert all(type(one.info[name]) is type(other.info[name]) for name in one.info)
        assert one.arrays.keys() == other.arrays.keys()
        assert all(one.arrays[name].dtype == other.arrays[name].dtype for name in one.arrays)


# ---- A selection never rewrites data ----


AWKWARD = (
    f'3\n{LATTICE} run=000 hash=12e345 big=12345678901234567890 path="C:\\\\data" quote="he said \\"hi\\"" '
    f'empty="" json="_JSON {{\\"a\\": [1]}}" pbc="T T F" {LABELED} energy=-40.1234567890123\n'
    "C 0.123456789012 0 0 1e-12 0 0 extra\nC 0 0 1.4 0 0 0 columns\nC   1.2 0 2   0 0 0 here\n"
)
PLAIN = "2\nfree text, it's = odd\nH 0 0 0\nH 0 0 0.74\n"


@pytest.mark.parametrize("packed", [False, True])
def test_chosen_frames_are_copied_byte_for_byte(call: Call, packed: bool) -> None:
    latin = b'3\nLattice="4 0 0 0 4 0 0 0 9" note="2.5 \xc5"\n' + ATOMS.encode()
    frames = [FRAME.encode(), AWKWARD.encode(), PLAIN.encode(), latin]
    name = "in.xyz.gz" if packed else "in.xyz"
    text = b"\n".join(frames)
    Path(name).write_bytes(gzip.compress(text) if packed else text)
    for options in ((), ("--work", "folder", "-m", "cover")):
        outcome = call(
            *("compress", name, "-s", "3", "-m", "random", *SMALL, *options),
            *("-o", "out.xyz", "-o", "out.json", "--overwrite"),
        )
        assert outcome.code == 0, outcome.err
        selected = json.loads(Path("out.json").read_text())["selected"]
        assert Path("out.xyz").read_bytes() == b"".join(frames[number] for number in selected)


def test_a_library_copies_too_and_sees_changes(tmp_path: Path) -> None:
    path, out = tmp_path / "in.xyz", tmp_path / "out.xyz"
    path.write_text(AWKWARD + FRAME)
    structures = qj.read(path)
    qj.write(out, [structures[1], structures[0]])
    assert out.read_text() == FRAME + AWKWARD
    assert [(s.index, s.start) for s in map(source_of, structures) if s] == [(0, 0), (1, len(AWKWARD))]
    assert provenance(structures)[1] == {"file": str(path), "index": 1}
    structures[1].info["mine"] = "003"
    qj.write(out, structures[1:])
    assert qj.read(out)[0].info["mine"] == ase.io.read(out).info["mine"] == "003"
    assert source_of(structures[0].copy()) is None


def test_rows_of_a_database_are_copied_whole(call: Call) -> None:
    with ase.db.connect("in.db") as rows:
        for number in range(3):
            rows.write(bulk("Cu", a=3.6 + 0.1 * number), run=number, tag="x y", data={"dos": np.arange(3.0)})
    outcome = call("compress", "in.db", "-s", "2", "-m", "random", *SMALL, "-o", "out.db", "-o", "out.json")
    assert outcome.code == 0, outcome.err
    selected = json.loads(Path("out.json").read_text())["selected"]
    with ase.db.connect("in.db") as before, ase.db.connect("out.db") as after:
        for number, row in zip(selected, after.select(), strict=True):
            original = before.get(number + 1)
            assert row.key_value_pairs == original.key_value_pairs
            np.testing.assert_array_equal(row.data["dos"], original.data["dos"])
            assert (row.unique_id, row.ctime) == (original.unique_id, original.ctime)
    Path("out.db").unlink()
    Path("out.json").unlink()
    assert "data" in refusal(call, "compress", "in.db", "-s", "2", *SMALL, "-o", "out.xyz")
    assert qj.read("in.db")[2].info["run"] == 2


def test_images_of_a_trajectory_are_copied_whole(call: Call) -> None:
    images = [bulk("Cu", a=3.6 + 0.1 * number) for number in range(3)]
    for number, atoms in enumerate(images):
        results = {"energy": -1.0, "born_effective_charges": np.ones((1, 3, 3)) * number}
        atoms.calc = SinglePointCalculator(atoms, **results)
        atoms.info |= {"energy": -1.0, "note": "", "none": None}
    ase.io.write("in.traj", images)
    outcome = call(
        "compress", "in.traj", "-s", "2", "-m", "random", *SMALL, "-o", "out.traj", "-o", "out.json"
    )
    assert outcome.code == 0, outcome.err
    selected = json.loads(Path("out.json").read_text())["selected"]
    for number, atoms in zip(selected, ase.io.read("out.traj", ":"), strict=True):
        assert atoms.info == images[number].info
        charges = atoms.calc.results["born_effective_charges"]
        np.testing.assert_array_equal(charges, images[number].calc.results["born_effective_charges"])
    Path("out.traj").unlink()
    Path("out.json").unlink()
    words = refusal(call, "compress", "in.traj", "-s", "2", *SMALL, "-o", "out.xyz")
    assert "born_effective_charges (result)" in words


@pytest.mark.parametrize(
    ("suffix", "change", "name"),
    [
        (".traj", lambda atoms: atoms.set_array("REF_forces", np.ones((2, 3))), "REF_forces"),
        (".db", lambda atoms: atoms.info.update(REF_stress=np.ones(6)), "REF_stress"),
        (".xyz", lambda atoms: atoms.set_constraint(FixBondLength(0, 1)), "FixBondLength"),
        (".xyz", lambda atoms: atoms.info.update(thing=object()), "thing"),
        (".xyz", lambda atoms: atoms.set_array("many", np.ones((2, 3, 3))), "many"),
    ],
)
def test_what_a_format_cannot_hold_is_named_or_dropped(
    tmp_path: Path, suffix: str, change: Callable[[Atoms], None], name: str
) -> None:
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
    change(atoms)
    path = tmp_path / f"out{suffix}"
    with pytest.raises(InputError, match=name):
        qj.write(path, [atoms])
    assert not path.exists()
    qj.write(path, [atoms], drop_unsupported=True)
    np.testing.assert_array_equal(qj.read(path)[0].positions, atoms.positions)


def test_losses_are_refused_before_anything_is_computed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(f"3\n{LATTICE} {LABELED.replace('forces', 'REF_forces')} REF_energy=-1\n{MOVED}")
    monkeypatch.setattr("quests_jax.cli.descriptor_choice.environments", None)
    for options in ((), ("--work", "folder", "-m", "cover")):
        words = refusal(call, "compress", "in.xyz", "-s", "1", *SMALL, "-o", "out.traj", *options)
        assert "REF_forces (array)" in words
        assert "--drop-unsupported" in words


TEXTS = (
    "",
    "003",
    "12e345",
    "T",
    "T F",
    "1 2",
    "C:\\",
    'he said "hi"',
    "two\nlines",
    "_JSON x",
    " x ",
    "é",
    "[1]",
)
VALUES = ("=", None, True, 3, -0.1, 1e300, [1, "a", None], {"a": [1.5]}, np.arange(3), np.eye(2), np.ones(1))


@pytest.mark.parametrize("value", [*TEXTS, *VALUES])
def test_labels_read_back_as_they_are(tmp_path: Path, value: object) -> None:
    atoms = Atoms("H", [[0.1234567890123, 0, 1e-20]], info={"label": value, "energy_of": 1, "odd key": 2})
    qj.write(tmp_path / "out.xyz", [atoms])
    for read in (lambda path: qj.read(path)[0], ase.io.read):
        found = read(tmp_path / "out.xyz")
        np.testing.assert_array_equal(found.positions, atoms.positions)
        assert np.array_equal(found.info["label"], value) if isinstance(value, np.ndarray) else True
        assert isinstance(value, np.ndarray) or (found.info["label"] == value and not found.pbc.any())


# ---- The name is the name ----


def test_an_at_sign_is_part_of_a_name(call: Call) -> None:
    ase.io.write("POSCAR", bulk("Si"), format="vasp")
    ase.io.write("POSCAR@300K", bulk("Cu", cubic=True), format="vasp")
    assert json_of(call("metrics", "POSCAR@300K", *SMALL, "--json"))["n_environments"] == 4
    assert len(qj.read("POSCAR@300K")[0]) == 4
    write_text(FRAME, "Pt@Cu.xyz")
    assert copied(call, "Pt@Cu.xyz") == FRAME.encode()
    assert call("compress", "Pt@Cu.xyz", "-s", "1", *SMALL, "-o", "out@2.xyz").code == 0
    assert qj.read("out@2.xyz") == qj.read("Pt@Cu.xyz")


def test_files_are_known_by_their_content(tmp_path: Path) -> None:
    for suffix in ("traj", "db"):
        qj.write(tmp_path / f"data.{suffix}", [bulk("Cu")])
        (tmp_path / f"data.{suffix}").rename(tmp_path / f"{suffix}.xyz")
        assert len(qj.read(tmp_path / f"{suffix}.xyz")) == 1
    (tmp_path / "text").write_text(FRAME)
    assert len(qj.read(tmp_path / "text")[0]) == 3
    (tmp_path / "packed.xyz").write_bytes(lzma.compress(FRAME.encode()))
    assert len(qj.read(tmp_path / "packed.xyz")[0]) == 3
    (tmp_path / "array.xyz").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match="HDF5 file"):
        qj.read(tmp_path / "array.xyz")


def test_a_database_of_something_else_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE cats (name TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="not one of ASE"):
        qj.read(path)
    assert path.read_bytes() == before


def test_types_of_a_dump_are_no_elements(tmp_path: Path) -> None:
    lines = ["ITEM: TIMESTEP", "0", "ITEM: NUMBER OF ATOMS", "2", "ITEM: BOX BOUNDS pp pp pp", *["0 5"] * 3]
    (tmp_path / "dump.xyz").write_text(
        "\n".join([*lines, "ITEM: ATOMS id type x y z", "1 1 0 0 0", "2 2 2 2 2", ""])
    )
    with pytest.warns(UserWarning, match="types 1, 2, ... are read as H, He"):
        structures = qj.read(tmp_path / "dump.xyz")
    assert len(structures[0]) == 2
    with pytest.raises(InputError, match="elements"):
        qj.write(tmp_path / "out.xyz", structures)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda text: text[:-10], "2 atoms are declared, but 1 follows"),
        (lambda text: text + "3 1 3 3 3\n", "2 atoms are declared, but 3 follow"),
        (
            lambda text: text.replace("\n2\nITEM: BOX", "\n200000000\nITEM: BOX"),
            "200000000 atoms are declared",
        ),
    ],
)
def test_a_dump_of_other_atoms_than_it_says_is_refused(
    tmp_path: Path, harm: Callable[[str], str], words: str
) -> None:
    lines = ["ITEM: TIMESTEP", "0", "ITEM: NUMBER OF ATOMS", "2", "ITEM: BOX BOUNDS pp pp pp", *["0 5"] * 3]
    text = "\n".join([*lines, "ITEM: ATOMS id element x y z", "1 C 0 0 0", "2 O 2 2 2", ""])
    path = tmp_path / "run.dump"
    path.write_text(text)
    assert qj.read(path)[0].get_chemical_symbols() == ["C", "O"]
    path.write_text(harm(text))
    with pytest.raises(InputError, match=words):
        qj.read(path)


# ---- Physical nonsense ----


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3\n\nH 0 0 0\nH 0.8 0 0\nH 21474836.48 0 0\n", "structure 1, atom 2: position"),
        ('1\nLattice="1e8 0 0 0 1e8 0 0 0 1e8"\nC 0 0 0\n', "structure 1: the cell holds a vector beyond"),
        ("1\n\nH nan 0 0\n", "structure 1, atom 0: position"),
        ("2\n\nH 0 0 0\nH 0 0 0\n", "structure 1, atoms 0 and 1"),
    ],
)
def test_nonsense_is_named_by_structure_and_atom(call: Call, text: str, words: str) -> None:
    write_text(FRAME + text)
    assert f"in.xyz: {words}" in refusal(call, "metrics", "in.xyz", *SMALL)
    assert f"in.xyz: {words}" in refusal(call, "metrics", "in.xyz", *SMALL, "--work", "folder")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (bulk("Cu"), "give \\[atoms\\]"),
        ("data.xyz", "read the file"),
        ([Path("data.xyz")], "structure 0 is the name"),
        ([bulk("Cu"), 3], "structure 1 is a int"),
        (5, "expected a list"),
        ([], "no structures"),
    ],
)
def test_what_is_no_list_of_structures_is_said_in_words(given: object, words: str) -> None:
    for use in (qj.environments, qj.get_descriptors, lambda structures: qj.write("out.xyz", structures)):
        with pytest.raises(InputError, match=words):
            use(given)


# ---- Hostile files ----


@pytest.mark.parametrize(
    "text",
    [
        f"1\nProperties=species:S:1:pos:R:3:forces:R:999999999\n{'C 0 0 0 ' + '1 ' * 3000}\n",
        "0\nProperties=species:S:1:pos:R:3:forces:R:999999999\n",
        f"1000000000000\n{LATTICE}\n{ATOMS}",
        f"{'9' * 5000}\n{LATTICE}\n{ATOMS}",
    ],
)
def test_numbers_are_checked_against_the_file_before_anything_is_allocated(call: Call, text: str) -> None:
    write_text(text)
    assert "structure 0" in refusal(call, "metrics", "in.xyz")
    words = refusal(call, "metrics", "in.xyz", "--work", "folder")
    assert "structure 0" in words or "no atoms" in words


def test_a_poscar_of_more_atoms_than_it_has_room_for_is_refused(tmp_path: Path) -> None:
    lines = [
        "Na Cl",
        "1",
        "5 0 0",
        "0 5 0",
        "0 0 5",
        "Na Cl",
        "1 1000000000000",
        "Direct",
        "0 0 0",
        "0 0 0.5",
        "",
    ]
    (tmp_path / "POSCAR").write_text("\n".join(lines))
    with pytest.raises(InputError, match="more atoms than the file has room for"):
        qj.read(tmp_path / "POSCAR")


def test_bytes_that_are_not_utf8_are_read(call: Call) -> None:
    Path("in.xyz").write_bytes(b'3\nLattice="4 0 0 0 4 0 0 0 9" note="2.5 \xc5"\n' + ATOMS.encode())
    assert qj.read("in.xyz")[0].info["note"] == "2.5 Å"
    for options in ((), ("--work", "folder")):
        assert call("metrics", "in.xyz", *SMALL, *options).code == 0


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_packed_files_that_are_damaged_or_far_too_large_are_refused(call: Call, pack: Callable) -> None:
    Path("in.xyz.gz").write_bytes(pack(FRAME.encode() * 20)[:-8])
    assert "not a complete" in refusal(call, "metrics", "in.xyz.gz")
    assert "not a complete" in refusal(call, "metrics", "in.xyz.gz", "--work", "folder")
    Path("in.xyz.gz").write_bytes(pack(bytes(80 << 20)))
    assert "times its size" in refusal(call, "metrics", "in.xyz.gz")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.ones((2, 3), complex)}, "x is an array of complex128"),
        ({"x": np.ones(3)}, "with shape (3,)"),
        ({"x": np.array([None])}, "Python objects"),
        ({"y": np.ones((2, 3))}, "no array called x"),
        ({"x": np.ones((2, 3)), "structure_id": np.zeros((2, 2), int)}, "structure_id is an array"),
        (
            {"x": np.ones((2, 3)), "structure_id": np.zeros(2, int), "n_structures": np.ones(3)},
            "n_structures",
        ),
        ({"x": np.ones((2, 3)), "parameters": "nonsense"}, "parameters"),
    ],
)
def test_odd_arrays_get_words_of_their_own(call: Call, arrays: dict, words: str) -> None:
    np.savez("in.npz", **arrays)
    assert words in refusal(call, "metrics", "in.npz")


def test_descriptors_of_another_width_are_named(call: Call) -> None:
    np.savez("odd.npz", x=np.ones((4, 5)), structure_id=[0, 0, 1, 1], n_structures=2)
    for words in (("overlap", "data.xyz", "odd.npz"), ("entropy", "data.xyz", "odd.npz")):
        said = refusal(call, *words, *SMALL, "-b", "0.015")
        assert "features per environment" in said
        assert "odd.npz" in said
        assert "data.xyz" in said


# ---- One failure does not take the rest ----


def test_an_output_that_fails_leaves_the_others(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the figure is odd")

    write_text(FRAME)
    monkeypatch.setattr("quests_jax.cli.delivery.write", fail)
    outcome = call("compress", "in.xyz", "-s", "1", *SMALL, "-o", "out.xyz", "-o", "out.json")
    assert outcome.code == 2
    assert "out.xyz: not written" in outcome.err
    assert "the figure is odd" in outcome.err
    assert Path("out.json").exists()
    assert not Path("out.xyz").exists()


def test_nothing_reaches_a_person_as_a_traceback(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("quests_jax.cli.descriptor_choice.environments", fail)
    outcome = call("metrics", "data.xyz")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "KeyError" in outcome.err
    assert "--debug" in outcome.err
    assert "Traceback" in call("metrics", "data.xyz", "--debug").err


SIGNALLED = """
import atexit, sys
from quests_jax.base import signals
from quests_jax.cli import main_command

def end(arguments):
    raise signals.Ended(signals.signal.SIGTERM)

main_command._call = end
atexit.register(print, "the interpreter was taken down")
sys.argv = ["quests-jax", "--version"]
sys.exit(main_command.main())
"""


def test_a_signal_ends_the_process_at_once_because_threads_may_crash_on_the_way() -> None:
    run = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True)
    assert (run.returncode, run.stdout) == (143, b"")
    assert run.stderr == b"error: terminated; no unfinished output is left.\n"


def test_a_terminal_that_is_not_utf8_gets_ascii(call: Call) -> None:
    lines = (("--help",), ("metrics", "data.xyz", *SMALL))
    code = f"import sys; from quests_jax.cli import main; sys.exit(max(map(main, {lines})))"
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    run = subprocess.run([sys.executable, "-c", code], env=ascii_only, capture_output=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.isascii()
    assert run.stdout.startswith(b"Usage:")
    assert b"A^-1" in run.stdout


@pytest.mark.parametrize("name", ["out.JSON", "out.XYZ", "out.Png"])
def test_suffixes_are_known_in_any_case(call: Call, name: str) -> None:
    command = "compare" if name.endswith("Png") else "compress"
    options = ("-s", "2", "-m", "random") if command == "compare" else ("-s", "2")
    assert call(command, "data.xyz", *options, *SMALL, "-o", name).code == 0
    assert Path(name).stat().st_size


def test_names_that_are_too_long_are_refused_before_the_work(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("quests_jax.cli.descriptor_choice.environments", None)
        assert "name too long" in refusal(call, "compress", "data.xyz", "-o", f"{'x' * 300}.xyz")
    name = f"{'x' * 250}.xyz"
    assert call("compress", "data.xyz", "-s", "2", *SMALL, "-o", name).code == 0
    assert len(qj.read(name)) == 2


def test_names_and_labels_are_no_formulas(call: Call) -> None:
    structures = qj.read("data.xyz")
    for number, atoms in enumerate(structures):
        atoms.info["config_type"] = ("$$", "a^$_{")[number % 2]
    qj.write("cost$a^$.xyz", structures)
    for words in (
        ("compare", "cost$a^$.xyz", "-s", "2", "-m", "random", *SMALL, "-o", "out.svg"),
        ("overlap-matrix", "cost$a^$.xyz", "--by", "config_type", *SMALL, "-o", "out2.png"),
    ):
        outcome = call(*words)
        assert outcome.code == 0, outcome.err


# ---- Elements ----


def test_species_are_checked_against_the_data(call: Call) -> None:
    assert "Cu is given twice" in refusal(call, "metrics", "data.xyz", "--species", "Cu,Cu")
    with pytest.warns(UserWarning, match="lacks elements that --species names: Pt"):
        assert call("metrics", "data.xyz", *SMALL, "--species", "Cu,Pt").code == 0
    ase.io.write("salt.xyz", bulk("NaCl", "rocksalt", a=5.64), format="extxyz")
    with pytest.warns(UserWarning, match="holds elements that --species leaves out: Cl"):
        assert call("metrics", "salt.xyz", *SMALL, "--species", "Na").code == 0


def test_sampled_numbers_come_with_their_half_widths(call: Call) -> None:
    outcome = call("metrics", "data.xyz", *SMALL, "--work", "folder", "--sample", "10")
    assert "± (95 %)" in outcome.out
    assert "half_width" not in outcome.out
