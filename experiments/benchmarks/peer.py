"""The other side of `peer_worker`: QUESTS in a process of its own, asked over a pipe."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from measuring import Sample

WORKER = Path(__file__).with_name("peer_worker.py")
BATCH_SIZES = (500, 1000, 2000)  # its best lies here; its own default is 20,000
Settings = dict[str, int]


class Peer(NamedTuple):
    """A running worker, and what it said about itself."""

    python: str
    pipe: subprocess.Popen[str]
    versions: dict[str, str]
    threads: int
    found: dict[str, Settings]  # the best settings of what has been searched

    def ask(self, task: str, settings: Settings, **inputs: Any) -> Sample:
        """Time and value of one task, timed by the worker; without settings, as QUESTS comes."""
        options = {name: value for name, value in settings.items() if name != "threads"}
        request = {"task": task, "threads": settings.get("threads"), "inputs": inputs, "options": options}
        assert self.pipe.stdin is not None
        self.pipe.stdin.write(json.dumps(request) + "\n")
        self.pipe.stdin.flush()
        answer = _line(self.pipe)
        if answer is None:
            raise RuntimeError(f"QUESTS ended during {task}; its message is above.")
        return Sample(**answer)

    def best_settings(self, task: str, **inputs: Any) -> Settings:
        """The fastest of a few batch sizes, where there are batches, and of one or all threads."""
        key = json.dumps([task, inputs])
        if key not in self.found:
            choices = _choices(task, self.threads)
            self.found[key] = min(choices, key=lambda choice: self.ask(task, choice, **inputs).seconds)
        return self.found[key]


@contextmanager
def start_peer(python: str) -> Iterator[Peer | None]:
    """Start the worker in the interpreter `python`; None where that has no QUESTS."""
    pipe = subprocess.Popen([python, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        greeting = _line(pipe)
        yield Peer(python, pipe, found={}, **greeting) if greeting else None
    finally:
        pipe.kill()
        pipe.wait()


def _line(pipe: subprocess.Popen[str]) -> dict[str, Any] | None:
    assert pipe.stdout is not None
    line = pipe.stdout.readline()
    return json.loads(line) if line else None


def _choices(task: str, threads: int) -> list[Settings]:
    batches = [{}] if task == "descriptors" else [{"batch_size": size} for size in BATCH_SIZES]
    return [one | {"threads": count} for one in batches for count in sorted({1, threads})]
