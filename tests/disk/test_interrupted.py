"""Killed at any moment and run again, alone or on a cluster that loses workers: the answer is the same.

One file, so that one process of the tests makes the undisturbed run that all compare with.
"""

from __future__ import annotations

import importlib.util
import random
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from driver import begin, choice, compress, ended

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
        running = compress(tmp_path, "answer.json", cache=undisturbed / "cache")
        while number % 2 and finished(tmp_path) == known and running.is_alive():
            time.sleep(0.01)  # every other time, something new has been finished
        time.sleep(moments.uniform(0.0, 1.0))
        running.kill()
        running.join(60)
    assert finished(tmp_path)
    if not (tmp_path / "answer.json").exists():
        assert ended(compress(tmp_path, "answer.json", cache=undisturbed / "cache")) == 0
    assert choice(tmp_path / "answer.json") == choice(undisturbed / "answer.json")


@pytest.fixture
def folder(undisturbed: Path, tmp_path: Path) -> Path:
    (tmp_path / "data.xyz").write_bytes((undisturbed / "data.xyz").read_bytes())
    return tmp_path


@with_dask
def test_local_processes_choose_what_one_chooses(undisturbed: Path, folder: Path) -> None:
    errors, cluster = folder / "errors", ("--scheduler", "local:2")
    done = compress(folder, "answer.json", *cluster, cache=undisturbed / "cache", errors=errors)
    assert (ended(done), errors.read_text()) == (0, "")
    assert choice(folder / "answer.json") == choice(undisturbed / "answer.json")


def started(folder: Path, cache: Path, workers: int) -> list[BaseProcess]:
    """A scheduler and its workers, which nobody starts again."""
    options = ["--scheduler-file", str(folder / "scheduler.json"), "--no-dashboard"]
    place = ["--port", "0", "--host", "127.0.0.1"]
    processes = [begin("distributed.cli.dask_scheduler", *options, *place, cache=cache)]
    options += ["--nthreads", "1", "--no-nanny", "--local-directory", str(folder)]
    return processes + [begin("distributed.cli.dask_worker", *options, cache=cache) for _ in range(workers)]


def results(folder: Path, stage: str) -> int:
    return len(list(folder.glob(f"work/{stage}-*/0*.arrays")))


def waited(ready) -> None:
    since = time.monotonic()
    while not ready():
        assert time.monotonic() - since < 120
        time.sleep(0.02)


@with_dask
def test_lost_workers_change_nothing_and_a_lost_scheduler_is_named(undisturbed: Path, folder: Path) -> None:
    cache, file, errors = undisturbed / "cache", folder / "scheduler.json", folder / "errors"
    scheduler, *workers = started(folder, cache, 2)
    waited(file.exists)
    running = compress(folder, "answer.json", "--scheduler", str(file), cache=cache, errors=errors)
    waited(lambda: results(folder, "descriptors") > 1)
    workers[0].kill()
    waited(lambda: results(folder, "masses") > 1)
    assert running.is_alive()
    scheduler.kill()
    killed = time.monotonic()
    assert ended(running) == 2
    assert time.monotonic() - killed < 60
    assert "the scheduler of the cluster is gone" in errors.read_text()
    for process in (scheduler, *workers):
        process.kill()
        process.join()
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("work/*/0*.arrays")}
    assert ended(compress(folder, "answer.json", cache=cache)) == 0
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
    errors = undisturbed / "errors"
    assert ended(compress(undisturbed, "again.json", cache=undisturbed / "cache", errors=errors)) == 0
    assert f"{shard} was damaged or gone" in errors.read_text()
    assert choice(undisturbed / "again.json") == choice(undisturbed / "answer.json")
