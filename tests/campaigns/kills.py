"""Commands past memory that are killed at random moments, over and over: the answers are those of one run.

    python tests/campaigns/kills.py --number 200

Every command is killed until it happens to finish in time. Then its answer is compared, the folder is
emptied, and the next one has its turn.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "disk"))

from driver import HERE, crystals

import quests_jax as qj

COMMANDS = (
    ("metrics", "data.xyz", "more.traj"),
    ("metrics", "data.xyz", "more.traj", "--sample", "40"),
    ("compress", "data.xyz", "more.traj", "-s", "6", "-m", "cover"),
    ("compress", "data.xyz", "more.traj", "-s", "6", "-m", "msc"),
    ("delta-entropy", "data.xyz", "-r", "more.traj"),
)
VARYING = {"seconds", "versions", "command"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(dict(killed(Path(name), options.number))))
    return 0


def killed(folder: Path, number: int) -> Counter[str]:
    """How many kills, how many answers after them, and how many of those were others; none may be."""
    structures = crystals(60)
    qj.write(folder / "data.xyz", structures[:40])
    qj.write(folder / "more.traj", structures[40:])
    expected, lengths = {}, {}
    for command in COMMANDS:
        since = time.monotonic()
        expected[command] = answer(start(folder, command, "whole"))
        lengths[command] = time.monotonic() - since
    moments, found = random.Random(0), Counter()
    while found["kills"] < number:
        for command in COMMANDS:
            while (
                process := ended(start(folder, command, "work"), moments.uniform(0.2, 1) * lengths[command])
            ) is None:
                found["kills"] += 1
            found["answers"] += 1
            found["others"] += answer(process) != expected[command]
            shutil.rmtree(folder / "work")
        print(dict(found), file=sys.stderr, flush=True)
    return found


def start(folder: Path, command: tuple[str, ...], work: str) -> subprocess.Popen[str]:
    words = [sys.executable, str(HERE), *command, "--work", str(folder / work), "--json"]
    known = os.environ | {"PYTHONPATH": str(HERE.parents[2])}
    return subprocess.Popen(words, cwd=folder, env=known, stdout=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str], seconds: float) -> subprocess.Popen[str] | None:
    """The process if it ends in time; otherwise it is killed."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return None
    return process


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    printed, _ = process.communicate()
    assert process.returncode == 0
    return {name: value for name, value in json.loads(printed).items() if name not in VARYING}


if __name__ == "__main__":
    sys.exit(main())
