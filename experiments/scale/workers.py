"""Large sets in files of three formats: one process beside four workers, and the memory of each command.

    python experiments/scale/workers.py --source mix.xyz --folder FOLDER --environments 1000000

Files are copies of the source with displaced atoms, in turn as extended xyz, LMDB and trajectories; a larger
set begins with the files of a smaller one. What has been written or answered is not made again.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

import quests_jax as qj

EVERY = 2.0  # s between two looks at the memory
PARTS = 30  # files of a copy of the source
MOVED = (0.02, 0.12)  # Å, smallest and largest displacement of a copy
SUFFIXES = (".xyz", ".aselmdb", ".traj")
JOBS = {
    "metrics": ["metrics", "--sample", "2000"],
    "cover": ["compress", "-s", "0.01", "-m", "cover"],
    "msc": ["compress", "-s", "0.01", "-m", "msc"],
}
KEPT = ("n_environments", "n_structures", "size", "coverage", "upper_bound", "certified_ratio", "overlap")
KEPT += ("entropy", "entropy_half_width", "diversity", "diversity_half_width", "selected", "gains", "seconds")


def main() -> int:
    """Make the files, run the jobs that have no answer yet, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="extended xyz")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--environments", type=int, default=1_000_000)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--workers", type=int, default=0, help="processes of a Dask cluster; 0: none")
    options = parser.parse_args()
    files = built(options.source, options.folder / "files", options.environments)
    how = f"{options.workers or 'one'}-{options.environments}"
    work = ["--work", str(options.folder / f"work-{how}")]
    if options.workers:
        work += ["--scheduler", f"local:{options.workers}"]
    for job in options.jobs:
        answer = options.folder / f"{job}-{how}.json"
        if not answer.exists():
            answer.write_text(json.dumps(measured([*JOBS[job], *map(str, files), *work])))
        found = json.loads(answer.read_text())
        print(answer.name, {name: value for name, value in found.items() if np.isscalar(value)}, flush=True)
    return 0


def built(source: Path, folder: Path, environments: int) -> list[Path]:
    """Files with at least so many environments, as few as there can be."""
    folder.mkdir(parents=True, exist_ok=True)
    structures: list[Atoms] = []
    files, held, number = [], 0, 0
    while held < environments:
        copy, part = divmod(number, PARTS)
        path = folder / f"{number:03d}{SUFFIXES[number % len(SUFFIXES)]}"
        counted = path.with_suffix(".count")
        if not counted.exists():
            structures = structures or qj.read(source)
            own = list(moved(structures[part::PARTS], copy, number))
            WRITERS[path.suffix](path, own)
            counted.write_text(str(sum(map(len, own))))
        files, held, number = [*files, path], held + int(counted.read_text()), number + 1
    return files


def moved(structures: Sequence[Atoms], copy: int, seed: int) -> Iterator[Atoms]:
    """Structures as they are in the first copy, with displaced atoms in others."""
    random = np.random.default_rng(seed)
    for atoms in structures:
        displaced = random.normal(size=(len(atoms), 3)) * random.uniform(*MOVED) * bool(copy)
        yield Atoms(atoms.numbers, atoms.positions + displaced, cell=atoms.cell, pbc=atoms.pbc)


def write_lmdb(path: Path, structures: Sequence[Atoms]) -> None:
    """A database of ASE in LMDB, as OMat24 comes."""
    import lmdb

    with (
        lmdb.open(str(path), subdir=False, map_size=1 << 30, lock=False) as database,
        database.begin(write=True) as rows,
    ):
        for number, atoms in enumerate(structures, start=1):
            row = {"numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell.array}
            row = {name: encoded(array) for name, array in (row | {"pbc": atoms.pbc}).items()}
            rows.put(str(number).encode(), zlib.compress(json.dumps(row).encode(), 1))


def encoded(array: np.ndarray) -> dict[str, Any]:
    """An array as JSON of ASE holds it."""
    return {"__ndarray__": [list(array.shape), str(array.dtype), array.ravel().tolist()]}


WRITERS = {".xyz": qj.write, ".aselmdb": write_lmdb, ".traj": qj.write}


def measured(command: Sequence[str]) -> dict[str, Any]:
    """Numbers of a command, with its wall and processor seconds and its largest memory, in GB."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    executable = [sys.executable, "-m", "quests_jax", *command, "--json"]
    shared, largest = [0.0], [0.0]
    with tempfile.TemporaryFile("w+") as printed:
        running = subprocess.Popen(executable, stdout=printed)
        while running.poll() is None:
            processes = tree(running.pid)
            shared.append(sum(gigabytes(process, "smaps_rollup", "Pss") for process in processes))
            largest.append(sum(gigabytes(process, "status", "VmHWM") for process in processes))
            time.sleep(EVERY)
        if running.returncode:
            raise SystemExit(f"{' '.join(executable[:12])} ... failed")
        printed.seek(0)
        found = json.load(printed)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    spent = {"wall": time.perf_counter() - start, "processor": processor}
    spent |= {
        "gigabytes": max(shared),
        "gigabytes_at_most": max(largest),
    }  # shared pages once, or by each
    return {name: found[name] for name in KEPT if name in found} | spent


def tree(pid: int) -> list[int]:
    """A process and all that it started."""
    try:
        children = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [pid, *(one for child in " ".join(children).split() for one in tree(int(child)))]


def gigabytes(pid: int, file: str, name: str) -> float:
    """Memory of a process by a name in a file of /proc; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0) * 1.024e-6


if __name__ == "__main__":
    sys.exit(main())
