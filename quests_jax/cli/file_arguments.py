"""What a person may type where structures are read: files, folders, patterns, slices, standard input."""

from __future__ import annotations

import glob
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click

from quests_jax.atoms.formats import STRUCTURE_SUFFIXES
from quests_jax.base.checks import InputError
from quests_jax.datasets import is_named

STDIN = "-"
# Suffixes of the files of a folder that are read; JSON and .npz are named, as results are written there too.
IN_FOLDERS = (
    *STRUCTURE_SUFFIXES,
    *(f"{name}{packed}" for name in (".xyz", ".extxyz") for packed in (".xz", ".bz2", ".zst")),
    *(".aselmdb", ".parquet", ".h5", ".hdf5"),
    *(".cif", ".vasp", ".poscar"),
)
VASP = ("POSCAR", "CONTCAR", "XDATCAR", "OUTCAR", "vasprun.xml")  # beginnings of names that are read


class Input(NamedTuple):
    """One file, data set or stream, and which of its structures are meant."""

    path: str
    part: slice | int | None = None  # None: all

    @property
    def is_file(self) -> bool:
        """Whether the path is one of the file system."""
        return self.path != STDIN and not is_named(self.path)


class Inputs(NamedTuple):
    """Everything that one option or argument stands for."""

    name: str  # for messages and captions
    files: Sequence[Input]
    words: Sequence[str] = ()  # as they were typed

    def each(self) -> Iterator[Inputs]:
        """One `Inputs` per file."""
        return (Inputs(file.path, (file,), (file.path,)) for file in self.files)


def parse_inputs(
    context: click.Context, parameter: click.Parameter, typed: str | Sequence[str] | None
) -> Inputs | None:
    """Find what was typed; raises `InputError` for what does not exist."""
    del context, parameter
    if typed is None or not len(typed):
        return None
    words = [typed] if isinstance(typed, str) else list(typed)
    files = tuple(file for word in words for file in _found(word))
    for (path, _), count in Counter((file.path, str(file.part)) for file in files).items():
        if count > 1:
            warnings.warn(f"{path} is given {count} times; its structures count as often.", stacklevel=2)
    name = words[0] if len(words) == 1 else f"{words[0]} and {len(words) - 1} more"
    return Inputs(name, files, words)


@contextmanager
def standard_input() -> Iterator[str]:
    """Yield the path of a temporary file with everything that arrives on standard input."""
    if sys.stdin is None:
        raise InputError("standard input is closed; pipe a file into the command.")
    data = sys.stdin.buffer.read()
    suffix = ".extxyz.gz" if data.startswith(b"\x1f\x8b") else ".extxyz"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"stdin{suffix}"
        path.write_bytes(data)
        yield str(path)


@contextmanager
def named(path: str, name: str) -> Iterator[None]:
    """Call the file at `path` by `name` in the message of any `InputError` raised inside the block."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(path, name)) from None


def _found(word: str) -> list[Input]:
    """The files that a word stands for: its own name first, then a folder, a slice, a pattern."""
    if not word:
        raise InputError("the name of a file is empty; is a variable of the shell not set?")
    if word == STDIN or is_named(word):
        return _sliced_name(word)
    path = Path(word)
    if path.is_dir():
        return [Input(file) for file in _in_folder(path)]
    if path.exists():
        return [Input(word)]
    whole, at, text = word.rpartition("@")
    if at and (part := _part(text)) is not None:
        return [file._replace(part=part) for file in _found(whole)]
    matches = sorted(match for match in glob.glob(word, recursive=True) if Path(match).is_file())
    if not matches:
        pattern = any(sign in word for sign in "*?[")
        raise InputError(
            f"{word}: no file fits this pattern." if pattern else f"{word}: no such file; check the path."
        )
    return [Input(match) for match in matches]


def _sliced_name(word: str) -> list[Input]:
    whole, at, text = word.rpartition("@")
    part = _part(text) if at else None
    return [Input(word) if part is None else Input(whole, part)]


def _part(text: str) -> slice | int | None:
    """Which structures `text` stands for, as ASE writes it: 3, -1, :10, ::5; None if it is no such thing."""
    try:
        numbers = [int(word) if word else None for word in text.split(":")]
    except ValueError:
        return None
    if len(numbers) == 1:
        return numbers[0]
    if len(numbers) > 3 or numbers[2:] == [0]:
        return None
    return slice(*numbers)


def _in_folder(folder: Path) -> list[str]:
    """Structure files of a folder, by name."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    found = [name for name in names if name.lower().endswith(IN_FOLDERS) or name.startswith(VASP)]
    if not found:
        raise InputError(
            f"{folder}: holds no structure files by their names; name them, as '{folder}/*' in quotes."
        )
    return [str(folder / name) for name in found]
