"""Active learning that stops: batches from one pool after another, by several rules.

    python experiments/potentials/active.py --data FOLDER --gap PYTHON  # goes on where it was stopped
    python experiments/potentials/active.py --summary                   # table and figure, from the errors

The pools are the iterations of an active learning of silicon (Si_CSI_PBE), from crystals to liquids at
1700 K. A rule chooses a tenth of each pool to complement what is labelled already, at the bandwidth that fits
the pool; "all" labels everything. Before that, `covered` says which share of the environments of the pool the
labelled ones cover at that bandwidth, at which half of the pool covers 99 % of the other half: labelling can
stop where it is large. The linear model is fitted after each pool, and a Gaussian approximation potential
where `--gap` names the Python with quippy-ase.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from active_tables import STOP, means_of_steps, table
from cells import DATA, Case, Errors
from data import DataSet, Part, Task, environments, load, take
from figures import line_style
from gap import fit_and_test
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator
from ratio_tables import stored_rows
from ridge import best_fit, fit_shifts
from screen import tested
from study import Linear, basis_of, draw_pool, linear_fits

import quests_jax as qj
from quests_jax.base.jax_versions import versions
from quests_jax.cover.rules.registry import RULES
from quests_jax.output.files import write_json
from quests_jax.studies.bandwidths import recommended_bandwidth

CSI = "Si_CSI_PBE/iteration"
CRYSTALS = ("0.01A-1p", "0.05A-2p", "0.1A-3p", "0.2A-5p")
KBAR = ("liquid_1700K-10kbar", "liquid_1700K-1bar", "liquid_1700K-neg10kbar")
ITERATIONS = (
    "+".join(f"{CSI}-1_crystal_{kind}" for kind in CRYSTALS),
    *("+".join(f"{CSI}-{number}_{kind}" for kind in KBAR) for number in (2, 3, 4)),
    f"{CSI}-5_liquid_1700K-1bar",
)
TEST = f"{CSI}-5_liquid_1700K-neg10kbar"
MOST, TESTED = 60, 36  # structures of a pool and of the test
METHODS = ("random", "msc", "balanced", "cover", "fps")
ALL = "all"  # everything is labelled
SIZE = 0.1  # of a pool, each time
SEEDS = {"linear": 3, "gap": 1}
Rows = Sequence[dict[str, Any]]
Fit = Callable[[np.ndarray], Errors]  # of the structures that are labelled


class Step(NamedTuple):
    """What is labelled after a pool."""

    iteration: int
    bandwidth: float  # Å⁻¹
    covered: float  # share of the environments of the pool that the labels before it cover
    labelled: np.ndarray  # structures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the loops that have no result yet, or show the stored errors."""
    options = _parse(arguments)
    jax.config.update("jax_enable_x64", True)  # of this process: it calls JAX itself
    rows = stored_rows(options.output)
    if not options.summary:
        for found in _missing(rows, options):
            rows += found
            write_json(options.output, {"size": SIZE, "stop": STOP, "versions": versions(), "rows": rows})
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    if not rows:
        sys.exit(f"{options.output}: no results yet; run without --summary first.")
    draw(rows, options.output.with_name("active.png"))
    print(table(rows))
    return 0


def _missing(done: Rows, options: argparse.Namespace) -> Iterator[list[dict[str, Any]]]:
    """Rows of each loop that is not there yet: a model, a seed and a rule."""
    there = {(row["model"], row["seed"], row["method"]) for row in done}
    task, sizes = _task(options.data)
    linear = linear_fits(task, basis_of(task, n_hidden=100))
    for model, seeds in SEEDS.items():
        if model == "gap" and options.gap is None:
            continue
        for seed in range(seeds):
            pools, held_out = _pools(sizes, seed)
            for method in (*METHODS, ALL) if model == "linear" else METHODS:
                if (model, seed, method) in there:
                    continue
                fit = _linear(linear, held_out) if model == "linear" else _gap(task, options.gap)
                names = {"model": model, "seed": seed, "method": method}
                yield [
                    names | _named(step) | fit(step.labelled)["in"]
                    for step in _loop(task.train, pools, method, seed)
                ]


