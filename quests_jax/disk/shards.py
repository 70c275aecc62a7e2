"""Files become environments on disk, shard by shard; a shard is a run of whole structures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from quests_jax.atoms.describe import descriptor_width, get_descriptors
from quests_jax.atoms.element_channels import IGNORE, check_mode, numbers_of
from quests_jax.base.checks import FlawedStructure, InputError
from quests_jax.base.environments import Environments, from_arrays, joined, of_structures
from quests_jax.base.precision import follows_dtype
from quests_jax.disk.structures import Part, Structures, open_structures, shards_of
from quests_jax.disk.working_folder import Stage, Work

SHARD_ROWS = 32_768  # environments in a shard, at most: 17 MB of descriptors for k = 32
SHARD_STRUCTURES = 512


class Shards(NamedTuple):
    """Environments of a data set in the order of its files.

    >>> from pathlib import Path
    >>> from ase.build import bulk
    >>> import quests_jax as qj
    >>> qj.write("cells.xyz", [bulk("Si", a=a) for a in (5.3, 5.4, 5.5, 5.6)])
    >>> shards = describe_files(Work(Path("work")), [Path("cells.xyz")], k=8, cutoff=4.0)
    >>> shards.n_environments, shards.counts.tolist()
    (8, [2, 2, 2, 2])
    """

    structures: Structures
    runs: list[range]  # structures of each shard
    stage: Stage
    parameters: dict[str, Any]  # what the descriptors depend on

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers are sent where it is, and find the rest."""
        return _opened, (self.structures, self.parameters)

    @property
    def counts(self) -> np.ndarray:
        """Environments of each structure, shape [S]."""
        return self.structures.counts

    @property
    def n_environments(self) -> int:
        """n."""
        return int(self.counts.sum())

    @property
    def width(self) -> int:
        """d."""
        return descriptor_width(*(self.parameters[name] for name in ("k", "elements", "species")))

    @property
    def nothing(self) -> Environments:
        """No environments, of the kind that this data set has."""
        labels = None if self.parameters["elements"] == IGNORE else np.zeros(0, np.int32)
        return Environments(np.zeros((0, self.width)), np.zeros(0, np.int32), 0, labels)

    @property
    def outline(self) -> Environments:
        """All environments without descriptors: which structure each belongs to."""
        number = np.repeat(np.arange(len(self.counts), dtype=np.int32), self.counts)
        return Environments(np.zeros((len(number), 0)), number, len(self.counts))

    @property
    def most(self) -> int:
        """Most structures of a shard."""
        return self.parameters["shard_structures"]

    def elements(self) -> list[int]:
        """Atomic numbers that are told apart, ascending."""
        if self.parameters["elements"] == IGNORE:
            return []
        found = [self.stage.load(shard, "elements")["elements"] for shard in range(len(self.runs))]
        return np.unique(np.concatenate(found)).tolist()

    def x(self, shard: int) -> np.ndarray:
        """Descriptors of a shard, shape [rows, d], Å⁻¹."""
        return self.stage.load(shard, "x")["x"]

    def environments(self, shard: int) -> Environments:
        """Environments of a shard; structures are counted from its first."""
        arrays = self.stage.load(shard)
        number = self.structure_id(shard)
        return Environments(arrays["x"], number, len(self.runs[shard]), arrays.get("elements"))

    def first_row(self, shard: int) -> int:
        """Number of the first environment of a shard."""
        return int(self.counts[: self.runs[shard].start].sum())

    def structure_id(self, shard: int) -> np.ndarray:
        """Structure of each row of a shard, counted from the first of the shard."""
        own = self.counts[self.runs[shard].start : self.runs[shard].stop]
        return np.repeat(np.arange(len(own), dtype=np.int32), own)

    def of(self, structures: Sequence[int] | np.ndarray) -> Environments:
        """The environments of some structures, in the order of the file."""
        wanted = np.zeros(len(self.counts), bool)
        wanted[np.asarray(structures, int)] = True
        return self.some(np.flatnonzero(np.repeat(wanted, self.counts)))

    def structures_of(self, numbers: np.ndarray) -> Environments:
        """The environments of structures with ascending numbers, which are numbered from 0 in the result."""
        parts = [self.nothing]
        for shard, run in enumerate(self.runs):
            own = numbers[(numbers >= run.start) & (numbers < run.stop)] - run.start
            if len(own):
                parts.append(of_structures(self.environments(shard), own))
        return joined(parts)

    def some(self, wanted: np.ndarray) -> Environments:
        """Environments with ascending numbers; structures are not told apart."""
        parts = [self.nothing]
        for shard, run in enumerate(self.runs):
            start = self.first_row(shard)
            size = int(self.counts[run.start : run.stop].sum())
            own = wanted[(wanted >= start) & (wanted < start + size)] - start
            if len(own):
                parts.append(self.environments(shard).take(own))
        return joined(parts)


