"""What an accelerator takes for the main programs: predicted from them, and measured by device.py on one.

python experiments/benchmarks/accelerator.py   # writes accelerator.md; needs no device
"""

from __future__ import annotations

import json
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
from quests_jax.base.step_sizes import ACCELERATOR, GPU, Platform, computing_as
from quests_jax.cover.bounds import relaxation
from quests_jax.cover.budget import Budget
from quests_jax.cover.masses.dense_or_sparse import DenseMasses
from quests_jax.cover.objectives.mass_functions import SATURATED
from quests_jax.information import cross_kernel_sums, structure_masses
from quests_jax.information.sums import exponents, near_tile_pairs

HERE = Path(__file__).parent
N, D, STRUCTURES, TARGETS = 232_000, 63, 3500, 32_768


class Device(NamedTuple):
    """Rates of a device."""

    name: str
    flop: float  # per second, products of float32 that are not rounded
    exps: float  # per second
    bytes: float  # per second
    step: float  # seconds for a pass of a loop that does nothing


TPU = Device("TPU v5e, by its data sheet", 197e12 / 6, 0.3e12, 0.82e12, 10e-6)  # six passes of bfloat16
NOTES = """
What this says:

- With kernels of their own, entropies take half of XLA's time, delta entropies half of it on dense data and
  four fifths on GAP-20. These kernels multiply by three products of TF32. By products that are not rounded,
  which Triton makes on other units, they took 3.5 times as long, and XLA won.
- Products in float64 cost an H200 no more than those of float32. Formed from differences, what needs care
  took longer (entropy of GAP-20 by XLA: 0.289 s) and 39 GB where 64 features were added in one pass (3.8 GB
  with 8). So a GPU repairs in float64, as a CPU does.
- 0.3 of the rate of products is reached on GAP-20 by the entropy and its gradient, not by delta entropies,
  which look at more pairs than are near: those that the nearest row of a query leaves open. 0.5 is reached on
  dense data by the entropy and by delta entropies, not by gradients.
- A gradient by a kernel of its own, which forms each pair twice, was slower than XLA's: it is gone.
- Predictions are up to twice too long: a device reads and writes tiles while it multiplies. Delta entropies
  of GAP-20 take longer than predicted, for the pairs that are more than near.
- The choices of structures and their masses were measured while what needs care came from differences. A
  million generated environments have not been measured, nor cards that are slow in float64: these form what
  needs care from differences, and leave all sums to XLA.
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


XLA = GPU._replace(fused="")
SYMMETRIC = "entropy", "gradient of the entropy"  # each pair is formed once
OF_PAIRS = *SYMMETRIC, "delta entropies", "their gradient by both"


@contextmanager
def all_pairs(care: bool) -> Iterator[None]:
    """Take all pairs of tiles for such that need care, or none; float64 is enough care where it is there."""
    wide, too_wide = near_tile_pairs.is_wide, exponents.too_wide_for_float64
    near_tile_pairs.is_wide = lambda radius, error=1.0: jnp.full(radius.shape, care)
    enough = lambda radius: jnp.zeros(radius.shape, bool)  # noqa: E731
    exponents.too_wide_for_float64 = near_tile_pairs.too_wide_for_float64 = enough
    try:
        yield
    finally:
        near_tile_pairs.is_wide = wide
        exponents.too_wide_for_float64 = near_tile_pairs.too_wide_for_float64 = too_wide


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


def table(found: dict[str, Any]) -> Iterator[str]:
    """The page, line by line."""
    gpu = Device(**found["device"])
    yield "# What an accelerator takes"
    yield ""
    yield f"Measured by `device.py` on one {gpu.name} in float32, beside what was predicted from the"
    yield "programs. Numbers are from several runs, as `device.json` says."
    yield "Pairs of tiles wider than 6.5 bandwidths need *care* in float32: on this GPU they are formed in"
    yield "float64, on a TPU from differences. *Fused* kernels write no tile; they are for GPUs."
    with computing_as(ACCELERATOR):
        for data in dict.fromkeys(record["data"] for record in found["records"]):
            yield ""
            yield from _measured([record for record in found["records"] if record["data"] == data], gpu)
        yield ""
        yield from NOTES.strip().splitlines()
        yield ""
        yield from _predicted(gpu)


def _predicted(gpu: Device) -> Iterator[str]:
    """What the programs would take with all tiles near."""
    yield "## How it is predicted"
    yield ""
    yield f"Counted from the programs by `steps.py`, for {N:,} environments of {D} numbers in float32,"
    yield f"{STRUCTURES:,} structures and {TARGETS:,} targets, **with all tiles near** and both halves of the"
    yield "symmetric sums: an upper bound."
    yield ""
    yield "Seconds = FLOP / rate + 2 · ops / rate + exp / their rate + bytes / bandwidth + steps · time of a"
    yield "step, one after the other, though a device overlaps them."
    yield ""
    for device in (gpu, TPU):
        yield f"- {device.name}: {device.flop:.3g} FLOP/s in float32, nothing rounded,"
        yield f"  {device.exps:.2g} exp/s, {device.bytes:.3g} B/s, {1e6 * device.step:.0f} µs a step."
    yield ""
    yield "| program | way | steps | GFLOP | ops (10⁹) | exp (10⁹) | GB | H200 (s) | TPU v5e (s) |"
    yield "|---|---|---|---|---|---|---|---|---|"
    yield from _rows(gpu)


def _rows(gpu: Device) -> Iterator[str]:
    """Rows of the table of what is predicted."""
    for name, program in programs().items():
        ways: dict[str, tuple[Program, bool, Device]] = {"XLA": (program, False, gpu)}
        if program.at is ACCELERATOR and name in OF_PAIRS:
            plain, fused = (program._replace(at=at) for at in (XLA, GPU))
            ways = {"XLA": (plain, False, gpu), "XLA, care": (plain, True, gpu)}
            ways |= {"fused": (fused, False, gpu), "fused, care": (fused, True, gpu)}
            ways |= {"TPU": (program, False, TPU), "TPU, care": (program, True, TPU)}
        for way, (each, care, device) in ways.items():
            work = counted(each, care=care)
            shown = [f"{predicted(work, device):.3g}", ""]
            amounts = " | ".join(f"{v / 1e9:,.1f}" for v in (work.flop, work.ops, work.exps, work.bytes))
            times = " | ".join(shown if device is gpu else shown[::-1])
            yield f"| {name} | {way} | {work.steps:,.0f} | {amounts} | {times} |"


def _measured(records: list[dict[str, Any]], gpu: Device) -> Iterator[str]:
    """Predictions for a data set beside what was measured."""
    facts = records[0]
    yield f"Of the pairs of tiles of *{facts['data']}* ({facts['n']:,} environments) {facts['near']:.0%}"
    yield f"are near, and {facts['careful']:.0%} of these need care:"
    yield ""
    yield "| program | way | predicted (s) | measured (s) | share of the rate of products |"
    yield "|---|---|---|---|---|"
    for record in records:
        name, expected = record["case"], ""
        if name in OF_PAIRS:
            program = programs()[name]._replace(at=XLA if record["way"] == "XLA" else GPU)
            plain, careful = (predicted(counted(program, care=care), gpu) for care in (False, True))
            near = facts["near"] * (0.5 if name in SYMMETRIC else 1.0)
            expected = f"{near * ((1 - facts['careful']) * plain + facts['careful'] * careful):.3g}"
        share = record.get("share of the roofline")
        shown = "" if share is None else f"{share:.2f}"
        yield f"| {name} | {record['way']} | {expected} | {record['seconds']:.3g} | {shown} |"


def main() -> None:
    """Write the page."""
    jax.config.update("jax_enable_x64", True)
    found = json.loads((HERE / "device.json").read_text(encoding="utf-8"))
    (HERE / "accelerator.md").write_text("\n".join(table(found)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
