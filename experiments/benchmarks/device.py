"""The main programs on the GPU or TPU that JAX finds: right, how fast, and what was predicted for them.

python experiments/benchmarks/device.py            # GAP-20 and a million environments, below eight minutes
python experiments/benchmarks/device.py --smoke    # little data, in steps of a CPU, in seconds
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial, reduce
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from accelerator import Device, Program, counted, descriptor_program, predicted
from inputs import CARBON, SHARED
from measuring import Record

import quests_jax as qj
from quests_jax.base.step_sizes import Platform, computing_as, here
from quests_jax.cover.posing import pose
from quests_jax.datasets import bundled
from quests_jax.information import structure_masses
from quests_jax.information.sums import tile_geometry as tl
from quests_jax.information.sums.near_tile_pairs import SKIPPED, active_pairs, map_bands, wide_pairs

D, PICKS, TARGETS = 63, 100, 32_768


class Data(NamedTuple):
    """Environments of structures."""

    name: str
    x: np.ndarray  # [n, D] float32
    structure: np.ndarray  # [n]
    structures: list[Any]  # empty where the environments are generated

    @property
    def envs(self) -> qj.Environments:
        """Environments for the rules."""
        return qj.make_environments(self.x, self.structure)


class Case(NamedTuple):
    """What is run on a data set."""

    name: str
    run: Callable[[], Any]
    program: Program | None = None  # for the prediction, where there is one
    amount: float = 0.0  # of what is done
    unit: str = "environments"
    formed: float = 1.0  # share of the pairs that are formed if all are near
    products: int = 0  # of two numbers, for each feature of a pair


def carbon() -> Data | None:
    """GAP-20, where its files are beside the repository."""
    files = sorted((SHARED / CARBON).glob("*.xyz.gz"))
    if not files:
        return None
    structures = [atoms for file in files for atoms in qj.read(file)]
    envs = qj.environments(structures)
    return Data("GAP-20", np.asarray(envs.x, np.float32), np.asarray(envs.structure_id), structures)


def silicon() -> Data:
    """The bundled structures."""
    structures = qj.read(bundled())[::20]
    envs = qj.environments(structures)
    return Data("silicon", np.asarray(envs.x, np.float32), np.asarray(envs.structure_id), structures)


def generated(n: int) -> Data:
    """Environments in clouds of 500, in structures of 64."""
    rng = np.random.default_rng(0)
    centers = rng.normal(scale=0.1, size=(max(1, n // 500), D))
    x = centers[np.sort(rng.integers(len(centers), size=n))] + rng.normal(scale=0.003, size=(n, D))
    return Data(f"{n:,} generated", x.astype(np.float32), np.arange(n) // 64, [])


# --- what the device can do ---------------------------------------------------------------------------


def seconds_of(run: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Seconds of the first run, and the median of the next ones."""
    times = []
    for _ in range(1 + rounds):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return times[0], float(np.median(times[1:]))


def measured_device(small: bool, rounds: int) -> Device:
    """Rates of products, exponentials and memory, and the time of a pass of a loop."""
    n, size, passes, nested = (512, 2**20, 100, 16) if small else (8192, 2**30, 2000, 16)
    a = jnp.asarray(np.random.default_rng(0).normal(size=(n, n)), jnp.float32)
    long = jnp.zeros(size, jnp.float32)
    product = jax.jit(lambda a: jnp.dot(a, a, precision="highest"))
    exp = jax.jit(lambda x: jnp.sum(reduce(lambda y, _: jnp.exp(-y), range(nested), x)))
    copy = jax.jit(lambda x: x + 1)
    loop = jax.jit(lambda n: jax.lax.fori_loop(0, n, lambda _, x: x * 0.5 + 1.0, jnp.zeros(256)))
    return Device(
        jax.devices()[0].device_kind,
        flop=2 * n**3 / seconds_of(lambda: product(a), rounds)[1],
        exps=nested * size / seconds_of(lambda: exp(long), rounds)[1],
        bytes=8 * size / seconds_of(lambda: copy(long), rounds)[1],
        step=seconds_of(lambda: loop(passes), rounds)[1] / passes,
    )


# --- whether it is right ------------------------------------------------------------------------------


