"""ASE databases in SQLite, .db: read by ASE, and copied row by row with key-value pairs and data.

Key-value pairs of a row are labels of its structure.
"""

from __future__ import annotations

import copy
import sqlite3
import uuid
import warnings
from collections.abc import Container, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import ase.db
import numpy as np
from ase import Atoms
from ase.db.core import check

from quests_jax.atoms.sources import EVERY, Source, source_of, with_source
from quests_jax.atoms.structure_contents import Part, named_parts
from quests_jax.base.checks import InputError

NAME = "db"
MAGIC = b"SQLite format 3\0"
ARRAYS = {"tags", "momenta", "masses", "initial_magmoms", "initial_charges"}
DIMENSIONS = {"momenta": 2, "forces": 2}  # of arrays that a row holds; one for others
RESULTS = {"energy", "free_energy", "forces", "stress", "dipole", "magmom", "magmoms", "charges"}


def recognises(head: bytes) -> bool:
    """Whether a file begins as a database of SQLite does."""
    return head.startswith(MAGIC)


def stream(path: Path, file: str, only: Container[int] = EVERY) -> Iterator[Atoms]:
    """The structures of the rows of an unpacked file with these numbers; `file` is how it was named."""
    total, number = _check(path), 0
    try:
        with _opened(path) as rows:
            for row in rows.select():
                if number in only:
                    source = Source(file, number, NAME, original=row, notes=("data",) * bool(row.data))
                    atoms = row.toatoms()
                    atoms.info |= row.key_value_pairs
                    yield with_source(atoms, source)
                number += 1
    except Exception as error:  # ASE's readers raise whatever their parsers do
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"structure {number} cannot be read ({reason[:200]}); the database may be damaged."
        ) from None
    if number != total:
        raise InputError(f"{number} of {total} rows can be read; the database is damaged.")


def write(path: Path, structures: Sequence[Atoms], copied: Sequence[bool]) -> None:
    """Write a database; structures that are `copied` are written as their original row."""
    seen: set[str] = set()
    with _opened(path) as rows:
        for atoms, whole in zip(structures, copied, strict=True):
            source = source_of(atoms) if whole else None
            if source is None:
                labels = {part.name: part.value for part in named_parts(atoms) if part.kind == "label"}
                rows.write(atoms, key_value_pairs=labels)
                continue
            row = source.original
            name, row.unique_id = (
                row.unique_id,
                row.unique_id if row.unique_id not in seen else uuid.uuid4().hex,
            )
            seen.add(row.unique_id)
            rows.write(row)
            row.unique_id = name


def _opened(path: Path) -> Any:
    """A database as a context; one that does not exist is made."""
    return ase.db.connect(str(path), type="db", serial=True, use_lock_file=False)


def lost(atoms: Atoms) -> list[Part]:
    """What a row cannot hold of a structure."""
    return [part for part in named_parts(atoms) if not _holds(*part)]


def amended(original: Any, arrays: dict[str, Any], labels: dict[str, Any]) -> Any:
    """A row with more key-value pairs; arrays it cannot hold."""
    if arrays or not all(_is_pair(name, value) for name, value in labels.items()):
        return original
    row = copy.copy(original)
    row._keys = [*dict.fromkeys([*original._keys, *labels])]
    for name, value in labels.items():
        setattr(row, name, value)
    return row


def _holds(kind: str, name: Any, value: Any) -> bool:
    if kind == "label":
        return _is_pair(name, value)
    if kind == "result":
        is_nan = np.ndim(value) == 0 and np.isnan(value)  # which SQLite keeps as no number
        return (
            name in RESULTS
            and not is_nan
            and 0 < np.size(value)
            and np.ndim(value) <= DIMENSIONS.get(name, 1)
        )
    if kind == "array":
        return name in ARRAYS and np.ndim(value) <= DIMENSIONS.get(name, 1)
    return hasattr(value, "todict")


def _is_pair(name: Any, value: Any) -> bool:
    """Whether a label can be a key-value pair: ASE wants words for keys, and numbers or other words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of keys that are formulas too
            check({name: value})
    except (ValueError, TypeError):
        return False
    return True


def _check(path: Path) -> int:
    """The number of rows of a sound database of ASE; it is opened so that nothing is written to it."""
    journal = Path(f"{path}-wal")
    if journal.exists() and journal.stat().st_size:
        raise InputError("another program is writing to the database; close it, or write a copy with it.")
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if "systems" not in tables:
                raise InputError("a database, but not one of ASE; export the structures to extended xyz.")
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise InputError(
                    f"the database is damaged ({' '.join(verdict.split())[:200]}); copy it again."
                )
            return connection.execute("SELECT COUNT(*) FROM systems").fetchone()[0]
    except (sqlite3.Error, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"the database is damaged or cut short ({reason}); copy it again.") from None
