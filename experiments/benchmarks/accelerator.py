"""What an accelerator would take for the main programs, predicted from them; needs no device.

python experiments/benchmarks/accelerator.py   # writes accelerator.md; device.py measures on a device
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from steps import Counted, count

import quests_jax as qj
from quests_jax.atoms import descriptor_batches
from quests_jax.base.step_sizes import ACCELERATOR, Platform, computing_as
from quests_jax.cover.bounds import relaxation
from quests_jax.cover.budget import Budget
from quests_jax.cover.masses.dense_or_sparse import DenseMasses
from quests_jax.cover.objectives.mass_functions import SATURATED
from quests_jax.information import cross_kernel_sums, structure_masses
from quests_jax.information.sums import near_tile_pairs

HERE = Path(__file__).parent
N, D, STRUCTURES, TARGETS = 232_000, 63, 3500, 32_768


class Device(NamedTuple):
    """Rates of a device, from its data sheet."""

    name: str
    flop: float  # per second, products of float32 that are not rounded
    exps: float  # per second
    bytes: float  # per second
    step: float  # seconds for a pass of a loop that does nothing


DEVICES = (
    Device(
        "H100", 67e12, 132 * 16 * 1.75e9, 3.35e12, 20e-6
    ),  # 16 special functions per multiprocessor, cycle
    Device(
        "TPU v5e", 197e12 / 6, 0.3e12, 0.82e12, 10e-6
    ),  # six passes of bfloat16; exp in 20 vector operations
)


NEAR, CARE = 0.334, 0.574  # of GAP-20's pairs of tiles in float32, counted by `device.near_and_careful`
NOTES = """
What this says, before any device has been seen:

- Without kernels of its own, an H100 reaches about a fifth of its rate of products: tiles of kernels are
  written and read. With them the aim of 0.3 is predicted for entropies and delta entropies, by products
  and just so by differences, and missed by a little for the gradient of the entropy. The aim of 0.5 for
  dense data is not predicted for any, unless the device reads rows while it multiplies: then an entropy by
  products is at 0.7.
- In float32 most pairs of GAP-20 need differences. So the fused kernels have a way for them, too.
- A fused gradient forms each pair twice, once for either tile: more products, half of the bytes.
- How fast Triton multiplies float32 without rounding is not known here; if at less than half of the rate,
  XLA's way wins. So fused kernels stay off until `make bench-device` has shown that they win. It measures
  these programs and the rules on GAP-20 and a million environments, with predictions from the measured rates
  beside, and writes `device.json`.

MSC shows what is chosen to 16 groups of 256 environments at a time, 4096 rows a step: on the silicon set to
10 % it takes 1.1 steps a pick, where one group and 256 rows at a time take 8, with the same picks.
"""


class Program(NamedTuple):
    """A program, its arguments' shapes, and the platform whose steps it takes."""

    f: Callable
    arguments: tuple[Any, ...]
    at: Platform = ACCELERATOR
    rounds: int = 1  # that are counted as one


def rows(*shape: int, dtype: Any = jnp.float32) -> Any:
    """An array of which only the shape is known."""
    return jax.ShapeDtypeStruct(shape, dtype)


def relaxation_step() -> Program:
    """`STEPS` steps of the relaxed cover between two looks at its bound."""
    masses = DenseMasses(rows(STRUCTURES, TARGETS))
    data = relaxation.Data(masses, rows(TARGETS), rows(TARGETS), Budget(rows(STRUCTURES), rows()))
    now = relaxation.Iterate(rows(STRUCTURES), rows(TARGETS), rows(TARGETS))
    best = relaxation.Relaxation(now.w, rows(), now.theta, rows())
    f = partial(relaxation.improve, measure=SATURATED)
    return Program(f, (data, best, now), rounds=relaxation.STEPS)


def descriptor_program(vectors: Any) -> tuple[Callable, tuple[Any, ...]]:
    """The descriptors of one call, of all of its rows."""
    return partial(descriptor_batches.plain_program, k=32, cutoff=5.0), (len(vectors), vectors)


def programs() -> dict[str, Program]:
    """The main programs at the size of the largest data set."""
    x, y = rows(N, D), rows(TARGETS, D)
    number = np.arange(N) * STRUCTURES // N
    masses = partial(structure_masses, structure_id=number, n_structures=STRUCTURES)
    describe, arguments = descriptor_program(rows(ACCELERATOR.environments, 32, 3))
    return {
        "entropy": Program(qj.entropy, (x,)),
        "gradient of the entropy": Program(jax.grad(qj.entropy), (x,)),
        "delta entropies": Program(qj.delta_entropy, (x, x)),
        "their gradient by both": Program(
            jax.grad(lambda y, x: jnp.sum(qj.delta_entropy(y, x)), (0, 1)), (x, x)
        ),
        "cross sums": Program(cross_kernel_sums, (x, x)),
        "masses at the targets": Program(masses, (y, x)),
        "descriptors of one call": Program(describe, arguments),
        "relaxed cover, one step": relaxation_step(),
    }


