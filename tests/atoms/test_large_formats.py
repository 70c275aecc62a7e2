"""Formats in which large data come, in files that the tests write as they are published."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator

import quests_jax as qj
from quests_jax.atoms.sources import source_of
from quests_jax.base.checks import InputError

Writer = Callable[[Path, list[Atoms]], None]


def labelled() -> list[Atoms]:
    rng = np.random.default_rng(0)
    structures = [bulk("NaCl", "rocksalt", 5.6, cubic=True), bulk("Si"), bulk("Cu", cubic=True)]
    for number, atoms in enumerate(structures):
        atoms.rattle(0.1, seed=number)
        atoms.pbc = [True, number != 1, number != 2]
        forces, stress = rng.normal(size=(len(atoms), 3)), rng.normal(size=6)
        atoms.calc = SinglePointCalculator(atoms, energy=rng.normal(), forces=forces, stress=stress)
        atoms.info["config_type"] = f"kind {number}"
    return structures


def encoded(array: Any) -> dict[str, Any]:
    array = np.asarray(array)
    return {"__ndarray__": [list(array.shape), str(array.dtype), array.ravel().tolist()]}


def write_aselmdb(path: Path, structures: list[Atoms]) -> None:
    lmdb = pytest.importorskip("lmdb")
    with (
        lmdb.open(str(path), subdir=False, map_size=1 << 22, lock=False) as database,
        database.begin(write=True) as rows,
    ):
        for number, atoms in enumerate(structures, start=1):
            row = {"numbers": encoded(atoms.numbers), "positions": encoded(atoms.positions), "mtime": 1.0}
            row |= {"cell": encoded(atoms.cell.array), "pbc": encoded(atoms.pbc), "user": "somebody"}
            row |= {"energy": atoms.get_potential_energy(), "forces": encoded(atoms.get_forces())}
            row |= {"stress": encoded(atoms.get_stress()), "calculator": "unknown"}
            row |= {
                "key_value_pairs": {"config_type": atoms.info["config_type"]},
                "data": {},
                "constraints": [],
            }
            rows.put(str(number).encode(), zlib.compress(json.dumps(row).encode()))
        rows.put(b"nextid", zlib.compress(json.dumps(len(structures) + 1).encode()))
        rows.put(b"metadata", zlib.compress(b"{}"))


def write_parquet(path: Path, structures: list[Atoms]) -> None:
    arrow, tables = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns: dict[str, list[Any]] = {
        "configuration_id": [f"CO_{number}" for number in range(len(structures))],
        "positions": [atoms.positions.tolist() for atoms in structures],
        "atomic_numbers": [atoms.numbers.tolist() for atoms in structures],
        "cell": [json.dumps(atoms.cell.array.tolist()) for atoms in structures],
        "pbc": [atoms.pbc.tolist() for atoms in structures],
        "energy": [atoms.get_potential_energy() for atoms in structures],
        "atomic_forces": [atoms.get_forces().tolist() for atoms in structures],
        "cauchy_stress": [atoms.get_stress(voigt=False).tolist() for atoms in structures],
        "config_type": [atoms.info["config_type"] for atoms in structures],
    }
    tables.write_table(arrow.table(columns), path)


def of_pymatgen(atoms: Atoms) -> dict[str, Any]:
    sites = [
        {"species": [{"element": symbol, "occu": 1}], "xyz": position.tolist(), "abc": abc.tolist()}
        for symbol, position, abc in zip(
            atoms.symbols, atoms.positions, atoms.get_scaled_positions(wrap=False), strict=True
        )
    ]
    lattice = {"matrix": atoms.cell.array.tolist(), "pbc": atoms.pbc.tolist()}
    return {"@class": "Structure", "lattice": lattice, "sites": sites}


def write_mptrj(path: Path, structures: list[Atoms]) -> None:
    frames = {
        f"mp-{number}-0-{number}": {
            "structure": of_pymatgen(atoms),
            "uncorrected_total_energy": atoms.get_potential_energy(),
            "force": atoms.get_forces().tolist(),
            "config_type": atoms.info["config_type"],
        }
        for number, atoms in enumerate(structures)
    }
    path.write_text(json.dumps({"mp-1": frames}))


def write_matpes(path: Path, structures: list[Atoms]) -> None:
    entries = [
        {
            "structure": of_pymatgen(atoms),
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces().tolist(),
            "stress": [1.0] * 6,
            "config_type": atoms.info["config_type"],
        }
        for atoms in structures
    ]
    path.write_text(json.dumps(entries))


def write_alexandria(path: Path, structures: list[Atoms]) -> None:
    import bz2

    entries = [
        {
            "structure": of_pymatgen(atoms),
            "energy": atoms.get_potential_energy(),
            "data": {},
            "config_type": atoms.info["config_type"],
        }
        for atoms in structures
    ]
    path.write_bytes(bz2.compress(json.dumps({"entries": entries}).encode()))


def write_zst(path: Path, structures: list[Atoms]) -> None:
    arrow = pytest.importorskip("pyarrow")
    plain = path.with_suffix("")
    qj.write(plain, structures)
    with arrow.OSFile(str(path), "wb") as file, arrow.CompressedOutputStream(file, "zstd") as packed:
        packed.write(plain.read_bytes())
    plain.unlink()


WRITERS = {
    "set.xyz.zst": write_zst,
    "set.aselmdb": write_aselmdb,
    "set.parquet": write_parquet,
    "mptrj.json": write_mptrj,
    "matpes.json": write_matpes,
    "alexandria.json.bz2": write_alexandria,
}


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_structures_and_labels_come_back(tmp_path: Path, name: str) -> None:
    path, structures = tmp_path / name, labelled()
    WRITERS[name](path, structures)
    found = qj.read(path)
    assert len(found) == len(structures)
    for number, (one, other) in enumerate(zip(found, structures, strict=True)):
        np.testing.assert_array_equal(one.numbers, other.numbers)
        np.testing.assert_allclose(one.positions, other.positions, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(one.cell.array, other.cell.array)
        np.testing.assert_array_equal(one.pbc, other.pbc)
        assert one.get_potential_energy() == other.get_potential_energy()
        if "alexandria" not in name:
            np.testing.assert_array_equal(one.get_forces(), other.get_forces())
        if name.startswith("set."):
            np.testing.assert_array_equal(one.get_stress(), other.get_stress())
        assert one.info["config_type"] == other.info["config_type"]
        source = source_of(one)
        assert source is not None
        assert (source.file, source.index) == (str(path), number)


def conformations() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    ethanol = molecule("CH3CH2OH")
    positions = ethanol.positions + rng.normal(0, 0.05, (4, len(ethanol), 3))
    return ethanol.numbers, positions, rng.normal(size=4), rng.normal(size=positions.shape)


def check_conformations(found: list[Atoms]) -> None:
    numbers, positions, energies, forces = conformations()
    assert len(found) == len(positions)
    for atoms, position, energy, force in zip(found, positions, energies, forces, strict=True):
        np.testing.assert_array_equal(atoms.numbers, numbers)
        np.testing.assert_allclose(atoms.positions, position, atol=1e-12)
        assert not atoms.pbc.any()
        assert atoms.get_potential_energy() == pytest.approx(energy, rel=1e-12)
        np.testing.assert_allclose(atoms.get_forces(), force, rtol=1e-12)


def write_spice(path: Path) -> None:
    numbers, positions, energies, forces = conformations()
    with pytest.importorskip("h5py").File(path, "w") as file:
        group = file.create_group("ethanol")
        group["atomic_numbers"] = numbers
        group["conformations"] = positions / units.Bohr
        group["dft_total_energy"] = energies / units.Hartree
        group["dft_total_gradient"] = -forces / (units.Hartree / units.Bohr)


def write_ani(path: Path) -> None:
    numbers, positions, energies, forces = conformations()
    with pytest.importorskip("h5py").File(path, "w") as file:
        group = file.create_group("ethanol")
        group["atomic_numbers"] = numbers
        group["coordinates"] = positions
        group["wb97x_dz.energy"] = energies / units.Hartree
        group["wb97x_dz.forces"] = forces / units.Hartree


def write_rmd17(path: Path) -> None:
    numbers, positions, energies, forces = conformations()
    unit = units.kcal / units.mol
    labels = {"energies": energies / unit, "forces": forces / unit}
    np.savez(path, nuclear_charges=numbers, coords=positions, **labels)


MOLECULES = {"spice.hdf5": write_spice, "ani.h5": write_ani, "rmd17.npz": write_rmd17}


@pytest.mark.parametrize("name", sorted(MOLECULES))
def test_molecules_come_back_in_electronvolts(tmp_path: Path, name: str) -> None:
    MOLECULES[name](tmp_path / name)
    check_conformations(qj.read(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("set.parquet", "pyarrow.parquet", "parquet"),
        ("set.hdf5", "h5py", "hdf5"),
        ("set.xyz.zst", "pyarrow", "zst"),
    ],
)
def test_a_missing_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, extra: str
) -> None:
    heads = {"parquet": b"PAR1", "hdf5": b"\x89HDF\r\n\x1a\n", "zst": b"\x28\xb5\x2f\xfd"}
    (tmp_path / name).write_bytes(heads[extra] + bytes(100))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"pip install 'quests_jax\[{extra}\]'"):
        qj.read(tmp_path / name)


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path, labelled())
    whole = path.read_bytes()
    for kept in (0.3, 0.6, 0.95):
        path.write_bytes(whole[: int(kept * len(whole))])
        with pytest.raises(InputError) as caught:
            qj.read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("site", [{"species": [5], "xyz": [0, 0, 0]}, {"species": 5}, 5, None])
def test_a_site_that_is_no_site_is_refused_in_one_line(tmp_path: Path, site: Any) -> None:
    path = tmp_path / "some.json"
    path.write_text(json.dumps([{"structure": {"lattice": {"matrix": np.eye(3).tolist()}, "sites": [site]}}]))
    with pytest.raises(InputError, match="structure 0: no structure of pymatgen"):
        qj.read(path)


def test_a_name_that_holds_no_numbers_is_refused_in_one_line(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["CH4/atomic_numbers"] = [6, 1, 1, 1, 1]
        file["CH4/conformations"] = np.dtype(float)
    with pytest.raises(InputError, match="damaged"):
        qj.read(tmp_path / "some.h5")


@pytest.mark.parametrize("shape", [[10**12], [10**6, 10**6]])
def test_an_array_that_claims_more_than_it_holds_is_refused_at_once(tmp_path: Path, shape: list[int]) -> None:
    lmdb = pytest.importorskip("lmdb")
    row = {"numbers": {"__ndarray__": [shape, "int64", [1, 2]]}, "positions": encoded(np.zeros((2, 3)))}
    with lmdb.open(str(tmp_path / "x.aselmdb"), subdir=False, map_size=1 << 20, lock=False) as database:
        with database.begin(write=True) as rows:
            rows.put(b"1", zlib.compress(json.dumps(row).encode()))
    with pytest.raises(InputError, match="structure 0"):
        qj.read(tmp_path / "x.aselmdb")
