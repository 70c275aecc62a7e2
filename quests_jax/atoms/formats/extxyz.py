"""Extended xyz: where frames begin and end, and one frame as a structure.

A frame is a line with the number of atoms, a comment line, as many lines as there are atoms, and at most
three lines `VEC`. Blank lines between frames are read over; anything else that is not a frame is refused
with its line.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.io.extxyz import REV_PROPERTY_NAME_MAP, read_xyz, set_calc_and_arrays

from quests_jax.atoms.formats.extxyz_header import Header, parse_header
from quests_jax.atoms.sources import EVERY, Source, with_source
from quests_jax.base.checks import InputError
from quests_jax.base.wording import counted

NAME = "extxyz"
BOM = b"\xef\xbb\xbf"  # some editors put it before text in UTF-8
WIDE = (b"\xff\xfe", b"\xfe\xff")  # begins text in UTF-16
SHORTEST_LINE = 2  # bytes of an atom line that could be one, its end included
LONGEST_COUNT = 64  # bytes of a line that says how many atoms there are
LOGICAL = {"T", "F", "True", "False"}
KINDS: dict[str, tuple[Callable[[str], Any], Any]] = {"R": (float, "d"), "I": (int, "i"), "S": (str, object)}
FOR_ASE = ("Lattice", "Properties", "pbc")
RESULTS = {"energy", "free_energy", "stress"}
EMPTY_BY_ASE = "species:R:1"  # as ASE declares the species of a frame without atoms


class Frame(NamedTuple):
    """Place of a frame in its file."""

    start: int  # bytes
    stop: int
    atoms: int
    line: int  # number of its first line, from 1


def scan(stream: BinaryIO, size: int) -> Iterator[Frame]:
    """Find the frames of a file, decompressed, of `size` bytes; raises `InputError` for what is not a frame.

    The stream is read line by line, so that files larger than memory can be scanned.
    """
    number, line = 0, 1
    if stream.read(len(BOM)) != BOM:
        stream.seek(0)
    while text := stream.readline():
        if not text.strip():
            line += 1
            continue
        start = stream.tell() - len(text)
        count = _count(text, number, line)
        if count > (size - stream.tell()) // SHORTEST_LINE + 1:
            raise InputError(
                f"structure {number}, line {line}: says {count} atoms, more than the rest of the file can "
                "hold; "
                "it is cut short, or the number is wrong."
            )
        for row in range(count + 1):
            if not stream.readline():
                raise InputError(
                    f"structure {number}, line {line}: says {count} atoms, but the file ends after "
                    f"{max(row - 1, 0)}; it is cut short, copy it again."
                )
        stop = stream.tell()
        next_line = line + count + 2
        while stream.readline().lstrip().startswith(b"VEC"):
            stop, next_line = stream.tell(), next_line + 1
        stream.seek(stop)
        yield Frame(start, stop, count, line)
        number, line = number + 1, next_line


def recognises(head: bytes) -> bool:
    """Whether the first lines are a number, a comment, and an atom."""
    lines = head.removeprefix(BOM).lstrip().split(b"\n", 3)
    if len(lines) < 3 or not lines[0].strip().isdigit():
        return False
    words = lines[2].split()
    return len(words) >= 4 and not _is_number(words[0]) and all(map(_is_number, words[1:4]))


def stream(path: Path, file: str, only: Container[int] = EVERY) -> Iterator[Atoms]:
    """The structures of an unpacked file with these numbers; `file` is how it was named.

    Raises `InputError` that names structure and line.
    """
    with open(path, "rb") as ahead, open(path, "rb") as text:
        for number, frame in enumerate(scan(ahead, path.stat().st_size)):
            if number in only:
                text.seek(frame.start)
                yield read_frame(text.read(frame.stop - frame.start), file, number, frame)


def read_frame(text: bytes, file: str, number: int, frame: Frame) -> Atoms:
    """The structure of one frame, with its `Source`; errors name the structure and the line."""
    _, comment, body = (decoded(text).split("\n", 2) + ["", ""])[:3]
    lines = body.removesuffix("\n").split("\n") if body else []
    vectors = lines[frame.atoms :]
    try:
        if not frame.atoms:
            comment = comment.replace(EMPTY_BY_ASE, "species:S:1")
        header = parse_header("" if vectors else comment)
    except InputError as error:
        raise InputError(f"structure {number}, line {frame.line + 1}: {error}") from None
    rows = [line.split() for line in lines[: frame.atoms]]
    lengths = set(map(len, rows))
    _check_rows(rows, lengths, header, number, frame)
    _check_elements(rows, header, number, frame)
    if "_" in body or not body.isascii():
        _check_digits(rows, header, number, frame)
    ordinary = (
        not vectors and lengths <= {header.width} and all(column.kind in KINDS for column in header.columns)
    )
    atoms = _guarded(_assemble if ordinary else _parse, rows, header, text, number=number, frame=frame)
    if not vectors:
        _compare(atoms, header, f"structure {number}, line {frame.line + 1}")
    beyond = "columns beyond those declared" if max(lengths, default=0) > header.width else ""
    notes = tuple(filter(None, (beyond, header.warning)))
    return with_source(atoms, Source(file, number, NAME, frame.start, frame.stop, text, notes))


def decoded(text: bytes) -> str:
    """Text in UTF-8, or in Latin-1, in which every byte is a letter."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _count(text: bytes, number: int, line: int) -> int:
    word = text.strip()
    if word.startswith(WIDE):
        raise InputError("is text in UTF-16; save it as UTF-8.")
    if not word.isdigit() or len(word) > LONGEST_COUNT:
        got = decoded(word[:40])
        raise InputError(
            f"structure {number}, line {line}: expected a number of atoms, got {got!r}; the number before "
            "may be "
            "wrong, or this is no extended xyz."
        )
    return int(word)


