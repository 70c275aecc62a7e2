"""Random calls of the public functions of `information` and `cover` against loops in longdouble.

Each call draws a function, a dtype, a width, sizes on both sides of a tile, a magnitude between 1e-8 and
1e8, a bandwidth, rows far away, weights with zeros, elements that are told apart and, in one call of five,
one bad entry. A call is right if it refuses the bad entry by argument and row, and if its numbers are within
the error that `information.sums` promises.

    PYTHONPATH=tests python -m campaigns.information_fuzz sums 5000
    PYTHONPATH=tests python -m campaigns.information_fuzz gradients 2000
    PYTHONPATH=tests python -m campaigns.information_fuzz estimates 1500
    PYTHONPATH=tests python -m campaigns.information_fuzz covers 1500

Tiles are small here, so that few rows fill many, and all sizes share the programs of 64 rows; a few calls are
made at the thresholds themselves. Bounds of covers have a campaign of their own, `cover_fuzz`.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable

import jax
import numpy as np
from campaigns.calls import DTYPES, FEWER, WAYS, WIDTHS, draw, judge, small_tiles
from campaigns.cover_calls import COVERS
from campaigns.estimate_calls import ESTIMATES
from campaigns.gradient_calls import GRADIENTS
from campaigns.sums_calls import FOUNDATIONS, SUMS, spoilt

from quests_jax.base.checks import InputError

FAMILIES = {"sums": SUMS, "gradients": GRADIENTS, "estimates": ESTIMATES, "covers": COVERS}
DERIVED = {3: 1.0}  # width of derivatives and of what takes many programs
SINGLE_AND_DOUBLE = {"float64": 0.5, "float32": 0.5}


def one(
    seed: int, family: str, way: str, widths: dict[int, float] | None, dtypes: dict[str, float]
) -> tuple[str, str, str]:
    """Name of the function, what came of it, and the arguments in words."""
    rng = np.random.default_rng([seed, list(FAMILIES).index(family)])
    functions = FAMILIES[family]
    name = str(rng.choice(list(functions)))
    function, may_be_bad = functions[name]
    usual = WIDTHS if name in FOUNDATIONS else FEWER if family == "sums" else DERIVED
    call = draw(rng, way, usual if widths is None else widths, dtypes)
    bad = str(rng.choice(list(may_be_bad))) if may_be_bad and rng.random() < 0.2 else ""
    told = None
    if bad:
        call, told = spoilt(call, bad, rng)
    words = f"{way} {call.dtype} y{np.shape(call.y)} x{np.shape(call.x)} h={call.h:.3g} bad={bad}"
    words += " elements" * (call.elements is not None)
    try:
        verdict = judge(function(call))
    except InputError as refusal:
        if told is None:
            return name, f"refused what is right: {refusal}", words
        named = told.search(str(refusal))
        return name, "refused" if named else f"refused without a name: {refusal}", words
    except Exception as error:  # an error of any kind is a finding
        return name, f"error {error!r}"[:300], words
    return name, f"silent about a bad {bad}" if bad else verdict, words


def way_of(seed: int, family: str) -> str:
    """The way that a call takes; gradients are not made at the thresholds."""
    way = str(np.random.default_rng([seed, 99]).choice(list(WAYS), p=list(WAYS.values())))
    return "tiles" if way == "thresholds" and family != "sums" else way


def campaign(
    family: str,
    seeds: range,
    tell: Callable[[str], None] = print,
    widths: dict[int, float] | None = None,
    dtypes: dict[str, float] = DTYPES,
    ways: tuple[str, ...] = tuple(WAYS),
) -> Counter[str]:
    """Counts of what came of the calls; whatever is wrong is told at once."""
    count: Counter[str] = Counter()
    start = time.process_time()
    for way in ways:  # one after the other: a program does not know which way it was made for
        undo = small_tiles(way)
        try:
            for seed in seeds:
                if way_of(seed, family) != way:
                    continue
                with np.errstate(all="ignore"):
                    name, verdict, words = one(seed, family, way, widths, dtypes)
                right = verdict in ("right", "refused")
                count[verdict if right else "wrong"] += 1
                if not right:
                    tell(f"seed {seed}: {name}: {verdict} ({words})")
                if count.total() % 100 == 0:
                    tell(f"{count.total()} calls: {dict(count)}, {time.process_time() - start:.0f} s")
        finally:
            undo()
    return count


def main(family: str, calls: int, first: int = 0) -> int:
    """Run a campaign; the exit code is 1 if anything is wrong."""
    jax.config.update("jax_enable_x64", True)
    dtypes = DTYPES if family == "sums" else SINGLE_AND_DOUBLE
    seeds = range(first, first + calls)
    total = campaign(family, seeds, lambda line: print(line, flush=True), dtypes=dtypes)
    print(family, dict(total), flush=True)
    return int(total["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *(int(number) for number in sys.argv[2:])))
