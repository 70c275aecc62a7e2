"""Frames of extended xyz as people and programs write them: bytes, and what they mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SYMBOLS = ("H", "C", "O", "Si", "Cu")
TEXTS = (
    *("003", "12_0", "12e345", "12e045", "12345678901234567890", "''", '""', '"two words"', "'single'"),
    *(r'"C:\\data\\"', r'"he said \"hi\""', '"a=b"', "{T T F}", "[1 2 3]", '"1, 2, 3"', '"1 2.5"', "T", "F"),
    *(r'"_JSON {\"a\": [1, null]}"', r'"_JSON [\"a\", \"b\"]"', '"_JSON nonsense"', "größe", '"水 α"', "1e5"),
    *("nan", "-inf", "1e400", "0x3", "--", "None", '" padded "', '"[[1, 2], [3, 4]]"', "-0", "007:12", "a/b"),
)
KEYS = ("config_type", "REF_energy", "run", "odd-key", "größe", "Energy_of", "pbc_note", "uid", "k.1", "_x")
ALONE = ("flag", "converged", "some_word")
COMMENTS = (
    "",
    "free text, nothing more",
    "it is = odd",
    "water 300K; step 12",
    "i = 5, time = 0.5, E = -1.25",
)


class Written(NamedTuple):
    """A frame as bytes, and what a reader must find in it."""

    text: bytes
    symbols: list[str]
    positions: np.ndarray  # [n, 3] Å
    cell: np.ndarray | None  # [3, 3] Å
    pbc: tuple[bool, bool, bool]
    energy: float | None
    forces: np.ndarray | None  # [n, 3] eV/Å


def make_frame(rng: np.random.Generator, n_atoms: int | None = None) -> Written:
    """A random frame, with or without cell, periodicity, results, labels and more columns."""
    n = int(rng.integers(6)) if n_atoms is None else n_atoms
    symbols = [str(symbol) for symbol in rng.choice(SYMBOLS, n)]
    positions, positions_text = _numbers(rng, np.arange(n)[:, None] * 1.1 + rng.uniform(0, 0.3, (n, 3)))
    forces, forces_text = _numbers(rng, rng.normal(size=(n, 3)))
    atoms = {"species:S:1": [[_cased(rng, s)] for s in symbols], "pos:R:3": positions_text}
    if rng.integers(4) == 0:
        cell, pbc, energy, forces, header = None, (False,) * 3, None, None, _pick(rng, COMMENTS)
    else:
        cell, pbc, energy, pairs = _pairs(rng, n)
        if rng.integers(2):
            atoms[_pick(rng, ("forces:R:3", "force:R:3", "Forces:R:3"))] = forces_text
        else:
            forces = None
        atoms |= _more_columns(rng, n)
        names = [list(atoms)[i] for i in rng.permutation(len(atoms))]
        atoms = {name: atoms[name] for name in names}
        pairs.append(f"{_pick(rng, ('Properties', 'properties'))}={':'.join(atoms)}")
        header = _pick(rng, (" ", "  ", "\t")).join(pairs[i] for i in rng.permutation(len(pairs)))
    return Written(
        _framed(rng, n, header, list(atoms.values())), symbols, positions, cell, pbc, energy, forces
    )


def make_file(rng: np.random.Generator, n_frames: int, n_atoms: int | None = None) -> list[Written]:
    """Frames that differ in everything, the last perhaps without the end of its last line."""
    frames = [make_frame(rng, n_atoms) for _ in range(n_frames)]
    if rng.integers(3) == 0 and frames[-1].symbols:
        frames[-1] = frames[-1]._replace(text=frames[-1].text.rstrip(b"\r\n"))
    return frames


def _framed(rng: np.random.Generator, n: int, header: str, columns: list[list[list[str]]]) -> bytes:
    lines = [f"{' ' * int(rng.integers(3))}{n}{' ' * int(rng.integers(2))}", header]
    beyond = int(rng.integers(6) == 0)
    for row in range(n):
        words = [word for column in columns for word in column[row]] + ["beyond", "1.0"] * beyond
        line = words[0] + "".join(_pick(rng, (" ", "  ", "\t", "      ")) + word for word in words[1:])
        lines.append(_pick(rng, ("", "", " ")) + line + _pick(rng, ("", "", "  ")))
    end = _pick(rng, ("\n", "\n", "\r\n"))
    text = "".join(line + end for line in lines)
    latin = rng.integers(8) == 0 and all(ord(letter) < 256 for letter in text)
    return text.encode("latin-1" if latin else "utf-8")


def _pairs(
    rng: np.random.Generator, n: int
) -> tuple[np.ndarray | None, tuple[bool, ...], float | None, list[str]]:
    cell, pbc, energy, pairs = None, (False,) * 3, None, []
    if rng.integers(4):
        cell, words = _numbers(rng, np.diag(rng.uniform(8, 12, 3)) + rng.uniform(0, 0.5, (3, 3)))
        text = _pick(rng, (" ", ", ")).join(word for row in words for word in row)
        pairs.append(
            _pick(rng, ('Lattice="{}"', "lattice='{}'", "LATTICE={{{}}}", "Lattice=[{}]")).format(text)
        )
        pbc = (True,) * 3
        if rng.integers(2):
            pbc = tuple(bool(p) for p in rng.integers(2, size=3))
            pairs.append(_periodicity(rng, pbc))
    if rng.integers(2):
        energy = float(rng.normal())
        pairs.append(f"{_pick(rng, ('energy', 'Energy', 'energy '))}={energy!r}")
    if cell is not None and rng.integers(3) == 0:
        number = _pick(rng, (6, 9))
        values = " ".join(f"{v:.3f}" for v in (np.ones(9) if number == 9 else rng.normal(size=6)))
        pairs.append(f'stress="{values}"')
    for key in rng.choice(KEYS, int(rng.integers(5)), replace=False):
        pairs.append(f"{key}{_pick(rng, ('=', '=', ' = '))}{_pick(rng, TEXTS)}")
    if rng.integers(4) == 0:
        pairs.append(_pick(rng, ALONE))
    return cell, pbc, energy, pairs


def _periodicity(rng: np.random.Generator, pbc: tuple[bool, ...]) -> str:
    letters = _pick(rng, (("F", "T"), ("0", "1"), ("f", "t"), ("False", "True")))
    words = [letters[int(p)] for p in pbc]
    if len(letters[0]) == 1 and rng.integers(4) == 0:
        return f"pbc={''.join(words)}"
    return f'{_pick(rng, ("pbc", "PBC"))}="{_pick(rng, (" ", ", ", "/")).join(words)}"'


def _more_columns(rng: np.random.Generator, n: int) -> dict[str, list[list[str]]]:
    made: dict[str, Callable[[], list[list[str]]]] = {
        "REF_forces:R:3": lambda: _numbers(rng, rng.normal(size=(n, 3)))[1],
        "tags:I:1": lambda: [[str(v)] for v in rng.integers(-5, 5, n)],
        "flag:L:1": lambda: [[_pick(rng, ("T", "F", "True"))] for _ in range(n)],
        "label:S:1": lambda: [[_pick(rng, ("a", "Si_1", "007", "ß"))] for _ in range(n)],
        "pair:I:2": lambda: [[str(v), "7"] for v in rng.integers(9, size=n)],
    }
    return {name: make() for name, make in made.items() if rng.integers(3) == 0}


def _numbers(rng: np.random.Generator, values: np.ndarray) -> tuple[np.ndarray, list[list[str]]]:
    """Numbers as a program would write them, and what those texts say."""
    form = _pick(rng, ("{:.8f}", "{!r}", "{:.3e}", "{:+.12g}", "{:16.8f}"))
    texts = [[form.format(float(v)).strip() for v in row] for row in values]
    return np.array([[float(text) for text in row] for row in texts]).reshape(values.shape), texts


def _cased(rng: np.random.Generator, symbol: str) -> str:
    return _pick(rng, (symbol, symbol, symbol, symbol.lower(), symbol.upper()))


def _pick(rng: np.random.Generator, options: tuple) -> object:
    return options[int(rng.integers(len(options)))]
