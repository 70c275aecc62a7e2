"""A worker is killed in every stage of several commands, and another takes its place: the same answers.

python tests/campaigns/lost_workers.py
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "quests_jax" / "jit"))
sys.path.insert(0, str(Path(__file__).parents[1] / "disk"))

from driver import begin, crystals, ended
from kills import VARYING, differ
from test_interrupted import started

import quests_jax as qj

CACHE = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
DATA, KNOWN = "data.xyz", "known.xyz"
COMMANDS = (
    ("compress", DATA, "-s", "12", "-m", "cover"),
    ("compress", DATA, "-s", "12", "-m", "msc", "--prefixes", "--drop", "price>4", "-r", KNOWN),
    ("metrics", DATA),
    ("outliers", DATA),
    ("trajectory", DATA, "-r", KNOWN),
)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        structures = crystals(200, atoms=8)
        for number, atoms in enumerate(structures):
            atoms.info["price"] = number % 6
        qj.write(folder / DATA, structures[:180])
        qj.write(folder / KNOWN, structures[180:])
        scheduler, *workers = started(folder, CACHE, 2)
        while not (folder / "scheduler.json").exists():
            time.sleep(0.1)
        for number, words in enumerate(COMMANDS):
            one, two = (folder / f"{kind}{number}.json" for kind in ("one", "two"))
            assert ended(program(folder, words, f"alone{number}", one)) == 0
            work = folder / f"work{number}"
            shared = program(folder, words, work.name, two, "--scheduler", str(folder / "scheduler.json"))
            lost = killed(folder, shared, work, workers)
            same = not differ(answer(two), answer(one))
            print(json.dumps({"command": words[0], "killed in": lost, "same": same}), flush=True)
        for process in (scheduler, *workers):
            process.kill()
            process.join()
    return 0


def program(folder: Path, words: tuple[str, ...], work: str, output: Path, *more: str) -> BaseProcess:
    names = [str(folder / word) if word in (DATA, KNOWN) else word for word in words]
    paths = ["--work", str(folder / work), "-o", str(output)]
    return begin("quests_jax", *names, *paths, *more, "--quiet", cache=CACHE)


def answer(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text())
    return {name: value for name, value in found.items() if name not in VARYING}


def killed(folder: Path, running: BaseProcess, work: Path, workers: list[BaseProcess]) -> list[str]:
    """Stages in which a worker was killed: each as soon as it has a result."""
    lost: list[str] = []
    while running.is_alive():
        for stage in sorted({path.parent.name[:-13] for path in work.glob("*/0*.arrays")} - set(lost)):
            workers[0].kill()
            workers.pop(0).join()
            workers.append(another(folder))
            lost.append(stage)
        time.sleep(0.01)
    assert running.exitcode == 0
    return lost


def another(folder: Path) -> BaseProcess:
    options = ["--scheduler-file", str(folder / "scheduler.json"), "--no-dashboard", "--nthreads", "1"]
    return begin(
        "distributed.cli.dask_worker",
        *options,
        "--no-nanny",
        "--local-directory",
        str(folder),
        cache=CACHE,
    )


if __name__ == "__main__":
    sys.exit(main())
