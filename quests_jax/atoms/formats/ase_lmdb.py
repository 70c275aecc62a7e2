"""Databases of ASE in LMDB, .aselmdb, in which OMat24, OMol25 and the Open Catalyst sets come.

Layout: key "1", "2", ... in ASCII, value JSON of an ASE row compressed by zlib, in which arrays stand as
{"__ndarray__": [shape, dtype, flat list]}; the keys nextid, deleted_ids and metadata hold no structure
(fairchem's database `aselmdb`, github.com/FAIR-Chem/fairchem). Nothing is unpickled, and the file is opened
for reading only.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import dict2constraint

from quests_jax.atoms.formats import lmdb_pages
from quests_jax.atoms.formats.entries import Entry, structure
from quests_jax.atoms.sources import EVERY, Source
from quests_jax.base.checks import InputError

NAME = "aselmdb"
RESERVED = (b"nextid", b"deleted_ids", b"metadata")
LARGEST = 256 << 20  # bytes of one row, unpacked
FIELDS = ("numbers", "positions", "cell", "pbc", "energy", "forces", "stress")
UNUSED = {"id", "unique_id", "ctime", "mtime", "user", "calculator", "calculator_parameters", "natoms"}


recognises = lmdb_pages.recognises


def stream(path: Path, file: str, only: Container[int] = EVERY) -> Iterator[Atoms]:
    """The structures of some rows, in the order of the keys of all rows; `file` is how it was named."""
    with lmdb_pages.opened(path) as (content, entries):
        rows = {int(entry.key): entry for entry in entries if _is_number(entry.key)}
        for index, key in enumerate(sorted(rows)):
            if index in only:
                row = content[rows[key].start : rows[key].start + rows[key].size]
                yield _structure(row, Source(file, index, NAME))


def _is_number(key: bytes) -> bool:
    if key in RESERVED:
        return False
    if not key.isdigit():
        raise InputError(f"a database in LMDB, but not one of ASE: it has a key {key[:40]!r}.")
    return True


def _structure(row: bytes, source: Source) -> Atoms:
    where = f"structure {source.index}"
    try:
        machine = zlib.decompressobj()
        text = machine.decompress(row, LARGEST)
        if machine.unconsumed_tail or not machine.eof:
            raise InputError(f"{where}: its row is cut short or larger than {LARGEST >> 20} MB.")
        fields = json.loads(text, object_hook=_arrays)
    except (zlib.error, ValueError, RecursionError, MemoryError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: its row cannot be read ({error}); copy the database again.") from None
    if not isinstance(fields, dict) or not {"numbers", "positions"} <= fields.keys():
        raise InputError(f"{where}: its row holds no numbers and positions, so it is no row of ASE.")
    known = {name: fields.get(name) for name in FIELDS}
    labels = {**_mapping(fields.get("key_value_pairs")), **_mapping(fields.get("data"))}
    others = fields.keys() - set(FIELDS) - UNUSED - {"key_value_pairs", "data", "constraints"}
    labels |= {name: fields[name] for name in sorted(others)}
    atoms = structure(Entry(**known, labels=labels), source)
    try:
        atoms.set_constraint([dict2constraint(each) for each in fields.get("constraints") or []])
    except Exception as error:  # ASE's constraints raise whatever they like
        raise InputError(f"{where}: its constraints cannot be read ({error}).") from None
    return atoms


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _arrays(value: dict[str, Any]) -> Any:
    if value.keys() != {"__ndarray__"}:
        return value.get("cell", value.get("array", value)) if "__ase_objtype__" in value else value
    shape, dtype, flat = value["__ndarray__"]
    kind = np.dtype(dtype)
    if kind.hasobject:
        raise ValueError("an array of objects")
    return np.array(flat, kind).reshape(shape)