def _check_rows(rows: list[list[str]], lengths: set[int], header: Header, number: int, frame: Frame) -> None:
    """Refuse atom lines that do not hold the declared columns."""
    short = min(lengths, default=header.width) < header.width
    logical = []
    first = 0
    for column in header.columns:
        logical += range(first, first + column.width) if column.kind == "L" and not short else ()
        first += column.width
    if not short and not logical:
        return
    for row, own in enumerate(rows):
        where = f"structure {number}, atom {row}, line {frame.line + 2 + row}"
        if len(own) < header.width:
            raise InputError(
                f"{where}: has {counted(len(own), 'column')} where {header.width} are declared; repair "
                "the line, or the number of atoms."
            )
        for place in logical:
            if own[place] not in LOGICAL:
                raise InputError(f"{where}: {own[place][:20]!r} is neither T nor F; repair the line.")


def _check_elements(rows: list[list[str]], header: Header, number: int, frame: Frame) -> None:
    """Refuse what is no chemical symbol, and a symbol that another column contradicts."""
    places = header.places
    symbols, numbers = places.get("species"), places.get("Z")
    if symbols is None:
        return
    found = {row[symbols] for row in rows}
    odd = {symbol for symbol in found if symbol.capitalize() not in atomic_numbers}
    for row, own in enumerate(rows) if odd or numbers is not None else ():
        where = f"structure {number}, atom {row}, line {frame.line + 2 + row}"
        symbol = own[symbols]
        if symbol in odd:
            advice = "declare Z:I:1 for atomic numbers" if symbol.isdigit() else "write the element alone"
            raise InputError(f"{where}: {symbol[:20]!r} is no chemical symbol; {advice}.")
        if numbers is not None and own[numbers] != str(atomic_numbers[symbol.capitalize()]):
            raise InputError(f"{where}: {symbol} has the atomic number {own[numbers][:20]}; repair the line.")


def _check_digits(rows: list[list[str]], header: Header, number: int, frame: Frame) -> None:
    """Refuse numbers that Python reads and nobody else: 1_0, or in the digits of another script."""
    for column in header.columns:
        first = header.places[column.name]
        for row, own in enumerate(rows) if column.kind in "RI" else ():
            for word in own[first : first + column.width]:
                if "_" in word or not word.isascii():
                    where = f"structure {number}, atom {row}, line {frame.line + 2 + row}"
                    raise InputError(f"{where}: {word[:20]!r} is no number; repair the line.")


def _guarded(make: Callable[..., Atoms], *given: Any, number: int, frame: Frame) -> Atoms:
    try:
        return make(*given)
    except Exception as error:  # ASE's readers raise whatever their parsers do
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"structure {number}, lines {frame.line} to {frame.line + frame.atoms + 1}: cannot be read "
            f"({reason[:200]}); repair or remove it."
        ) from None


def _assemble(rows: list[list[str]], header: Header, text: bytes) -> Atoms:
    """What `_parse` makes of an ordinary frame, several times faster: whole columns are converted."""
    del text
    words = list(zip(*rows, strict=True)) or [()] * header.width
    arrays: dict[str, np.ndarray] = {}
    first = 0
    for name, kind, width in header.columns:
        convert, dtype = KINDS[kind]
        columns = [np.array(list(map(convert, column)), dtype) for column in words[first : first + width]]
        arrays[name] = columns[0] if width == 1 else np.stack(columns, axis=1)
        first += width
    symbols, numbers = arrays.pop("species", None), arrays.pop("Z", None)
    if numbers is None and symbols is not None:
        known = {symbol: atomic_numbers[symbol.capitalize()] for symbol in set(symbols)}
        numbers = [known[symbol] for symbol in symbols]
    info = {key: value for key, value in header.info.items() if key not in FOR_ASE}
    positions, charges = arrays.pop("pos"), arrays.pop("initial_charges", None)
    atoms = Atoms(numbers, positions, charges=charges, cell=header.cell, pbc=header.pbc, info=info)
    renamed = {REV_PROPERTY_NAME_MAP.get(name, name): array for name, array in arrays.items()}
    set_calc_and_arrays(atoms, renamed)
    return atoms


def _parse(rows: list[list[str]], header: Header, text: bytes) -> Atoms:
    """One frame by ASE's reader, with our reading of its comment line."""
    del rows
    stream = StringIO(decoded(text))
    return next(iter(read_xyz(stream, 0, properties_parser=lambda _: dict(header.info))))


def _compare(atoms: Atoms, header: Header, where: str) -> None:
    """Refuse a structure that is not what its header says."""
    cell = np.zeros((3, 3)) if header.cell is None else header.cell
    if tuple(atoms.pbc.tolist()) != header.pbc or atoms.cell.array.tobytes() != cell.tobytes():
        raise InputError(f"{where}: the cell is not read as the header says; repair it.")
    labels = RESULTS & header.info.keys()
    labels |= {column.name for column in header.columns if column.name == "forces"}
    results = atoms.calc.results if atoms.calc is not None else {}
    if missing := labels - results.keys():
        raise InputError(f"{where}: {', '.join(sorted(missing))} cannot be read; repair the header.")
