"""The comment line of an extended xyz frame: `key=value` pairs, and what they say about cell and labels.

Keys that decide something (Lattice, Properties, pbc, energy, forces, stress, virial) are known in any case of
letters. Whatever they hold is understood or refused. All other pairs are labels of the structure, converted
as ASE converts them, except that text stays text where a number would lose some of it: 003, 12_0, 12e345 and
integers of more than 64 bits.
"""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from quests_jax.atoms.formats.extxyz_tokens import DECIDING, split_pairs
from quests_jax.base.checks import InputError

PLAIN_COLUMNS = "species:S:1:pos:R:3"
TRUE, FALSE = ("t", "true", "1"), ("f", "false", "0")
BOOLEANS = {"T": True, "F": False} | {
    text: value for value in (True, False) for text in (str(value), str(value).lower(), str(value).upper())
}
TEXT_KEYS = ("uid",)
NUMBERS_OF = {  # how many numbers the results hold that ASE keeps for a structure
    "energy": (1,),
    "free_energy": (1,),
    "magmom": (1,),
    "dipole": (3,),
    "polarization": (3,),
    "stress": (6, 9),
    "dielectric_tensor": (9,),
}
CELLS = ("cell", "box", "unit_cell", "unitcell", "cell_vectors", "lattice_vectors")  # of other programs
COLUMNS = {"species": "species", "pos": "pos", "z": "Z", "force": "forces", "forces": "forces"}
MEANT = {"pos": "RI", "forces": "RI", "Z": "I", "species": "S"}  # kinds of these columns
WIDTHS = {"species": 1, "pos": 3, "Z": 1, "forces": 3}


class Column(NamedTuple):
    """Columns of the atom lines that belong together."""

    name: str
    kind: str  # R, I, S or L
    width: int


class Header(NamedTuple):
    """What a comment line says."""

    info: dict[str, Any]  # labels, and Lattice, Properties and pbc for ASE
    columns: tuple[Column, ...]
    declared: bool  # whether the line says which columns there are
    cell: np.ndarray | None  # [3, 3] Å, rows are lattice vectors
    pbc: tuple[bool, bool, bool]
    warning: str  # what ASE does not keep, "" as a rule

    @property
    def width(self) -> int:
        """Columns of an atom line."""
        return sum(column.width for column in self.columns)

    @property
    def names(self) -> set[str]:
        """Names of columns and labels."""
        return {column.name for column in self.columns} | self.info.keys()

    @property
    def places(self) -> dict[str, int]:
        """First column of each group."""
        ends = accumulate((column.width for column in self.columns), initial=0)
        return dict(zip((column.name for column in self.columns), ends, strict=False))


def parse_header(line: str) -> Header:
    """Read a comment line; raises `InputError` for what decides something and cannot be understood."""
    pairs = split_pairs(line)
    info = {}
    known = _deciding(pairs)
    for key, text in pairs:
        name = key.lower()
        if name in ("lattice", "properties", "pbc"):
            continue
        if name in DECIDING and known.get(name) == (key, text):
            _set_result(info, name, text)
        else:
            info[key] = True if text is None else convert(key, text)
    cell = _cell(known["lattice"][1]) if "lattice" in known else None
    given = "F" if cell is None else "T"
    pbc = _pbc(known["pbc"][1] if "pbc" in known else given)
    if cell is None and any(pbc):
        raise InputError('pbc without Lattice; add the cell or write pbc="F F F".')
    if cell is None and "pbc" not in known:
        _refuse_other_cells(pairs)
    columns = parse_columns(known["properties"][1] or "" if "properties" in known else PLAIN_COLUMNS)
    for_ase = {"Properties": ":".join(f"{name}:{kind}:{width}" for name, kind, width in columns)}
    for_ase |= {"pbc": list(pbc)} | ({} if cell is None else {"Lattice": cell.T})
    warning = _asymmetric(info.get("stress"))
    return Header(info | for_ase, columns, "properties" in known, cell, pbc, warning)


def convert(key: str, text: str) -> Any:
    """A label as a number, a boolean, an array, what JSON says, or text."""
    if key.lower() in TEXT_KEYS:
        return text
    parts = re.findall(r"[^\s,]+", text)
    if parts and all(part in BOOLEANS for part in parts):
        values = [BOOLEANS[part] for part in parts]
        return values[0] if len(values) == 1 else values
    if (numbers := _numbers(parts)) is not None and not any(map(_loses_digits, parts)):
        return numbers[0] if len(numbers) == 1 else numbers
    if text.startswith("_JSON "):
        return _from_json(text)
    return text


def parse_columns(text: str) -> tuple[Column, ...]:
    """What `Properties` says: name, kind and width of each group of columns."""
    fields = text.split(":")
    if len(fields) % 3:
        raise InputError(f"Properties={text[:80]!r} is not a list of name:kind:width; repair it.")
    columns = []
    for name, kind, width in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        if kind not in ("R", "I", "S", "L"):
            raise InputError(f"Properties: {name} is of kind {kind[:20]!r}; use R, I, S or L.")
        if not (width.isascii() and width.isdigit() and len(width) < 6 and int(width)):
            raise InputError(f"Properties: {name} has the width {width[:20]!r}; give a number of columns.")
        columns.append(Column(COLUMNS.get(name.lower(), name), kind, int(width)))
    _check_columns(columns)
    return tuple(columns)


