"""A folder of results: each is computed once, checked when it is read, and shared by all who work there.

A stage is a folder named after what it holds and a digest of the parameters that its results depend on. A
result is one file of arrays (`checksummed_arrays`). It appears whole or not at all, so a run that was killed
goes on where it stopped; one that is damaged is made again. The manifest of a stage says what its name
depends on.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from quests_jax.atoms.writing import whole_file
from quests_jax.base.checks import InputError
from quests_jax.base.jax_versions import versions
from quests_jax.disk.checksummed_arrays import Arrays, Damaged, read_arrays, write_arrays
from quests_jax.disk.task_runners import Runner, in_threads

T = TypeVar("T")

LAYOUT = 2  # of the files; another one makes other stages
MANIFEST = "manifest.json"
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclasses.dataclass(frozen=True)
class Work:
    """A working folder, and who works there.

    >>> stage = Work(Path("work")).stage("squares", {"of": [2, 3]})
    >>> stage.keep({"squares": np.array([4, 9])})
    >>> stage.load(0)["squares"].tolist()  # also in another process, and later
    [4, 9]
    """

    folder: Path
    run: Runner = in_threads

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker of a cluster works for itself."""
        return Work, (self.folder,)

    def stage(self, name: str, parameters: dict[str, Any], *, noted: dict[str, Any] | None = None) -> Stage:
        """The stage of that name with these parameters.

        They are written down in its manifest, with what is `noted` and changes nothing.
        """
        about = {"stage": name, "parameters": parameters, "versions": versions(), "layout": LAYOUT}
        about |= {"noted": noted or {}}
        folder = self.folder / f"{name}-{key_of(about)}"
        with _space(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if manifest_of(folder) is None:
                with whole_file(folder / MANIFEST) as unfinished:
                    unfinished.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        return Stage(name, folder, self)


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """What the results of a stage depend on, by its manifest; None if that is missing or damaged."""
    try:
        about = json.loads((folder / MANIFEST).read_bytes())
        whole = folder.name == f"{about['stage']}-{key_of(about)}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return about if whole else None


def key_of(about: dict[str, Any]) -> str:
    """Digest of what the results of a stage depend on: the manifest without notes and other packages."""
    about = about | {"versions": about["versions"]["quests_jax"], "noted": None}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]


class Stage(NamedTuple):
    """Results of one kind."""

    name: str
    folder: Path
    work: Work

    def path(self, number: int) -> Path:
        """Path of result `number`."""
        return self.folder / f"{number:05d}.arrays"

    def save(self, number: int, arrays: Arrays) -> None:
        """Write a result, whole or not at all; raises `InputError` where there is no space left."""
        with _space(self.folder), whole_file(self.path(number)) as unfinished:
            write_arrays(unfinished, arrays, self._what(number))

    def load(self, number: int, *names: str) -> Arrays:
        """The arrays of a result, all of them or those named.

        Raises `Damaged` if the file is gone, cut short, not this result, or fails a checksum; then it is
        removed, so that it is made again.
        """
        try:
            return read_arrays(self.path(number), self._what(number), names)
        except Damaged:
            self.path(number).unlink(missing_ok=True)
            raise

    def complete(self, count: int, make: Callable[[int], Arrays]) -> None:
        """Make the results 0 … count − 1 that are missing.

        `make` is a pure function that workers of a cluster can be sent.
        """
        missing = [number for number in range(count) if not self.path(number).exists()]
        if missing:
            self.work.run(self.name, partial(_made, self, make), missing)

    def keep(self, arrays: Arrays) -> None:
        """Write result 0 if it is missing."""
        if not self.path(0).exists():
            self.save(0, arrays)

    def _what(self, number: int) -> str:
        return f"{self.folder.name}/{number}"


def _made(stage: Stage, make: Callable[[int], Arrays], number: int) -> None:
    stage.save(number, make(number))


def rerun_after_repairs(pipeline: Callable[[], T]) -> T:
    """Run a pipeline over stages, and start it again whenever it meets a damaged result.

    >>> rerun_after_repairs(lambda: 42)
    42
    """
    met: set[str] = set()
    while True:
        try:
            return pipeline()
        except Damaged as damaged:
            if str(damaged) in met:
                raise InputError(f"{damaged}: cannot be read back once written; check the disk.") from None
            met.add(str(damaged))
            warnings.warn(f"{damaged} was damaged or gone; it is made again", stacklevel=2)


@contextmanager
def _space(folder: Path) -> Iterator[None]:
    """Turn a full disk into a clear error."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise InputError(
            f"{folder}: no space left on this disk; free some and run the same command again, "
            "what is finished is kept."
        ) from None


def digest_of(*arrays: np.ndarray) -> str:
    """SHA-256 of the content of arrays."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def digest(path: Path) -> str:
    """SHA-256 of a file's content.

    >>> from pathlib import Path
    >>> _ = Path("data.xyz").write_text("some text")
    >>> digest(Path("data.xyz")) == digest(Path("data.xyz"))
    True
    """
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
