"""What commands read where data stay on disk, see --work."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quests_jax.atoms.reading import stream
from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.cli.bandwidth_choice import AUTO, apart_from_common
from quests_jax.cli.descriptor_choice import OF_DESCRIPTORS, OF_QUESTS
from quests_jax.cli.file_arguments import Input, Inputs
from quests_jax.cli.input_contents import Data
from quests_jax.cli.run_and_report import Run
from quests_jax.datasets import BUNDLED, bundled
from quests_jax.disk import (
    Shards,
    Work,
    describe_structures,
    digest,
    drawn_structures,
    rerun_after_repairs,
)
from quests_jax.disk.shards import on_scales
from quests_jax.disk.structures import Structures, open_structures
from quests_jax.output.files import DESCRIPTOR_SUFFIXES
from quests_jax.studies.bandwidths import SAMPLE, scales_of, typical_volume

LOOKED_AT = 4 * SAMPLE  # environments from which --bandwidth auto draws
REFERENCE = "rows, structures and volume"  # what is kept of a reference
DRAWN = 20_000  # environments in memory that stand for all where nothing else is possible


def structures_on_disk(run: Run, inputs: Inputs, work: Work) -> Structures:
    """Structures of all files, once each has been read; outputs that cannot hold them are refused."""
    if run.parameters.get("descriptor") is not None:
        raise InputError("--descriptor needs the data in memory; leave out --work.")
    files = [(_path_of(file), file.part) for file in inputs.files]
    with run.stage("reading"):
        if inputs is run.writing.inputs and run.writing.converts:
            for path in dict.fromkeys(path for path, _ in files):
                for atoms in stream(path):
                    run.writing.check([atoms])
        return open_structures(work, files)


def described_on_disk(run: Run, structures: Structures) -> Shards:
    """Their environments on the scale of their bandwidths; see `Run.at_bandwidths`."""
    with run.stage("descriptors"):
        shards = describe_structures(structures, **{name: run.parameters[name] for name in OF_QUESTS})
    if run.automatic or run.parameters.get("bandwidth") == AUTO:
        some, numbers = drawn_structures(shards, LOOKED_AT)
        run.settle_bandwidth(some, typical_volume(shards.structures.bare(numbers)))
        run.own.update({element: run.own.get(element) for element in shards.elements()})
    own = apart_from_common(run.own)
    return on_scales(shards, scales_of(own, run.bandwidth)) if own else shards


def shards_of(run: Run, inputs: Inputs, work: Work) -> Shards:
    """Environments of all files."""
    return described_on_disk(run, structures_on_disk(run, inputs, work))


def reference_of(run: Run, inputs: Inputs, work: Work) -> Environments:
    """Environments of a reference in memory, described once for all runs in the folder; see `Run.load`."""
    identity = [digest(Path(file.path)) if file.is_file else file.path for file in inputs.files]
    made_with = {name: run.parameters[name] for name in OF_DESCRIPTORS}
    parts = [str(file.part) for file in inputs.files]
    stage = work.stage("reference", {"files": identity, "parts": parts, "holds": REFERENCE} | made_with)
    if not stage.path(0).exists():
        given = run.read(inputs, check=False)
        envs, volume = run.described(given), run.volume(given)
        about = {"structure_id": np.asarray(envs.structure_id), "volume": np.array([volume or np.nan])}
        stage.keep(envs.arrays() | about)
    kept = stage.load(0)
    number, volume = kept["structure_id"], float(kept["volume"][0])
    envs = Environments(kept["x"], number, int(number[-1]) + 1, kept.get("elements"))
    return run.at_bandwidths(envs, volume if volume > 0 else None)


def load_some(run: Run, inputs: Inputs) -> Data:
    """Structures and their environments; with --work as many as `DRAWN` environments, at random."""
    work = run.work
    if work is None:
        return run.load(inputs)

    def draw() -> Data:
        shards = shards_of(run, inputs, work)
        envs, numbers = drawn_structures(shards, DRAWN)
        structures, place = shards.structures.read(numbers), shards.structures.place
        total = len(shards.counts)
        drawn_from = total if len(numbers) < total else None
        return Data(inputs.name, structures, [place(number) for number in numbers], envs, drawn_from)

    return rerun_after_repairs(draw)


def _path_of(file: Input) -> Path:
    """The file of structures that an input is."""
    if file.path.endswith(DESCRIPTOR_SUFFIXES):
        raise InputError(f"{file.path}: holds descriptors; with --work, give structures.")
    if not file.is_file and file.path != BUNDLED:
        raise InputError(f"{file.path}: data past memory must be files; load and write them first.")
    return Path(bundled() if file.path == BUNDLED else file.path)
