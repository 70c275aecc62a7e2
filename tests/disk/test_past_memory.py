"""The recipe for clusters: its job script runs with a stand-in for Slurm, its plugin with one for a frame."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from driver import crystals, environment

import quests_jax as qj

PAGE = Path(__file__).resolve().parents[2] / "papers" / "docs" / "pages" / "recipes" / "past_memory.md"
SRUN = '#!/bin/bash\n"$@" &\n"$@" &\nwait\n'  # two tasks


def block(language: str) -> str:
    if not PAGE.exists():
        pytest.skip("no papers beside the package")
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return text


@pytest.mark.slow
def test_the_job_script_runs(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    (tmp_path / "omat").mkdir()
    for name in ("a", "b"):
        qj.write(tmp_path / "omat" / f"{name}.xyz", crystals(8))
    (tmp_path / "bin").mkdir()
    programs = {"srun": SRUN, "quests-jax": f'#!/bin/bash\nexec {sys.executable} -m quests_jax "$@"\n'}
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    paths = [str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    known = environment(Path(os.environ["JAX_COMPILATION_CACHE_DIR"])) | {"PATH": os.pathsep.join(paths)}
    script = block("bash").replace("*.aselmdb", "*.xyz").replace("-s 0.01", "-s 3")
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=known, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "picks.csv").read_text().splitlines()))
    assert len(rows) == 3
    assert {row["file"] for row in rows} <= {"omat/a.xyz", "omat/b.xyz"}


class Frame:
    """As much of a lazy frame as the plugin asks for."""

    def __init__(self, **columns: list[str]) -> None:
        self.columns = columns

    def select(self, name: str) -> Frame:
        return Frame(**{name: self.columns[name]})

    def collect(self) -> dict[str, list[str]]:
        return self.columns


def test_the_plugin_gives_keys_of_entries_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    structures = crystals(12)
    for number, atoms in enumerate(structures):
        atoms.info["entry_key"] = f"key{number}"
    qj.write("pool.xyz", structures)
    names: dict = {}
    exec(block("python"), names)
    frame = Frame(entry_key=[f"key{number}" for number in range(0, 20, 2)])
    keys = names["custom_sampling_function"](frame, 3)
    assert len(set(keys)) == 3
    assert set(keys) <= {f"key{number}" for number in range(0, 12, 2)}
    assert len(names["custom_sampling_function"](frame, 100)) == 6