FUSED = ("entropy", "gradient of the entropy", "delta entropies", "their gradient by both")


@contextmanager
def all_pairs(care: bool) -> Iterator[None]:
    """Take all pairs of tiles for such that need differences, or none."""
    before = near_tile_pairs.is_wide
    near_tile_pairs.is_wide = lambda radius, error=1.0: jnp.full(radius.shape, care)
    try:
        yield
    finally:
        near_tile_pairs.is_wide = before


def counted(program: Program, *, care: bool = False) -> Counted:
    """Steps and work of a program, with every pair near."""
    with all_pairs(care):
        found = count(program.f, *program.arguments, at=program.at, platform="cuda")
    return Counted(*(each / program.rounds for each in found))


def predicted(work: Counted, device: Device) -> float:
    """Seconds: products, single operations, exponentials, memory and steps, one after the other."""
    return (
        work.flop / device.flop
        + 2 * work.ops / device.flop  # a product and a sum are one operation
        + work.exps / device.exps
        + work.bytes / device.bytes
        + work.steps * device.step
    )


def table() -> Iterator[str]:
    """The page, line by line."""
    yield "# What an accelerator would take"
    yield ""
    yield f"Counted from the programs by `steps.py`, for {N:,} environments of {D} numbers in float32,"
    yield f"{STRUCTURES:,} structures and {TARGETS:,} targets, **with all tiles near** and both halves of the"
    yield "symmetric sums: an upper bound."
    yield ""
    yield "Seconds = FLOP / rate + 2 · ops / rate + exp / their rate + bytes / bandwidth + steps · time of a"
    yield "step, one after the other, though a device overlaps them."
    yield ""
    for device in DEVICES:
        yield f"- {device.name}: {device.flop:.3g} FLOP/s in float32, nothing rounded,"
        yield f"  {device.exps:.2g} exp/s, {device.bytes:.3g} B/s, {1e6 * device.step:.0f} µs a step."
    yield ""
    yield "`share` is that of the rate of products: FLOP of the first row of a program / rate / seconds, on"
    yield "the H100. *Differences* are for pairs of tiles that need care (in float32 those wider than 6.5"
    yield "bandwidths), as if all did. *Fused* kernels write no tile; they are for GPUs."
    yield ""
    heads = " | ".join(f"{d.name} (s)" for d in DEVICES)
    yield f"| program | way | steps | GFLOP | ops (10⁹) | exp (10⁹) | GB | {heads} | share |"
    yield "|---|---|---|---|---|---|---|" + "---|" * (len(DEVICES) + 1)
    with computing_as(ACCELERATOR):
        yield from _rows()
        yield ""
        yield from _of_carbon()
    yield ""
    yield from NOTES.strip().splitlines()


def _rows() -> Iterator[str]:
    """Rows of the table."""
    for name, program in programs().items():
        ways = {"products": (program, False)}
        if program.at is ACCELERATOR and name in FUSED:
            fused = program._replace(at=ACCELERATOR._replace(fused="compiled"))
            ways["differences"] = program, True
            ways |= {"products, fused": (fused, False), "differences, fused": (fused, True)}
        useful = counted(program).flop
        for way, (each, care) in ways.items():
            work = counted(each, care=care)
            times = [predicted(work, device) for device in DEVICES]
            shown = [f"{t:.3g}" for t in times]
            shown[1:] = [""] if "fused" in way else shown[1:]
            share = f"{useful / DEVICES[0].flop / times[0]:.2f}" if useful else ""
            amounts = " | ".join(f"{v / 1e9:,.1f}" for v in (work.flop, work.ops, work.exps, work.bytes))
            yield f"| {name} | {way} | {work.steps:,.0f} | {amounts} | {' | '.join(shown)} | {share} |"


def _of_carbon() -> Iterator[str]:
    """What GAP-20 would take, each pair of tiles once where sums are symmetric."""
    yield f"Of GAP-20's pairs of tiles {NEAR:.0%} are near, and {CARE:.0%} of these need differences:"
    yield ""
    yield "| program | XLA on an H100 (s) | fused (s) | share | fused |"
    yield "|---|---|---|---|---|"
    for name in FUSED:
        program, cells = programs()[name], []
        near = NEAR / 2 if "entropy" in name else NEAR
        for at in (ACCELERATOR, ACCELERATOR._replace(fused="compiled")):
            works = [counted(program._replace(at=at), care=care) for care in (False, True)]
            plain, careful = (predicted(work, DEVICES[0]) for work in works)
            cells.append(near * ((1 - CARE) * plain + CARE * careful))
        useful = near * counted(program).flop / DEVICES[0].flop
        shares = " | ".join(f"{useful / seconds:.2f}" for seconds in cells)
        yield f"| {name} | {cells[0]:.3g} | {cells[1]:.3g} | {shares} |"


def main() -> None:
    """Write the page."""
    jax.config.update("jax_enable_x64", True)
    (HERE / "accelerator.md").write_text("\n".join(table()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
