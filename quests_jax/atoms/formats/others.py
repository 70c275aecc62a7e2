"""Every other format that ASE reads, such as POSCAR, vasprun.xml or CIF."""

from __future__ import annotations

from pathlib import Path

import ase.io
from ase import Atoms
from ase.io.formats import UnknownFileTypeError, filetype

from quests_jax.atoms.sources import Source, with_source
from quests_jax.base.checks import InputError

NAME = "other"
TYPES = "the elements are not in the file, whose types 1, 2, ... are read as H, He, ..."
CONTENTS = {  # first bytes: the name of a format in ASE, or what the file is if ASE does not read it
    b"ITEM:": "lammps-dump-text",
    b"<?xml": "vasp-xml",
    b"data_": "cif",
}
STEPS = {  # what every step of a file holds once, by format
    "vasp-xml": b"<calculation>",
    "vasp-xdatcar": b"configuration=",
    "vasp-out": b"TOTAL-FORCE (eV",
    "lammps-dump-text": b"ITEM: TIMESTEP",
}
COUNTS = slice(5, 7)  # lines of a POSCAR of which one says how many atoms there are
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


def read(path: Path, file: str) -> list[Atoms]:
    """Every structure of an unpacked file; `file` is how it was named."""
    with open(path, "rb") as stream:
        head = stream.read(4096)
    what = next((what for magic, what in FOREIGN.items() if head.startswith(magic)), None)
    if what is not None:
        raise InputError(f"is {what}, not a file of structures; check the name.")
    kind = _kind(path, head)
    if kind == "vasp-xml":
        _check_xml(path)
    elif kind == "vasp":
        _check_counts(head, path.stat().st_size)
    elif kind == "lammps-dump-text":
        _check_dump(path)
    untold = (
        kind == "lammps-dump-text" and b" element" not in head.partition(b"ITEM: ATOMS")[2].split(b"\n")[0]
    )
    notes = (TYPES,) if untold else ()
    structures: list[Atoms] = []
    try:
        for atoms in ase.io.iread(str(path.absolute()), ":", kind, do_not_split_by_at_sign=True):
            structures.append(with_source(atoms, Source(file, len(structures), kind, notes=notes)))
    except Exception as error:  # ASE's readers raise whatever their parsers do
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"structure {len(structures)} cannot be read as {kind} ({reason[:200]}); the file may be cut "
            "short or "
            "in another format."
        ) from None
    _check_steps(path, kind, len(structures))
    return structures


def _kind(path: Path, head: bytes) -> str:
    by_content = next((kind for magic, kind in CONTENTS.items() if head.lstrip().startswith(magic)), None)
    if by_content is not None:
        return by_content
    try:
        return filetype(str(path.absolute()))
    except UnknownFileTypeError:
        raise InputError("is in no format that ASE knows; convert it to extended xyz.") from None
    except Exception as error:  # guesses look into the file
        raise InputError(f"cannot be recognised ({error}); convert it to extended xyz.") from None


def _check_counts(head: bytes, size: int) -> None:
    """Refuse a POSCAR whose numbers of atoms are more than the file has room for."""
    for line in head.split(b"\n")[COUNTS]:
        words = line.partition(b"!")[0].split()
        if words and all(word.isdigit() for word in words) and sum(map(int, words)) > size:
            raise InputError(
                "has more atoms than the file has room for; it is cut short, or a number is wrong."
            )


def _check_dump(path: Path) -> None:
    """Refuse a dump with more or fewer lines of atoms than it says."""
    counts, expected, found, where = (
        False,
        0,
        0,
        None,
    )  # atoms declared, atoms met, and the line that begins them
    with open(path, "rb") as stream:
        for number, line in enumerate([*stream, b"ITEM: END"], start=1):
            if line.startswith(b"ITEM:"):
                if where is not None and found != expected:
                    raise InputError(
                        f"line {where}: {expected} atoms are declared, but {found} follow; repair it."
                    )
                counts, where = line.startswith(b"ITEM: NUMBER OF ATOMS"), None
                if line.startswith(b"ITEM: ATOMS"):
                    found, where = 0, number
            elif where is not None:
                found += bool(line.strip())
            elif counts:
                expected = int(line) if line.strip().isdigit() else -1


def _check_steps(path: Path, kind: str, count: int) -> None:
    """Refuse a file of which some steps were left out."""
    mark = STEPS.get(kind)
    if mark is None:
        return
    with open(path, "rb") as stream:
        steps = sum(line.count(mark) for line in stream)
    if steps > count:
        raise InputError(f"{count} of {steps} steps can be read; the others are cut short or damaged.")


def _check_xml(path: Path) -> None:
    """Refuse a vasprun.xml that ends early: ASE would read the steps that are whole."""
    with open(path, "rb") as stream:
        stream.seek(max(0, path.stat().st_size - 4096))
        if b"</modeling>" not in stream.read():
            raise InputError(
                "the file ends before </modeling>; it is cut short, or the calculation still runs."
            )
