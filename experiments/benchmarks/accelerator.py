"""What an accelerator takes for the main programs: predicted from them, and measured where there is one.

python experiments/benchmarks/accelerator.py             # writes accelerator.md; needs no device
python experiments/benchmarks/accelerator.py --measure   # on the device that JAX finds, in a few minutes
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from baselines import dense_entropy
from steps import Counted, count

import quests_jax as qj
from quests_jax.atoms import descriptor_batches
from quests_jax.base.step_sizes import ACCELERATOR, TILE, Platform, computing_as, here
from quests_jax.cover.bounds import relaxation
from quests_jax.cover.budget import Budget
from quests_jax.cover.masses.stored import DenseMasses
from quests_jax.cover.objectives.mass_functions import SATURATED
from quests_jax.information import structure_masses
from quests_jax.information.sums.exponents import plain_exponents
from quests_jax.information.sums.fused import weighted_kernels
from quests_jax.information.sums.pairs import column_sums, row_sums

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


def by_xla(a: jax.Array, b: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sums of a batch of pairs of tiles over the rows of each side."""
    kernel = jnp.exp(plain_exponents(a, b))
    return row_sums(kernel, w, ACCELERATOR), column_sums(kernel, w, ACCELERATOR)


def by_fused_kernel(a: jax.Array, b: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The same by the kernel that writes no tile."""
    return weighted_kernels(a, b, w[..., None]), weighted_kernels(b, a, w[..., None])


def programs() -> dict[str, Program]:
    """The main programs at the size of the largest data set."""
    x = rows(N, D)
    number = np.arange(N) * STRUCTURES // N
    slope = jax.grad(qj.entropy)
    tiles, weights = rows(ACCELERATOR.pairs, TILE, D), rows(ACCELERATOR.pairs, TILE)
    return {
        "entropy": Program(qj.entropy, (x,)),
        "gradient of the entropy": Program(slope, (x,)),
        "delta entropies": Program(qj.delta_entropy, (x, x)),
        "masses at the targets": Program(
            lambda y, x: structure_masses(y, x, number, STRUCTURES), (rows(TARGETS, D), x)
        ),
        "descriptors of one call": Program(
            partial(descriptor_batches.plain_program, k=32, cutoff=5.0),
            (3, rows(ACCELERATOR.environments, 32, 3)),
        ),
        "relaxed cover, one step": relaxation_step(),
        "2048 pairs of tiles, summed both ways": Program(by_xla, (tiles, tiles, weights)),
        "2048 pairs of tiles, fused kernel": Program(by_fused_kernel, (tiles, tiles, weights)),
    }


def counted(program: Program) -> Counted:
    """Steps and work of a program, with every pair near."""
    with computing_as(program.at):
        found = count(program.f, *program.arguments, at=program.at, platform="cuda")
    return Counted(*(each / program.rounds for each in found))


def predicted(work: Counted, device: Device) -> float:
    """Seconds: products, exponentials, memory and steps, one after the other."""
    return (
        work.flop / device.flop
        + work.exps / device.exps
        + work.bytes / device.bytes
        + work.steps * device.step
    )


def table() -> Iterator[str]:
    """The page, line by line."""
    yield "# What an accelerator would take"
    yield ""
    yield f"Counted from the programs by `steps.py`, for {N:,} environments of {D} numbers in float32,"
    yield f"{STRUCTURES:,} structures and {TARGETS:,} targets, **with all tiles near**: an upper bound."
    yield "It counts both halves of the symmetric sums; of GAP-20, a quarter of one half is near, so that an"
    yield "entropy takes an eighth."
    yield ""
    yield "Seconds = FLOP / their rate + exp / their rate + bytes / bandwidth + steps · time of a step."
    yield ""
    for device in DEVICES:
        yield f"- {device.name}: {device.flop:.3g} FLOP/s in float32, nothing rounded,"
        yield f"  {device.exps:.2g} exp/s, {device.bytes:.3g} B/s, {1e6 * device.step:.0f} µs a step."
    yield ""
    yield (
        "| program | steps | GFLOP | exp (10⁹) | GB | " + " | ".join(f"{d.name} (s)" for d in DEVICES) + " |"
    )
    yield "|---|---|---|---|---|" + "---|" * len(DEVICES)
    for name, program in programs().items():
        work = counted(program)
        times = " | ".join(f"{predicted(work, device):.3g}" for device in DEVICES)
        amounts = f"{work.flop / 1e9:,.0f} | {work.exps / 1e9:,.1f} | {work.bytes / 1e9:,.1f}"
        yield f"| {name} | {work.steps:,.0f} | {amounts} | {times} |"
    yield ""
    yield "No device has been seen yet: `make bench-device` measures the same programs on one and writes"
    yield "`accelerator.json`. What XLA fuses decides about the bytes: here products, reductions and gathered"
    yield "rows are counted, all else is taken to be fused into them. The fused kernel writes no tile, and"
    yield "forms every pair twice; it is off until a device has shown that it wins."
    yield ""
    yield "MSC shows what is chosen to 16 groups of 256 environments at a time, 4096 rows a step: on the"
    yield "silicon set to 10 % it takes 1.1 steps a pick, where one group and 256 rows at a time take 8, with"
    yield "the same picks."


def measure(n: int, rounds: int) -> dict[str, Any]:
    """Times and errors on the device that there is."""
    rng = np.random.default_rng(0)
    centers = rng.normal(scale=0.1, size=(max(1, n // 500), D))
    x = centers[rng.integers(len(centers), size=n)] + rng.normal(scale=0.003, size=(n, D))
    x = jax.device_put(x.astype(np.float32))
    part = np.asarray(x[: min(n, 2000)], np.float64)
    runs = {
        "entropy": lambda: qj.entropy(x),
        "gradient of the entropy": partial(jax.jit(jax.grad(qj.entropy)), x),
        "delta entropies": lambda: qj.delta_entropy(x, x),
    }
    found: dict[str, Any] = {
        "device": jax.devices()[0].device_kind,
        "n": n,
        "error of float64": float(abs(qj.entropy(part) - dense_entropy(part))),
        "error of float32": float(abs(qj.entropy(part.astype(np.float32)) - dense_entropy(part))),
    }
    ways = {"plain": here()}
    if jax.default_backend() == "gpu":
        ways["fused"] = here()._replace(fused="compiled")
    for way, platform in ways.items():
        with computing_as(platform):
            for name, run in runs.items():
                jax.block_until_ready(run())
                times = []
                for _ in range(rounds):
                    start = time.perf_counter()
                    jax.block_until_ready(run())
                    times.append(time.perf_counter() - start)
                found[f"{name}, {way} (s)"] = float(np.median(times))
                found[f"{name}, {way} (pairs/s)"] = n**2 / float(np.median(times))
    return found


def main() -> None:
    """Write the page, or measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", action="store_true", help="Measure on the device that JAX finds.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, N, 1_000_000], help="Environments.")
    parser.add_argument("--rounds", type=int, default=3, help="Repetitions.")
    chosen = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    if not chosen.measure:
        (HERE / "accelerator.md").write_text("\n".join(table()) + "\n", encoding="utf-8")
        return
    results = []
    for n in chosen.sizes:
        results.append(measure(n, chosen.rounds))
        print(json.dumps(results[-1], indent=1), flush=True)
    (HERE / "accelerator.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