def drawn_structures(shards: Shards, most: int, *, seed: int = 0) -> tuple[Environments, np.ndarray]:
    """Environments of whole structures drawn until they hold `most`, and the ascending numbers of those.

    >>> from pathlib import Path
    >>> from ase.build import bulk
    >>> import quests_jax as qj
    >>> qj.write("cells.xyz", [bulk("Si", a=a) for a in (5.3, 5.4, 5.5, 5.6)])
    >>> shards = describe_files(Work(Path("work")), [Path("cells.xyz")], k=8, cutoff=4.0)
    >>> some, numbers = drawn_structures(shards, 4)
    >>> len(some), len(numbers)
    (4, 2)
    """
    order = np.random.default_rng(seed).permutation(len(shards.counts))
    chosen = np.sort(order[: int(np.searchsorted(np.cumsum(shards.counts[order]), most)) + 1])
    return shards.structures_of(chosen), chosen


def describe_files(work: Work, files: Sequence[Path | tuple[Path, Part]], **options: Any) -> Shards:
    """Descriptors of files in the order given, stored in `work`; existing ones are used again.

    A file may stand with a part of its structures, a slice or a number. Options are those of
    `describe_structures`.

    Raises:
      InputError: what `open_structures` and `get_descriptors` refuse, naming file, structure and atom.

    >>> from pathlib import Path
    >>> from quests_jax.datasets import bundled
    >>> shards = describe_files(Work(Path("work")), [bundled()], k=8, cutoff=4.0)
    >>> sum(len(run) for run in shards.runs)  # structures
    181
    """
    each = [file if isinstance(file, tuple) else (file, None) for file in files]
    return describe_structures(open_structures(work, each), **options)


@follows_dtype
def describe_structures(
    structures: Structures,
    *,
    k: int,
    cutoff: float,
    elements: str = IGNORE,
    species: Sequence[str] | None = None,
) -> Shards:
    """`describe_files` for structures that have been found.

    >>> from quests_jax.datasets import bundled
    >>> structures = open_structures(Work(Path("work")), [(bundled(), slice(4))])
    >>> shards = describe_structures(structures, k=8, cutoff=4.0)
    >>> len(shards.environments(0)) == shards.n_environments  # all in one shard
    True
    """
    if not structures.counts.sum():
        raise InputError(f"{structures.files[0].path}: holds no atoms; give structures with at least one.")
    made_with = {"k": k, "cutoff": cutoff, "elements": check_mode(elements)}
    made_with |= {"species": None if species is None else list(species)}
    limits = {"shard_rows": SHARD_ROWS, "shard_structures": SHARD_STRUCTURES}
    parameters = {"data": structures.data.folder.name} | limits | made_with
    shards = _opened(structures, parameters)
    shards.stage.complete(len(shards.runs), partial(_describe, shards))
    return shards


def on_scales(shards: Shards, scales: np.ndarray) -> Shards:
    """The same environments, those of each element multiplied by its scale; scales [119] by atomic number."""
    scaled = _opened(shards.structures, shards.parameters | {"scales": np.asarray(scales).tolist()})
    scaled.stage.complete(len(scaled.runs), partial(_scaled, shards, scales))
    return scaled


def _scaled(shards: Shards, scales: np.ndarray, shard: int) -> dict[str, np.ndarray]:
    arrays = shards.stage.load(shard)
    return arrays | {"x": arrays["x"] * scales[arrays["elements"]][:, None]}


def _opened(structures: Structures, parameters: dict[str, Any]) -> Shards:
    runs = _runs(structures, parameters["shard_rows"], parameters["shard_structures"])
    return Shards(structures, runs, structures.work.stage("descriptors", parameters), parameters)


@lru_cache(maxsize=2)
def _runs(structures: Structures, rows: int, most: int) -> list[range]:
    return shards_of(structures.counts, rows=rows, structures=most)


def _describe(shards: Shards, shard: int) -> dict[str, np.ndarray]:
    """Environments of a shard."""
    run = shards.runs[shard]
    structures = shards.structures.bare(run)
    if not any(map(len, structures)):
        return shards.nothing.arrays()
    options = {name: shards.parameters[name] for name in ("k", "cutoff", "elements", "species")}
    try:
        x = get_descriptors(structures, **options)
    except FlawedStructure as error:
        file, index = shards.structures.place(run.start + error.number)
        raise InputError(f"{file}: structure {index}{error.flaw}") from None
    return {"x": x} | ({} if options["elements"] == IGNORE else {"elements": numbers_of(structures)})


@lru_cache(maxsize=2)
def kept_environments(stage: Stage) -> Environments:
    """Environments that are the only result of a stage."""
    return from_arrays(stage.load(0))
