"""A linked map of a data set for a browser: a point for each structure, its atoms in 3D, a list to pick.

`scatter.js` draws the map, Plotly the atoms; `explorer.js` links. All data travel inside the page; nothing
is loaded from a network. Names that come from files are data: they are shortened, stripped of control
characters, and shown as text.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors

from quests_jax.base.checks import InputError
from quests_jax.base.environments import structure_means

LONGEST_NAME = 120  # characters of a name that the page keeps
MOST_GROUPS = 12  # names of one label that get a color of their own; the others share one
MOST_ATOMS = 1_000_000  # atoms that the page holds for drawing: 16 MB
OTHERS = "others"
CONTROLS = re.compile("[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Map(NamedTuple):
    """What a map of S structures with n atoms shows."""

    columns: Mapping[str, np.ndarray]  # name: [S] numbers, axes and colors to choose from; NaN is unknown
    labels: Mapping[str, Sequence[str]]  # name: [S] names to color by
    structures: Sequence[Atoms] = ()  # drawn in 3D; empty where only environments are known
    values: np.ndarray | None = None  # [n] a number of each atom, its color in 3D
    value_name: str = "δH (nats)"
    first: Sequence[int] = ()  # structures whose atoms are kept first where not all fit
    unknown: Mapping[str, str] = MappingProxyType({})  # what NaN of a column means, where it means something


def principal_components(x: np.ndarray, structure_id: np.ndarray, n_structures: int) -> np.ndarray:
    """First two principal components of the mean descriptor of each structure, shape [S, 2].

    Structures without atoms, and single atoms without neighbors, whose descriptor is 0, get NaN. `x` has
    shape [n, d] and `structure_id` [n] ascends.
    """
    counts = np.bincount(structure_id, minlength=n_structures)
    means = structure_means(x, structure_id, n_structures)
    found = np.full((n_structures, 2), np.nan)
    filled = (counts > 0) & ((counts > 1) | means.any(axis=1))
    if not filled.any():
        return found
    centered = means - means[filled].mean(axis=0)
    _, axes = np.linalg.eigh(centered[filled].T @ centered[filled])
    found[:, : min(2, x.shape[1])] = centered @ axes[:, ::-1][:, :2]
    found[~filled] = np.nan
    return np.where(np.isnan(found) & filled[:, None], 0.0, found)


def explorer_html(shown: Map) -> str:
    """The map as a fragment of HTML with its data, styles and scripts; one such fragment fits on a page."""
    data = in_script(json.dumps(_payload(shown), allow_nan=False, separators=(",", ":")))
    return (
        f"<style>{own_file('explorer.css')}</style>"
        f"{own_file('explorer.html')}"
        f'<script type="application/json" id="map-data">{data}</script>'
        f'<script type="text/plain" id="plotly-source">{plotly_script()}</script>'
        f"<script>{own_file('plotly.js')}</script><script>{own_file('scatter.js')}</script>"
        f"<script>{own_file('explorer.js')}</script>"
    )


def in_script(data: str) -> str:
    """JSON that ends no script, whatever text it holds."""
    for character in "<>&":
        data = data.replace(character, f"\\u{ord(character):04x}")
    return data


def plotly_script() -> str:
    """Plotly's JavaScript, from the file that its package carries; the package itself is slow to import."""
    found = find_spec("plotly")
    if found is None or found.origin is None:
        raise InputError("the page needs plotly; run `pip install plotly`.")
    return (Path(found.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def shown_name(name: object) -> str:
    """A name from a file as the page shows it: without control characters, and of bounded length."""
    text = CONTROLS.sub(" ", str(name))
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


def own_file(name: str) -> str:
    """Text of a file of this folder."""
    return files("quests_jax.output").joinpath(name).read_text(encoding="utf-8")


def _payload(shown: Map) -> dict[str, Any]:
    n_structures = len(next(iter(shown.columns.values())))
    atoms = _atoms(shown) if len(shown.structures) else None
    return {
        "n": n_structures,
        "columns": [
            {
                "name": shown_name(name),
                "values": _packed(values, np.float32),
                "unknown": shown.unknown.get(name, "unknown"),
            }
            for name, values in shown.columns.items()
        ],
        "labels": [_named(name, values) for name, values in shown.labels.items()],
        "formulas": _named("formula", [a.get_chemical_formula() for a in shown.structures]),
        "groups": MOST_GROUPS,
        "others": OTHERS,
        "atoms": atoms,
    }


def _named(name: str, values: Sequence[str]) -> dict[str, Any]:
    """Distinct names, the most frequent first, and the number of each structure's name among them."""
    names, codes, counts = np.unique(
        [shown_name(value) for value in values], return_inverse=True, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order))
    return {"name": shown_name(name), "names": names[order].tolist(), "codes": _packed(rank[codes], np.int32)}


def _atoms(shown: Map) -> dict[str, Any]:
    """Atoms of as many structures as fit: those asked for first, then an even share of the others."""
    counts = np.array([len(atoms) for atoms in shown.structures])
    kept = _fitting(counts, shown.first)
    ends = np.cumsum(counts)
    chosen = [shown.structures[i] for i in kept]
    numbers = np.concatenate([a.numbers for a in chosen]) if chosen else np.zeros(0, int)
    values = None
    if shown.values is not None:
        rows = [shown.values[ends[i] - counts[i] : ends[i]] for i in kept]
        values = _packed(np.concatenate(rows) if rows else np.zeros(0), np.float32)
    return {
        "kept": _packed(kept, np.int32),
        "counts": _packed(counts[kept], np.int32),
        "numbers": _packed(numbers, np.uint8),
        "positions": _packed(np.concatenate([a.positions for a in chosen]) if chosen else [], np.float32),
        "cells": _packed(np.array([a.cell.array for a in chosen]), np.float32),
        "values": values,
        "value_name": shown.value_name,
        "elements": {
            int(z): {
                "symbol": chemical_symbols[z],
                "radius": round(float(covalent_radii[z]), 2),
                "color": "#" + "".join(f"{round(255 * c):02x}" for c in jmol_colors[z]),
            }
            for z in np.unique(numbers)
        },
    }


def _fitting(counts: np.ndarray, first: Sequence[int]) -> np.ndarray:
    """Numbers of structures, ascending, that hold at most `MOST_ATOMS` atoms together."""
    if counts.sum() <= MOST_ATOMS:
        return np.arange(len(counts))
    others = np.random.default_rng(0).permutation(len(counts))
    order = np.array(list(dict.fromkeys([*map(int, first), *others.tolist()])))
    return np.sort(order[np.cumsum(counts[order]) <= MOST_ATOMS])


def _packed(values: Any, dtype: type) -> str:
    """Numbers as base64 of little-endian bytes."""
    array = np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<"))
    return base64.b64encode(array.tobytes()).decode("ascii")
