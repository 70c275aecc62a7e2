"""What the commands of the command line do: read, compute, report. Nothing here knows click."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

import quests_jax.information as information
from quests_jax.atoms.dataset import environments
from quests_jax.atoms.structures import read, whole_file, write
from quests_jax.checks import InputError, check_count, check_positive, check_size, located
from quests_jax.chunks import advance
from quests_jax.compare import compare_environments, config_types, find_rules, force_tail, table
from quests_jax.compress import compress as choose
from quests_jax.compress import entropy_and_diversity, find_method, timed, versions
from quests_jax.console import print_table
from quests_jax.datasets import bundled
from quests_jax.datasets import generate as simulate
from quests_jax.environments import Environments
from quests_jax.files import DESCRIPTOR_SUFFIXES, read_descriptors, to_json, write_descriptors, write_json
from quests_jax.numerics import overlap_tolerance
from quests_jax.plots import draw_comparison

BUNDLED = "bundled:silicon"
LABELS = {
    "n_environments": "environments",
    "entropy": "entropy (nats)",
    "diversity": "diversity (nats)",
    "efficiency": "efficiency (%)",
    "max_entropy": "largest entropy, ln n (nats)",
}


class Report(NamedTuple):
    """What a command found: numbers for JSON, rows for the table, and data for other outputs."""

    data: dict[str, Any]
    rows: Sequence[Sequence[Any]]
    header: Sequence[str] = ("", "")
    structures: Sequence[Atoms] = ()
    envs: Environments | None = None
    draw: Callable[[Path], None] | None = None


@dataclasses.dataclass(frozen=True)
class Run:
    """One call of a command: the parameters in force, and the seconds that each stage took."""

    command: str  # as it was typed
    parameters: dict[str, Any]
    started: float = dataclasses.field(default_factory=time.perf_counter)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    anonymous: list[str] = dataclasses.field(default_factory=list)  # descriptors made by who knows what

    def check(self, inputs: Sequence[str]) -> None:
        """Raise `InputError` for parameters out of range and files that do not exist."""
        for name, value in self.parameters.items():
            check_count(name, value, minimum=2) if name == "k" else check_positive(name, value)
        for file in inputs:
            if file != BUNDLED and not Path(file).exists():
                raise InputError(f"{file}: no such file; check the path.")

    def read(self, file: str) -> Sequence[Atoms] | Environments:
        """Structures; or environments, from a file of descriptors, which then settles k and cutoff."""
        with self.stage("reading"):
            if not file.endswith(DESCRIPTOR_SUFFIXES):
                return read(bundled() if file == BUNDLED else file)
            envs, made_with = read_descriptors(Path(file))
        for name in made_with.keys() & {"k", "cutoff"}:
            if made_with[name] != self.parameters[name]:
                raise InputError(
                    f"{file}: made with {name} {made_with[name]}; add --{name} {made_with[name]}."
                )
        if not made_with:
            self.anonymous.append(file)
        return envs

    def describe(self, file: str, data: Sequence[Atoms] | Environments) -> Environments:
        """Environments of what `read` returned for `file`."""
        if isinstance(data, Environments):
            return data
        with self.stage("descriptors"), located(file):
            if not any(map(len, data)):
                raise InputError("holds no atoms; give structures with at least one.")
            return environments(data, k=self.parameters["k"], cutoff=self.parameters["cutoff"])

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Time the block under this name."""
        return timed(self.seconds, name)

    @property
    def bandwidth(self) -> float:
        """Kernel bandwidth, in Å⁻¹."""
        return self.parameters["bandwidth"]

    def caption(self) -> str:
        """The parameters in words."""
        units = {"k": "", "cutoff": " Å", "bandwidth": " Å⁻¹"}
        known = {name: value for name, value in self.stated().items() if value is not None}
        return ", ".join(f"{name} {value:g}{units[name]}" for name, value in known.items())

    def stated(self) -> dict[str, Any]:
        """The parameters as far as they are known to hold for all the data."""
        return self.parameters | ({"k": None, "cutoff": None} if self.anonymous else {})


