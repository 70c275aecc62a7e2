"""Measure every rule of choice against the certified optimum, on many data sets: see README.md."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
from ase import Atoms
from figures import draw
from summary import text

import quests_jax as qj
from quests_jax.base.checks import InputError
from quests_jax.base.jax_versions import versions
from quests_jax.base.json_values import as_columns, plain, rounded
from quests_jax.cover import minimum_cover_bound
from quests_jax.cover.rules.registry import RULES
from quests_jax.datasets import bundled
from quests_jax.studies.comparison import compare_environments, config_types, find_rules, force_tail

SIZES = (0.05, 0.1, 0.25, 0.5)
ENVIRONMENTS = 21_000  # of a file, at most
EXCHANGES = 5_000_000  # masses up to which `pareto` is tried: it looks at all of them for every exchange
EXACT = 300  # structures up to which the smallest full cover is sought
EXACT_SECONDS = 20.0
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SMOKE = {"sizes": (0.1, 0.25), "methods": ("random", "msc", "pareto", "cover", "relaxed"), "structures": 11}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure file after file, keeping results up to date on the way, then summarize and draw."""
    options = _parse(arguments)
    resumed = options.output.exists() and not options.smoke
    results = json.loads(options.output.read_text(encoding="utf-8")) if resumed else {}
    if options.summary:
        return _summarize(results.get("records", {}), options.output)
    results |= _header(options)
    files = dict(_files(options))
    records = {name: record for name, record in results.get("records", {}).items() if name in files}
    for number, (name, structures) in enumerate(files.items(), start=1):
        if name not in records:
            records[name] = _study(structures if structures else qj.read(options.data / name), options)
            jax.clear_caches()  # every file brings shapes of its own
            print(f"{number}/{len(files)} {name}: {records[name]['seconds']} s", file=sys.stderr, flush=True)
        _write(options.output, results | {"records": records})
    return _summarize(records, options.output)


def _summarize(records: dict[str, Any], output: Path) -> int:
    draw(records, output.with_name("figure.png"))
    print(text(records))
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a part of the bundled data: does it run?")
    parser.add_argument("--summary", action="store_true", help="tables and figure of the results so far")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--output", type=Path, help="default: results.json, with --smoke smoke/results.json")
    options = parser.parse_args(arguments)
    folder = Path(__file__).parent / ("smoke" if options.smoke else "")
    options.output = options.output or folder / "results.json"
    options.output.parent.mkdir(exist_ok=True)
    return options


def _files(options: argparse.Namespace) -> Iterator[tuple[str, list[Atoms]]]:
    """Names of files, with their structures where these are at hand already."""
    if options.smoke:
        yield "bundled:silicon", qj.read(bundled())[:: 181 // SMOKE["structures"]]
        return
    yield "bundled:silicon", qj.read(bundled())
    by_folder: dict[str, list[Path]] = {}
    for file in sorted(options.data.glob("*/*.xyz.gz"), key=lambda file: file.stat().st_size):
        by_folder.setdefault(file.parent.name, []).append(file)
    for turn in itertools.zip_longest(*by_folder.values()):  # one file of each folder comes before others
        for file in filter(None, turn):
            yield str(file.relative_to(options.data)), []


def _study(structures: list[Atoms], options: argparse.Namespace) -> dict[str, Any]:
    """What every rule keeps at every size, and the smallest full cover; or why the file was left out."""
    start = time.perf_counter()
    n = sum(map(len, structures))
    found = {"n_structures": len(structures), "n_environments": n}
    try:
        if n > ENVIRONMENTS:
            raise InputError(f"more than {ENVIRONMENTS} environments")
        envs = qj.environments(structures)
        labels = config_types(structures)
        names = SMOKE["methods"] if options.smoke else tuple(find_rules(None, labels))
        if len(structures) * n > EXCHANGES:
            names = tuple(name for name in names if name != "pareto")
        sizes = SMOKE["sizes"] if options.smoke else SIZES
        rows = compare_environments(
            envs, sizes=sizes, methods=names, tail=force_tail(structures), labels=labels
        )
        found |= {"rows": as_columns(rows), "full_cover": _full_cover(envs)}
    except InputError as reason:
        found["left_out"] = str(reason)
    return found | {"seconds": round(time.perf_counter() - start, 1)}


def _full_cover(envs: qj.Environments) -> dict[str, Any]:
    """Structures that cover every environment: greedy, linear bounds, and the optimum where it is proven."""
    problem = qj.cover_problem(envs)
    found: dict[str, Any] = {"greedy": len(qj.greedy_cover(problem, coverage=1.0).selected)}
    if envs.n_structures > EXACT:
        return found
    best = qj.exact_cover(problem, coverage=1.0, time_limit=EXACT_SECONDS)
    return found | {
        "linear_bound": minimum_cover_bound(problem, capped=False),
        "capped_bound": minimum_cover_bound(problem),
        "exact": len(best.selected),
        "proven_bound": best.cost_bound,
    }


def _header(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "smoke": options.smoke,
        "parameters": {"sizes": SIZES, "k": 32, "cutoff": 5.0, "bandwidth": qj.DEFAULT_BANDWIDTH, "seed": 0},
        "limits": {"environments": ENVIRONMENTS, "pareto": EXCHANGES, "exact": EXACT},
        "dtype": "float64",
        "device": {"backend": jax.default_backend(), "cores": os.cpu_count()},
        "methods": list(RULES),
        "versions": versions(),
    }


def _write(path: Path, results: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".tmp")
    as_json = json.dumps(rounded(plain(results), digits=6))  # more than the tables show
    unfinished.write_text(as_json.replace('{"n_structures"', '\n{"n_structures"') + "\n", encoding="utf-8")
    unfinished.replace(path)


if __name__ == "__main__":
    sys.exit(main())
