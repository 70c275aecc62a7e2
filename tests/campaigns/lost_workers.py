"""A worker of a cluster is killed in every stage of a choice, and another takes its place: the same picks.

python tests/campaigns/lost_workers.py
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "quests_jax" / "jit"))
sys.path.insert(0, str(Path(__file__).parents[1] / "disk"))

from driver import choice, command, crystals, environment
from test_cluster import dask, results, started

import quests_jax as qj

CACHE = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
STAGES = ("structures", "descriptors", "targets", "masses", "choice", "prices", "covered", "sample-sums")


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        qj.write(folder / "data.xyz", crystals(200, atoms=8))
        subprocess.run(command(folder, "one.json"), env=environment(CACHE), check=True)
        expected = choice(folder / "one.json")
        (folder / "work").rename(folder / "before")
        lost = killed(folder)
        print(json.dumps({"killed in": lost, "same": choice(folder / "answer.json") == expected}))
    return 0


def killed(folder: Path) -> list[str]:
    """Stages in which a worker was killed."""
    scheduler, *workers = started(folder, CACHE, 2)
    while not (folder / "scheduler.json").exists():
        time.sleep(0.1)
    words = [*command(folder, "answer.json"), "--scheduler", str(folder / "scheduler.json")]
    running = subprocess.Popen(words, env=environment(CACHE))
    lost: list[str] = []
    while running.poll() is None:
        for stage in STAGES:
            if stage not in lost and results(folder, stage):
                os.kill(workers[0].pid, signal.SIGKILL)
                workers.pop(0).wait()
                workers.append(another(folder))
                lost.append(stage)
        time.sleep(0.01)
    assert running.returncode == 0
    for process in (scheduler, *workers):
        process.kill()
        process.wait()
    return lost


def another(folder: Path) -> subprocess.Popen[bytes]:
    options = ["--scheduler-file", str(folder / "scheduler.json"), "--no-dashboard", "--nthreads", "1"]
    return dask("dask_worker", *options, "--no-nanny", "--local-directory", str(folder), cache=CACHE)


if __name__ == "__main__":
    sys.exit(main())
