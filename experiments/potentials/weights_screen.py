"""Weights of the stacked rows of `balanced`, learned on half of the data sets and tried on the others.

    python experiments/potentials/weights_screen.py --keep FOLDER   # goes on where it was stopped
    python experiments/potentials/weights_screen.py --summary       # the tables, from the stored results

How they are learned is in `stacked_weights`; pools and tests are those of `screen.py`. One half are the data
sets of the design of `balanced`, the other those beside it; nothing is learned from sets of three elements,
which would take long.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import stacked_weights
from data import DataSet, Task, environments, take
from design_screen import POOLS, groups, of_the_rules
from fresh import FRESH_SETS
from gap_sets import DESIGN
from ratio_tables import KEYS, interval, means, paired
from ridge import Equations, Rows, best_fit
from screen import SETS, SIZES, add_options, prepared, tested
from stacked_weights import Lesson, Weights
from study import Linear, draw_pool

from quests_jax.base.jax_versions import versions
from quests_jax.cover.problem import CoverProblem
from quests_jax.output.files import write_json

STEPS, RATE = 30, 0.1  # of Adam
MOST_ELEMENTS = 2  # of the sets that are learned from
NEAR, FAR = 0.05, 0.7  # spread of weights drawn around those of `balanced`
DRAWS = 8  # of each spread
HALVES = ("design", "beside")
TEMPERATURES = (0.03, 0.003)  # of the soft choice
LESSONS = 2  # pools of each set that are learned from
Stored = dict[str, Any]


class Posed(NamedTuple):
    """A pool of a data set."""

    numbers: np.ndarray  # of its structures
    held_out: Rows
    problem: CoverProblem
    kind: np.ndarray  # of the rows of the problem
    lesson: Lesson


def main(arguments: Sequence[str] | None = None) -> int:
    """Learn and try what has no result yet, or say what the results are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_options(parser, "weights_results.json")
    options = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)  # of this process: it calls JAX itself
    known: Stored = {"learned": {}, "spread": [], "rows": []}
    if options.output.exists():
        known = json.loads(options.output.read_text(encoding="utf-8"))
    if not options.summary:
        for _ in _steps(known, options):
            write_json(options.output, {"versions": versions()} | known)
    print(summary(known))
    return 0


def _steps(known: Stored, options: argparse.Namespace) -> Iterator[None]:
    """Everything that is missing, piece by piece."""
    for half in HALVES:
        if not any(one["half"] == half for one in known["learned"].values()):
            known["learned"] |= _learned(half, options)
            yield
    for data in (*SETS, *FRESH_SETS):
        done = data.name in {row["data"] for row in known["rows"]}
        if done or (options.only and data.name not in options.only):
            continue
        known["rows"] += list(_rows(data, known["learned"], options))
        if len(data.elements) <= MOST_ELEMENTS:
            known["spread"].append(_spread(data, options))
        print(data.name, file=sys.stderr, flush=True)
        jax.clear_caches()
        yield


def posed(task: Task, linear: Linear, *, seed: int) -> Posed:
    """The pool of a seed with its cover problem and its lesson."""
    numbers, others = draw_pool(len(task.train.structures), seed)
    held_out = linear.train.take(others)
    problem, kind = stacked_weights.posed(environments(take(task.train, numbers)))
    known = Equations(*(each[numbers] for each in linear.equations))
    lesson = stacked_weights.make_lesson(problem, kind, known, held_out, SIZES[0])
    return Posed(numbers, held_out, problem, kind, lesson)


def half_of(data: DataSet) -> str:
    """The half that a data set belongs to; neither for those without a part in any choice."""
    if data.name in DESIGN:
        return "design"
    return "fresh" if data in FRESH_SETS else "beside"


def _learned(half: str, options: argparse.Namespace) -> Stored:
    """By temperature, weights that descend the validation loss of one half of the sets, and that loss."""
    sets = [data for data in SETS if half_of(data) == half and len(data.elements) <= MOST_ELEMENTS]
    sets = [data for data in sets if not options.only or data.name in options.only]
    lessons = [posed(*prepared(data, options), seed=seed).lesson for data in sets for seed in range(LESSONS)]
    found = {}
    for T in TEMPERATURES:
        cooled = [stacked_weights.at(lesson, T) for lesson in lessons]
        weights, losses = stacked_weights.learn(cooled, steps=STEPS, rate=RATE)
        found[f"learned on {half}, T = {T:g}"] = {
            "half": half,
            "sets": [data.name for data in sets],
            "logits": [float(value) for value in weights.logits],
            "rarity": [float(value) for value in weights.rarity],
            "losses": [float(f"{value:.6g}") for value in losses],
        }
    print(found, file=sys.stderr, flush=True)
    return found


