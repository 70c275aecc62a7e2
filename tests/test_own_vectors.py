"""Vectors of one's own in every form that the command line takes, and what its outputs say of them."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from command_line import STRUCTURES, Call, call, json_of

__all__ = ["call"]  # the fixture

pytestmark = pytest.mark.filterwarnings("ignore:the rules for the bandwidth")


def write_described() -> None:
    """Structures of two elements with a per-atom array, the same rows in a file, and as environments."""
    structures = [atoms.copy() for atoms in STRUCTURES]
    for atoms in structures:
        atoms.symbols[::2] = "Au"
        atoms.set_array("features", 1e4 * atoms.positions)
    ase.io.write("own.xyz", structures, format="extxyz")
    x = np.concatenate([atoms.arrays["features"] for atoms in structures])
    np.savez("rows.npz", x=x)
    number = np.repeat(np.arange(len(structures)), [len(atoms) for atoms in structures])
    Z = np.concatenate([atoms.numbers for atoms in structures])
    np.savez("environments.npz", x=x, structure_id=number, elements=Z)


@pytest.mark.parametrize("scale", ["none", "std", "whiten"])
def test_a_column_and_a_file_of_rows_are_one_descriptor_and_its_scale_is_told(call: Call, scale: str) -> None:
    write_described()
    named = ("array:features", "rows.npz")
    words = ("entropy", "own.xyz", "--scale", scale)
    column, rows = (json_of(call(*words, "--descriptor", name, "--json")) for name in named)
    assert [found["descriptor"] for found in (column, rows)] == list(named)
    assert column["scale"] == rows["scale"] == scale
    assert column["entropy"] == pytest.approx(rows["entropy"], abs=1e-12)  # text rounds the column
    for name in ("bandwidth", "bandwidth_by_element"):
        assert column[name] == rows[name]
    assert (column["k"], column["cutoff"]) == (None, None)
    assert f"scale {scale}" in " ".join(call(*words, "--descriptor", "rows.npz").out.split())
    if scale == "none":
        given = str(column["bandwidth"])
        as_file = json_of(call("entropy", "environments.npz", "-b", given, "--json"))
        assert as_file["entropy"] == pytest.approx(column["entropy"], abs=1e-12)


def test_elements_that_are_ignored_are_noted_and_what_tells_them_apart(call: Call) -> None:
    write_described()
    assert call("entropy", "own.xyz").err == ""
    words = "the elements Cu, Au are not told apart; --elements center or neighbors does that."
    with pytest.warns(UserWarning, match=words):  # which `main` prints on stderr
        assert call("entropy", "own.xyz", "--elements", "ignore").code == 0