def descriptors(run: Run, file: str) -> Report:
    """Descriptors of every atom."""
    envs = run.describe(file, run.read(file))
    n, d = np.shape(envs.x)
    data = {"n_structures": envs.n_structures, "n_environments": n, "n_features": d}
    return Report(data, [("structures", envs.n_structures), ("environments", n), ("features", d)], envs=envs)


def entropy(run: Run, file: str) -> Report:
    """H of the environments, beside the largest value it could have."""
    return _measured(run, file, lambda x: {"entropy": float(information.entropy(x, bandwidth=run.bandwidth))})


def diversity(run: Run, file: str) -> Report:
    """D of the environments, beside the largest value it could have."""
    return _measured(
        run, file, lambda x: {"diversity": float(information.diversity(x, bandwidth=run.bandwidth))}
    )


def metrics(run: Run, file: str) -> Report:
    """H, D and the efficiency 100 H / ln n, from one kernel sum."""

    def measure(x: np.ndarray) -> dict[str, float]:
        H, D = entropy_and_diversity(x, bandwidth=run.bandwidth)
        efficiency = 100 * H / math.log(len(x)) if len(x) > 1 else 100.0
        return {"entropy": H, "diversity": D, "efficiency": efficiency}

    return _measured(run, file, measure)


def delta_entropy(run: Run, file: str, reference: str) -> Report:
    """δH of every atom against a reference, kept as a per-atom array of the structures."""
    given, known = run.read(file), run.read(reference)
    envs = run.describe(file, given)
    y, x = np.asarray(envs.x), np.asarray(run.describe(reference, known).x)
    with run.stage("delta_entropy"):
        dH = np.asarray(information.delta_entropy(y, x, bandwidth=run.bandwidth))
    tolerance = overlap_tolerance(dH.dtype)
    found = {"mean": float(dH.mean()), "max": float(dH.max()), "novel": float((dH >= tolerance).mean())}
    sizes = {"n_environments": len(y), "reference_environments": len(x), "tolerance": tolerance}
    arrays = {"structure_id": envs.structure_id, "delta_entropy": dH}
    rows = [
        ("environments", len(y)),
        ("reference environments", len(x)),
        ("share that is novel", found["novel"]),
        ("mean delta entropy (nats)", found["mean"]),
        ("largest delta entropy (nats)", found["max"]),
        ("in structure", int(np.asarray(envs.structure_id)[dH.argmax()])),
    ]
    return Report(sizes | found | arrays, rows, structures=_labeled(given, envs, dH))


def overlap(run: Run, test: str, reference: str) -> Report:
    """Share of the environments of `test` that `reference` covers."""
    given, known = run.read(test), run.read(reference)
    y, x = np.asarray(run.describe(test, given).x), np.asarray(run.describe(reference, known).x)
    with run.stage("overlap"):
        share = float(information.overlap(y, x, bandwidth=run.bandwidth))
    data = {"overlap": share, "tolerance": overlap_tolerance(y.dtype)}
    data |= {"n_environments": len(y), "reference_environments": len(x)}
    rows = [("environments", len(y)), ("reference environments", len(x)), ("overlap", share)]
    return Report(data, rows)


def compress(run: Run, file: str, size: int | float, method: str, reference: str | None) -> Report:
    """The choice, its summary, and the chosen structures in order of choice."""
    find_method(method)
    _refuse_bare_matrix(file)
    given = run.read(file)
    with located(file):
        check_size(size, given.n_structures if isinstance(given, Environments) else len(given))
    known = None if reference is None else run.describe(reference, run.read(reference))
    envs = run.describe(file, given)
    result = choose(envs, size=size, method=method, reference=known, bandwidth=run.bandwidth)
    summary = result.summary
    run.seconds.update({stage: summary["seconds"][stage] for stage in ("selection", "metrics")})
    chosen = [] if isinstance(given, Environments) else [given[i] for i in summary["selected"]]
    data = {name: value for name, value in summary.items() if name not in ("k", "cutoff", "seconds")}
    rows = [
        ("structures", summary["n_structures"], summary["size"]),
        ("environments", summary["n_environments"], summary["selected_environments"]),
        ("entropy (nats)", summary["entropy_full"], summary["entropy"]),
        ("diversity (nats)", summary["diversity_full"], summary["diversity"]),
        ("overlap", 1.0, summary["overlap"]),
        ("largest delta entropy (nats)", "", summary["max_delta_entropy"]),
        ("certified ratio", "", summary["certified_ratio"]),
    ]
    return Report(data, rows, ("", "all", method), structures=chosen)