def _named(step: Step) -> dict[str, Any]:
    numbers = {"iteration": step.iteration, "labels": len(step.labelled)}
    return numbers | {"bandwidth": round(step.bandwidth, 5), "covered": round(step.covered, 4)}


def _task(folder: Path) -> tuple[Task, list[int]]:
    """All iterations as one training part, and how many structures each has."""
    tasks = [
        load(DataSet(name, (14,), 5.0, name, TEST, most=MOST, most_tested=TESTED), folder)
        for name in ITERATIONS
    ]
    columns = zip(*(each.train for each in tasks), strict=True)
    train = Part(*([one for column in parts for one in column] for parts in columns))
    return Task(tasks[0].data, train, tasks[0].tests), [len(each.train.structures) for each in tasks]


def _pools(sizes: Sequence[int], seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """The structures of each iteration that may be labelled, and those held out for the penalty."""
    first = np.cumsum([0, *sizes[:-1]])
    drawn = [draw_pool(size, seed) for size in sizes]
    pools = [start + pool for start, (pool, _) in zip(first, drawn, strict=True)]
    return pools, np.concatenate([start + out for start, (_, out) in zip(first, drawn, strict=True)])


def _linear(linear: Linear, held_out: np.ndarray) -> Fit:
    def fit(labelled: np.ndarray) -> Errors:
        theta, _ = best_fit(linear.equations, labelled, linear.train.take(held_out))
        return {"in": tested(linear.tests["in"], theta)}

    return fit


def _gap(task: Task, python: Path) -> Fit:
    shifts = fit_shifts(task.train.structures, task.data.elements)
    tests = {"in": task.tests["in"].structures}

    def fit(labelled: np.ndarray) -> Errors:
        structures = [task.train.structures[i] for i in labelled]
        return fit_and_test(Case(task.data, structures, tests, shifts), python)

    return fit


def _loop(train: Part, pools: Sequence[np.ndarray], method: str, seed: int) -> Iterator[Step]:
    labelled = np.zeros(0, int)
    for number, pool in enumerate(pools, start=1):
        envs = environments(take(train, pool))
        h = recommended_bandwidth(envs).value
        known = environments(take(train, labelled)) if len(labelled) else None
        covered = 0.0 if known is None else float(qj.overlap(envs, known, bandwidth=h))
        chosen = np.arange(len(pool)) if method == ALL else _chosen(envs, known, method, seed, h)
        labelled = np.concatenate([labelled, pool[chosen]])
        yield Step(number, h, covered, labelled)


def _chosen(
    envs: qj.Environments, known: qj.Environments | None, method: str, seed: int, h: float
) -> np.ndarray:
    given: dict[str, Any] = {"key": jax.random.key(seed)} if RULES[method].seeded else {}
    if RULES[method].complements:
        given["reference"] = known
    return RULES[method].choose(envs, size=SIZE, bandwidth=h, **given).selected


def draw(rows: Rows, file: Path) -> None:
    """Force errors of the test against the number of labels, a panel for each model."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    figure = Figure(figsize=(4.4 * len(models), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, model in zip(figure.subplots(1, len(models), squeeze=False)[0], models, strict=True):
        for place, method in enumerate(dict.fromkeys(row["method"] for row in rows if row["model"] == model)):
            steps = means_of_steps(rows, model, method)
            points = [step["labels"] for step in steps], [step["force_rmse"] for step in steps]
            axes.plot(*points, label=method, linewidth=1.2, **line_style(place))
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0)))
            axis.set_major_formatter(FormatStrFormatter("%g"))
            axis.set_minor_locator(NullLocator())
        axes.set_xlabel("labelled structures")
        axes.set_title(f"{model}: force error of the last liquid (eV/Å)", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=110)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--gap", type=Path, help="Python of the environment with quippy-ase")
    parser.add_argument("--summary", action="store_true", help="table and figure of the stored errors")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "active_results.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
