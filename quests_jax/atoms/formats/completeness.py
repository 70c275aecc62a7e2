"""Whether ASE reads a file to its end: most of its readers stop at what they do not know, and say nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from quests_jax.base.checks import InputError
from quests_jax.base.wording import agreeing

STEPS = {  # what every step of a file holds once, by format
    "vasp-xml": b"<calculation>",
    "vasp-xdatcar": b"configuration=",
    "vasp-out": b"TOTAL-FORCE (eV",
    "lammps-dump-text": b"ITEM: TIMESTEP",
}
LINES = ("vasp-xdatcar", "vasp-out", "lammps-dump-text")  # whose programs end every line, the last one too
BEGINS, ENDS = b"Iteration", b"FREE ENERGIE OF THE ION-ELECTRON"  # of a step in an OUTCAR
NUMBERS = 6  # line of a POSCAR that says how many atoms there are, unless it names the elements
MODES = (b"d", b"c", b"k", b"f")  # of positions in a POSCAR: direct or fractional, cartesian
ENDINGS = {  # how the last line begins, or the one that ends the atoms
    "proteindatabank": (b"END", b"TER", b"CONECT", b"MASTER"),
    "mol": (b"M  END",),
    "res": (b"END",),
}
LONGEST_COUNT = 15  # digits of a number of atoms
HEADER = 7  # lines of an XDATCAR before its steps: comment, scale, cell, elements, and their numbers


def check_whole(path: Path, kind: str) -> None:
    """Refuse a file that ends early or whose numbers of atoms cannot be; before it is read."""
    size = path.stat().st_size
    with open(path, "rb") as stream:
        if kind in LINES:
            stream.seek(max(0, size - 1))
            if stream.read() not in (b"\n", b"\r"):
                raise InputError("the last line is not complete; the file is cut short, copy it again.")
        if kind == "vasp-xml":
            _check_xml(stream, size)
    rows = _rows(path)
    if kind == "vasp":
        _check_poscar(rows, size)
    elif kind == "lammps-dump-text":
        _check_dump(rows)
    elif kind == "vasp-xdatcar":
        _check_xdatcar(rows)
    elif kind == "vasp-out":
        _check_outcar(rows)
    elif kind == "gromacs" or kind in ENDINGS:
        _check_ending(rows, kind)


def _rows(path: Path) -> Iterator[bytes]:
    """Lines of a file, whatever ends them."""
    with open(path, encoding="latin-1") as stream:
        for line in stream:
            yield line.encode("latin-1")


def _check_ending(rows: Iterator[bytes], kind: str) -> None:
    """Refuse a file that lacks the line which ends every file of its kind, or says more atoms than it has."""
    if kind == "gromacs":
        _ = next(rows, b"")
        count = next(rows, b"").strip()
        lines = sum(bool(row.strip()) for row in rows)
        if not _is_count(count) or lines != int(count) + 1:
            raise InputError(
                f"line 2: says {count[:20].decode('latin-1')} atoms, but {lines - 1} "
                f"{agreeing(lines - 1, 'follows', 'follow')}; it is cut short."
            )
        return
    ending = ENDINGS[kind]
    last = b""
    for row in rows:
        last = row if row.strip() else last
        if kind != "proteindatabank" and last.startswith(ending):
            return
    if not last.startswith(ending):
        names = " or ".join(word.decode() for word in ending)
        raise InputError(f"the file ends before {names}; it is cut short, or add that line.")


def check_steps(path: Path, kind: str, count: int) -> None:
    """Refuse a file of which some steps were left out."""
    if kind == "cif":
        steps = _blocks(_rows(path))
    elif kind in STEPS:
        steps = sum(row.count(STEPS[kind]) for row in _rows(path))
    else:
        return
    if steps > count:
        raise InputError(f"{count} of {steps} steps can be read; the others are cut short or damaged.")


def _blocks(rows: Iterator[bytes]) -> int:
    """Blocks of a CIF that hold atoms, or are the last where others hold some."""
    block = 0
    with_atoms = set()
    for number, row in enumerate(rows, start=1):
        if row.lower().startswith(b"data_"):
            block = number
        elif b"_atom_site" in row:
            with_atoms.add(block)
    return len(with_atoms | {block} if with_atoms else with_atoms)


def _check_xml(stream: BinaryIO, size: int) -> None:
    """Refuse a vasprun.xml that ends early: ASE would read the steps that are whole."""
    stream.seek(max(0, size - 4096))
    if b"</modeling>" not in stream.read():
        raise InputError("the file ends before </modeling>; it is cut short, or the calculation still runs.")


def _check_poscar(rows: Iterator[bytes], size: int) -> None:
    """Refuse a POSCAR of which the numbers of atoms are not those of its lines."""
    head = [next(rows, b"").partition(b"!")[0].split() for _ in range(NUMBERS)]
    number = NUMBERS
    words = head[-1]
    if not (words and _is_integer(words[0])):  # they are the elements, and the numbers follow
        number = NUMBERS + 1
        words = next(rows, b"").partition(b"!")[0].split()
    if not words or not all(map(_is_count, words)):
        raise InputError(f"line {number}: expected numbers of atoms; the file may be cut short.")
    atoms = sum(map(int, words))
    if atoms > size:
        raise InputError("has more atoms than the file has room for; it is cut short, or a number is wrong.")
    mode, number = next(rows, b""), number + 1
    if mode.strip()[:1].lower() == b"s":
        mode, number = next(rows, b""), number + 1
    if mode.strip()[:1].lower() not in MODES:
        raise InputError(f"line {number}: expected Direct or Cartesian; repair it.")
    for _ in range(atoms):
        number += 1
        if not _is_position(next(rows, b"")):
            raise InputError(f"line {number}: expected one of {atoms} positions; the file may be cut short.")
    if _is_position(next(rows, b"")):
        raise InputError(f"line {number + 1}: follows the last of {atoms} atoms; a number of atoms is wrong.")


def _is_integer(word: bytes) -> bool:
    try:
        int(word)
    except ValueError:
        return False
    return True


def _is_position(line: bytes) -> bool:
    try:
        return len(list(map(float, line.split()[:3]))) == 3
    except ValueError:
        return False


def _check_dump(rows: Iterator[bytes]) -> None:
    """Refuse a dump with more or fewer lines of atoms than it says."""
    counts, expected, found = False, 0, 0  # whether the next line is a count; atoms declared and met
    where = None  # line that begins the atoms
    for number, line in enumerate(chain(rows, [b"ITEM: END"]), start=1):
        if line.startswith(b"ITEM:"):
            if where is not None and found != expected:
                declared = f"{expected} {agreeing(expected, 'atom is', 'atoms are')} declared"
                follow = f"{found} {agreeing(found, 'follows', 'follow')}"
                raise InputError(f"line {where}: {declared}, but {follow}; repair it.")
            counts = line.startswith(b"ITEM: NUMBER OF ATOMS")
            where = None
            if line.startswith(b"ITEM: ATOMS"):
                found, where = 0, number
        elif where is not None:
            found += bool(line.strip())
        elif counts:
            expected = int(line) if _is_count(line.strip()) else -1


def _check_xdatcar(rows: Iterator[bytes]) -> None:
    """Refuse an XDATCAR with lines that belong to no step: ASE would stop there."""
    atoms, number = 0, 0
    for line in rows:
        number += 1
        if STEPS["vasp-xdatcar"] not in line:
            head = [line, *islice(rows, HEADER - 1)]
            if not any(map(bytes.strip, head)):
                continue
            words = head[-1].split()
            if len(head) < HEADER or not words or not all(map(_is_count, words)):
                raise InputError(f"line {number}: belongs to no step; remove what does not belong there.")
            atoms, number = sum(map(int, words)), number + HEADER
            if STEPS["vasp-xdatcar"] not in next(rows, b""):
                raise InputError(f"line {number}: expected 'Direct configuration='; repair the step.")
        for row in range(atoms):
            if len(next(rows, b"").split()) < 3:
                raise InputError(
                    f"line {number + row + 1}: expected one of {atoms} positions; the file may be cut short."
                )
        number += atoms


def _is_count(word: bytes) -> bool:
    return word.isdigit() and len(word) <= LONGEST_COUNT


def _check_outcar(rows: Iterator[bytes]) -> None:
    """Refuse an OUTCAR that ends within a step: ASE would read those before it."""
    begun = None
    for number, line in enumerate(rows, start=1):
        if ENDS in line:
            begun = None
        elif begun is None and BEGINS in line:
            begun = number
    if begun is not None:
        raise InputError(
            f"line {begun}: begins a step that does not end; the file is cut short, or the calculation still "
            "runs."
        )
