"""Every other format that ASE reads, such as POSCAR, vasprun.xml or CIF."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from pathlib import Path

import ase.io
from ase import Atoms
from ase.io.formats import UnknownFileTypeError, filetype

from quests_jax.atoms.formats.completeness import check_steps, check_whole
from quests_jax.atoms.sources import EVERY, Source, with_source
from quests_jax.base.checks import InputError

NAME = "other"
TYPES = "the elements are not in the file, whose types 1, 2, ... are read as H, He, ..."
CONTENTS = {  # first bytes: the name of a format in ASE, or what the file is if ASE does not read it
    b"ITEM:": "lammps-dump-text",
    b"<?xml": "vasp-xml",
    b"data_": "cif",
}
LAMMPS_DATA = re.compile(rb"^\s*\d+\s+atoms\s*(#.*)?$.*\bxlo\s+xhi\b", re.MULTILINE | re.DOTALL)
FOREIGN = {
    b"\x89HDF": "an HDF5 file",
    b"PK\x03\x04": "a zip or .npz file",
    b"PAR1": "a Parquet file",
    b"CDF": "a netCDF file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\x93NUMPY": "a .npy file",
    b"\x7fELF": "a program",
}


def known_content(head: bytes) -> bool:
    """Whether the first bytes belong to a format that is not one of ours."""
    return head.lstrip().startswith((*CONTENTS, *FOREIGN))


def stream(path: Path, file: str, only: Container[int] = EVERY) -> Iterator[Atoms]:
    """The structures of an unpacked file with these numbers; `file` is how it was named."""
    with open(path, "rb") as start:
        head = start.read(4096)
    what = next((what for magic, what in FOREIGN.items() if head.startswith(magic)), None)
    if what is not None:
        raise InputError(f"is {what}, not a file of structures; check the name.")
    kind = _kind(path, head)
    check_whole(path, kind)
    notes = (TYPES,) if _without_elements(path, kind, head) else ()
    number = 0
    try:
        for atoms in ase.io.iread(str(path.absolute()), ":", kind, do_not_split_by_at_sign=True):
            if not len(atoms):
                raise InputError("it holds no atoms")
            if number in only:
                yield with_source(atoms, Source(file, number, kind, notes=notes))
            number += 1
    except Exception as error:  # ASE's readers raise whatever their parsers do
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"structure {number} cannot be read as {kind} ({reason[:200]}); the file may be cut "
            "short or in another format."
        ) from None
    check_steps(path, kind, number)


def _without_elements(path: Path, kind: str, head: bytes) -> bool:
    """Whether a file of LAMMPS says only which type each atom is of."""
    if kind == "lammps-dump-text":
        return b" element" not in head.partition(b"ITEM: ATOMS")[2].split(b"\n")[0]
    return kind == "lammps-data" and b"\nMasses" not in path.read_bytes()


def _kind(path: Path, head: bytes) -> str:
    by_content = next((kind for magic, kind in CONTENTS.items() if head.lstrip().startswith(magic)), None)
    if by_content is not None:
        return by_content
    if LAMMPS_DATA.search(head):
        return "lammps-data"
    try:
        return filetype(str(path.absolute()))
    except UnknownFileTypeError:
        raise InputError("is in no format that ASE knows; convert it to extended xyz.") from None
    except Exception as error:  # guesses look into the file
        raise InputError(f"cannot be recognised ({error}); convert it to extended xyz.") from None
