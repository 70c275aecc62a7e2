"""Random damage to a working folder: every result is read back as it was written, or known to be damaged.

    python tests/campaigns/store_damage.py --number 100000

One accident after another happens to a file of the folder that three commands left, a result or a manifest.
After each the file is read as a command would read it, and put back.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "disk"))

from damage import damaged, kinds
from driver import crystals, small_shards

import quests_jax as qj
from quests_jax.cli import main as command
from quests_jax.disk.checksummed_arrays import Damaged, read_arrays
from quests_jax.disk.working_folder import manifest_of


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder)
        print(json.dumps(dict(outcomes(folder / "work", options.number, options.seed))))
    return 0


def fill(folder: Path) -> None:
    """Work on a few crystals, of which every stage has a result."""
    small_shards()
    qj.write(folder / "data.xyz", crystals(40, atoms=4))
    words = [str(folder / "data.xyz"), "--work", str(folder / "work"), "--json", "-k", "4", "-c", "4"]
    for more in (["metrics"], ["metrics", "--sample", "20"], ["compress", "-m", "cover", "-s", "5"]):
        with contextlib.redirect_stdout(io.StringIO()):
            assert command([*more[:1], *words, *more[1:]]) == 0


def outcomes(folder: Path, number: int, seed: int) -> Counter[str]:
    """What came of each accident; `silent`, `unnoticed` and `fault` must not occur."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    whole = {path: path.read_bytes() for path in files}
    expected = {path: read(path) for path in files}
    moments, found = random.Random(seed), Counter()
    for _ in range(number):
        path, other = moments.choice(files), moments.choice(files)
        harmed = damaged(whole[path], whole[other], moments.choice(kinds), moments)
        path.write_bytes(harmed)
        try:
            result = "same" if same(read(path), expected[path]) else "silent"
            if result == "same" and harmed != whole[path] and path.suffix == ".arrays":
                result = "unnoticed"
        except Damaged:
            result = "noticed"
        except Exception as error:
            result = f"fault: {type(error).__name__}"
        found[result] += 1
        path.write_bytes(whole[path])
    return found


def read(path: Path) -> dict:
    if path.suffix == ".arrays":
        return read_arrays(path, f"{path.parent.name}/{int(path.stem)}")
    about = manifest_of(path.parent)
    if about is None:
        raise Damaged(str(path))
    return {
        key: np.array(json.dumps(about[key], sort_keys=True)) for key in ("stage", "parameters", "layout")
    }


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and one[name].tobytes() == other[name].tobytes() for name in one
    )


if __name__ == "__main__":
    sys.exit(main())
