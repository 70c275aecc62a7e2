"""Measure this library against QUESTS, NumPy and the roofline in one run: see README.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
from baselines import SAMPLE, TILES, measure_roofline
from cases_atoms import descriptors
from cases_compress import compress, growth
from cases_cover import greedy, msc, relaxed
from cases_kernel import delta_entropy, entropy, gradient, scaling
from cases_process import command_line, reading
from figure import draw, draw_growth
from inputs import Inputs, find_inputs, generated_inputs
from measuring import Record
from peer import start_peer
from setting import OURS, Setting
from summary import exponents, text

from quests_jax.base.jax_versions import versions

jax.config.update("jax_enable_x64", True)  # of this process: it calls JAX itself

KERNELS = (descriptors, entropy, scaling, delta_entropy, gradient)
CASES = (*KERNELS, msc, greedy, relaxed, reading, command_line, compress, growth)
SIZES = (2_000, 6_000, 20_000, 60_000)  # and all of the pool
POOL = 200_000  # environments of a generated pool
SMOKE_SIZES = (200,)
SMOKE_ENVIRONMENTS = 120  # two copies of them fit one tile, so that one program serves all parts
SMOKE_SAMPLE = 1_000_000  # pairs per measurement of a rate
ROUNDS = 3
SEED = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the ratios, and keep the results up to date on the way."""
    options = _parse(arguments)
    with tempfile.TemporaryDirectory() as folder, start_peer(options.peer_python) as peer:
        sizes = tuple(options.sizes or (SMOKE_SIZES if options.smoke else SIZES))
        growing = tuple(options.sizes or (SMOKE_SIZES if options.smoke else ()))
        rounds, *rates = (1, TILES[:1], SMOKE_SAMPLE) if options.smoke else (ROUNDS, TILES, SAMPLE)
        inputs = _smoke_inputs() if options.smoke else find_inputs(max(options.sizes or [POOL]))
        roofline = {dtype: measure_roofline(dtype, rounds, *rates) for dtype in OURS}
        setting = Setting(inputs, peer, roofline, Path(folder), sizes, growing, rounds, SEED, options.smoke)
        header = _header(setting, smoke=options.smoke)
        skipped = [] if peer else [f"QUESTS: not installed in {options.peer_python}"]
        asked = options.cases or [case.__name__ for case in CASES if not (options.smoke and case is growth)]
        cases = [case for case in CASES if case.__name__ in asked]
        records = _kept(options.output) if options.cases else []
        for record in _measured(setting, cases):
            same = {"case": record["case"], "data": record["data"], "n": record.get("n")}
            records = [old for old in records if same != {name: old.get(name) for name in same}] + [record]
            _write(options.output, header, records, skipped)
    _write(options.output, header, records, skipped)
    draw(records, options.output.with_name("figure.png"))
    draw_growth(records, options.output.with_name("growth.png"))
    print(text(records, skipped))
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="tiny and bundled data, one round: does it run?")
    parser.add_argument(
        "--sizes", type=int, nargs="+", metavar="N", help=f"of parts, default {SIZES}; of growth"
    )
    parser.add_argument("--output", type=Path, help="default: results.json, with --smoke smoke/results.json")
    names = [case.__name__ for case in CASES]
    parser.add_argument("--cases", nargs="+", choices=names, help="only these; other results are kept")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has QUESTS")
    options = parser.parse_args(arguments)
    folder = Path(__file__).parent / ("smoke" if options.smoke else "")
    options.output = options.output or folder / "results.json"
    options.output.parent.mkdir(exist_ok=True)
    if not options.output.parent.is_dir():
        parser.error(f"--output: there is no directory {options.output.parent}")
    return options


def _smoke_inputs() -> Inputs:
    return generated_inputs(2 * SMOKE_ENVIRONMENTS, limit=SMOKE_ENVIRONMENTS)


def _kept(path: Path) -> list[Record]:
    """Records of an earlier run."""
    return json.loads(path.read_text(encoding="utf-8"))["records"] if path.exists() else []


def _measured(setting: Setting, cases: Sequence[Callable[[Setting], Iterator[Record]]]) -> Iterator[Record]:
    for case in cases:
        for record in case(setting):
            print(f"{record['case']}: {record['data']}", file=sys.stderr, flush=True)
            yield record


def _write(path: Path, header: Record, records: list[Record], skipped: list[str]) -> None:
    results = header | {"exponents": exponents(records), "skipped": skipped, "records": records}
    path.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _header(setting: Setting, *, smoke: bool) -> Record:
    peer = setting.peer
    return {
        "seed": setting.seed,
        "smoke": smoke,
        "source": setting.inputs.source,
        "rounds": setting.rounds,
        "bandwidth": 0.015,
        "device": {
            "backend": jax.default_backend(),
            "devices": [str(device) for device in jax.devices()],
            "cores": os.cpu_count(),
            "processor": _processor(),
        },
        "versions": versions(),
        "peer_versions": peer.versions if peer else None,
        "roofline": {dtype: rates._asdict() for dtype, rates in setting.roofline.items()},
    }


def _processor() -> str:
    """Name of the processor where the system tells it, else its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
