"""Laws of extended xyz over random frames: read as meant, copied byte for byte, converted without loss."""

from __future__ import annotations

import json
from pathlib import Path

import ase.db
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from command_line import Call, call
from frames import Written, make_file, make_frame

import quests_jax as qj
from quests_jax.atoms.structure_contents import differences
from quests_jax.atoms.writing import add_labels, refuse_unsupported
from quests_jax.base.checks import InputError
from quests_jax.disk import Work
from quests_jax.disk.structures import open_structures

__all__ = ["call"]  # the fixture
pytestmark = pytest.mark.filterwarnings("ignore:at the bandwidth", "ignore:.*the stress is not symmetric")

FILES = 120


def joined(frames: list[Written]) -> bytes:
    """What a file of these frames holds; a frame that does not end its last line stands last, or is ended."""
    ended = [frame.text if frame.text.endswith(b"\n") else frame.text + b"\n" for frame in frames[:-1]]
    return b"".join([*ended, frames[-1].text])


def read_random(folder: Path, seed: int) -> tuple[list[Written], list[Atoms], np.random.Generator]:
    """Random frames with perhaps blank lines between them, and what is read of them."""
    rng = np.random.default_rng(seed)
    frames = make_file(rng, int(rng.integers(1, 6)))
    between = (b"", b"\n", b" \r\n\n")[int(rng.integers(3))]
    ended = [joined([frame, frame])[: -len(frame.text)] for frame in frames[:-1]]
    (folder / "in.xyz").write_bytes(between.join([*ended, frames[-1].text]))
    return frames, qj.read(folder / "in.xyz"), rng


def test_frames_are_read_as_they_are_meant(tmp_path: Path) -> None:
    for seed in range(FILES):
        frames, structures, _ = read_random(tmp_path, seed)
        for frame, atoms in zip(frames, structures, strict=True):
            results = atoms.calc.results if atoms.calc else {}
            assert atoms.get_chemical_symbols() == frame.symbols
            np.testing.assert_array_equal(atoms.positions, frame.positions)
            np.testing.assert_array_equal(
                atoms.cell.array, np.zeros((3, 3)) if frame.cell is None else frame.cell
            )
            assert tuple(atoms.pbc.tolist()) == frame.pbc
            assert results.get("energy") == frame.energy
            assert ("forces" in results) == (frame.forces is not None)
            if frame.forces is not None:
                np.testing.assert_array_equal(results["forces"], frame.forces)


def test_any_subset_of_frames_is_copied_byte_for_byte(tmp_path: Path) -> None:
    for seed in range(FILES):
        frames, structures, rng = read_random(tmp_path, seed)
        for chosen in (range(len(frames)), rng.permutation(len(frames))[: rng.integers(1, len(frames) + 1)]):
            qj.write(tmp_path / "out.xyz", [structures[i] for i in chosen])
            assert (tmp_path / "out.xyz").read_bytes() == joined([frames[i] for i in chosen]), seed


def test_what_is_converted_reads_back_equal(tmp_path: Path) -> None:
    for seed in range(FILES):
        _, structures, _ = read_random(tmp_path, seed)
        made = [atoms.copy() for atoms in structures]  # without their sources
        for atoms, copy in zip(structures, made, strict=True):
            copy.calc = atoms.calc
        qj.write(tmp_path / "out.xyz", made)
        for atoms, found in zip(made, qj.read(tmp_path / "out.xyz"), strict=True):
            assert differences(atoms, found) == [], seed


def test_frames_on_disk_are_those_in_memory(tmp_path: Path) -> None:
    for seed in range(40):
        _, structures, rng = read_random(tmp_path, seed)
        path = tmp_path / "in.xyz"
        on_disk = open_structures(Work(tmp_path / str(seed)), [(path, None)])
        chosen = rng.permutation(len(structures))
        found = on_disk.read(chosen)
        assert on_disk.counts.tolist() == [len(atoms) for atoms in structures]
        for number, atoms in zip(chosen, found, strict=True):
            assert differences(atoms, structures[number]) == [], seed
        qj.write(tmp_path / "out.xyz", found)
        one = (tmp_path / "out.xyz").read_bytes()
        qj.write(tmp_path / "out.xyz", [structures[number] for number in chosen])
        assert one == (tmp_path / "out.xyz").read_bytes()


