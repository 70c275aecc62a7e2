"""The files of the command line: descriptors in and out, JSON out, and outputs checked before any work."""

from __future__ import annotations

import csv
import json
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from quests_jax.atoms.compressed_files import ALWAYS_ALLOWED, LARGEST_RATIO
from quests_jax.atoms.formats import STRUCTURE_SUFFIXES, XYZ_SUFFIXES
from quests_jax.atoms.writing import check_output, whole_file
from quests_jax.base.checks import InputError, located
from quests_jax.base.environments import Environments, make_environments
from quests_jax.base.json_values import plain
from quests_jax.output.chemiscope_files import SUFFIX as VIEWER_SUFFIX
from quests_jax.output.chemiscope_files import check_viewer

DESCRIPTOR_SUFFIXES = (".npz", ".npy")
FIGURE_SUFFIXES = (".png", ".pdf", ".svg")
DRAWN_SUFFIXES = (*FIGURE_SUFFIXES, ".html")
OUTPUT_SUFFIXES = {  # by what a command can write beside numbers
    "numbers": (".json",),
    "descriptors": (".json", *DESCRIPTOR_SUFFIXES),
    "atoms": (".json", *XYZ_SUFFIXES),
    "structures": (".json", *STRUCTURE_SUFFIXES),
    "choice": (".json", ".csv", *STRUCTURE_SUFFIXES),
    "figures": (".json", *FIGURE_SUFFIXES),
    "frames": (".json", *FIGURE_SUFFIXES, *STRUCTURE_SUFFIXES),
    "report": (".json", ".html"),
    "diagnosis": (
        ".json",
        *FIGURE_SUFFIXES,
        *XYZ_SUFFIXES,
        VIEWER_SUFFIX,
    ),
}


def check_outputs(outputs: Sequence[Path], inputs: Sequence[str], *, kind: str, overwrite: bool) -> None:
    """Raise `InputError` unless each output can be written, is no input, and is named once."""
    for number, path in enumerate(outputs):
        check_output(path, overwrite=overwrite, suffixes=OUTPUT_SUFFIXES[kind])
        check_viewer(path)
        if path.resolve() in {Path(file).resolve() for file in inputs}:
            raise InputError(f"{path}: is an input of this command; write to another file.")
        if path.resolve() in {other.resolve() for other in outputs[:number]}:
            raise InputError(f"{path}: given twice as output; name each file once.")
        needs_structures = path.suffix.lower() not in (".json", ".csv", *DESCRIPTOR_SUFFIXES, *DRAWN_SUFFIXES)
        if needs_structures and inputs and inputs[0].lower().endswith(DESCRIPTOR_SUFFIXES):
            raise InputError(f"{path}: {inputs[0]} holds no structures to write; give a structure file.")


def to_json(data: dict[str, Any]) -> str:
    """Strict JSON, a line per entry; what is not finite becomes null."""
    lines = (
        f"  {json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in plain(data).items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write `data` as JSON, whole or not at all."""
    with whole_file(path) as unfinished:
        unfinished.write_text(to_json(data), encoding="utf-8")


def write_sheet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as comma-separated values under their names, whole or not at all."""
    with (
        whole_file(path) as unfinished,
        open(unfinished, "w", encoding="utf-8", newline="", errors="surrogateescape") as stream,
    ):  # names of files are bytes
        writer = csv.DictWriter(stream, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)


def write_descriptors(path: Path, envs: Environments, parameters: dict[str, Any]) -> None:
    """Write `x` alone (.npy), or `x`, `elements`, `structure_id`, `n_structures` and `parameters` (.npz)."""
    with whole_file(path) as unfinished, open(unfinished, "wb") as stream:
        if path.suffix.lower() == ".npy":
            np.save(stream, envs.x)
        else:
            made_with = json.dumps(parameters)
            arrays = {"x": envs.x, "structure_id": envs.structure_id, "n_structures": envs.n_structures}
            arrays |= {} if envs.elements is None else {"elements": envs.elements}
            np.savez(stream, parameters=made_with, **arrays)


def read_descriptors(path: Path) -> tuple[Environments, dict[str, Any]]:
    """Environments of a .npz or .npy file, and the parameters that made them ({} where it does not say).

    A .npy file holds a matrix only: all its environments count as one structure.

    Raises:
      InputError: the file is missing or not such a file, or its arrays are not those of environments.
    """
    arrays = _arrays(path)
    with located(path):
        if "x" not in arrays:
            raise InputError("holds no array called x; write it with `quests-jax descriptors`.")
        x = _real(arrays["x"], "x", dimensions=2)
        numbers = _real(arrays.get("structure_id", np.zeros(len(x), np.int32)), "structure_id", dimensions=1)
        total = _count(arrays["n_structures"]) if "n_structures" in arrays else None
        elements = _real(arrays["elements"], "elements", dimensions=1) if "elements" in arrays else None
        return make_environments(x, numbers, total, elements), _parameters(arrays)


def _real(values: np.ndarray, name: str, *, dimensions: int) -> np.ndarray:
    """Refuse what is no array of real numbers of this many dimensions."""
    if values.dtype.kind not in "fiub" or values.ndim != dimensions:
        raise InputError(
            f"{name} is an array of {values.dtype} with shape {values.shape}; expected real numbers in "
            f"{dimensions} dimension{'s' * (dimensions > 1)}."
        )
    return values


def _count(values: np.ndarray) -> int:
    if values.size != 1 or values.dtype.kind not in "iu":
        raise InputError(
            f"n_structures is {values.dtype} with shape {values.shape}; expected one whole number."
        )
    return int(values.reshape(())[()])


def _parameters(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What made the descriptors; {} where the file does not say."""
    try:
        found = json.loads(str(arrays.get("parameters", "{}")))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(
            "its parameters are not those of descriptors; write it with `quests-jax descriptors`."
        )
    return found


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file, none larger than the file itself says it holds."""
    try:
        _check_lengths(path)
        with open(path, "rb") as stream:
            loaded = np.load(stream)
            arrays = {"x": loaded} if isinstance(loaded, np.ndarray) else {**loaded}
    except InputError:
        raise
    except Exception as error:  # NumPy raises whatever its parser of headers does
        if "pickle" in str(error):
            raise InputError(f"{path}: holds Python objects; keep arrays of numbers only.") from None
        raise InputError(f"{path}: not a complete .npy or .npz file; write it again.") from None
    odd = [name for name, values in arrays.items() if not isinstance(values, np.ndarray)]
    if odd:
        raise InputError(f"{path}: {odd[0]} is no array; write the file with `quests-jax descriptors`.")
    return arrays


def _check_lengths(path: Path) -> None:
    """Refuse arrays that are longer than the file, or a packed file of far more than its size."""
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as stream:
            _check_length(stream, path.stat().st_size)
        return
    with zipfile.ZipFile(path) as members:
        unpacked = sum(member.file_size for member in members.infolist())
        if unpacked > max(ALWAYS_ALLOWED, LARGEST_RATIO * path.stat().st_size):
            raise InputError(f"{path}: unpacks to more than {LARGEST_RATIO} times its size; write it again.")
        for member in members.infolist():
            with members.open(member) as stream:
                if member.filename.endswith(".npy"):
                    _check_length(stream, member.file_size)


def _check_length(stream: IO[bytes], size: int) -> None:
    """Raise `ValueError` if the header of an array says more than `size` bytes can hold."""
    major, _ = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize > size:
        raise ValueError("an array is longer than its file")
