"""What the records say to a person: ratios, memory, agreement, and whether the goals are met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from typing import NamedTuple

import numpy as np
from measuring import Record

MEGABYTE = 1e6


class Goal(NamedTuple):
    """Bounds of a ratio, or of a peak memory in MB, on data sets whose name matches; the first one counts."""

    case: str
    data: str
    name: str
    least: float = 0.0
    most: float = np.inf


GOALS = (
    Goal("entropy", "mlearn/*", "quests best / quests_jax float64", least=4),
    Goal("entropy", "mlearn/*", "quests default / quests_jax float64", least=15),
    Goal("entropy", "mlearn/*", "quests best / quests_jax float32", least=7),
    Goal("entropy", "carbon_GAP20", "quests best / quests_jax float64", least=10),
    Goal("entropy", "carbon_GAP20", "quests best / quests_jax float32", least=20),
    Goal("entropy", "mlearn/*", "dense roofline float64 / quests_jax float64", least=0.6),
    Goal("entropy", "mlearn/*", "dense roofline float32 / quests_jax float32", least=0.6),
    Goal("descriptors", "mlearn/*", "quests best / quests_jax float64", least=2),
    Goal("descriptors", "mol_*", "quests best / quests_jax float64", least=2),
    Goal("descriptors", "carbon_GAP20/*", "quests best / quests_jax float64", least=6),
    Goal("reading and descriptors", "carbon_GAP20", "quests from .xyz / quests_jax from .xyz.gz", least=4),
    Goal("msc", "mlearn/*", "quests best / quests_jax float64", least=10),
    Goal("greedy cover", "carbon_GAP20", "plain greedy loop / lazy greedy cover", least=10),
    Goal("command line", "mlearn/*", "quests / quests-jax, empty cache", least=4),
    Goal("command line", "mlearn/*", "quests / quests-jax, filled cache", least=4),
    Goal("command line", "mlearn/*", "memory of quests-jax, empty cache", most=1000),
    Goal("command line", "mlearn/*", "memory of quests-jax, filled cache", most=1000),
    Goal("gradient", "mlearn", "gradient / value", most=4),
    Goal("gradient", "mlearn", "memory of program with gradient", most=500),
    Goal("gradient", "carbon_GAP20", "gradient / value", most=4),
    Goal("gradient", "carbon_GAP20", "memory of program with gradient", most=500),
)


def text(records: Sequence[Record], skipped: Sequence[str]) -> str:
    """Every ratio and every peak memory of the records, no absolute times, and what was not measured."""
    lines = [line for record in records for line in _lines(record)]
    return "\n".join([*lines, *(f"not measured: {reason}" for reason in skipped)])


def exponents(records: Sequence[Record]) -> dict[str, float]:
    """b of time ~ n^b for each contender, fitted to the larger half of its sizes; the roofline's is 2."""
    fitted = {}
    for name, (n, seconds) in curves(records).items():
        upper = len(n) // 2
        if len(n) - upper > 1 and not name.startswith("dense roofline"):
            fitted[name] = float(np.polyfit(np.log(n[upper:]), np.log(seconds[upper:]), 1)[0])
    return fitted


def pool_records(records: Sequence[Record]) -> list[Record]:
    """Records of the entropy of parts of the pool, and of all of it."""
    pools = {record["data"] for record in records if record["case"] == "scaling"}
    return [r for r in records if r["case"] in ("scaling", "entropy") and r["data"] in pools]


def curves(records: Sequence[Record]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Sizes and median times of each contender of the scaling."""
    points: dict[str, list[tuple[int, float]]] = {}
    for record in pool_records(records):
        for name, taken in record["contenders"].items():
            points.setdefault(name, []).append((record["n"], taken["median"]))
    return {name: tuple(np.array(sorted(found)).T) for name, found in points.items()}


def _lines(record: Record) -> Iterator[str]:
    size = f", n = {record['n']:,}" if "n" in record else ""
    yield f"{record['case']}, {record['data']}{size}"
    memory = {
        f"memory of {name}": taken["peak_bytes"] / MEGABYTE
        for name, taken in record["contenders"].items()
        if "peak_bytes" in taken
    }
    if "same_first_picks" in record:
        yield f"    picks like QUESTS' up to number {record['same_first_picks']} of {record['picks']}"
    for name, value in (record["ratios"] | memory).items():
        shown = f"{value:.0f} MB" if name in memory else f"{value:.2f}"
        yield f"    {name:50}{shown:>10}   {_verdict(record, name, value)}".rstrip()


def _verdict(record: Record, name: str, value: float) -> str:
    for goal in GOALS:
        if (goal.case, goal.name) == (record["case"], name) and fnmatch(record["data"], goal.data):
            bound = f"at least {goal.least:g}" if goal.least else f"at most {goal.most:g}"
            return f"{'met' if goal.least <= value <= goal.most else 'MISSED'}: {bound}"
    return ""
