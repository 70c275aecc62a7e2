"""JSON of the Materials Project and its kin: MPtrj, MatPES and Alexandria, all structures of pymatgen.

A structure is {"lattice": {"matrix": Å}, "sites": [{"species": [{"element", "occu"}], "xyz": Å}, ...]}.
It stands under "structure" in an entry beside its labels: MPtrj {id: {frame: entry}} with
uncorrected_total_energy and force (figshare 23713842); MatPES [entry, ...] with energy and forces
(matpes.ai); Alexandria {"entries": [entry, ...]} with energy (alexandria.icams.rub.de). Energies are totals
in eV, forces in eV/Å. Stresses stay labels as they stand: their units and signs differ between these sets.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from quests_jax.atoms.formats.entries import Entry, structure
from quests_jax.atoms.formats.json_stream import values_at, way_to_first
from quests_jax.atoms.sources import EVERY, Source
from quests_jax.base.checks import InputError

NAME = "materials-json"
ENERGIES = ("energy", "uncorrected_total_energy", "corrected_total_energy")
FORCES = ("forces", "force")
ENTRY = {"structure": "{", "lattice": "{", "sites": "["}  # names in an entry, and how their values begin
LIST = "entries"  # beside it nothing is read
DEEPEST = 6  # levels of names and lists above an entry


def recognises(head: bytes) -> bool:
    """Whether a file begins as JSON does and speaks of a structure of pymatgen."""
    text = head.lstrip()
    return text[:1] in (b"{", b"[") and any(
        word in text for word in (b'"structure"', b'"entries"', b'"lattice"', b'"sites"', b'"mp_id"')
    )


def stream(path: Path, file: str, only: Container[int] = EVERY) -> Iterator[Atoms]:
    """The structures with these numbers, one entry in memory at a time; `file` is how it was named."""
    try:
        with open(path, encoding="utf-8") as text:
            way = way_to_first(text, ENTRY)
        if way is None or len(way) > DEEPEST:
            raise InputError("JSON without structures of pymatgen at its top.")
        with open(path, encoding="utf-8") as text:
            for index, (names, entry) in enumerate(values_at(text, way, LIST)):
                if index in only:
                    yield _structure(_entry(entry, names), names, Source(file, index, NAME))
    except (ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"not complete JSON ({error}); copy it again.") from None


def _entry(value: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """An entry with its structure, which may be all that there is."""
    if isinstance(value, dict) and "structure" in value:
        return value
    if isinstance(value, dict) and {"lattice", "sites"} <= value.keys():
        return {"structure": value}
    raise InputError(f"JSON without structures of pymatgen at {'/'.join(names) or 'its top'}.")


def _structure(entry: dict[str, Any], names: tuple[str, ...], source: Source) -> Atoms:
    where = f"structure {source.index}"
    try:
        found = entry["structure"]
        matrix = np.array(found["lattice"]["matrix"], float)
        sites = found["sites"]
        numbers = [_number(site, where) for site in sites]
        positions = [
            site["xyz"] if "xyz" in site else np.array(site["abc"], float) @ matrix for site in sites
        ]
        pbc = np.broadcast_to(found["lattice"].get("pbc", True), 3)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{where}: no structure of pymatgen ({type(error).__name__}: {error}).") from None
    labels = {name: value for name, value in entry.items() if name != "structure" and value is not None}
    energy = next((labels.pop(name) for name in ENERGIES if name in labels), None)
    forces = next((labels.pop(name) for name in FORCES if name in labels), None)
    if "stress" in labels:
        labels["stress_as_given"] = labels.pop("stress")
    if names and "entry" not in labels:
        labels["entry"] = "/".join(names)
    return structure(Entry(numbers, positions, matrix, pbc, energy, forces, None, labels), source)


def _number(site: dict[str, Any], where: str) -> int:
    species = site["species"]
    if len(species) != 1 or species[0].get("occu", 1) != 1:
        raise InputError(
            f"{where}: a site is shared by several elements; such structures have no environments."
        )
    symbol = species[0]["element"]
    if symbol not in atomic_numbers:
        raise InputError(f"{where}: {symbol!r} is no element.")
    return atomic_numbers[symbol]