def compare(run: Run, file: str, sizes: Sequence[int | float], methods: Sequence[str]) -> Report:
    """Rows of numbers, one per size and method, and a figure of them."""
    _refuse_bare_matrix(file)
    given = run.read(file)
    structures = [] if isinstance(given, Environments) else given
    tail, labels = force_tail(structures), config_types(structures)
    find_rules(methods, labels)
    with located(file):
        for size in sizes:
            check_size(size, given.n_structures if isinstance(given, Environments) else len(given))
    envs = run.describe(file, given)
    known = {"bandwidth": run.bandwidth, "tail": tail, "labels": labels}
    with run.stage("comparison"):
        rows = compare_environments(envs, sizes=sizes, methods=methods or None, **known)
    data = {"n_structures": envs.n_structures, "n_environments": envs.counts.sum(), "rows": rows}
    header, cells = table(rows)
    draw = partial(draw_comparison, rows, title=f"{file}: {run.caption()}")
    return Report(data, cells, header, draw=draw)


def generate(run: Run, seed: int) -> Report:
    """The simulated silicon data set."""
    with run.stage("simulation"):
        structures = simulate(seed=seed, progress=lambda _, done, total: advance("simulation", done, total))
    atoms = sum(map(len, structures))
    data = {"seed": seed, "n_structures": len(structures), "n_environments": atoms}
    return Report(data, [("structures", len(structures)), ("atoms", atoms)], structures=structures)


def deliver(run: Run, report: Report, outputs: Sequence[Path], *, table: bool, as_json: bool) -> None:
    """Write every output, each whole or not at all, then print."""
    data = {"command": run.command} | run.stated() | report.data
    seconds = run.seconds | {"total": round(time.perf_counter() - run.started, 3)}
    data |= {"seconds": seconds, "versions": versions()}
    for path in outputs:
        if path.suffix == ".json":
            write_json(path, data)
        elif report.draw is not None:
            with whole_file(path) as unfinished:
                report.draw(unfinished)
        elif report.envs is not None:
            write_descriptors(path, report.envs, {} if run.anonymous else run.parameters)
        else:
            write(path, report.structures)
    if as_json:
        print(to_json(data), end="")
    if table:
        print_table(report.header, report.rows, run.caption())
        print(*(f"wrote {path}" for path in outputs), sep="\n", end="\n" if outputs else "")


def _refuse_bare_matrix(file: str) -> None:
    if file.endswith(".npy"):
        raise InputError(f"{file}: does not say which structure an environment is of; use a .npz file.")


def _measured(run: Run, file: str, measure: Callable[[np.ndarray], dict[str, float]]) -> Report:
    x = np.asarray(run.describe(file, run.read(file)).x)
    with run.stage("kernel"):
        found = measure(x)
    data = {"n_environments": len(x)} | found | {"max_entropy": math.log(len(x))}
    return Report(data, [(LABELS[name], value) for name, value in data.items()])


def _labeled(given: Sequence[Atoms] | Environments, envs: Environments, dH: np.ndarray) -> Sequence[Atoms]:
    """The structures with the per-atom array `delta_entropy`; none if only descriptors are known."""
    if isinstance(given, Environments):
        return []
    for atoms, values in zip(given, np.split(dH, np.cumsum(envs.counts)[:-1]), strict=True):
        atoms.arrays["delta_entropy"] = values
    return given
