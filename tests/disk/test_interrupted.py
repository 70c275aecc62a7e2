"""Killed at any moment and run again, alone or on a cluster that loses workers: the answer is the same.

One file, so that one process of the tests makes the undisturbed run that all compare with.
"""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from driver import choice, command, environment

from quests_jax.cli import main
from quests_jax.disk import task_runners

KILLS = 3
with_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs distributed")


def finished(folder: Path) -> set[Path]:
    return set(folder.glob("work/*/0*.arrays"))


def test_kills_change_nothing(undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "data.xyz").write_bytes((undisturbed / "data.xyz").read_bytes())
    moments = random.Random(0)
    for number in range(KILLS):
        known = finished(tmp_path)
        running = subprocess.Popen(command(tmp_path, "answer.json"), env=environment(undisturbed / "cache"))
        while number % 2 and finished(tmp_path) == known and running.poll() is None:
            time.sleep(0.01)  # every other time, something new has been finished
        time.sleep(moments.uniform(0.0, 1.5))
        running.send_signal(signal.SIGKILL)
        running.wait(timeout=60)
    assert finished(tmp_path)
    if not (tmp_path / "answer.json").exists():
        subprocess.run(
            command(tmp_path, "answer.json"), env=environment(undisturbed / "cache"), check=True, timeout=300
        )
    assert choice(tmp_path / "answer.json") == choice(undisturbed / "answer.json")


def run_on(cluster: str, folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command(folder, "answer.json"), "--scheduler", cluster, "--overwrite"],
        env=environment(cache),
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def folder(undisturbed: Path, tmp_path: Path) -> Path:
    (tmp_path / "data.xyz").write_bytes((undisturbed / "data.xyz").read_bytes())
    return tmp_path


@with_dask
def test_local_processes_choose_what_one_chooses(undisturbed: Path, folder: Path) -> None:
    done = run_on("local:2", folder, undisturbed / "cache")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert choice(folder / "answer.json") == choice(undisturbed / "answer.json")


def dask(*words: str, cache: Path) -> subprocess.Popen[bytes]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]], env=environment(cache), **quiet
    )


def started(folder: Path, cache: Path, workers: int) -> list[subprocess.Popen[bytes]]:
    """A scheduler and its workers, which nobody starts again."""
    file = folder / "scheduler.json"
    options = ["--scheduler-file", str(file), "--no-dashboard"]
    processes = [dask("dask_scheduler", *options, "--port", "0", "--host", "127.0.0.1", cache=cache)]
    options += ["--nthreads", "1", "--no-nanny", "--local-directory", str(folder)]
    return processes + [dask("dask_worker", *options, cache=cache) for _ in range(workers)]


def results(folder: Path, stage: str) -> int:
    return len(list(folder.glob(f"work/{stage}-*/0*.arrays")))


def waited(ready) -> None:
    since = time.monotonic()
    while not ready():
        assert time.monotonic() - since < 120
        time.sleep(0.02)


@with_dask
def test_lost_workers_change_nothing_and_a_lost_scheduler_is_named(undisturbed: Path, folder: Path) -> None:
    cache = undisturbed / "cache"
    words = [*command(folder, "answer.json"), "--scheduler", str(folder / "scheduler.json")]
    scheduler, *workers = started(folder, cache, 2)
    waited((folder / "scheduler.json").exists)
    running = subprocess.Popen(words, env=environment(cache), stderr=subprocess.PIPE, text=True)
    waited(lambda: results(folder, "descriptors") > 1)
    os.kill(workers[0].pid, signal.SIGKILL)
    waited(lambda: results(folder, "masses") > 1)
    assert running.poll() is None
    os.kill(scheduler.pid, signal.SIGKILL)
    killed = time.monotonic()
    assert "the scheduler of the cluster is gone" in running.communicate(timeout=60)[1]
    assert running.returncode == 2
    assert time.monotonic() - killed < 60
    for process in (scheduler, *workers):
        process.kill()
        process.wait()
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("work/*/0*.arrays")}
    subprocess.run(command(folder, "answer.json"), env=environment(cache), check=True, timeout=300)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert choice(folder / "answer.json") == choice(undisturbed / "answer.json")


@with_dask
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scheduler", "local:2"], "add --work"),
        (["--scheduler", "local:many", "--work", "w"], "give a number of processes"),
        (["--scheduler", "nowhere.json", "--work", "w"], "nowhere.json: no such file"),
        (["--scheduler", "tcp://127.0.0.1:9", "--work", "w"], "cannot be reached"),
    ],
)
def test_a_cluster_that_is_not_there_is_named(
    words: list[str],
    message: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(task_runners, "CONNECTING", 1)
    assert main(["compress", "bundled:silicon", "-m", "cover", *words]) == 2
    assert message in capfd.readouterr().err


def test_damage_is_named_on_the_way_to_the_same_answer(undisturbed: Path) -> None:
    shard = sorted(undisturbed.glob("work/descriptors-*/0*.arrays"))[2]
    shard.write_bytes(shard.read_bytes()[:1000])
    for stale in undisturbed.glob("work/covered-*/*.arrays"):
        stale.unlink()
    again = subprocess.run(
        command(undisturbed, "again.json"),
        env=environment(undisturbed / "cache"),
        check=True,
        timeout=300,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert f"{shard} was damaged or gone" in again.stderr
    assert choice(undisturbed / "again.json") == choice(undisturbed / "answer.json")