def _check_columns(columns: list[Column]) -> None:
    names = [column.name for column in columns]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"Properties: {name} is declared twice; name each column once.")
    for name, kind, width in columns:
        if width != WIDTHS.get(name, width) or kind not in MEANT.get(name, kind):
            raise InputError(f"Properties: {name}:{kind}:{width} cannot be {name}; repair the declaration.")
    if "pos" not in names:
        raise InputError("Properties declares no positions; add pos:R:3.")
    if not {"species", "Z"} & set(names):
        raise InputError("Properties declares no elements; add species:S:1 or Z:I:1.")


def _deciding(pairs: list[tuple[str, str | None]]) -> dict[str, tuple[str, str | None]]:
    """The pair of each key that decides something; the usual spelling goes before others."""
    known: dict[str, tuple[str, str | None]] = {}
    for key, text in pairs:
        name = key.lower()
        if name not in DECIDING:
            continue
        before, value = known.get(name, (key, text))
        if value != text and (name in ("lattice", "properties", "pbc") or before == key):
            raise InputError(f"{before} and {key} say different things; keep one of them.")
        if name not in known or key == name:
            known[name] = key, text
    return known


def _cell(text: str | None) -> np.ndarray:
    numbers = _numbers(_words(text or ""))
    if numbers is None or numbers.shape != (9,):
        raise InputError(f"Lattice={(text or '')[:80]!r} is not nine numbers; repair it.")
    return numbers.astype(float).reshape(3, 3)


def _pbc(text: str | None) -> tuple[bool, bool, bool]:
    parts = re.findall(r"[^\s,/]+", (text or "").lower())
    if len(parts) == 1 and len(parts[0]) == 3 and set(parts[0]) <= set("tf01"):
        parts = list(parts[0])
    parts = parts * 3 if len(parts) == 1 else parts
    if len(parts) != 3 or any(part not in (*TRUE, *FALSE) for part in parts):
        raise InputError(f"pbc={(text or '')[:40]!r} is not understood; write three of T and F.")
    first, second, third = (part in TRUE for part in parts)
    return first, second, third


def _set_result(info: dict[str, Any], name: str, text: str | None) -> None:
    """Keep a result as ASE does; one that is missing is left out."""
    if text is None or text.strip().lower() in ("", "none", "null"):
        return
    numbers = _numbers(_words(text))
    counts = NUMBERS_OF.get(name, (6, 9))
    if numbers is None or len(numbers) not in counts:
        wanted = " or ".join(map(str, counts))
        raise InputError(f"{name}={text[:40]!r} is not {wanted} number{'s' * (counts != (1,))}; repair it.")
    if len(numbers) == 9:
        rows_in_brackets = "[" in text
        info[name] = numbers.reshape(3, 3, order="C" if rows_in_brackets else "F")
    else:
        info[name] = numbers[0] if len(numbers) == 1 else numbers


def _words(text: str) -> list[str]:
    """Words of an array, in rows or in the brackets of JSON."""
    return re.findall(r"[^\s,\[\]]+", text.removeprefix("_JSON "))


def _asymmetric(stress: Any) -> str:
    if isinstance(stress, np.ndarray) and stress.shape == (3, 3):
        if not np.allclose(stress, stress.T, rtol=1e-3, atol=1e-6, equal_nan=True):
            return "the stress is not symmetric, and only its upper half is kept in memory"
    return ""


def _refuse_other_cells(pairs: list[tuple[str, str | None]]) -> None:
    for key, text in pairs:
        numbers = _numbers(re.findall(r"[^\s,]+", text or ""))
        if key.lower() in CELLS and numbers is not None and len(numbers) in (3, 6, 9):
            raise InputError(f'{key} is not known as a cell; call it Lattice, or add pbc="F F F".')


def _numbers(parts: list[str]) -> np.ndarray | None:
    """Integers if all are, else floats; None if some are no numbers."""
    if not parts or any("_" in part for part in parts):
        return None
    try:
        return np.array([int(part) for part in parts], int)
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([float(part) for part in parts])
    except ValueError:
        return None


def _loses_digits(part: str) -> bool:
    """Whether a number would not say all that the text says."""
    digits = part.lstrip("+-")
    if re.fullmatch(r"\d+e0\d+", digits):
        return True  # no program writes an exponent so; it is a hash
    if digits.isdigit():
        return (len(digits) > 1 and digits[0] == "0") or len(digits) > 18
    return math.isinf(float(part)) and "inf" not in part.lower()


def _from_json(text: str) -> Any:
    try:
        value = json.loads(text.removeprefix("_JSON "))
    except (ValueError, RecursionError):
        return text
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return value
    return array if array.dtype.kind in "ifb" else value
