"""Everything the report says of a data set: how redundant it is, how many structures suffice, what is odd.

The page and the terminal present a `Survey`; nothing there computes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from quests_jax import information
from quests_jax.atoms.labels import Labels, find_labels
from quests_jax.base.environments import Environments
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.base.selection_size import as_size
from quests_jax.cover import Selection, greedy_cover
from quests_jax.cover.posing import pose
from quests_jax.cover.rules.registry import find_rule
from quests_jax.studies.bandwidths import Fit, bandwidth_fit
from quests_jax.studies.comparison import compare_environments, config_types, force_tail
from quests_jax.studies.force_tails import compare_tails, norms_of
from quests_jax.studies.kept_information import entropies_of_all
from quests_jax.studies.outliers import Outliers, find_outliers
from quests_jax.studies.overlaps import Comparison, compare_with_reference
from quests_jax.studies.saturation import Saturation, saturation
from quests_jax.studies.splitting import isolated

METHODS = ("msc", "cover", "random")
FULL_METHODS = ("msc", "cover", "relaxed", "random")
SIZES = (0.05, 0.1, 0.25, 0.5)
KEPT = 0.1  # share of structures that the map shows as kept, and whose force tails are measured
REPEATS = 3  # random orders of the learning curve
ENOUGH = 0.99  # share of the environments whose coverage counts as enough


class Quality(NamedTuple):
    """What is missing or not finite among the labels, by number of structure."""

    without_energy: list[int]
    without_forces: list[int]
    not_finite: list[int]


class Survey(NamedTuple):
    """What is known of a data set of S structures and n environments."""

    contents: dict[str, Any]
    labels: Labels | None
    quality: Quality
    fit: Fit
    entropy: float
    diversity: float
    saturation: Saturation
    outliers: Outliers  # against all other structures
    alone: np.ndarray  # [n] whether an environment is a single atom without neighbors
    cover: Selection  # greedy, until everything that can be covered is
    comparison: list[dict[str, Any]]
    force_norms: np.ndarray | None  # [n] eV/Å, NaN where unknown
    kept_forces: dict[str, np.ndarray]  # by rule, of the structures that it keeps
    force_tails: dict[str, dict[str, Any]]
    against: Comparison | None  # with a reference
    covers: float | None  # share of the reference that the data cover

    @property
    def suffice(self) -> int | None:
        """Structures of the greedy cover that cover `ENOUGH` of the environments; None if it never does."""
        covered = np.cumsum(self.cover.gains)
        reached = np.flatnonzero(covered >= ENOUGH - 1e-9)
        return int(reached[0]) + 1 if len(reached) else None


@follows_dtype
def survey(
    structures: Sequence[Atoms],
    envs: Environments,
    *,
    bandwidth: float,
    known: Environments | None = None,
    full: bool = False,
) -> Survey:
    """Measure a data set for a report.

    Args:
      structures: the data set; empty if only its environments are known.
      envs: environments of its S structures.
      bandwidth: h in Å⁻¹.
      known: environments of a reference.
      full: also bounds of what any choice can cover, and the relaxed rule; minutes for large sets.
    """
    labels = find_labels(structures) if structures else None
    norms = None if labels is None else _force_norms(structures, labels)
    posed = pose(envs, bandwidth=bandwidth)
    entropy, diversity = entropies_of_all(envs, bandwidth=bandwidth, posed=posed, exact=True)
    advance("survey", 1, 5)
    curve = saturation(envs, repeats=REPEATS, bandwidth=bandwidth)
    outliers = _outliers(envs, bandwidth)
    advance("survey", 2, 5)
    cover = greedy_cover(posed.problem, coverage=1.0)
    advance("survey", 3, 5)
    chosen: dict[tuple[str, int], Selection] = {}
    comparison = compare_environments(
        envs,
        sizes=[size for size in SIZES if round(size * envs.n_structures) >= 1] or [1.0],
        methods=FULL_METHODS if full else METHODS,
        bandwidth=bandwidth,
        tail=force_tail(structures),
        bounds=full,
        told=lambda name, size, choice: chosen.update({(name, size): choice}),
    )
    advance("survey", 4, 5)
    kept, tails = _tails(envs, norms, bandwidth, chosen)
    return Survey(
        contents=_contents(structures, envs),
        labels=labels,
        quality=_quality(labels),
        fit=bandwidth_fit(envs, bandwidth=bandwidth),
        entropy=entropy.value,
        diversity=diversity.value,
        saturation=curve,
        outliers=outliers,
        alone=isolated(envs)[np.asarray(envs.structure_id)],
        cover=cover,
        comparison=comparison,
        force_norms=norms,
        kept_forces=kept,
        force_tails=tails,
        against=None if known is None else compare_with_reference(envs, known, bandwidth=bandwidth),
        covers=None if known is None else float(information.overlap(known, envs, bandwidth=bandwidth)),
    )


def _outliers(envs: Environments, bandwidth: float) -> Outliers:
    """Outliers among the environments; a single structure has none."""
    if envs.n_structures < 2:
        return Outliers(np.zeros(len(envs)), 0.0, [])
    return find_outliers(envs, bandwidth=bandwidth)


def _contents(structures: Sequence[Atoms], envs: Environments) -> dict[str, Any]:
    found: dict[str, Any] = {"structures": envs.n_structures, "environments": int(envs.counts.sum())}
    found["atoms_min"], found["atoms_max"] = int(envs.counts.min()), int(envs.counts.max())
    if structures:
        found["elements"] = dict(
            Counter(symbol for atoms in structures for symbol in atoms.symbols).most_common()
        )
        periodic = ("".join("FT"[int(p)] for p in atoms.pbc) for atoms in structures)
        found["periodicity"] = dict(Counter(periodic).most_common())
    if (types := config_types(structures)) is not None:
        found["config_types"] = dict(Counter(types).most_common())
    return found


def _quality(labels: Labels | None) -> Quality:
    if labels is None:
        return Quality([], [], [])
    held = list(zip(labels.energy, labels.forces, strict=True))
    return Quality(
        without_energy=[i for i, (energy, _) in enumerate(held) if energy is None],
        without_forces=[i for i, (_, forces) in enumerate(held) if forces is None],
        not_finite=[i for i, values in enumerate(held) if not all(map(_is_finite, values))],
    )


def _is_finite(value: float | np.ndarray | None) -> bool:
    return value is None or bool(np.isfinite(value).all())


def _force_norms(structures: Sequence[Atoms], labels: Labels) -> np.ndarray | None:
    """|F| of every atom in eV/Å, NaN where there is none or it is not finite; None without any."""
    norms = [
        np.full(len(atoms), np.nan) if norm is None else norm
        for atoms, norm in zip(structures, norms_of(labels), strict=True)
    ]
    joined = np.concatenate(norms)
    joined[~np.isfinite(joined)] = np.nan
    return None if np.isnan(joined).all() else joined


def _tails(
    envs: Environments,
    norms: np.ndarray | None,
    bandwidth: float,
    chosen: dict[tuple[str, int], Selection],
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
    if norms is None:
        return {}, {}
    known, number = ~np.isnan(norms), np.asarray(envs.structure_id)
    kept, count = {}, as_size(KEPT).of(envs.n_structures)
    for method in METHODS:
        choice = chosen.get((method, count))
        if choice is None:
            choice = find_rule(method).choose(envs, size=count, bandwidth=bandwidth, reference=None)
        kept[method] = norms[known & np.isin(number, choice.selected)]
    kept = {method: values for method, values in kept.items() if len(values)}
    return kept, {method: compare_tails(values, norms[known]) for method, values in kept.items()}
