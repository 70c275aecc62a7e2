"""One call of a command: the parameters in force, what it reads, how long it takes, what it delivers."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from quests_jax.atoms.describe import environments
from quests_jax.atoms.structures import read, whole_file, write
from quests_jax.base.checks import InputError, check_count, check_positive, located
from quests_jax.base.environments import Environments
from quests_jax.base.versions import versions
from quests_jax.datasets import BUNDLED, bundled, is_named, load
from quests_jax.disk import Shards, Work, describe_file, digest
from quests_jax.output.files import (
    DESCRIPTOR_SUFFIXES,
    DRAWN_SUFFIXES,
    read_descriptors,
    to_json,
    write_descriptors,
    write_json,
)
from quests_jax.output.viewer import SUFFIX as VIEWER_SUFFIX
from quests_jax.studies.compression import timed

OF_DESCRIPTORS = ("k", "cutoff", "species")  # parameters that descriptors depend on


class Report(NamedTuple):
    """What a command found: numbers for JSON, rows for the table, and data for other outputs."""

    data: dict[str, Any]
    rows: Sequence[Sequence[Any]]
    header: Sequence[str] = ("", "")
    structures: Sequence[Atoms] = ()
    envs: Environments | None = None
    draw: Callable[[Path], None] | None = None
    view: Callable[[Path], None] | None = None


class Data(NamedTuple):
    """What a command reads: environments, and the structures that they belong to where those are known."""

    name: str  # as it was typed
    structures: Sequence[Atoms]  # empty where only descriptors are given
    envs: Environments

    @property
    def x(self) -> np.ndarray:
        """Descriptors, shape [n, d]."""
        return np.asarray(self.envs.x)


@dataclasses.dataclass(frozen=True)
class Run:
    """One call of a command: the parameters in force, and the seconds that each stage took."""

    command: str  # as it was typed
    parameters: dict[str, Any]
    started: float = dataclasses.field(default_factory=time.perf_counter)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    anonymous: list[str] = dataclasses.field(default_factory=list)  # descriptors made by who knows what
    work: Work | None = None  # where to work on data past memory

    def check(self, inputs: Sequence[str]) -> None:
        """Raise `InputError` for parameters out of range and files that do not exist."""
        for name, value in self.parameters.items():
            if name != "species":
                check_count(name, value, minimum=2) if name == "k" else check_positive(name, value)
        for file in inputs:
            if not is_named(file) and not Path(file).exists():
                raise InputError(f"{file}: no such file; check the path.")

    def read(self, file: str) -> Sequence[Atoms] | Environments:
        """Structures; or environments, from a file of descriptors, which then settles k and cutoff."""
        with self.stage("reading"):
            if not file.endswith(DESCRIPTOR_SUFFIXES):
                return load(file) if is_named(file) else read(file)
            envs, made_with = read_descriptors(Path(file))
        for name in made_with.keys() & set(OF_DESCRIPTORS):
            if made_with[name] != self.parameters.get(name):
                value = _in_words(made_with[name])
                raise InputError(f"{file}: made with {name} {value}; add --{name} {value}.")
        if not made_with:
            self.anonymous.append(file)
        return envs

    def load(self, file: str | Sequence[str]) -> Data:
        """Structures and environments of a file."""
        if not isinstance(file, str):
            file = only(file)
        given = self.read(file)
        envs = self.describe(file, given)
        return Data(file, [] if isinstance(given, Environments) else given, envs)

    def describe(self, file: str, data: Sequence[Atoms] | Environments) -> Environments:
        """Environments of what `read` returned for `file`."""
        if isinstance(data, Environments):
            return data
        with self.stage("descriptors"), located(file):
            if not any(map(len, data)):
                raise InputError("holds no atoms; give structures with at least one.")
            asked = {name: self.parameters[name] for name in OF_DESCRIPTORS if name in self.parameters}
            return environments(data, **asked)

    def shards(self, files: Sequence[str], work: Work) -> Shards:
        """Environments on disk, for data past memory."""
        file = only(files)
        if is_named(file) and file != BUNDLED:
            raise InputError(f"{file}: data past memory must be a file; load and write it first.")
        with self.stage("descriptors"):
            path = Path(bundled() if file == BUNDLED else file)
            return describe_file(work, path, **{name: self.parameters[name] for name in OF_DESCRIPTORS})

    def known(self, file: str, work: Work) -> np.ndarray:
        """Environments of a reference, described by one process for all that share the folder."""
        identity = digest(Path(file)) if Path(file).exists() else file
        made_with = {name: self.parameters[name] for name in OF_DESCRIPTORS}
        stage = work.stage("reference", {"file": identity} | made_with)
        stage.complete(1, lambda _: {"x": np.asarray(self.describe(file, self.read(file)).x)})
        return stage.load(0)["x"]

    def refuse_bare_matrix(self, files: Sequence[str]) -> None:
        """Raise `InputError` for environments of which nobody knows the structures."""
        for file in files:
            if file.endswith(".npy"):
                words = "does not say which structure an environment is of; use a .npz file."
                raise InputError(f"{file}: {words}")

    def add(self, seconds: dict[str, float]) -> None:
        """Add the seconds that a study took to those of this run."""
        for name, value in seconds.items():
            self.seconds[name] = round(self.seconds.get(name, 0.0) + value, 3)

    @property
    def silent(self) -> bool:
        """Whether another process speaks for this one."""
        return self.work is not None and self.work.process > 0

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Time the block under this name."""
        return timed(self.seconds, name)

    @property
    def bandwidth(self) -> float:
        """Kernel bandwidth, in Å⁻¹."""
        return self.parameters["bandwidth"]

    def caption(self) -> str:
        """The parameters in words."""
        units = {"cutoff": " Å", "bandwidth": " Å⁻¹"}
        known = {name: value for name, value in self.stated().items() if value is not None}
        return ", ".join(f"{name} {_in_words(value)}{units.get(name, '')}" for name, value in known.items())

    def stated(self) -> dict[str, Any]:
        """The parameters as far as they are known to hold for all the data."""
        return self.parameters | (dict.fromkeys(OF_DESCRIPTORS) if self.anonymous else {})


