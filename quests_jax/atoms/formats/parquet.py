"""Tables of structures in Parquet, as ColabFit publishes them: one row each, lists for positions and forces.

Columns (huggingface.co/colabfit): positions and atomic_numbers, cell, pbc, energy, atomic_forces and
cauchy_stress, in Å, eV, eV/Å and eV/Å³; lists may be text in JSON. Every other column becomes a label. The
package `pyarrow` reads the table, row group by row group: `pip install 'quests_jax[parquet]'`.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.data import atomic_numbers

from quests_jax.atoms.formats.entries import Entry, package, structure
from quests_jax.atoms.sources import EVERY, Source
from quests_jax.base.checks import InputError

NAME = "parquet"
MAGIC = b"PAR1"
ROWS = 1000  # that are in memory as a table at a time
NAMES = {  # of columns, the usual one first
    "numbers": ("atomic_numbers", "numbers", "species", "elements"),
    "positions": ("positions", "coords", "coordinates", "pos"),
    "cell": ("cell", "lattice"),
    "pbc": ("pbc",),
    "energy": ("energy", "potential_energy", "total_energy"),
    "forces": ("atomic_forces", "forces"),
    "stress": ("cauchy_stress", "stress"),
}


def recognises(head: bytes) -> bool:
    """Whether a file begins as Parquet does."""
    return head.startswith(MAGIC)


def stream(path: Path, file: str, only: Container[int] = EVERY) -> Iterator[Atoms]:
    """The structures of the rows with these numbers; `file` is how it was named."""
    tables = package("pyarrow.parquet", "parquet", "a table in Parquet")
    arrow = package("pyarrow", "parquet", "a table in Parquet")
    number = 0
    try:
        with tables.ParquetFile(path) as table:
            columns = _columns(table.schema_arrow.names)
            for batch in table.iter_batches(ROWS):
                own = [row for row in range(len(batch)) if number + row in only]
                for row in own:
                    fields = batch.slice(row, 1).to_pylist()[0]
                    yield _structure(fields, columns, Source(file, number + row, NAME))
                number += len(batch)
    except (arrow.ArrowException, OSError, MemoryError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"the table is damaged or cut short ({reason}); copy it again.") from None


def _columns(names: list[str]) -> dict[str, str]:
    found = {field: next((name for name in known if name in names), None) for field, known in NAMES.items()}
    for field in ("numbers", "positions"):
        if found[field] is None:
            wanted = " or ".join(NAMES[field])
            raise InputError(f"a table without a column {wanted}; its columns are {', '.join(names)[:300]}.")
    return {field: name for field, name in found.items() if name is not None}


def _structure(row: dict[str, Any], columns: dict[str, str], source: Source) -> Atoms:
    fields = {field: _value(row[name]) for field, name in columns.items()}
    numbers = fields["numbers"]
    if isinstance(numbers, list) and numbers and isinstance(numbers[0], str):
        fields["numbers"] = [atomic_numbers.get(symbol) for symbol in numbers]
    labels = {
        name: value for name, value in row.items() if name not in columns.values() and value is not None
    }
    return structure(Entry(**fields, labels=labels), source)


def _value(value: Any) -> Any:
    """A list, which may be written as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
