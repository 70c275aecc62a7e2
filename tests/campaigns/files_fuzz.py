"""Mutated files of six formats: each is read whole or refused in one line, in time and within memory.

    python tests/campaigns/files_fuzz.py --number 10000

A worker process reads one mutated file after another and measures time and peak memory of each; one that
hangs is ended and counted. A file that is read must not be a part of what was there: lines of extended xyz
and POSCAR, arrays of .npz, and images and rows against what was written are counted again, by a few lines
that know nothing of our readers. What is read is written again, in its own format and another: equal to what
was read, or refused in a line. Extended xyz is read from disk too, as with --work, with the same outcome.
"""

from __future__ import annotations

import argparse
import bz2
import gc
import gzip
import json
import lzma
import multiprocessing
import resource
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

LIMIT_SECONDS = 5.0  # of processor time
HANGS = 120.0  # s after which a process is ended
LIMIT_BYTES = 10**9  # above what the process holds before it reads
GUARD_BYTES = 8 << 30  # where the process is stopped
FORMATS = ("xyz", "xyz.gz", "traj", "db", "npz", "vasp")
KEYS = ("Lattice", "Properties", "pbc", "energy", "forces", "pos", "species", "R:3", "S:1", "stress")
WORDS = (
    "",
    "nan",
    "inf",
    "-1",
    "0",
    "999999999",
    "1e400",
    "T",
    "none",
    '"',
    "'",
    "{",
    "\\",
    "=",
    "é",
    "lattice=",
)


def structures(rng: np.random.Generator) -> list[Atoms]:
    """A few small structures with labels, mixed in size and periodicity."""
    made = []
    for number in range(int(rng.integers(1, 5))):
        atoms = bulk("NaCl", "rocksalt", a=5.64) if number % 2 else molecule("H2O")
        atoms.positions += rng.normal(scale=0.01, size=atoms.positions.shape)
        forces = rng.normal(size=(len(atoms), 3))
        atoms.calc = SinglePointCalculator(atoms, energy=float(rng.normal()), forces=forces)
        atoms.info |= {"config_type": "some text", "run": int(rng.integers(100))}
        if number % 3 == 0:
            atoms.set_constraint(FixAtoms([0]))
        made.append(atoms)
    return made


def original(kind: str, rng: np.random.Generator, folder: Path) -> tuple[bytes, int]:
    """A sound file of this kind, and how many structures it holds."""
    path = folder / f"sound.{kind}"
    path.unlink(missing_ok=True)
    made = structures(rng)
    if kind == "npz":
        np.savez(path, x=rng.normal(size=(6, 5)), structure_id=np.array([0, 0, 1, 1, 2, 2]), n_structures=3)
    elif kind == "vasp":
        ase.io.write(path, bulk("NaCl", "rocksalt", a=5.64), format="vasp")
    else:
        ase.io.write(path, made, format={"xyz": "extxyz", "xyz.gz": "extxyz"}.get(kind, kind))
    return path.read_bytes(), len(made)


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bits are another."""
    changed = bytearray(data)
    for place in rng.integers(len(data), size=int(rng.integers(1, 6))):
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The end is missing."""
    return data[: int(rng.integers(len(data)))]


