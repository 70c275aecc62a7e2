"""One call of a command: the parameters in force, what it reads, how long it takes, what it delivers."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from quests_jax.atoms.element_channels import IGNORE
from quests_jax.atoms.formats import XYZ_SUFFIXES, structure_suffix
from quests_jax.atoms.learned import Scaling
from quests_jax.atoms.reading import read
from quests_jax.atoms.writing import refuse_unsupported
from quests_jax.base import signals
from quests_jax.base.checks import FlawedStructure, InputError, check_count, check_positive
from quests_jax.base.environments import Environments, joined
from quests_jax.base.progress import timed
from quests_jax.cli.bandwidth_choice import (
    AUTO,
    ByElement,
    Own,
    apart_from_common,
    by_element,
    rounded,
    settle_elements,
    typed_own,
)
from quests_jax.cli.descriptor_choice import (
    OF_DESCRIPTORS,
    OF_ELEMENTS,
    check_made_with,
    described,
    in_words,
    note_elements,
    settle,
)
from quests_jax.cli.file_arguments import STDIN, Input, Inputs, named, standard_input
from quests_jax.cli.input_contents import Data, Given, part_of
from quests_jax.datasets import load
from quests_jax.disk import Work
from quests_jax.output.files import DESCRIPTOR_SUFFIXES, read_descriptors
from quests_jax.studies.bandwidths import (
    DISAGREEMENT,
    Fit,
    Recommendation,
    bandwidth_fit,
    bandwidth_warning,
    recommendation_text,
    recommended_bandwidth,
    typical_volume,
    with_bandwidths,
)

# outputs of structures as they were read, see `add_labels`
COPYING = ("structures", "choice", "atoms", "diagnosis")


class Report(NamedTuple):
    """What a command found: numbers for JSON, rows for the table, and data for other outputs."""

    data: dict[str, Any]
    rows: Sequence[Sequence[Any]]
    header: Sequence[str] = ("", "")
    structures: Sequence[Atoms] = ()
    envs: Environments | None = None
    draw: Callable[[Path], None] | None = None
    view: Callable[[Path], None] | None = None
    advice: Sequence[str] = ()  # what it means and what to do, in sentences for a person
    failed: bool = False  # whether the exit code is to say that something was found
    sets: Sequence[Sequence[Atoms]] = ()  # of several files, in their order; empty ones are not written
    sheet: Sequence[dict[str, Any]] = ()  # rows of a .csv file
    apart: dict[Path, Sequence[Atoms]] = {}  # files of structures with an option of their own


class Writing(NamedTuple):
    """What a command is to write, and of which structures."""

    outputs: Sequence[Path] = ()
    inputs: Inputs | None = None  # whose structures are written
    kind: str = "numbers"  # see `OUTPUT_SUFFIXES`
    drop_unsupported: bool = False

    def check(self, structures: Sequence[Atoms]) -> None:
        """Raise `InputError` if an output cannot hold something of these structures."""
        for path in () if self.drop_unsupported else self.outputs:
            if structure_suffix(path) is not None:
                refuse_unsupported(path, structures, chosen=self.kind in COPYING)

    @property
    def converts(self) -> bool:
        """Whether structures of extended xyz are written in another format."""
        return any(structure_suffix(path) not in (None, *XYZ_SUFFIXES) for path in self.outputs)


@dataclasses.dataclass(frozen=True)
class Run:
    """One call of a command: the parameters in force, and the seconds that each stage took."""

    command: str  # as it was typed
    parameters: dict[str, Any]
    started: float = dataclasses.field(default_factory=signals.beginning)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    anonymous: list[str] = dataclasses.field(default_factory=list)  # descriptors made by who knows what
    work: Work | None = None  # where to work on data past memory
    automatic: list[Recommendation] = dataclasses.field(default_factory=list)  # of --bandwidth auto
    own: Own = dataclasses.field(default_factory=dict)  # bandwidths of elements
    warnings: list[str] = dataclasses.field(default_factory=list)
    writing: Writing = Writing()
    usual_bandwidth: bool = False  # whether it is the default, which is that of our own descriptors
    widths: dict[str, tuple[str, int]] = dataclasses.field(default_factory=dict)  # of the first data
    scalings: list[Scaling | None] = dataclasses.field(default_factory=list)  # of --scale, once it is known

    def check(self) -> None:
        """Raise `InputError` for parameters out of range; None stands for those that mean nothing."""
        settle(self.parameters)
        if isinstance(typed := self.parameters.get("bandwidth"), ByElement):
            if self.parameters.get("elements", IGNORE) == IGNORE:
                raise InputError("elements are not told apart here; give one --bandwidth for all.")
            self.parameters["bandwidth"] = typed.others
            self.own.update(typed_own(typed))
        for name, value in self.parameters.items():
            if name in ("k", "cutoff", "bandwidth") and value not in (None, AUTO):
                check_count(name, value, minimum=2) if name == "k" else check_positive(name, value)
        self.add({"start": time.perf_counter() - self.started})

    def load(self, inputs: Inputs) -> Data:
        """Structures and their environments."""
        return self.describe(self.read(inputs, check=False))

    def read(self, inputs: Inputs, *, check: bool = True) -> Given:
        """Structures of all files, one after the other; or environments, if any is a file of descriptors.

        Without `check`, also structures with positions or cells that cannot be; `describe` refuses them.
        """
        with self.stage("reading"):
            parts = [self._read(file, check) for file in inputs.files]
        places = [place for part in parts for place in part.places]
        if all(part.described is None for part in parts):
            structures = [atoms for part in parts for atoms in part.structures]
            if inputs is self.writing.inputs:
                self.writing.check(structures)
            return Given(inputs.name, structures, places)
        described = [self.described(part) for part in parts]
        return Given(inputs.name, [], places, described[0] if len(parts) == 1 else joined(described))

    def describe(self, given: Given) -> Data:
        """The environments of what was read, on the scale of their bandwidths."""
        envs = self.described(given)
        if self.own or self.automatic or self.parameters.get("bandwidth") == AUTO:
            envs = self.at_bandwidths(envs, self.volume(given))
        return Data(given.name, given.structures, given.places, envs)

    def volume(self, given: Given) -> float | None:
        """Typical volume per atom in Å³, where it says something about the bandwidth."""
        return None if self.is_learned else typical_volume(given.structures)

    def described(self, given: Given) -> Environments:
        """The environments of what was read, as the descriptor gives them."""
        if given.described is not None:
            self._check_width(given.name, given.described.x.shape[1])
            return given.described
        with self.stage("descriptors"):
            if not any(map(len, given.structures)):
                raise InputError(f"{given.name}: holds no atoms; give structures with at least one.")
            try:
                envs = described(given.structures, self.parameters, self.scalings)
            except FlawedStructure as error:
                file, index = given.places[error.number]
                raise InputError(f"{file}: structure {index}{error.flaw}") from None
        self._check_width(given.name, envs.x.shape[1])
        note_elements(given.name, given.structures, self.parameters)
        return envs

    def _read(self, file: Input, check: bool) -> Given:
        if file.path == STDIN:
            with standard_input() as path, named(path, "standard input"):
                return part_of(file, read(path, check=check))
        if not file.path.endswith(DESCRIPTOR_SUFFIXES):
            return part_of(file, read(file.path, check=check) if file.is_file else load(file.path))
        envs, made_with = read_descriptors(Path(file.path))
        if file.part is not None:
            raise InputError(f"{file.path}: holds descriptors; a part of it cannot be taken.")
        if made_with.get("descriptor") is not None and self.parameters.get("descriptor") is None:
            known = {name: made_with[name] for name in OF_DESCRIPTORS if name in self.parameters}
            self.parameters.update(known)
            if self.usual_bandwidth:
                self.parameters["bandwidth"] = AUTO  # the default is that of our own descriptors
        check_made_with(file.path, made_with, self.parameters)
        if not made_with:
            self._note_anonymous(file.path, envs.n_structures)
        if envs.elements is None and "elements" in self.parameters:
            self.parameters["elements"] = IGNORE  # nobody knows them
        return Given(file.path, [], [(file.path, number) for number in range(envs.n_structures)], envs)

    def _note_anonymous(self, path: str, n_structures: int) -> None:
        """Remember a file that does not say what made it; say once that the default bandwidth is a guess."""
        guessed = self.usual_bandwidth and not self.anonymous and self.parameters["bandwidth"] != AUTO
        if guessed and n_structures > 1:
            text = f"{path}: does not say what its descriptors are; the default bandwidth is that for QUESTS'"
            warnings.warn(f"{text}. Add --bandwidth auto, or a number.", stacklevel=2)
        self.anonymous.append(path)

    def _check_width(self, name: str, features: int) -> None:
        """Refuse environments with another number of features than those before."""
        first, width = self.widths.setdefault("first", (name, features))
        if features != width:
            raise InputError(
                f"{name}: has {features} features per environment, but {first} has {width}; describe "
                "both with the same parameters."
            )

    def at_bandwidths(self, envs: Environments, volume: float | None) -> Environments:
        """Environments on the scale at which each element is seen at its own bandwidth."""
        if "bandwidth" not in self.parameters:
            return envs
        self.settle_bandwidth(envs, volume)
        own = apart_from_common(self.own)
        return with_bandwidths(envs, own, bandwidth=self.bandwidth) if own else envs

    def settle_bandwidth(self, envs: Environments, volume: float | None) -> None:
        """Take what fits the first data of several structures, and the first data that hold an element."""
        first = self.parameters["bandwidth"] == AUTO and np.count_nonzero(envs.counts) > 1
        if first:
            with self.stage("bandwidth"):
                found = recommended_bandwidth(envs, volume=volume)
            self.automatic.append(found)
            if found.disagreement > DISAGREEMENT:
                text = f"the rules for the bandwidth are {found.disagreement:.1f} times apart"
                warnings.warn(f"{text}: compare results at both ends before you rely on one.", stacklevel=2)
            self.parameters["bandwidth"] = rounded(found.value)
        with self.stage("bandwidth") if self.automatic else nullcontext():
            settle_elements(envs, self.own, auto=bool(self.automatic))
        if first and (own := apart_from_common(self.own)):
            self.parameters["bandwidth"] = rounded(float(np.median([*own.values()])))

    def judge_bandwidth(self, envs: Environments) -> Fit:
        """Whether the bandwidth fits; if not, say on stderr and in JSON what follows and what to use."""
        with self.stage("bandwidth"):
            fit = bandwidth_fit(envs, bandwidth=self.bandwidth)
        if (text := bandwidth_warning(fit)) is not None:
            self.warnings.append(text)
            warnings.warn(text, stacklevel=2)
        return fit

    def writes(self, suffix: str) -> bool:
        """Whether a file of this kind is to be written."""
        return any(path.suffix == suffix for path in self.writing.outputs)

    def refuse_bare_matrix(self, inputs: Inputs) -> None:
        """Raise `InputError` for environments of which nobody knows the structures."""
        for file in inputs.files:
            if file.path.endswith(".npy"):
                words = "does not say which structure an environment is of; use a .npz file."
                raise InputError(f"{file.path}: {words}")

    def add(self, seconds: dict[str, float]) -> None:
        """Add the seconds that a study took to those of this run."""
        for name, value in seconds.items():
            self.seconds[name] = round(self.seconds.get(name, 0.0) + value, 3)

    @property
    def is_learned(self) -> bool:
        """Whether the descriptor is another than that of QUESTS, whose rules by volume mean nothing then."""
        return self.parameters.get("descriptor") is not None

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Time the block under this name."""
        return timed(self.seconds, name)

    @property
    def bandwidth(self) -> float:
        """Kernel bandwidth, in Å⁻¹."""
        if self.parameters["bandwidth"] == AUTO:
            raise InputError("--bandwidth auto needs data of two structures at least; give a number.")
        return self.parameters["bandwidth"]

    def caption(self) -> str:
        """The parameters in words."""
        automatic = "".join(f" ({recommendation_text(found)})" for found in self.automatic)
        return in_words(self.stated(), ours=not (self.is_learned or self.anonymous)) + automatic

    def title(self, name: str) -> str:
        """Title of a figure: what was read, and the parameters in a line of their own."""
        return f"{name}\n{self.caption()}"

    def stated(self) -> dict[str, Any]:
        """The parameters as far as they are known to hold for all the data."""
        known = self.parameters | (dict.fromkeys(OF_DESCRIPTORS) if self.anonymous else {})
        if "bandwidth" in known and "elements" in known:
            known[OF_ELEMENTS] = by_element(self.own, known["bandwidth"])
        return known
