"""Active learning that stops: batches from one pool after another, by several rules, with the linear model.

    python experiments/potentials/active.py --data FOLDER   # a few minutes
    python experiments/potentials/active.py --summary       # the table of the stored errors

The pools are the iterations of an active learning of silicon (Si_CSI_PBE), from crystals to liquids at
1700 K. A rule chooses a tenth of each pool to complement what is labelled already, at the bandwidth that fits
the pool. Before that, `covered` says which share of the environments of the pool the labelled ones cover at
that bandwidth, at which half of the pool covers 99 % of the other half: labelling can stop where it is large.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from data import DataSet, Part, Task, environments, load, take
from ratio_tables import stored_rows
from ridge import best_fit
from screen import DATA, tested
from study import basis_of, draw_pool, linear_fits

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
SIZE, SEEDS = 0.1, 3
STOP = 0.9  # share of the environments covered at which nothing more needs a label


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the loop of every rule, or show the stored errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--summary", action="store_true", help="the table of the stored errors")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "active_results.json")
    options = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)  # of this process: it calls JAX itself
    if not options.summary:
        rows = list(_rows(options.data))
        write_json(options.output, {"size": SIZE, "stop": STOP, "versions": versions(), "rows": rows})
    print(table(stored_rows(options.output)))
    return 0


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    tasks = [
        load(DataSet(name, (14,), 5.0, name, TEST, most=MOST, most_tested=TESTED), folder)
        for name in ITERATIONS
    ]
    columns = zip(*(each.train for each in tasks), strict=True)
    train = Part(*([one for column in parts for one in column] for parts in columns))
    task = Task(tasks[0].data, train, tasks[0].tests)
    linear = linear_fits(task, basis_of(task, n_hidden=100))
    first = np.cumsum([0, *(len(each.train.structures) for each in tasks)])
    for seed in range(SEEDS):
        drawn = [draw_pool(end - start, seed) for start, end in zip(first, first[1:], strict=False)]
        pools = [start + pool for start, (pool, _) in zip(first, drawn, strict=False)]
        held = linear.train.take(np.concatenate([a + out for a, (_, out) in zip(first, drawn, strict=False)]))
        for method in METHODS:
            for row in _loop(train, pools, method, seed):
                theta, _ = best_fit(linear.equations, np.array(row.pop("labelled")), held)
                yield row | tested(linear.tests["in"], theta)


def _loop(train: Part, pools: Sequence[np.ndarray], method: str, seed: int) -> Iterator[dict[str, Any]]:
    """What is labelled after each pool, and how much of the pool was covered before."""
    labelled: list[int] = []
    for number, pool in enumerate(pools, start=1):
        envs = environments(take(train, pool))
        h = recommended_bandwidth(envs).value
        known = environments(take(train, labelled)) if labelled else None
        covered = 0.0 if known is None else float(qj.overlap(envs, known, bandwidth=h))
        given: dict[str, Any] = {"key": jax.random.key(seed)} if RULES[method].seeded else {}
        if RULES[method].complements:
            given["reference"] = known
        chosen = RULES[method].choose(envs, size=SIZE, bandwidth=h, **given).selected
        labelled += pool[chosen].tolist()
        row = {"method": method, "seed": seed, "iteration": number, "labels": len(labelled)}
        yield row | {"bandwidth": h, "covered": covered, "labelled": labelled}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Errors of the test after each iteration, and the labels and the error where coverage says stop."""
    last = max(row["iteration"] for row in rows)
    heads = [f"{number}: covered before, forces, energies" for number in range(1, last + 1)]
    lines = [f"| rule | {' | '.join(heads)} | stopped at |", "| --- |" + " --- |" * (last + 1)]
    for method in dict.fromkeys(row["method"] for row in rows):
        cells, stop = [], "never"
        for number in range(1, last + 1):
            some = [row for row in rows if row["method"] == method and row["iteration"] == number]
            covered = np.mean([row["covered"] for row in some])
            force = np.exp(np.mean([np.log(row["force_rmse"]) for row in some]))
            energy = np.exp(np.mean([np.log(row["energy_rmse"]) for row in some]))
            cells.append(f"{100 * covered:.0f} %, {force:.3f}, {energy:.1f}")
            if covered >= STOP and stop == "never":
                stop = str(number)
        lines.append(f"| {method} | {' | '.join(cells)} | {stop} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
