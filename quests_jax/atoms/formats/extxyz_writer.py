"""Structures as extended xyz: originals byte by byte, others so that they read back exactly as they are."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian
from ase.io.extxyz import PROPERTY_NAME_MAP, REV_PROPERTY_NAME_MAP, per_atom_properties, per_config_properties
from ase.stress import voigt_6_to_full_3x3_stress

from quests_jax.atoms.formats.extxyz import decoded
from quests_jax.atoms.formats.extxyz_header import (
    BOOLEANS,
    COLUMNS,
    NUMBERS_OF,
    PLAIN_COLUMNS,
    TEXT_KEYS,
    parse_header,
)
from quests_jax.atoms.formats.extxyz_tokens import DECIDING, WORD
from quests_jax.atoms.sources import source_of
from quests_jax.atoms.structure_contents import Part, in_voigt_order, named_parts, same

COLUMN_NAME = re.compile(r"[^\s:=\"'{}\[\]\\,]+")
PROPERTIES = re.compile(rb"properties\s*=\s*[\"'{\[]?[^\s\"'}\]]+", re.IGNORECASE)
EXACT = 2**53  # integers up to here are exact as floats
SMALL = 2**31  # integers below this fit what ASE reads integer columns into
KINDS = {"f": "R", "i": "I", "u": "I", "b": "L", "U": "S", "O": "S"}


def write(path: Path, structures: Sequence[Atoms], copied: Sequence[bool]) -> None:
    """Write a file, packed if its name ends in .gz; structures that are `copied` as they were read."""
    with open(path, "wb") as file:
        packed = path.name.lower().endswith(".gz")
        stream = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if packed else file
        for number, (atoms, whole) in enumerate(zip(structures, copied, strict=True), start=1):
            source = source_of(atoms) if whole else None
            text = format_frame(atoms) if source is None else source.original
            stream.write(text)
            if not text.endswith(b"\n") and number < len(structures):
                stream.write(b"\n")
        if packed:
            stream.close()


def format_frame(atoms: Atoms) -> bytes:
    """One frame; positions and labels keep all of their digits, and eight decimals where that is exact."""
    columns = _columns(atoms)
    lines = [f"{len(atoms)}\n", _header(atoms, columns)]
    texts = [list(map(_cell_text, np.ravel(values), [kind] * values.size)) for _, kind, _, values in columns]
    widths = [width for *_, width, _ in columns]
    for row in range(len(atoms)):
        words = [text for own, n in zip(texts, widths, strict=True) for text in own[row * n : (row + 1) * n]]
        lines.append(" ".join(words) + "\n")
    return "".join(lines).encode()


def amended(original: bytes, arrays: dict[str, np.ndarray], labels: dict[str, Any]) -> bytes:
    """The bytes of a frame with more columns behind those declared, and more labels; the rest stays.

    A frame that has columns or labels of these names, or lattice vectors behind its atoms, is unchanged.
    """
    count, comment, *lines = original.split(b"\n")
    number = int(count)
    header = parse_header(decoded(comment))
    vectors = any(line.strip() for line in lines[number:])
    if vectors or header.names & (arrays.keys() | labels.keys()):
        return original
    columns = [(name, *_column(np.asarray(values))) for name, values in arrays.items()]
    told = "".join(f":{name}:{kind}:{width}" for name, kind, width, _ in columns).encode()
    text = comment.rstrip()
    if columns and header.declared:
        text = PROPERTIES.sub(lambda found: found[0] + told, text, count=1)
    elif columns:
        text += b" Properties=" + PLAIN_COLUMNS.encode() + told
    text += "".join(f" {_quoted(name)}={_value(name, value)}" for name, value in labels.items()).encode()
    words = re.compile(rb"\s*" + rb"\s+".join([rb"\S+"] * header.width))
    for row in range(number if columns else 0):
        more = (_cell_text(v, kind) for _, kind, _, values in columns for v in np.ravel(values[row]))
        found = words.match(lines[row])
        assert found is not None
        lines[row] = b" ".join([found[0], *(own.encode() for own in more)]) + lines[row][found.end() :]
    return b"\n".join([count, text + comment[len(comment.rstrip()) :], *lines])


def lost(atoms: Atoms) -> list[Part]:
    """What extended xyz cannot hold of a structure."""
    return [part for part in named_parts(atoms) if not _holds(atoms, *part)]


def _holds(atoms: Atoms, kind: str, name: Any, value: Any) -> bool:
    if kind == "constraint":
        return isinstance(value, (FixAtoms, FixCartesian))
    if kind == "array" or name in per_atom_properties:
        return _fits_column(name, np.asarray(value), len(atoms))
    if kind == "result":
        return name in per_config_properties and (name != "stress" or np.shape(in_voigt_order(value)) == (6,))
    if not isinstance(name, str) or not name or name.lower() in ("lattice", "properties", "pbc"):
        return False
    if name.lower() in (*NUMBERS_OF, "virial") and not _is_result(name.lower(), value):
        return False
    if name in _results(atoms) or (name.lower() in DECIDING and name != name.lower()):
        return False
    if name.lower() in TEXT_KEYS:
        return isinstance(value, str) and value.isprintable()
    return _as_json(value) is not None


def _fits_column(name: Any, values: np.ndarray, n: int) -> bool:
    if not isinstance(name, str) or not COLUMN_NAME.fullmatch(name) or np.shape(values)[:1] != (n,):
        return False
    if values.ndim > 2 or PROPERTY_NAME_MAP.get(name) in ("species", "pos", "Z"):
        return False
    if name in REV_PROPERTY_NAME_MAP or (name.lower() in COLUMNS and name != COLUMNS[name.lower()]):
        return False
    if values.dtype.kind in "iu":
        return bool(np.all(np.abs(values.astype(float)) < EXACT))
    if values.dtype.kind in "UO":
        return all(isinstance(text, str) and text and text.split() == [text] for text in np.ravel(values))
    return values.dtype.kind in "fb" and (values.ndim == 1 or values.shape[1] > 0)


def _is_result(name: str, value: Any) -> bool:
    """Whether a label is as many numbers as the result of this name."""
    try:
        values = np.asarray(value, float)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, str) and values.size in NUMBERS_OF.get(name, (6, 9))


def _results(atoms: Atoms) -> dict[str, Any]:
    results = getattr(atoms.calc, "results", {}) if atoms.calc is not None else {}
    return {name: value for name, value in results.items() if value is not None}


def _columns(atoms: Atoms) -> list[tuple[str, str, int, np.ndarray]]:
    """Name, kind, width and values of each group of columns."""
    arrays: dict[str, np.ndarray] = {"symbols": np.array(atoms.get_chemical_symbols(), object)}
    arrays["positions"] = atoms.positions
    if atoms.constraints:
        arrays["move_mask"] = _move_mask(atoms)
    arrays |= {name: values for name, values in atoms.arrays.items() if name not in ("numbers", "positions")}
    arrays |= {name: v for name, v in _results(atoms).items() if name in per_atom_properties}
    columns = []
    for name, values in arrays.items():
        columns.append((PROPERTY_NAME_MAP.get(name, name), *_column(np.asarray(values))))
    return columns


def _column(values: np.ndarray) -> tuple[str, int, np.ndarray]:
    """Kind, width and values of a group of columns."""
    kind = KINDS[values.dtype.kind]
    if kind == "I" and values.size and np.abs(values.astype(float)).max() >= SMALL:
        kind, values = "R", values.astype(float)
    return kind, 1 if values.ndim == 1 else values.shape[1], values


def _move_mask(atoms: Atoms) -> np.ndarray:
    mask = np.ones((len(atoms), 3), bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            mask[constraint.index] = False
        elif isinstance(constraint, FixCartesian):
            mask[constraint.index] &= ~np.asarray(constraint.mask, bool)
    return mask[:, 0] if (mask == mask[:, :1]).all() else mask


def _header(atoms: Atoms, columns: Sequence[tuple[str, str, int, np.ndarray]]) -> str:
    pairs = []
    if atoms.cell.array.any():
        pairs.append(f'Lattice="{_numbers(atoms.cell.array)}"')
    pairs.append("Properties=" + ":".join(f"{name}:{kind}:{width}" for name, kind, width, _ in columns))
    per_structure = {name: v for name, v in _results(atoms).items() if name in per_config_properties}
    if np.shape(per_structure.get("stress", 0)) == (6,):
        per_structure["stress"] = voigt_6_to_full_3x3_stress(per_structure["stress"])
    pairs += [
        f"{_quoted(name)}={_value(name, value)}" for name, value in (atoms.info | per_structure).items()
    ]
    pairs.append(f'pbc="{" ".join("FT"[int(p)] for p in atoms.pbc)}"')
    return " ".join(pairs) + "\n"


def _value(name: str, value: Any) -> str:
    """A value as it is written, so that ASE and this package read it back as it is."""
    if isinstance(value, str):
        return (
            _quoted(value)
            if name.lower() in TEXT_KEYS or _is_text(value)
            else _quoted(f"_JSON {json.dumps(value)}")
        )
    array = value if isinstance(value, (np.ndarray, np.generic, bool, int, float)) else None
    if array is not None and np.asarray(array).dtype.kind in "fiub":
        array = np.asarray(array)
        if name in ("virial", "stress") and array.shape == (3, 3):
            return f'"{_numbers(array.T)}"'
        if array.ndim == 0:
            return _numbers(array)
        if array.ndim == 1 and len(array) > 1:
            return f'"{_numbers(array)}"'
    return _quoted(f"_JSON {_as_json(value)}")


def _is_text(text: str) -> bool:
    """Whether text is read as text, and not as numbers, booleans, JSON, or the end of the line."""
    parts = re.findall(r"[^\s,]+", text)
    if not parts or text.startswith("_JSON ") or len(text.splitlines()) > 1 or not text.isprintable():
        return False
    if all(part in BOOLEANS for part in parts):
        return False
    try:
        np.array(parts, float)
    except ValueError:
        return True
    return False


def _quoted(text: str) -> str:
    if re.fullmatch(WORD, text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _as_json(value: Any) -> str | None:
    """JSON that is read back as an equal value; None if there is none."""
    try:
        text = json.dumps(value, default=_plain)
        return text if same(json.loads(text), value) else None
    except (TypeError, ValueError, RecursionError):
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError


def _numbers(values: Any) -> str:
    return " ".join(_number_text(value) for value in np.ravel(values))


def _number_text(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "T" if value else "F"
    return str(int(value)) if isinstance(value, (int, np.integer)) else repr(float(value))


def _cell_text(value: Any, kind: str) -> str:
    if kind == "S":
        return f"{value:<2}"
    if kind == "R":
        value = float(value)  # of float32 too, exactly
        text = f"{value:16.8f}"
        return text if float(text) == value else f"{_number_text(value):>16}"
    return f"{_number_text(value):>8}"