def hole(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece is missing."""
    first, last = sorted(rng.integers(len(data), size=2).tolist())
    return data[:first] + data[last:]


def repeat(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece is there twice."""
    first, last = sorted(rng.integers(len(data), size=2).tolist())
    return data[:last] + data[first:]


def number(data: bytes, rng: np.random.Generator) -> bytes:
    """One number of the text is another, often an enormous one."""
    words = data.split(b" ")
    places = [
        place for place, word in enumerate(words) if word.strip().replace(b".", b"").lstrip(b"-").isdigit()
    ]
    if places:
        new = str(rng.choice([0, -1, 3, 10**9, 10**12, 10**18])).encode()
        words[places[int(rng.integers(len(places)))]] = new
    return b" ".join(words)


def count(data: bytes, rng: np.random.Generator) -> bytes:
    """One whole line that is a number is another number."""
    lines = data.split(b"\n")
    places = [place for place, line in enumerate(lines) if line.strip().isdigit()]
    if places:
        new = rng.choice(["0", "1", "2", "7", "-3", "1000000000000", "9" * 40, "3.0", "0x3", "٣"])
        lines[places[int(rng.integers(len(places)))]] = str(new).encode()
    return b"\n".join(lines)


def key(data: bytes, rng: np.random.Generator) -> bytes:
    """A key, or a piece of a header, is spelled otherwise or has another value."""
    word = KEYS[int(rng.integers(len(KEYS)))].encode()
    new = [word.lower(), word.upper(), b"", word + b"=" + rng.choice(WORDS).encode(), b"R:999999999", b"R:0"]
    return data.replace(word, new[int(rng.integers(len(new)))], int(rng.integers(1, 3)))


def encoding(data: bytes, rng: np.random.Generator) -> bytes:
    """The text is in another encoding, or holds bytes of one."""
    text = data.decode("latin-1")
    choice = int(rng.integers(5))
    if choice == 0:
        return b"\xef\xbb\xbf" + data
    if choice == 1:
        return text.encode("utf-16")
    if choice == 2:
        return data.replace(b"\n", b"\r\n")
    if choice == 3:
        return data.replace(b"\n", b"\r")
    place = int(rng.integers(len(data)))
    return data[:place] + b"\xc5\x00\xff" + data[place:]


def lines(data: bytes, rng: np.random.Generator) -> bytes:
    """A line is gone, blank, doubled or something else."""
    rows = data.split(b"\n")
    place = int(rng.integers(len(rows)))
    new = [[], [b""], [rows[place]] * 2, [b"garbage here"], [b"5"], [b"C 0 0 0"]][int(rng.integers(6))]
    return b"\n".join([*rows[:place], *new, *rows[place + 1 :]])


def bomb(data: bytes, rng: np.random.Generator) -> bytes:
    """A small file that unpacks to an enormous one."""
    zeros = bytes(200 << 20) if rng.integers(2) else data * ((200 << 20) // max(len(data), 1))
    pack: list[Callable[[bytes], bytes]] = [gzip.compress, lambda b: lzma.compress(b, preset=0), bz2.compress]
    return pack[int(rng.integers(len(pack)))](zeros)


MUTATIONS = (flip, cut, hole, repeat, number, count, key, encoding, lines)


def mutated(seed: int, folder: Path) -> tuple[str, str, Path, int]:
    """Kind of file, name of the mutation, the file, and how many structures it held before."""
    rng = np.random.default_rng(seed)
    kind = FORMATS[seed % len(FORMATS)]
    data, n_structures = original(kind, rng, folder)
    mutation = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
    if kind == "xyz.gz" and seed % 100 == 1:
        mutation, data = bomb, bomb(gzip.decompress(data), rng)
    elif kind == "xyz.gz" and rng.integers(2):  # inside the packed file
        data = gzip.compress(mutation(gzip.decompress(data), rng), 1)
    else:
        data = mutation(data, rng)
    path = folder / f"mutated.{kind}"
    path.write_bytes(data)
    return kind, mutation.__name__, path, n_structures


def verdict(path: Path, kind: str, n_structures: int) -> str:
    """What reading a file comes to: read, refused, or a fault."""
    from quests_jax.atoms.reading import read
    from quests_jax.base.checks import InputError
    from quests_jax.output.files import read_descriptors

    try:
        if kind in ("xyz", "xyz.gz"):
            also = on_disk(path)
        found = read_descriptors(path) if kind == "npz" else read(path)
        if kind in ("xyz", "xyz.gz") and not also:
            return "fault: read in memory, refused on disk"
    except InputError as error:
        if kind in ("xyz", "xyz.gz") and also:
            return "fault: read from disk, refused in memory"
        return (
            "refused" if "\n" not in str(error) and path.name in str(error) else f"fault: message {error!r}"
        )
    except Exception:
        return "fault: " + " | ".join(traceback.format_exc().strip().splitlines()[-3:])
    whole = {"xyz": all_lines, "xyz.gz": all_lines, "vasp": all_positions, "npz": all_rows}
    complete = whole[kind](path, found) if kind in whole else len(found) == n_structures
    if not complete:
        return "fault: silent partial read"
    return "read" if kind == "npz" else rewritten(path, kind, found)


def rewritten(path: Path, kind: str, found: list[Atoms]) -> str:
    """What writing structures again, and reading them from disk, comes to."""
    from quests_jax.atoms.reading import read
    from quests_jax.atoms.structure_contents import differences
    from quests_jax.atoms.writing import write
    from quests_jax.base.checks import InputError

    suffixes = {f".{kind}"} & {".xyz", ".xyz.gz", ".traj", ".db"} | {(".xyz", ".traj", ".db")[len(found) % 3]}
    for suffix in suffixes:
        try:
            out = path.with_name(f"out{suffix}")
            write(out, found, drop_unsupported=suffix != f".{kind}")
            again = read(out)
        except InputError as error:
            if "\n" in str(error):
                return f"fault: message {error!r}"
            continue
        except Exception:
            return "fault: " + " | ".join(traceback.format_exc().strip().splitlines()[-3:])
        pairs = zip(found, again, strict=True)
        if suffix == f".{kind}" and any(differences(one, other) for one, other in pairs):
            return "fault: written otherwise than it was read"
    return "read"


def on_disk(path: Path) -> bool:
    """Whether extended xyz can be read piece by piece from disk; raises what it should not."""
    from quests_jax.atoms.validation import validate
    from quests_jax.base.checks import InputError
    from quests_jax.disk import Work
    from quests_jax.disk.structures import open_structures

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        try:
            found = open_structures(Work(Path(folder)), [(path, None)])
            validate(found.bare(range(len(found.counts))))
            found.read(range(len(found.counts)))
        except InputError:
            return False
    return True


def all_rows(path: Path, found: Any) -> bool:
    """Whether all that follows the header of x is in the rows that were read."""
    with zipfile.ZipFile(path) as members:
        content = members.read("x.npy")
    rows = np.asarray(found[0].x)
    return len(content) - 10 - int.from_bytes(content[8:10], "little") == rows.nbytes


def all_positions(path: Path, found: Any) -> bool:
    """Whether the lines of three numbers behind the mode of a POSCAR are as many as its atoms."""
    lines = path.read_bytes().decode("latin-1").splitlines()
    mode = [place for place, line in enumerate(lines) if line.strip()[:1].lower() in tuple("dckf")]
    first = next(place for place in mode if place > 5) + 1
    count = 0
    while first + count < len(lines) and is_position(lines[first + count]):
        count += 1
    return count == len(found[0])


def is_position(line: str) -> bool:
    """Whether a line begins with three numbers."""
    try:
        return len(list(map(float, line.split()[:3]))) == 3
    except ValueError:
        return False


def all_lines(path: Path, found: Any) -> bool:
    """Whether every line of an extended xyz file that is not blank is in a structure that was read."""
    text = path.read_bytes()
    text = gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text
    full = sum(1 for line in text.split(b"\n") if line.strip())
    comments = 0
    rows, place = text.split(b"\n"), 0
    for atoms in found:
        while place < len(rows) and not rows[place].strip():
            place += 1
        comments += bool(place + 1 < len(rows) and rows[place + 1].strip())
        place += len(atoms) + 2
    return full == sum(len(atoms) + 1 for atoms in found) + comments


def work(orders: Any) -> None:
    """Read the file of every seed that arrives."""
    warnings.simplefilter("ignore")
    import quests_jax.disk.structures
    import quests_jax.output.files  # noqa: F401  (everything is imported before memory is limited)

    resource.setrlimit(resource.RLIMIT_AS, (in_use("VmSize") + GUARD_BYTES, resource.RLIM_INFINITY))
    gc.freeze()  # what is imported is not looked through again
    with tempfile.TemporaryDirectory() as name:
        while True:
            seed = orders.recv()
            kind, mutation, path, n_structures = mutated(seed, Path(name))
            orders.send((kind, mutation))
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            gc.collect()
            held, start = in_use("VmRSS"), time.process_time()  # of a busy machine, no fault
            outcome = verdict(path, kind, n_structures)
            orders.send((outcome, time.process_time() - start, in_use("VmHWM") - held))


def in_use(name: str) -> int:
    """Bytes of memory of this process, by a name in /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


class Worker:
    """A process that reads files, and is replaced when it hangs or dies."""

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("spawn")
        self.start()

    def start(self) -> None:
        """Begin a process."""
        self.orders, theirs = self.context.Pipe()
        self.process = self.context.Process(target=work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def read(self, seed: int) -> tuple[str, str, str, float, int]:
        """Kind, mutation, outcome, seconds and peak memory of one file."""
        kind = mutation = "?"
        try:
            self.orders.send(seed)
            kind, mutation = self.orders.recv()
            if self.orders.poll(HANGS):
                return kind, mutation, *self.orders.recv()
            outcome = "fault: hangs"
        except (EOFError, OSError):
            outcome = "fault: the process ended"
        self.process.kill()
        self.process.join()
        self.start()
        return kind, mutation, outcome, 0.0, 0


def campaign(numbers: range) -> dict[str, Any]:
    """Outcomes of all files: counts by kind, and every fault."""
    worker, counts, faults, slowest, largest = Worker(), Counter(), [], 0.0, 0
    for seed in numbers:
        kind, mutation, outcome, seconds, peak = worker.read(seed)
        if seconds > LIMIT_SECONDS:
            outcome = f"fault: {seconds:.1f} s"
        if peak > LIMIT_BYTES:
            outcome = f"fault: {peak / 1e6:.0f} MB"
        slowest, largest = max(slowest, seconds), max(largest, peak)
        counts[f"{kind} {outcome.split(':')[0]}"] += 1
        if outcome.startswith("fault"):
            faults.append([seed, kind, mutation, outcome])
            print(faults[-1], file=sys.stderr, flush=True)
    worker.process.kill()
    found = {"files": len(numbers), "counts": dict(sorted(counts.items()))}
    return found | {"slowest_s": round(slowest, 2), "largest_MB": round(largest / 1e6), "faults": faults}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    found = campaign(range(asked.first, asked.first + asked.number))
    json.dump(found, sys.stdout, indent=1)
    print()
    sys.exit(bool(found["faults"]))
