"""Kernel sums of environments on disk: entropy and diversity exactly, or from a sample with an interval.

For the exact sums, rows are ordered once along principal axes and cut into blocks, so that most pairs of
blocks are provably out of reach. Every near pair is formed once; its two sums are added in a fixed order,
so the result does not depend on how many processes made them.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base import step_sizes
from quests_jax.base.environments import from_arrays
from quests_jax.base.precision import follows_dtype
from quests_jax.disk.shards import Shards, kept_environments
from quests_jax.disk.working_folder import Stage
from quests_jax.information import (
    Estimate,
    cross_kernel_sums,
    estimated_diversity,
    estimated_entropy,
    kernel_product,
    self_kernel_sum,
)
from quests_jax.information.sums.tile_geometry import BOX_AXES, reach, split_order

BLOCK = 32_768  # rows
GROUP = 8  # blocks gathered in one pass over the shards
SKIPPED = 1e-12  # what all skipped blocks together may add to a sum of at least 1


class Blocks(NamedTuple):
    """Environments in the order of principal-axis splits, in principal axes: distances stay the same."""

    stage: Stage
    n: int
    rows: int  # of a block
    group: int  # blocks gathered in one pass over the shards

    @property
    def number(self) -> int:
        """Number of blocks."""
        return -(-self.n // self.rows)

    def load(self, block: int, *names: str) -> dict[str, np.ndarray]:
        """Arrays x [rows, d], elements [rows] (0 where they are ignored), low [d] and high [d] of a block."""
        group = self.stage.load(block // self.group, *(f"{name}_{block}" for name in names))
        return {name: group[f"{name}_{block}"] for name in names}


@follows_dtype
def self_sums(shards: Shards, *, bandwidth: float) -> np.ndarray:
    """p_i = Σ_j K(x_i, x_j) over the whole data set, in no particular order, shape [n].

    Blocks further apart than a reach are skipped, which changes no sum by more than 1e-12.

    >>> from pathlib import Path
    >>> from ase.build import bulk
    >>> import quests_jax as qj
    >>> from quests_jax.disk import Work, describe_files
    >>> qj.write("cells.xyz", [bulk("Si", a=5.4)] * 3)
    >>> shards = describe_files(Work(Path("work")), [Path("cells.xyz")], k=8, cutoff=4.0)
    >>> self_sums(shards, bandwidth=0.015).round(6).tolist()  # all six are alike
    [6.0, 6.0, 6.0, 6.0, 6.0, 6.0]
    """
    blocks = ordered_blocks(shards)
    stage = shards.stage.work.stage("sums", shards.parameters | {"block": BLOCK, "bandwidth": bandwidth})
    cut = float(reach(jnp.asarray(bandwidth), blocks.n, SKIPPED))
    stage.complete(blocks.number, partial(_sums_of, blocks, bandwidth, cut))
    total = np.zeros((blocks.number, BLOCK))
    for number in range(blocks.number):
        for name, part in stage.load(number).items():
            total[int(name), : len(part)] += part
    return total.reshape(-1)[: blocks.n]


@follows_dtype
def sample_sums(shards: Shards, *, rows: int, bandwidth: float, seed: int) -> np.ndarray:
    """p_i of a random sample of `rows` environments against the whole data set, shape [rows].

    One environment is drawn from each of `rows` equal runs of the file, so every part is represented.
    """
    rows = min(rows, shards.n_environments)
    edges = np.linspace(0, shards.n_environments, rows + 1).astype(int)
    wanted = np.random.default_rng(seed).integers(edges[:-1], edges[1:])
    chosen = {"rows": rows, "seed": seed}
    drawn = shards.stage.work.stage("sample", shards.parameters | chosen)
    if not drawn.path(0).exists():
        drawn.keep(shards.some(wanted).arrays())
    stage = shards.stage.work.stage("sample-sums", shards.parameters | chosen | {"bandwidth": bandwidth})
    stage.complete(len(shards.runs), partial(_sample_sums, shards, drawn, bandwidth))
    return sum((stage.load(shard)["p"] for shard in range(len(shards.runs))), np.zeros(rows))


def _sample_sums(shards: Shards, drawn: Stage, bandwidth: float, shard: int) -> dict[str, np.ndarray]:
    """What a shard adds to the sums of a sample."""
    y, x = kept_environments(drawn), shards.environments(shard)
    if not len(x):
        return {"p": np.zeros(len(y))}
    sums = kernel_product(y, x, np.ones((len(x), 1)), bandwidth=bandwidth)
    return {"p": np.asarray(sums)[:, 0]}


@follows_dtype
def estimate(shards: Shards, *, rows: int, bandwidth: float, seed: int) -> tuple[Estimate, Estimate]:
    """Entropy and diversity of the whole data set from the sums of a sample of its environments.

    >>> from pathlib import Path
    >>> from ase.build import bulk
    >>> import quests_jax as qj
    >>> from quests_jax.disk import Work, describe_files
    >>> qj.write("cells.xyz", [bulk("Si", a=5.4)] * 3)
    >>> shards = describe_files(Work(Path("work")), [Path("cells.xyz")], k=8, cutoff=4.0)
    >>> entropy, diversity = estimate(shards, rows=4, bandwidth=0.015, seed=0)
    >>> round(abs(entropy.value), 6)  # all six are alike
    0.0
    """
    p = sample_sums(shards, rows=rows, bandwidth=bandwidth, seed=seed)
    n = shards.n_environments
    return estimated_entropy(p, n), estimated_diversity(p, n)


def ordered_blocks(shards: Shards) -> Blocks:
    """Order all rows, rotate them to principal axes, and cut them into blocks."""
    work, n = shards.stage.work, shards.n_environments
    order = work.stage("order", shards.parameters)
    order.complete(1, partial(_order, shards))
    stage = work.stage("blocks", shards.parameters | {"block": BLOCK, "group": GROUP})
    blocks = Blocks(stage, n, BLOCK, GROUP)
    stage.complete(-(-blocks.number // GROUP), partial(_gather, shards, order, blocks))
    return blocks


def _gather(shards: Shards, order: Stage, blocks: Blocks, group: int) -> dict[str, np.ndarray]:
    """The blocks of a group."""
    found, size = order.load(0), blocks.group * blocks.rows
    own = found["order"][group * size : (group + 1) * size]
    ascending = np.argsort(own)
    x = np.empty((len(own), found["axes"].shape[1]))
    envs, elements = shards.some(own[ascending]), np.zeros(len(own), np.int32)
    x[ascending] = (np.asarray(envs.x) - found["origin"]) @ found["axes"]
    if envs.elements is not None:
        elements[ascending] = envs.elements
    arrays = {}
    for number, start in enumerate(range(0, len(own), blocks.rows), start=group * blocks.group):
        rows = x[start : start + blocks.rows]
        arrays |= {
            f"x_{number}": rows,
            f"elements_{number}": elements[start : start + blocks.rows],
            f"low_{number}": rows.min(axis=0),
            f"high_{number}": rows.max(axis=0),
        }
    return arrays


def _order(shards: Shards, _: int) -> dict[str, np.ndarray]:
    """Principal frame of all rows, and their order by recursive splits along its first axes."""
    n, d = shards.n_environments, shards.width
    sums, products = np.zeros(d), np.zeros((d, d))
    for shard in range(len(shards.runs)):
        x = shards.x(shard)
        sums, products = sums + x.sum(axis=0), products + x.T @ x
    origin = sums / n
    axes = np.linalg.eigh(products / n - np.outer(origin, origin))[1][:, ::-1]
    leading = [(shards.x(shard) - origin) @ axes[:, :BOX_AXES] for shard in range(len(shards.runs))]
    padding = -n % step_sizes.TILE
    rows = np.concatenate([*leading, np.zeros((padding, leading[0].shape[1]))])
    order = np.asarray(jax.jit(split_order)(rows, np.int64(n)))
    return {"order": _by_element(shards, order[:n]), "origin": origin, "axes": axes}


def _by_element(shards: Shards, order: np.ndarray) -> np.ndarray:
    """Rows in this order, one element after the other where they are told apart."""
    labels = [shards.environments(shard).elements for shard in range(len(shards.runs))]
    if labels[0] is None:
        return order
    together = np.concatenate([np.asarray(label) for label in labels])
    return order[np.argsort(together[order], kind="stable")]


def _sums_of(blocks: Blocks, bandwidth: float, cut: float, block: int) -> dict[str, np.ndarray]:
    """Sums from one block with itself and its next ⌊B/2⌋ blocks (cyclic), so each pair is formed once."""
    number = blocks.number
    own = blocks.load(block, "x", "elements", "low", "high")
    envs = from_arrays(own)
    total = np.asarray(self_kernel_sum(envs, bandwidth=bandwidth))
    others = {}
    for step in range(1, number // 2 + 1):
        if 2 * step == number and block >= number // 2:
            continue  # opposite blocks meet once
        other = (block + step) % number
        if _gap(own, blocks.load(other, "low", "high")) < cut:
            there = from_arrays(blocks.load(other, "x", "elements"))
            here, there = cross_kernel_sums(envs, there, bandwidth=bandwidth)
            total, others[str(other)] = total + np.asarray(here), np.asarray(there)
    return others | {str(block): total}


def _gap(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    """Distance between bounding boxes."""
    return float(np.linalg.norm(np.maximum(np.maximum(a["low"] - b["high"], b["low"] - a["high"]), 0)))
