"""Published data sets: every format is read from small files that stand where downloads would be."""

from __future__ import annotations

import functools
import http.server
import io
import json
import lzma
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator

from quests_jax import InputError
from quests_jax.cli import main
from quests_jax.datasets import SOURCES, is_named, load, published

TM23_ZIP = "benchmarking_master_collection-20240316T202423Z-001.zip"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUESTS_JAX_DATA", str(tmp_path))
    return tmp_path


def structures(config_types: list[str]) -> list[Atoms]:
    """Pairs of carbon atoms, one after the other 0.1 Å further apart, with energies 0, -1, ... eV."""
    made = []
    for number, config_type in enumerate(config_types):
        atoms = Atoms("C2", [(0, 0, 0), (1.4 + 0.1 * number, 0, 0)], cell=[9, 9, 9], pbc=True)
        forces = np.full((2, 3), 0.5 + number)
        atoms.calc = SinglePointCalculator(atoms, energy=-float(number), forces=forces)
        atoms.info["config_type"] = config_type
        made.append(atoms)
    return made


def as_text(made: list[Atoms], *, forces: str = "forces") -> bytes:
    text = io.StringIO()
    ase.io.write(text, made, format="extxyz")
    return text.getvalue().replace(":forces:", f":{forces}:").encode()


def tar(path: Path, members: dict[str, bytes], mode: str) -> None:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def test_gap20_is_split_by_config_type_and_its_forces_are_found(cache: Path) -> None:
    made = structures(["Diamond", "Graphite", "LD_Iter1", "Diamond"])
    name = "Carbon_GAP_20/Carbon_Data_Set_Total.xyz"
    tar(cache / "Carbon_GAP_20.tgz", {name: as_text(made, forces="force")}, "w:gz")
    found = load("gap20:Diamond")
    assert [atoms.get_potential_energy() for atoms in found] == [0.0, -3.0]
    np.testing.assert_allclose(found[1].get_forces(), 3.5)
    assert len(load("gap20:LD_iter1")) == 1
    assert len(load("gap20:total")) == 4
    with pytest.raises(InputError, match="holds nothing of this name; the parts are a config_type"):
        load("gap20:Graphane")


def test_tm23_has_regimes_and_splits(cache: Path) -> None:
    with zipfile.ZipFile(cache / TM23_ZIP, "w") as archive:
        for middle, count in (("cold_nequip", 1), ("2700cwm", 3)):
            for split in ("train", "test"):
                name = f"benchmarking_master_collection/Cu_{middle}_{split}.xyz"
                archive.writestr(name, as_text(structures(["x"] * count)))
    assert len(load("tm23:Cu_cold")) == 2
    assert len(load("tm23:Cu_full")) == 6
    assert len(load("tm23:Cu_full_test")) == 3
    with pytest.raises(InputError, match="holds no .*Ag_warm_nequip_train.xyz"):
        load("tm23:Ag_warm")


def test_rmd17_is_converted_and_split(cache: Path) -> None:
    stream = io.BytesIO()
    forces = np.arange(12.0).reshape(2, 2, 3)
    arrays = {"nuclear_charges": [6, 8], "coords": forces / 10, "energies": [-10.0, -20.0], "forces": forces}
    np.savez(stream, **arrays)
    members = {
        "rmd17/npz_data/rmd17_ethanol.npz": stream.getvalue(),
        "rmd17/splits/index_test_02.csv": b"1\n",
    }
    tar(cache / "rmd17.tar.bz2", members, "w:bz2")
    assert [atoms.get_chemical_formula() for atoms in load("rmd17:ethanol")] == ["CO", "CO"]
    (found,) = load("rmd17:ethanol_test_02")
    assert found.get_potential_energy() == pytest.approx(-20 * units.kcal / units.mol)
    np.testing.assert_allclose(found.get_forces(), forces[1] * units.kcal / units.mol)
    assert not found.pbc.any()