def _weights(stored: Stored) -> Weights:
    return Weights(jnp.array(stored["logits"]), jnp.array(stored["rarity"]))


def _rows(data: DataSet, learned: Stored, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Errors of the choices by weights that were learned elsewhere."""
    task, linear = prepared(data, options)
    for seed in range(POOLS):
        pool = posed(task, linear, seed=seed)
        for method, one in learned.items():
            if one["half"] == half_of(data):
                continue
            own = stacked_weights.chosen(pool.problem, pool.kind, _weights(one), SIZES[0])
            theta, _ = best_fit(linear.equations, pool.numbers[own], pool.held_out)
            row = {"data": data.name, "design": data.name in DESIGN, "method": method, "seed": seed}
            yield row | {"tests": {name: tested(test, theta) for name, test in linear.tests.items()}}


def _spread(data: DataSet, options: argparse.Namespace) -> Stored:
    """J of the soft choice and of the whole one, for weights drawn around those of `balanced`."""
    pool = posed(*prepared(data, options), seed=0)
    loss, found = jax.jit(stacked_weights.loss), {"data": data.name}
    for name, width in (("near", NEAR), ("far", FAR)):
        drawn = [_moved(width, seed) for seed in range(DRAWS)]
        found[f"soft, {name}"] = [float(f"{loss(weights, pool.lesson):.5g}") for weights in drawn]
        found[f"whole, {name}"] = [float(f"{_whole(pool, weights):.5g}") for weights in drawn]
    return found


def _moved(width: float, seed: int) -> Weights:
    """Weights of `balanced` with normal noise."""
    noise = np.random.default_rng(seed).normal(size=5) * width
    start = stacked_weights.of_balanced()
    return Weights(start.logits + noise[:3], start.rarity + noise[3:])


def _whole(pool: Posed, weights: Weights) -> float:
    """J of the greedy choice."""
    chosen = stacked_weights.chosen(pool.problem, pool.kind, weights, SIZES[0])
    return float(stacked_weights.validation(jnp.zeros(len(pool.numbers)).at[chosen].set(1.0), pool.lesson))


def summary(known: Stored) -> str:
    """What was learned, what it brings on other sets, and how far soft and whole choices agree."""
    parts = [_learned_table(known["learned"])]
    every = [*of_the_rules(), *known["rows"]]
    for title, names in groups(dict.fromkeys(row["data"] for row in known["rows"])).items():
        methods = ["balanced", *dict.fromkeys(row["method"] for row in known["rows"] if row["data"] in names)]
        if names:
            parts.append(f"**{title}: {', '.join(names)}**\n\n{means(every, names, methods)}")
            parts += [_over_balanced(every, names, method) for method in methods[1:]]
    return "\n\n".join([*parts, _spread_table(known["spread"])])


def _over_balanced(rows: Any, names: Sequence[str], method: str) -> str:
    logs = {name: paired(rows, names, method, "balanced", key, True) for key, name in KEYS.items()}
    return f"Over `balanced`, {method}: " + ", ".join(
        f"{name} {interval(each)}" for name, each in logs.items()
    )


def _learned_table(learned: Stored) -> str:
    lines = ["| weights | sets | shares: fine, coarse, means | a of environments, means | J, first to last |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for method, one in learned.items():
        shares = ", ".join(f"{share:.2f}" for share in np.asarray(jax.nn.softmax(jnp.array(one["logits"]))))
        powers = ", ".join(f"{power:.2f}" for power in one["rarity"])
        ends = f"{one['losses'][0]:.3f} to {one['losses'][-1]:.3f}"
        lines.append(f"| {method} | {len(one['sets'])} | {shares} | {powers} | {ends} |")
    return "\n".join(lines)


def _spread_table(spread: Sequence[Stored]) -> str:
    """Standard deviations of J over the weights drawn, and its correlation between both choices."""
    lines = ["| data set | soft, near | whole, near | soft, far | whole, far | correlation, far |"]
    lines.append("| --- |" + " --- |" * 5)
    for one in spread:
        cells = [
            f"{np.std(one[f'{kind}, {name}'], ddof=1):.3f}"
            for name in ("near", "far")
            for kind in ("soft", "whole")
        ]
        r = np.corrcoef(one["soft, far"], one["whole, far"])[0, 1]
        lines.append(f"| {one['data']} | {' | '.join(cells)} | {r:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
