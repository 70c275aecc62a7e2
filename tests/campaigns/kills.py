"""Commands past memory that are killed at random moments, over and over: the answers are those of one run.

    python tests/campaigns/kills.py --number 200

Every command is killed until it happens to finish in time. Then its answer is compared, the folder is
emptied, and the next one has its turn. Give it a folder of its own for compiled programs, in the variables
JAX_COMPILATION_CACHE_DIR and QUESTS_JAX_CACHE: a process that is killed may leave the half of one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "disk"))

from driver import crystals, small_shards

import quests_jax as qj
from quests_jax.cli import main as main_of_commands

DATA = ("data.xyz", "more.traj")
COMMANDS = (
    ("metrics", *DATA),
    ("metrics", *DATA, "--sample", "40"),
    ("compress", *DATA, "-s", "6", "-m", "cover"),
    ("compress", *DATA, "-s", "6", "-m", "msc", "--prefixes"),
    ("compress", *DATA, "-s", "6", "-m", "random"),
    ("compress", *DATA, "--atoms", "40", "-m", "cover", "--by", "kind", "--drop", "price>4"),
    ("delta-entropy", "data.xyz", "-r", "more.traj"),
    ("overlap", "data.xyz", "more.traj"),
    ("overlap-matrix", *DATA),
    ("outliers", *DATA),
    ("trajectory", "data.xyz", "-r", "more.traj"),
    ("compare", *DATA, "-s", "6", "-m", "cover"),
)
VARYING = {"seconds", "versions", "command"}
PRINTED = "printed.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=20)
    options = parser.parse_args()
    small_shards()
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(dict(killed(Path(name), options.number))))
    return 0


def killed(folder: Path, number: int) -> Counter[str]:
    """How many kills, how many answers after them, and how many of those were others; none may be."""
    structures = crystals(60)
    for count, atoms in enumerate(structures):
        atoms.info |= {"kind": "ab"[count % 2], "price": count % 6}
    qj.write(folder / "data.xyz", structures[:40])
    qj.write(folder / "more.traj", structures[40:])
    expected, lengths = {}, {}
    for command in COMMANDS:
        for _ in range(2):  # the second time with compiled programs
            shutil.rmtree(folder / "whole", ignore_errors=True)
            since = time.monotonic()
            expected[command] = answer(start(folder, command, "whole"), folder)
            lengths[command] = time.monotonic() - since
    moments, found = random.Random(0), Counter()
    while found["kills"] < number:
        for command in COMMANDS:
            while not ended(
                process := start(folder, command, "work"), moments.uniform(0.0, 1.0) * lengths[command]
            ):
                found["kills"] += 1
            found["answers"] += 1
            found["others"] += differ(answer(process, folder), expected[command])
            shutil.rmtree(folder / "work")
        print(dict(found), file=sys.stderr, flush=True)
    return found


def start(folder: Path, command: tuple[str, ...], work: str) -> BaseProcess:
    """A process that begins where everything is imported and nothing is computed."""
    words = [*command, "--work", str(folder / work), "--json"]
    process = multiprocessing.get_context("fork").Process(target=run, args=(folder, words))
    process.start()
    return process


def run(folder: Path, words: list[str]) -> None:
    os.chdir(folder)
    printed = os.open(PRINTED, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(printed, 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    code = main_of_commands(words)
    sys.stdout.flush()
    os._exit(code)


def ended(process: BaseProcess, seconds: float) -> bool:
    """Whether a process ends in time; otherwise it is killed."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
    return process.exitcode != -signal.SIGKILL


def answer(process: BaseProcess, folder: Path) -> dict[str, Any]:
    process.join()
    assert process.exitcode == 0
    found = json.loads((folder / PRINTED).read_text())
    return {name: value for name, value in found.items() if name not in VARYING}


def differ(found: Any, expected: Any) -> bool:
    """Whether two answers are not the same, but for the seconds that something took."""
    if isinstance(expected, dict):
        names = expected.keys() - {"seconds"}
        return found.keys() != expected.keys() or any(differ(found[name], expected[name]) for name in names)
    if isinstance(expected, list):
        return len(found) != len(expected) or any(map(differ, found, expected))
    return found != expected


if __name__ == "__main__":
    sys.exit(main())