def test_mlearn_and_3bpa_are_single_files(cache: Path) -> None:
    (cache / "3BPA_train_300K.xyz").write_bytes(as_text(structures(["a", "b"])))
    assert load("3bpa:train_300K")[1].get_potential_energy() == -1.0
    site = {"species": [{"element": "Si", "occu": 1}], "xyz": [1.0, 2.0, 3.0]}
    lattice = {"matrix": [[5.0, 0, 0], [0, 5.0, 0], [1.0, 0, 5.0]]}
    entry = {"structure": {"lattice": lattice, "sites": [site]}, "group": "Surface"}
    entry |= {"outputs": {"energy": -5.5, "forces": [[0.1, 0.2, 0.3]]}}
    (cache / "mlearn_Si_test.json").write_text(json.dumps([entry]))
    (found,) = load("mlearn:Si_test")
    assert found.get_potential_energy() == -5.5
    assert found.info["config_type"] == "Surface"
    assert found.pbc.all()
    np.testing.assert_allclose(found.cell.array, lattice["matrix"])
    np.testing.assert_allclose(found.positions, [[1.0, 2.0, 3.0]])


def test_colabfit_archives_hold_compressed_parts(cache: Path) -> None:
    parts = {f"./DS_x_0_{n}.xyz.xz": lzma.compress(as_text(structures(["a"] * (n + 1)))) for n in range(2)}
    tar(cache / "DS_x_0.tar.gz", parts, "w:gz")
    assert len(load("colabfit:DS_x_0")) == 3


@pytest.mark.parametrize(
    ("file", "content", "name"),
    [
        ("Carbon_GAP_20.tgz", b"half of an archive", "gap20:Diamond"),
        (TM23_ZIP, b"PK", "tm23:Cu_cold"),
        ("mlearn_Si_test.json", b'[{"structure": {}}]', "mlearn:Si_test"),
        ("mlearn_Si_test.json", b"<html>", "mlearn:Si_test"),
    ],
)
def test_broken_downloads_are_named(cache: Path, file: str, content: bytes, name: str) -> None:
    (cache / file).write_bytes(content)
    with pytest.raises(InputError, match=f"{file}: not a"):
        load(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("md22:ethanol", "no such data set; known are gap20, tm23"),
        ("gap20:", "say which part after a colon: a config_type"),
        ("3bpa:../../x", "say which part after a colon: train_300K"),
    ],
)
def test_unknown_names_are_refused(cache: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(name)


def test_without_pooch_the_message_says_what_to_place_where(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(InputError) as raised:
        load("mlearn:Si_test")
    for part in ("pip install pooch", published.MLEARN, str(cache / "mlearn_Si_test.json"), "by hand"):
        assert part in str(raised.value)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and folder of a web server on this machine."""
    folder = tmp_path_factory.mktemp("server")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def test_what_is_not_there_is_downloaded_once(
    cache: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pooch")
    address, folder = server
    monkeypatch.setattr(published, "BOTNET", address)
    (folder / "dataset_3BPA").mkdir()
    file = folder / "dataset_3BPA" / "test_600K.xyz"
    file.write_bytes(as_text(structures(["a", "b", "c"])))
    assert len(load("3bpa:test_600K")) == 3
    file.unlink()
    assert len(load("3bpa:test_600K")) == 3
    with pytest.raises(InputError, match="cannot be downloaded .*by hand and place it at"):
        load("3bpa:test_300K")


def test_the_command_line_takes_names(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cache / "3BPA_train_300K.xyz").write_bytes(as_text(structures(["a"] * 3)))
    assert main(["entropy", "3bpa:train_300K", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_environments"] == 6
    assert is_named("bundled:silicon")
    assert not is_named("bundled:iron")
    assert not is_named("data.xyz")


def test_every_source_says_where_it_is() -> None:
    bibliography = Path(__file__).resolve().parents[1] / "papers" / "references.bib"
    for source in SOURCES.values():
        assert source.page.startswith("https://")
        assert source.license
        assert not bibliography.exists() or f"{{{source.key}," in bibliography.read_text(encoding="utf-8")
