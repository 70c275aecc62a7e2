"""Whether ASE reads a file to its end: most of its readers stop at what they do not know, and say nothing."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import BinaryIO

from quests_jax.base.checks import InputError

STEPS = {  # what every step of a file holds once, by format
    "vasp-xml": b"<calculation>",
    "vasp-xdatcar": b"configuration=",
    "vasp-out": b"TOTAL-FORCE (eV",
    "lammps-dump-text": b"ITEM: TIMESTEP",
}
LINES = ("vasp-xdatcar", "vasp-out", "lammps-dump-text")  # whose programs end every line, the last one too
BEGINS, ENDS = b"Iteration", b"FREE ENERGIE OF THE ION-ELECTRON"  # of a step in an OUTCAR
COUNTS = slice(5, 7)  # lines of a POSCAR of which one says how many atoms there are
LONGEST_COUNT = 15  # digits of a number of atoms
HEADER = 7  # lines of an XDATCAR before its steps: comment, scale, cell, elements, and their numbers


def check_whole(path: Path, kind: str) -> None:
    """Refuse a file that ends early or whose numbers of atoms cannot be; before it is read."""
    with open(path, "rb") as stream:
        if kind == "vasp-xml":
            _check_xml(stream, path.stat().st_size)
        elif kind == "vasp":
            _check_counts(stream.read(4096), path.stat().st_size)
        elif kind == "lammps-dump-text":
            _check_dump(stream)
        elif kind == "vasp-xdatcar":
            _check_xdatcar(stream)
        elif kind == "vasp-out":
            _check_outcar(stream)
        if kind in LINES:
            stream.seek(-1, 2)
            if stream.read() != b"\n":
                raise InputError("the last line is not complete; the file is cut short, copy it again.")


def check_steps(path: Path, kind: str, count: int) -> None:
    """Refuse a file of which some steps were left out."""
    mark = STEPS.get(kind)
    if mark is None:
        return
    with open(path, "rb") as stream:
        steps = sum(line.count(mark) for line in stream)
    if steps > count:
        raise InputError(f"{count} of {steps} steps can be read; the others are cut short or damaged.")


def _check_xml(stream: BinaryIO, size: int) -> None:
    """Refuse a vasprun.xml that ends early: ASE would read the steps that are whole."""
    stream.seek(max(0, size - 4096))
    if b"</modeling>" not in stream.read():
        raise InputError("the file ends before </modeling>; it is cut short, or the calculation still runs.")


def _check_counts(head: bytes, size: int) -> None:
    """Refuse a POSCAR whose numbers of atoms are more than the file has room for."""
    for line in head.split(b"\n")[COUNTS]:
        words = line.partition(b"!")[0].split()
        if words and all(map(bytes.isdigit, words)) and sum(map(int, words)) > size:
            raise InputError(
                "has more atoms than the file has room for; it is cut short, or a number is wrong."
            )


def _check_dump(stream: BinaryIO) -> None:
    """Refuse a dump with more or fewer lines of atoms than it says."""
    counts, expected, found = False, 0, 0  # whether the next line is a count; atoms declared and met
    where = None  # line that begins the atoms
    for number, line in enumerate([*stream, b"ITEM: END"], start=1):
        if line.startswith(b"ITEM:"):
            if where is not None and found != expected:
                raise InputError(
                    f"line {where}: {expected} atoms are declared, but {found} follow; repair it."
                )
            counts, where = line.startswith(b"ITEM: NUMBER OF ATOMS"), None
            if line.startswith(b"ITEM: ATOMS"):
                found, where = 0, number
        elif where is not None:
            found += bool(line.strip())
        elif counts:
            expected = int(line) if _is_count(line.strip()) else -1


def _check_xdatcar(stream: BinaryIO) -> None:
    """Refuse an XDATCAR with lines that belong to no step: ASE would stop there."""
    atoms, number = 0, 0
    while line := stream.readline():
        number += 1
        if STEPS["vasp-xdatcar"] not in line:
            head = [line, *islice(stream, HEADER - 1)]
            if not any(map(bytes.strip, head)):
                continue
            words = head[-1].split()
            if len(head) < HEADER or not words or not all(map(_is_count, words)):
                raise InputError(f"line {number}: belongs to no step; remove what does not belong there.")
            atoms, number = sum(map(int, words)), number + HEADER
            if STEPS["vasp-xdatcar"] not in stream.readline():
                raise InputError(f"line {number}: expected 'Direct configuration='; repair the step.")
        if sum(1 for _ in islice(stream, atoms)) < atoms:
            raise InputError(f"line {number}: the step ends before its {atoms} atoms; it is cut short.")
        number += atoms


def _is_count(word: bytes) -> bool:
    return word.isdigit() and len(word) <= LONGEST_COUNT


def _check_outcar(stream: BinaryIO) -> None:
    """Refuse an OUTCAR that ends within a step: ASE would read those before it."""
    begun = None
    for number, line in enumerate(stream, start=1):
        if ENDS in line:
            begun = None
        elif begun is None and BEGINS in line:
            begun = number
    if begun is not None:
        raise InputError(
            f"line {begun}: begins a step that does not end; the file is cut short, or the calculation still "
            "runs."
        )