def deliver(run: Run, report: Report, outputs: Sequence[Path], *, table: bool, as_json: bool) -> None:
    """Write every output, each whole or not at all, then print."""
    data = {"command": run.command} | report.data | run.stated()
    seconds = run.seconds | {"total": round(time.perf_counter() - run.started, 3)}
    data |= {"seconds": seconds, "versions": versions()}
    for path in outputs:
        if path.suffix == ".json":
            write_json(path, data)
        elif (show := _drawer(path, report)) is not None:
            with whole_file(path) as unfinished:
                show(unfinished)
        elif report.envs is not None:
            write_descriptors(path, report.envs, {} if run.anonymous else run.parameters)
        else:
            write(path, report.structures)
    if as_json:
        print(to_json(data), end="")
    if table:
        from quests_jax.output.terminal import print_table  # rich is slow to import

        print_table(report.header, report.rows, run.caption())
        print(*(f"wrote {path}" for path in outputs), sep="\n", end="\n" if outputs else "")


def _drawer(path: Path, report: Report) -> Callable[[Path], None] | None:
    """What writes a figure, a page or a file for the viewer; None for other outputs."""
    if path.name.endswith(VIEWER_SUFFIX):
        return report.view
    return report.draw if path.suffix in DRAWN_SUFFIXES else None


def labeled(given: Data, arrays: dict[str, np.ndarray]) -> Sequence[Atoms]:
    """The structures with these per-atom arrays; none if only descriptors are known."""
    ends = np.cumsum(given.envs.counts)[:-1]
    for name, values in arrays.items() if given.structures else ():
        for atoms, own in zip(given.structures, np.split(values, ends), strict=True):
            atoms.arrays[name] = own
    return given.structures


def only(files: Sequence[str]) -> str:
    """The one file that this command takes."""
    if len(files) > 1:
        raise InputError(f"{files[1]}: this takes one file; give one.")
    return files[0]


def _in_words(value: Any) -> str:
    """A parameter as it is typed."""
    if value is None:
        return "none"
    return ",".join(value) if isinstance(value, list) else f"{value:g}"