def errors(ways: dict[str, Platform], small: bool) -> Record:
    """Largest errors against sums of differences in NumPy, in float64."""
    x = generated(200 if small else 1500).x.astype(np.float64)
    K = np.exp(-np.stack([((x - row) ** 2).sum(axis=1) for row in x]) / (2 * 0.015**2))
    p, number = K.sum(axis=1), np.arange(len(x)) // 64
    pull = K * (1 / p[:, None] + 1 / p[None])
    slope = -(pull @ x - pull.sum(axis=1)[:, None] * x) / (len(x) * 0.015**2)
    expected = {
        "entropy": np.log(len(x)) - np.log(p).mean(),
        "gradient": slope / np.abs(slope).max(),
        "delta entropies": -np.log(p),
        "masses": np.stack([K[:, number == s].sum(axis=1) for s in range(number[-1] + 1)]),
    }
    found: Record = {}
    for way, platform in ways.items():
        for dtype in (np.float32,) if small else (np.float32, np.float64):
            with computing_as(platform if small else platform._replace(dense=0)):
                rows = jax.device_put(x.astype(dtype))
                g = np.asarray(jax.grad(qj.entropy)(rows))
                values = {
                    "entropy": qj.entropy(rows),
                    "gradient": g / np.abs(slope).max(),
                    "delta entropies": qj.delta_entropy(rows, rows),
                    "masses": structure_masses(rows, rows, number, number[-1] + 1),
                }
                for name, value in values.items():
                    key = f"{name}, {way}, {np.dtype(dtype).name}"
                    found[key] = float(np.abs(np.asarray(value) - expected[name]).max())
    return found


def same_choice() -> bool:
    """Whether the device chooses the structures that the CPU does."""
    envs = silicon().envs

    def chosen() -> list[list[int]]:
        found = qj.msc(envs, size=3), qj.greedy_cover(qj.cover_problem(envs), size=3)
        return [list(map(int, selection.selected)) for selection in found]

    there = chosen()
    with jax.default_device(jax.devices("cpu")[0]):
        return there == chosen()


# --- how fast -----------------------------------------------------------------------------------------


