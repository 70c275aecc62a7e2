"""Killed at any moment and run again: the answer is the same; nothing unfinished counts as a result."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

from driver import choice, command, environment

KILLS = 6


def results(folder: Path) -> set[Path]:
    return set(folder.glob("work/*/0*.arrays"))


def test_kills_change_nothing(undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "data.xyz").write_bytes((undisturbed / "data.xyz").read_bytes())
    moments = random.Random(0)
    for number in range(KILLS):
        known = results(tmp_path)
        running = subprocess.Popen(command(tmp_path, "answer.json"), env=environment(undisturbed / "cache"))
        while number % 2 and results(tmp_path) == known and running.poll() is None:
            time.sleep(0.01)  # every other time, something new has been finished
        time.sleep(moments.uniform(0.0, 1.5))
        running.send_signal(signal.SIGKILL)
        running.wait(timeout=60)
    assert results(tmp_path)
    if not (tmp_path / "answer.json").exists():
        subprocess.run(
            command(tmp_path, "answer.json"), env=environment(undisturbed / "cache"), check=True, timeout=300
        )
    assert choice(tmp_path / "answer.json") == choice(undisturbed / "answer.json")


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
