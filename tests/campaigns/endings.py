"""Signals at random times, and many fresh processes: how a command ends.

    python tests/campaigns/endings.py --signals 60 --starts 1000 --log starts.log

Run again with the same log, it goes on where it was ended.

Every process that gets a signal must end within `LIMIT` seconds of it, with exit code 130 or 143, one line on
stderr and no unfinished file, or with 0 if it had finished. Every process that gets none must end with 0.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

LIMIT = 10.0  # s; a process that only waits needs 3
COMMAND = (sys.executable, "-m", "quests_jax")
WORDS = ("interrupted; no unfinished", "terminated; no unfinished")


def signalled(folder: Path, kind: signal.Signals, delay: float, words: list[str]) -> str:
    """What is wrong with how a command ended; "" if nothing is."""
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    time.sleep(delay)
    process.send_signal(kind)
    start = time.monotonic()
    try:
        _, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        return "does not end"
    took, text = time.monotonic() - start, err.decode()
    left = [path.name for path in folder.iterdir() if path.name.startswith(".unfinished")]
    if left:
        return f"left {left}"
    if process.returncode == 0:
        return ""
    if process.returncode != 128 + kind and not (delay < 0.1 and process.returncode == -kind):
        return f"exit code {process.returncode}: {text[-300:]}"
    if took > LIMIT:
        return f"took {took:.1f} s"
    lines = [line for line in text.splitlines() if not line.startswith("warning:")]
    clear = len(lines) == 1 and any(word in lines[0] for word in WORDS)
    return "" if clear or process.returncode == -kind else f"said {text[-300:]!r}"


def signals(number: int, words: list[str], longest: float, seed: int) -> dict[str, Any]:
    """Outcomes of commands that get a signal after up to `longest` seconds."""
    rng, faults, outcomes = random.Random(seed), [], Counter()
    for _ in range(number):
        kind = rng.choice([signal.SIGINT, signal.SIGTERM])
        delay = rng.choice([rng.uniform(0.1, 1.5), rng.uniform(0.1, longest)])
        with tempfile.TemporaryDirectory() as name:
            fault = signalled(Path(name), kind, delay, words)
        outcomes["faulty" if fault else "sound"] += 1
        if fault:
            faults.append([kind.name, round(delay, 3), fault])
            print(faults[-1], file=sys.stderr, flush=True)
    return {"outcomes": dict(outcomes), "faults": faults}


def starts(number: int, log: Path) -> dict[str, Any]:
    """Outcomes of fresh processes that describe a few structures, in several threads.

    Each is a line of `log`; those that it holds already are not run again.
    """
    words = ["metrics", "bundled:silicon@:2", "-k", "4", "--json"]
    with open(log, "a+", encoding="utf-8") as lines:
        lines.seek(0)
        outcomes = lines.read().splitlines()[:number]
        while len(outcomes) < number:
            run = subprocess.run([*COMMAND, *words], capture_output=True, text=True)
            sound = run.returncode == 0 and "entropy" in run.stdout and not run.stderr
            outcomes.append("sound" if sound else f"{run.returncode} {run.stderr[-500:]!r}")
            print(outcomes[-1], file=lines, flush=True)
    return {"processes": number, "faults": [outcome for outcome in outcomes if outcome != "sound"]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=int, default=60)
    parser.add_argument("--starts", type=int, default=1000)
    parser.add_argument("--log", type=Path, default=Path("starts.log"))
    parser.add_argument("--longest", type=float, default=12.0)
    asked = parser.parse_args()
    chosen = ["compress", "bundled:silicon", "-s", "0.2", "-o", "small.xyz", "-o", "small.json"]
    found = {
        "signals": signals(asked.signals, chosen, asked.longest, 0),
        "starts": starts(asked.starts, asked.log),
    }
    json.dump(found, sys.stdout, indent=1)
    print()
    sys.exit(bool(found["signals"]["faults"] or found["starts"]["faults"]))