def near_and_careful(x: np.ndarray) -> tuple[float, float]:
    """Share of the pairs of tiles that are near, and of these the share that needs differences."""
    at = here()

    @jax.jit
    def of(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        count, h = jnp.int32(len(x)), jnp.float32(0.015)
        tiles = tl.make_tiles(x, tl.principal_frame(x, count), count)
        cut = tl.reach(h, len(x), SKIPPED)

        def band(tile: jax.Array, exists: jax.Array) -> tuple[jax.Array, jax.Array]:
            near = tl.gap_squared(tiles, tile, tiles) < cut**2
            near &= active_pairs(tiles, tile, exists, tiles)
            careful = near & wide_pairs(tiles, tile, tiles, h)
            return jnp.sum(near, axis=1), jnp.sum(careful, axis=1)

        near, careful = map_bands(band, len(tiles.mask), len(tiles.mask), at)
        return near.sum() / len(tiles.mask) ** 2, careful.sum() / jnp.maximum(near.sum(), 1)

    share, careful = of(jnp.asarray(x))
    return float(share), float(careful)


def sums_of(data: Data) -> Iterator[Case]:
    """Programs of the engine, each with the amount of work that it stands for."""
    x, n = jax.device_put(data.x), len(data.x)
    y = x[:: max(1, n // TARGETS)]
    count = int(data.structure[-1]) + 1
    both = jax.grad(lambda y, x: jnp.sum(qj.delta_entropy(y, x)), (0, 1))
    masses = partial(structure_masses, structure_id=data.structure, n_structures=count)
    for name, f, arguments, formed, products in (
        ("entropy", qj.entropy, (x,), 0.5, 1),  # a pair is formed once where sums are symmetric
        ("gradient of the entropy", jax.grad(qj.entropy), (x,), 0.5, 4),
        ("delta entropies", qj.delta_entropy, (x, x), 1.0, 1),
        ("their gradient by both", both, (x, x), 1.0, 5),
        ("masses at targets", masses, (y, x), 1.0, 1),
    ):
        pairs = n * len(arguments[0])
        yield Case(name, f, Program(f, arguments), pairs, "pairs", formed, products)


def compiled(data: Data, platform: Platform, pool: Executor) -> list[Case]:
    """The sums of a data set in the steps of a platform; the pool compiles them side by side."""
    cases = []
    with nullcontext() if platform == here() else computing_as(platform):
        for case in sums_of(data):
            program = case.program._replace(at=platform)
            lowered = jax.jit(program.f).lower(*program.arguments)
            waiting = pool.submit(lowered.compile)
            run = lambda waiting=waiting, program=program: waiting.result()(*program.arguments)  # noqa: E731
            cases.append(case._replace(run=run, program=program))
    return cases


def rules_of(data: Data, targets: int) -> Iterator[Case]:
    """Choices of structures, and what comes before them."""
    picks = min(PICKS, int(data.structure[-1]))
    vectors = np.random.default_rng(0).normal(size=(here().environments, 32, 3))
    program, arguments = descriptor_program(jax.device_put(vectors.astype(np.float32)))
    name = "descriptors of one call"
    yield Case(name, partial(program, *arguments), Program(program, arguments), len(vectors))
    if data.structures:
        some = data.structures[:: max(1, len(data.x) // 50_000)]
        run = partial(qj.get_descriptors, some)
        yield Case("neighbors and descriptors", run, amount=sum(map(len, some)))
    yield Case("msc", lambda: qj.msc(data.envs, size=picks), amount=picks, unit="picks")
    posed: list[Any] = []

    def posing() -> None:
        posed[:] = [pose(data.envs, targets=targets).problem]

    yield Case("masses for a cover", posing, amount=len(data.x))
    yield Case("greedy", lambda: qj.greedy_cover(posed[0], size=picks), amount=picks, unit="picks")
    yield Case("relaxed", lambda: qj.relaxed_cover(posed[0], size=picks), amount=picks, unit="picks")


def measured(case: Case, device: Device, shares: tuple[float, float], rounds: int) -> Record:
    """Times of a case, what was predicted, and its share of the rate of products."""
    first, seconds = seconds_of(case.run, rounds)
    record: Record = {"case": case.name, "first": first, "seconds": seconds}
    record[f"{case.unit} per second"] = case.amount / seconds
    near, careful = shares if case.unit == "pairs" else (1.0, 0.0)
    if case.program is not None:
        works = [counted(case.program, care=care) for care in (False, True)]
        plain, wide = (predicted(work, device) for work in works)
        record["predicted"] = near * case.formed * ((1 - careful) * plain + careful * wide)
    if case.products:
        useful = 2 * D * case.products * near * case.formed * case.amount
        record["share of the roofline"] = useful / device.flop / seconds
    return record


def measure(sets: Sequence[Data], *, small: bool, rounds: int, seconds: float) -> Record:
    """Everything, as far as it is done in time; what is left out is named."""
    start = time.perf_counter()
    ways = {"XLA": here()._replace(fused="")}
    if here().fused:
        ways["fused"] = here()
    device = measured_device(small, rounds)
    results: Record = {"device": device._asdict(), "records": [], "left out": []}

    def record(case: Case, data: Data, way: str, shares: tuple[float, float]) -> None:
        if time.perf_counter() - start > seconds:
            results["left out"].append(f"{case.name}, {data.name}, {way}")
            return
        facts = {"data": data.name, "n": len(data.x), "near": shares[0], "careful": shares[1], "way": way}
        results["records"].append(facts | measured(case, device, shares, rounds))
        print(json.dumps(results["records"][-1]), flush=True)

    with ThreadPoolExecutor() as pool:
        sums = [(data, way, compiled(data, ways[way], pool)) for data in sets for way in ways]
        results |= {"errors": errors(ways, small), "same choice": same_choice()}
        print(json.dumps({key: results[key] for key in ("device", "errors", "same choice")}), flush=True)
        shares = {data.name: near_and_careful(data.x) for data in sets}
        for data, way, cases in sums:
            for case in cases:
                record(case, data, way, shares[data.name])
    for data in sets:
        for case in rules_of(data, 200 if small else TARGETS):
            record(case, data, way, shares[data.name])
    results["seconds"] = time.perf_counter() - start
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="Little data, on any machine.")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("device.json"))
    parser.add_argument("--seconds", type=float, default=420, help="After which nothing new is begun.")
    chosen = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)
    if chosen.smoke:
        results = measure([silicon()], small=True, rounds=1, seconds=chosen.seconds)
    else:
        sets = [data for data in (carbon(), generated(1_000_000)) if data is not None]
        results = measure(sets, small=False, rounds=2, seconds=chosen.seconds)
    chosen.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: results[key] for key in results if key != "records"}, indent=1))


if __name__ == "__main__":
    main()
