"""Any extended xyz comes back byte for byte, whatever its frames hold: laws for files that are made up."""

from __future__ import annotations

import json
import string
import tempfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given, settings
from hypothesis import strategies as st

import quests_jax as qj
from quests_jax.atoms.structure_contents import differences
from quests_jax.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:at the bandwidth")

NUMBERS = st.floats(-3, 3, allow_subnormal=False)
NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=6).map("x_".__add__)
TEXT = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\u2028\u2029\x85"), max_size=8
)
BARE = st.text(string.ascii_letters + string.digits + "._-+:/", min_size=1, max_size=12)
VALUES = st.one_of(
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    TEXT,
    st.none(),
    st.lists(st.integers(-9, 9), min_size=1, max_size=4),
    st.dictionaries(NAMES, st.lists(TEXT, max_size=2), max_size=2),
    st.just(np.arange(4.0).reshape(2, 2)),
)


def header_value(text: str) -> str:
    """Text as it may stand in a header: in any of the quotes that may hold it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@st.composite
def typed_frames(draw: st.DrawFn, n: int | None = None) -> bytes:
    """A frame as people and programs write it: odd blanks, digits, labels, columns and line ends."""
    n = draw(st.integers(0, 3)) if n is None else n
    pairs = [
        f"{draw(NAMES)}={draw(st.one_of(BARE, TEXT.map(header_value)))}"
        for _ in range(draw(st.integers(0, 3)))
    ]
    declared = draw(st.booleans())
    extra = draw(st.integers(0, 2))
    if declared:
        pairs.append(draw(st.sampled_from(["Properties", "properties"])) + "=species:S:1:pos:R:3:mine:S:1")
    if draw(st.booleans()):
        pairs.append(draw(st.sampled_from(["Lattice", "lattice"])) + '="9.0 0 0 0 9 0 0 0 9.00000000001"')
        pairs.append(draw(st.sampled_from(['pbc="T F T"', "pbc=FFF", 'PBC="1 1 0"', "e=-1"])))
    lines = [draw(st.sampled_from([f"{n}", f" {n}  "])), "  ".join(draw(st.permutations(pairs)))]
    for number in range(n):
        numbers = [
            draw(st.sampled_from(["{:.9f}", "{!r}", "{:12.4e}"])).format(draw(NUMBERS)) for _ in range(2)
        ]
        words = [
            "C",
            *numbers,
            f"{3 * number}.0",
            *["007"] * declared,
            *draw(st.permutations(["a1", "1e9"]))[:extra],
        ]
        lines.append(draw(st.sampled_from([" ", "   ", "\t"])).join(words))
    return "".join(line + "\n" for line in lines).encode()


@st.composite
def written_frames(draw: st.DrawFn, n: int | None = None) -> bytes:
    """A frame as ASE writes it, of a structure with arrays, labels and results of every kind."""
    atoms = structure(draw, draw(st.integers(0, 3)) if n is None else n)
    text = StringIO()
    ase.io.write(text, atoms, format="extxyz")
    return text.getvalue().encode()


def structure(draw: st.DrawFn, n: int) -> Atoms:
    positions = [[draw(NUMBERS), draw(NUMBERS), 3.0 * number] for number in range(n)]
    atoms = Atoms(
        f"C{n}" if n else "", np.reshape(positions, (-1, 3)), cell=[9, 9, 9], pbc=draw(st.booleans())
    )
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        if draw(st.booleans()):
            atoms.info[name] = draw(VALUES)
        else:
            kind = draw(st.sampled_from([int, float, bool, str]))
            atoms.arrays[name] = np.arange(n * 2).reshape(n, 2).astype(kind)
    if draw(st.booleans()):
        results = {
            "energy": draw(NUMBERS),
            "forces": np.full((n, 3), draw(NUMBERS)),
            "stress": np.arange(6.0),
        }
        atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def frames(n: int | None = None) -> st.SearchStrategy[bytes]:
    return st.one_of(typed_frames(n), written_frames(n))


def readable(frame: bytes) -> bool:
    """Whether ASE's writer has made something that can be understood: it does not escape everything."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.xyz"
        path.write_bytes(frame)
        try:
            return len(qj.read(path)) == 1
        except qj.InputError:
            return False


def in_folder(check: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder))


@given(st.lists(frames().filter(readable), min_size=1, max_size=5), st.data())
@settings(max_examples=50)
def test_any_choice_of_frames_is_written_as_those_bytes(parts: list[bytes], data: st.DataObject) -> None:
    between = data.draw(st.sampled_from([b"", b"\n", b" \n\n"]))
    chosen = data.draw(st.permutations(range(len(parts))))[: data.draw(st.integers(1, len(parts)))]

    def check(folder: Path) -> None:
        (folder / "in.xyz").write_bytes(between.join(parts))
        structures = qj.read(folder / "in.xyz")
        assert len(structures) == len(parts)
        qj.write(folder / "out.xyz", [structures[number] for number in chosen])
        assert (folder / "out.xyz").read_bytes() == b"".join(parts[number] for number in chosen)

    in_folder(check)


@pytest.mark.slow
@given(st.lists(frames(2).filter(readable), min_size=4, max_size=4), st.sampled_from(["1.0", "2"]))
@settings(max_examples=6)
def test_compress_writes_the_bytes_of_what_it_chooses(parts: list[bytes], size: str) -> None:
    def check(folder: Path) -> None:
        (folder / "in.xyz").write_bytes(b"".join(parts))
        small = ["-k", "2", "-c", "4", "-m", "random", "-s", size, "--quiet"]
        outputs = ["-o", str(folder / "out.xyz"), "-o", str(folder / "out.json")]
        assert main(["compress", str(folder / "in.xyz"), *small, *outputs]) == 0
        selected = json.loads((folder / "out.json").read_text())["selected"]
        assert len(selected) == (4 if size == "1.0" else 2)
        written = range(4) if size == "1.0" else selected  # all of them stay in the order of the file
        assert (folder / "out.xyz").read_bytes() == b"".join(parts[number] for number in written)

    in_folder(check)


@given(st.data(), st.sampled_from([".xyz", ".extxyz.gz", ".traj", ".db"]))
@settings(max_examples=40)
def test_what_is_converted_reads_back_equal_or_is_refused(data: st.DataObject, suffix: str) -> None:
    made = [structure(data.draw, data.draw(st.integers(0, 3))) for _ in range(2)]

    def check(folder: Path) -> None:
        path = folder / f"out{suffix}"
        try:
            qj.write(path, made)
        except qj.InputError:
            assert not path.exists()
            with pytest.raises(qj.InputError, match="cannot hold"):
                qj.write(path, made)
            qj.write(path, made, drop_unsupported=True)
            return
        found: list[Any] = qj.read(path)
        assert [differences(one, other) for one, other in zip(found, made, strict=True)] == [[], []]

    in_folder(check)
