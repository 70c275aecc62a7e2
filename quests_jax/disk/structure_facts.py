"""What conditions, labels and costs may ask of the structures of files past memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from quests_jax.atoms.reading import stream
from quests_jax.base.filter_expressions import Facts
from quests_jax.disk.structures import File, Structures
from quests_jax.disk.working_folder import Stage, Work
from quests_jax.studies.candidates import Candidates, are_isolated, divided, facts_of

SCALARS = (str, int, float, bool)
LONGEST = 1000  # letters of anything else


def known_facts(structures: Structures) -> list[Facts]:
    """`studies.candidates.facts_of` each structure, kept on disk."""
    work, files = structures.work, structures.files
    missing = [number for number, file in enumerate(files) if not _stage(work, file).path(0).exists()]
    if missing:
        work.run("facts", partial(_survey, work, files), missing)
    found = [json.loads(_stage(work, file).load(0)["facts"].tobytes()) for file in files]
    return [found[file][index] for file, index in zip(structures.file, structures.index, strict=True)]


def bare_facts(structures: Structures) -> list[Facts]:
    """The numbers of atoms, and the formulas of single atoms: all that is needed where nothing is asked."""
    facts: list[dict[str, Any]] = [{"n_atoms": count} for count in structures.counts.tolist()]
    single = np.flatnonzero(structures.counts == 1)
    for number, atoms in zip(single, structures.bare(single), strict=True):
        facts[number]["formula"] = atoms.get_chemical_formula()
    return list(facts)


def divided_structures(
    structures: Structures, facts: Sequence[Facts], *, keep: Sequence[str] = (), drop: Sequence[str] = ()
) -> Candidates:
    """`studies.candidates.find_candidates` of structures on disk."""
    alone = np.zeros(len(facts), bool)
    single = np.flatnonzero(structures.counts == 1)
    alone[single] = are_isolated(structures.bare(single))
    return divided(facts, alone, keep=keep, drop=drop)


def _stage(work: Work, file: File) -> Stage:
    return work.stage("facts", {"content": file.content, "name": Path(file.path).name})


def _survey(work: Work, files: tuple[File, ...], number: int) -> None:
    """Facts of all structures of a file."""
    facts = [
        {name: _held(value) for name, value in facts_of(atoms).items()}
        for atoms in stream(Path(files[number].where))
    ]
    text = json.dumps(facts).encode()
    _stage(work, files[number]).save(0, {"facts": np.frombuffer(text, np.uint8)})


def _held(value: Any) -> Any:
    """A word or number as it is, anything else as its text."""
    if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0:
        value = value.tolist()
    return value if value is None or isinstance(value, SCALARS) else str(value)[:LONGEST]
