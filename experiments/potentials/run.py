"""Train potentials on compressed data sets and test them in and out of distribution: see README.md."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
from data import DataSet, load
from figures import draw
from learned import learned_rows
from protocol import FULL, SMOKE, Protocol
from study import basis_of, linear_fits, neural_fits, plan, study
from tables import text
from toy import draw_toy

import quests_jax as qj
from quests_jax.base.jax_versions import versions
from quests_jax.base.json_values import as_columns, plain
from quests_jax.output.files import write_json
from quests_jax.output.terminal import show_progress

jax.config.update("jax_enable_x64", True)  # of this process: it calls JAX itself

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
Records = dict[str, dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run case after case, keeping results up to date on the way, then summarize and draw."""
    options = _parse(arguments)
    protocol = SMOKE if options.smoke else FULL
    results = _resumed(options, protocol)
    records: Records = results.setdefault("records", {})
    if not options.summary:
        with show_progress(quiet=False):
            for data in protocol.data_sets:
                for key, record in _cases(data, protocol, records, options):
                    records[key] = record
                    write_json(options.output, results)
                    print(f"{key}: {record['seconds']} s", file=sys.stderr, flush=True)
                jax.clear_caches()  # every data set brings shapes of its own
    if not records:
        sys.exit(f"{options.output}: no results yet; run without --summary first.")
    folder = options.output.parent
    tables = text(records)
    (folder / "TABLES.md").write_text(tables + "\n", encoding="utf-8")
    draw(records, folder)
    draw_toy(folder / "toy.png", steps=protocol.learning_steps)
    print(tables)
    return 0


def _cases(
    data: DataSet, protocol: Protocol, records: Records, options: argparse.Namespace
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The cases of a data set that have no record yet: its name, the model and the seed; and their rows."""
    missing = [
        (model, seed)
        for seed in range(protocol.seeds)
        for model in _models(data, protocol, seed)
        if _key(data, model, seed) not in records
    ]
    if not missing:
        return
    task = load(data, options.data)
    basis = basis_of(task, n_hidden=protocol.hidden)
    linear, networks = linear_fits(task, basis), None
    for seed in sorted({seed for _, seed in missing}):
        start = time.perf_counter()
        made = plan(task, protocol.methods, protocol.sizes, seed)
        for model in (model for model, own in missing if own == seed):
            if model == "ridge":
                rows = list(study(task, made, linear.with_plan(made)))
            elif model == "neural":
                networks = networks or neural_fits(task, basis, protocol.training)
                few = made.only("structures", (*protocol.neural_sizes, 1.0))
                rows = list(study(task, few, networks(few, seed, options.output.parent)))
            else:
                rows = list(learned_rows(made, linear, steps=protocol.learning_steps))
            yield (
                _key(data, model, seed),
                {"rows": as_columns(rows), "seconds": round(time.perf_counter() - start, 1)},
            )
            start = time.perf_counter()


def _models(data: DataSet, protocol: Protocol, seed: int) -> Iterator[str]:
    yield "ridge"
    if data.name in protocol.neural and seed < protocol.neural_seeds:
        yield "neural"
    if data.name in protocol.learned:
        yield "learned"


def _key(data: DataSet, model: str, seed: int) -> str:
    return f"{data.name} / {model} / {seed}"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a part of the bundled silicon: does it run?")
    parser.add_argument("--summary", action="store_true", help="tables and figures of the results so far")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--output", type=Path, help="default: results.json, with --smoke smoke/results.json")
    options = parser.parse_args(arguments)
    folder = Path(__file__).parent / ("smoke" if options.smoke else "")
    options.output = options.output or folder / "results.json"
    options.output.parent.mkdir(exist_ok=True)
    return options


def _resumed(options: argparse.Namespace, protocol: Protocol) -> dict[str, Any]:
    """What an earlier run of the same protocol left, and how this one is made."""
    made = plain(_header(protocol))
    if not options.output.exists():
        return made
    results = json.loads(options.output.read_text(encoding="utf-8"))
    if not options.summary and results["protocol"] != made["protocol"]:
        sys.exit(f"{options.output}: made by another protocol; name another file with --output.")
    return results if options.summary else results | made


def _header(protocol: Protocol) -> dict[str, Any]:
    return {
        "protocol": dataclasses.asdict(protocol),
        "parameters": {"k": 32, "cutoff": 5.0, "bandwidth": qj.DEFAULT_BANDWIDTH},
        "dtype": {"ridge": "float64", "neural": "float32"},
        "device": {"backend": jax.default_backend(), "cores": os.cpu_count()},
        "versions": versions(),
    }


if __name__ == "__main__":
    sys.exit(main())