@pytest.mark.parametrize("seed", range(4))
def test_compress_gives_back_the_bytes_of_what_it_keeps(call: Call, seed: int) -> None:
    frames = make_file(np.random.default_rng([seed, 1]), 4, n_atoms=3)
    Path("in.xyz").write_bytes(joined(frames))
    options = ("-k", "4", "-c", "3", "--certify", "none", "--overwrite", "-o", "out.xyz", "-o", "out.json")
    assert call("compress", "in.xyz", "-s", "1.0", *options).code == 0
    assert Path("out.xyz").read_bytes() == Path("in.xyz").read_bytes()
    for extra in ((), ("--order", "original")):
        assert call("compress", "in.xyz", "-s", "2", "-m", "random", *options, *extra).code == 0
        selected = json.loads(Path("out.json").read_text())["selected"]
        chosen = sorted(selected) if extra else selected
        assert Path("out.xyz").read_bytes() == joined([frames[i] for i in chosen])


def test_new_columns_and_labels_leave_the_rest_of_a_frame_as_it_is(tmp_path: Path) -> None:
    amended = 0
    for seed in range(FILES):
        rng = np.random.default_rng([seed, 2])
        frame = make_frame(rng)
        (tmp_path / "in.xyz").write_bytes(frame.text)
        (atoms,) = qj.read(tmp_path / "in.xyz")
        n = len(atoms)
        arrays = {"delta_entropy": rng.normal(size=n), "outlier": rng.integers(2, size=n)}
        add_labels(atoms, arrays=arrays, labels={"place": 3, "reason": 'far, "odd"'})
        qj.write(tmp_path / "out.xyz", [atoms])
        (found,) = qj.read(tmp_path / "out.xyz")
        assert differences(atoms, found) == [], seed
        np.testing.assert_array_equal(found.arrays["delta_entropy"], arrays["delta_entropy"])
        assert (found.info["place"], found.info["reason"]) == (3, 'far, "odd"')
        before, after = frame.text.split(b"\n"), (tmp_path / "out.xyz").read_bytes().split(b"\n")
        kept = [
            set(one.split()) <= set(other.split()) for one, other in zip(before[2:], after[2:], strict=True)
        ]
        amended += before[0] == after[0] and all(kept)
    assert amended > 0.95 * FILES


def test_labels_of_a_command_are_added_to_the_frames_that_were_read(call: Call) -> None:
    frame = b"2\nrun=003 big=12345678901234567890\nCu 0.1234567890123 0 0 beyond\nCu 0 0 2.500 columns\n"
    Path("in.xyz").write_bytes(frame)
    words = ("delta-entropy", "in.xyz", "-r", "in.xyz", "-k", "4", "-c", "3", "-o", "out.xyz")
    outcome = call(*words)
    assert outcome.code == 0, outcome.err
    first, second = Path("out.xyz").read_bytes().split(b"\n")[2:4]
    assert (
        b"run=003 big=12345678901234567890 Properties=species:S:1:pos:R:3:delta_entropy:R:1\n"
        in Path("out.xyz").read_bytes()
    )
    assert first.startswith(b"Cu 0.1234567890123 0 0 ")
    assert first.endswith(b" beyond")
    assert second.endswith(b" columns")
    outcome = call("delta-entropy", "out.xyz", "-r", "data.xyz", "-k", "4", "-c", "3", "-o", "again.xyz")
    assert outcome.code == 2  # the column is there with other values, and the frame cannot be converted
    assert "columns beyond those declared" in outcome.err


