"""A folder of results: each is computed once, checked when it is read, and shared by all processes.

A stage is a folder named after what it holds and a digest of the parameters that its results depend on;
a result is one file of arrays, `00012.npz`, and the checksum of all its bytes behind them. It appears whole
or not at all, so a run that was killed goes on where it stopped; one that cannot be read is made again.
Processes that share the folder divide a stage: result t is made by process t modulo their number, or by all
of them together, and read by everybody.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh

from quests_jax.atoms.writing import whole_file
from quests_jax.base.checks import InputError
from quests_jax.base.precision import double_precision
from quests_jax.base.progress import advance
from quests_jax.base.versions import versions
from quests_jax.cover.masses.sharded import AXIS

Arrays = dict[str, Any]
T = TypeVar("T")

PAUSE = 0.1  # s between two looks at whether others have finished
LENGTH = 64  # letters of a checksum
FULL = (errno.ENOSPC, errno.EDQUOT)


class Damaged(Exception):
    """A result that cannot be read back; it has been removed."""


@dataclasses.dataclass(frozen=True)
class Work:
    """A working folder, and the number of this process among those that share it."""

    folder: Path
    process: int = 0
    processes: int = 1
    repairs: set[Path] = dataclasses.field(default_factory=set)  # this process makes these, whosever they are
    sound: dict[Path, tuple[int, ...]] = dataclasses.field(
        default_factory=dict
    )  # files whose checksum was right

    @property
    def signs(self) -> Path:
        """Folder of the signs of life of all processes."""
        return self.folder / "processes"

    def stage(self, name: str, parameters: dict[str, Any]) -> Stage:
        """The stage of that name with these parameters, which it writes down in its manifest."""
        text = json.dumps(parameters | {"quests_jax": versions()["quests_jax"]}, sort_keys=True)
        manifest = parameters | {"versions": versions()}
        folder = self.folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        with _space(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "manifest.json").exists():
                with whole_file(folder / "manifest.json") as unfinished:
                    unfinished.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        return Stage(name, folder, self)


class Stage(NamedTuple):
    """Results of one kind."""

    name: str
    folder: Path
    work: Work

    def path(self, number: int) -> Path:
        """Path of result `number`."""
        return self.folder / f"{number:05d}.npz"

    def save(self, number: int, arrays: Arrays) -> None:
        """Write a result, whole or not at all; raises `InputError` where there is no space left."""
        with _space(self.folder), whole_file(self.path(number)) as unfinished:
            np.savez(unfinished, **arrays)
            checksum = digest(unfinished)
            with open(unfinished, "ab") as stream:
                stream.write(checksum.encode())

    def load(self, number: int, *names: str) -> Arrays:
        """The arrays of a result, all of them or those named.

        The checksum is that of the whole file, and checked before anything is read of it, once per process.
        Raises `Damaged` if the file is gone, cut short, or fails it; then it is removed.
        """
        path = self.path(number)
        try:
            self._check(path)
            with open(path, "rb") as stream, np.load(stream) as arrays:
                return {name: arrays[name] for name in names or arrays.files}
        except MemoryError:
            raise
        except Exception:  # whatever a damaged file makes NumPy raise
            raise self.damaged(number) from None

    def damaged(self, number: int) -> Damaged:
        """Remove a result that cannot be used, so that it is made again; the error to raise."""
        self.path(number).unlink(missing_ok=True)
        self.work.repairs.add(self.path(number))
        return Damaged(str(self.path(number)))

    def _check(self, path: Path) -> None:
        about = path.stat()
        identity = about.st_ino, about.st_size, about.st_mtime_ns
        if self.work.sound.get(path) != identity:
            with open(path, "rb") as stream:
                content = hashlib.sha256()
                left = about.st_size - LENGTH
                while left > 0 and (piece := stream.read(min(left, 1 << 20))):
                    content.update(piece)
                    left -= len(piece)
                if content.hexdigest().encode() != stream.read():
                    raise ValueError("the checksum is wrong")
            self.work.sound[path] = identity

    def complete(self, count: int, make: Callable[[int], Arrays]) -> None:
        """Make the results 0 … count − 1 that are missing, this process its share; wait for the others.

        Every device of this process works on results of its own.
        """
        missing = [t for t in range(count) if self._mine(t) and not self.path(t).exists()]
        devices, done = jax.local_devices(), []

        def share(number: int) -> None:
            with jax.default_device(devices[number]), double_precision():
                for t in missing[number :: len(devices)]:
                    self.save(t, make(t))
                    done.append(t)
                    advance(self.name, len(done), len(missing))

        with ThreadPoolExecutor(len(devices)) as pool:
            others = [pool.submit(share, number) for number in range(1, len(devices))]
            share(0)
            for other in others:
                other.result()
        self._wait(range(count))

    def together(self, number: int, load: Callable[[Mesh], T], make: Callable[[T], Arrays]) -> None:
        """Make a result on all devices of all processes at once, if it is missing.

        Whoever has found it damaged makes it again alone, on its own devices.

        Args:
          number: number of the result.
          load: what this process holds when the work is divided over a mesh of devices; it may find damage,
            so nobody is asked to work before all have loaded.
          make: the arrays, by operations that all processes take part in.
        """
        if not self.path(number).exists():
            alone = self.work.processes == 1 or self.path(number) in self.work.repairs
            devices = jax.local_devices() if alone else jax.devices()
            loaded = load(Mesh(np.asarray(devices), (AXIS,)))
            if alone or self._met(number):
                arrays = make(loaded)
                self._sign(number, self.work.process).unlink(missing_ok=True)
                if alone or self.work.process == 0:
                    self.save(number, arrays)
        self._wait([number])

    def _met(self, number: int) -> bool:
        """Wait until every process is ready to make a result; false if it appears meanwhile."""
        self.work.signs.mkdir(parents=True, exist_ok=True)
        self._sign(number, self.work.process).touch()
        while not all(self._sign(number, process).exists() for process in range(self.work.processes)):
            if self.path(number).exists():
                self._sign(number, self.work.process).unlink(missing_ok=True)
                return False
            time.sleep(PAUSE)
        return True

    def _wait(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            while not self.path(number).exists():
                time.sleep(PAUSE)

    def _sign(self, number: int, process: int) -> Path:
        return self.work.signs / f"{process}.{self.folder.name}.{number}"

    def _mine(self, number: int) -> bool:
        return number % self.work.processes == self.work.process or self.path(number) in self.work.repairs


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


def digest(path: Path) -> str:
    """SHA-256 of a file's content.

    >>> from pathlib import Path
    >>> _ = Path("data.xyz").write_text("some text")
    >>> digest(Path("data.xyz")) == digest(Path("data.xyz"))
    True
    """
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
