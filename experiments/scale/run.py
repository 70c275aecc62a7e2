"""Time, memory and exponents of growth of work past memory, up to a million environments: see README.md."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk

from quests_jax.base.jax_versions import versions
from quests_jax.datasets import bundled
from quests_jax.output.files import write_json

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SIZES = (125_000, 250_000, 500_000, 1_000_000)  # environments
SHARE = 0.05  # of the structures, to keep
COMMANDS = {
    "estimate": ["metrics", "--sample", "2000"],
    "compress": ["compress", "-s", str(SHARE), "-m", "cover"],
    "exact": ["metrics"],
}  # the first one makes the descriptors, the others find them
KEPT = (
    *("n_environments", "n_structures", "size", "coverage", "upper_bound", "certified_ratio", "overlap"),
    *("entropy", "entropy_half_width", "diversity", "diversity_half_width", "seconds"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the commands at every size, write results.json after each, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="environments")
    parser.add_argument("--generated", action="store_true", help="one redundant crystal, not real data")
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=COMMANDS, help="only some of them")
    parser.add_argument("--smoke", action="store_true", help="the bundled silicon, one command at two sizes")
    parser.add_argument("--output", type=Path, help="default: results.json, with --smoke smoke/results.json")
    options = parser.parse_args(arguments)
    folder = Path(__file__).parent / ("smoke" if options.smoke else "")
    options.output = options.output or folder / "results.json"
    options.output.parent.mkdir(exist_ok=True)
    sizes = (120, 240) if options.smoke else options.sizes
    data = "crystal" if options.generated else "mix"
    files = [Path(bundled())] if options.smoke else sorted(options.data.glob("*/*.xyz.gz"))
    pool = crystals(max(sizes)) if options.generated else list(frames(files))
    order = np.random.default_rng(0).permutation(len(pool))
    rows = json.loads(options.output.read_text())["rows"] if options.output.exists() else {}  # other sizes
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{data}.xyz"
            write_part(file, pool, order, size)
            for name in list(options.commands)[: 1 if options.smoke and size > sizes[0] else None]:
                print(data, size, name, file=sys.stderr, flush=True)
                command = [*COMMANDS[name], str(file), "--work", f"{folder}/work"]
                rows[f"{name} {data} {size}"] = measured(command)
                results = {"smoke": options.smoke, "seed": 0, "share": SHARE, "rows": rows}
                results |= {"parameters": {"k": 32, "cutoff": 5.0, "bandwidth": 0.015, "dtype": "float64"}}
                results |= {"device": {"backend": "cpu", "cores": os.cpu_count()}, "versions": versions()}
                write_json(options.output, results)
    print(text(json.loads(options.output.read_text())))
    return 0


def frames(files: Sequence[Path]) -> Iterator[tuple[int, bytes]]:
    """Number of atoms and text of every structure of the files."""
    for file in files:
        lines = (gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()).split(
            b"\n"
        )
        at = 0
        while at < len(lines) and lines[at].strip():
            n = int(lines[at])
            yield n, b"\n".join(lines[at : at + n + 2]) + b"\n"
            at += n + 2


def crystals(size: int) -> list[tuple[int, bytes]]:
    """Cells of 64 silicon atoms, strained by up to 3 %, displaced by 0.02 to 0.3 Å: at least `size` atoms."""
    random, perfect, made = np.random.default_rng(1), bulk("Si", cubic=True) * (2, 2, 2), []
    for _ in range(-(-size // len(perfect)) + 1):
        strain = np.eye(3) + random.uniform(-0.03, 0.03, (3, 3))
        moved = perfect.positions + random.normal(size=(len(perfect), 3)) * random.uniform(0.02, 0.3)
        cell = " ".join(f"{number:.6f}" for number in (perfect.cell @ strain).ravel())
        atoms = "\n".join("Si {:.5f} {:.5f} {:.5f}".format(*at) for at in moved @ strain)
        head = f'{len(perfect)}\nLattice="{cell}" Properties=species:S:1:pos:R:3 pbc="T T T"\n'
        made.append((len(perfect), f"{head}{atoms}\n".encode()))
    return made


def write_part(file: Path, pool: list[tuple[int, bytes]], order: np.ndarray, size: int) -> None:
    """A random part of the pool with `size` environments, in the order of the pool."""
    atoms = np.cumsum([pool[number][0] for number in order])
    chosen = np.sort(order[: np.searchsorted(atoms, size) + 1])
    file.write_bytes(b"".join(pool[number][1] for number in chosen))


def measured(command: list[str]) -> dict[str, Any]:
    """Numbers of a command, with its wall and processor seconds and its largest memory, in GB."""
    executable = [sys.executable, "-m", "quests_jax", *command, "--json"]
    with tempfile.TemporaryFile("w+") as printed:
        start = time.perf_counter()
        running = subprocess.Popen(executable, stdout=printed)
        _, status, usage = os.wait4(running.pid, 0)
        wall = time.perf_counter() - start
        if status:
            raise SystemExit(f"{' '.join(executable)} failed")
        printed.seek(0)
        found = json.load(printed)
    spent = {"wall": wall, "processor": usage.ru_utime + usage.ru_stime, "gigabytes": usage.ru_maxrss / 1e6}
    return {name: found[name] for name in KEPT if name in found} | spent


def text(results: dict[str, Any]) -> str:
    """The table of the README, and the exponents of growth of processor time."""
    header = "command | data | environments | wall (s) | processor (s) | memory (GB) | certified ratio"
    lines = [header, " | ".join("---" for _ in header.split("|"))]
    for name, row in results["rows"].items():
        ratio = f"{row['certified_ratio']:.3f}" if "certified_ratio" in row else ""
        cells = (*name.split()[:2], f"{row['n_environments']:,}", f"{row['wall']:.0f}")
        lines.append(" | ".join((*cells, f"{row['processor']:.0f}", f"{row['gigabytes']:.2f}", ratio)))
    table = "\n".join(f"| {line} |" for line in lines)
    kinds = dict.fromkeys(tuple(name.split()[:2]) for name in results["rows"])
    return "\n\n".join([table, *(exponent(results["rows"], *kind) for kind in kinds)])


def exponent(rows: dict[str, Any], name: str, data: str) -> str:
    """Slope of processor time against environments from the smallest to the largest size, on log scales."""
    own = [row for key, row in rows.items() if key.split()[:2] == [name, data]]
    n, t = (np.log([row[key] for row in own]) for key in ("n_environments", "processor"))
    if len(own) < 2 or n[-1] == n[0]:
        return f"- {name}, {data}: one size only"
    return f"- {name}, {data}: processor time grows with n to the power {(t[-1] - t[0]) / (n[-1] - n[0]):.2f}"


if __name__ == "__main__":
    sys.exit(main())