@pytest.mark.parametrize("suffix", [".traj", ".db"])
def test_labels_are_added_to_images_and_rows(tmp_path: Path, suffix: str) -> None:
    path, atoms = tmp_path / f"in{suffix}", bulk("Cu")
    if suffix == ".db":
        with ase.db.connect(path) as rows:
            rows.write(atoms, run=3, data={"dos": [1.0, 2.0]})
    else:
        atoms.calc = SinglePointCalculator(atoms, born_effective_charges=np.ones((1, 3, 3)))
        qj.write(path, [atoms])
    (found,) = qj.read(path)
    add_labels(found, labels={"removed": "far, odd", "place": 7})
    qj.write(tmp_path / f"out{suffix}", [found])
    (again,) = qj.read(tmp_path / f"out{suffix}")
    assert (again.info["removed"], again.info["place"]) == ("far, odd", 7)
    if suffix == ".db":
        row = next(ase.db.connect(tmp_path / "out.db").select())
        assert (row.run, row.data["dos"], row.removed) == (3, [1.0, 2.0], "far, odd")
        assert "removed" not in qj.read(path)[0].info
    else:
        np.testing.assert_array_equal(again.calc.results["born_effective_charges"], np.ones((1, 3, 3)))


# ---- Structures made in memory ----


def sample(**changes: object) -> Atoms:
    """A structure with an array, a label or a result more."""
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.74]], cell=[5, 5, 5], pbc=True)
    for name, value in changes.items():
        if name in ("energy", "stress", "magmoms", "forces"):
            atoms.calc = SinglePointCalculator(atoms, **{name: value})
        elif np.ndim(value) and np.shape(value)[0] == 2:
            atoms.arrays[name] = value
        else:
            atoms.info[name] = value
    return atoms


@pytest.mark.parametrize(
    "atoms",
    [
        sample(REF_forces=np.full((2, 3), 1 / 3, np.float32)),
        sample(label=np.str_("003")),
        sample(uid="003"),
        sample(stress=np.array([[1.0, 2, 3], [2, 4, 5], [3, 5, 6]])),
        sample(energy=np.float32(0.1)),
        sample(forces=np.full((2, 3), 1 / 3, np.float32)),
    ],
)
def test_what_programs_keep_in_memory_is_written_exactly(tmp_path: Path, atoms: Atoms) -> None:
    qj.write(tmp_path / "out.xyz", [atoms])
    assert differences(atoms, qj.read(tmp_path / "out.xyz")[0]) == []


@pytest.mark.parametrize(
    ("suffix", "atoms", "name"),
    [
        (".xyz", sample(stress=np.arange(9.0).reshape(3, 3)), "stress"),
        (".db", sample(stress=np.eye(3)), "stress"),
        (".db", sample(initial_magmoms=np.ones((2, 3))), "initial_magmoms"),
        (".db", sample(magmoms=np.ones((2, 3))), "magmoms"),
        (".xyz", sample(symbols=np.ones((2, 3))), "symbols"),
    ],
)
def test_what_a_format_would_bend_is_refused_before_it_is_written(
    tmp_path: Path, suffix: str, atoms: Atoms, name: str
) -> None:
    with pytest.raises(InputError, match=f"cannot hold {name}"):
        refuse_unsupported(tmp_path / f"out{suffix}", [atoms])
    qj.write(tmp_path / f"out{suffix}", [atoms], drop_unsupported=True)
    assert name in differences(atoms, qj.read(tmp_path / f"out{suffix}")[0])


@pytest.mark.parametrize("key", ["energy", "stress", "Virial", "forces", "dipole"])
def test_labels_that_are_called_like_results_are_numbers_or_refused(tmp_path: Path, key: str) -> None:
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.74]], info={key: "low"})
    with pytest.raises(InputError, match=f"cannot hold {key}"):
        qj.write(tmp_path / "out.xyz", [atoms])
