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
from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.progress import advance
from quests_jax.cover import Selection, cover_problem, greedy_cover
from quests_jax.cover.rules.registry import find_rule
from quests_jax.studies.bandwidths import Fit, bandwidth_fit, bandwidth_warning
from quests_jax.studies.comparison import compare_environments, config_types, force_tail
from quests_jax.studies.force_tails import compare_tails
from quests_jax.studies.measures import entropy_and_diversity

METHODS = ("msc", "cover", "random")
FULL_METHODS = ("msc", "cover", "relaxed", "random")
SIZES = (0.05, 0.1, 0.25, 0.5)
KEPT = 0.1  # share of structures that the map shows as kept, and whose force tails are measured
CURVE = (0.01, 0.03, 0.1, 0.3, 1.0)  # sample sizes of the learning curve
REPEATS = 3
QUANTILE = 0.99  # of the data's own delta entropies above which an environment is an outlier
ENOUGH = 0.99  # share of the environments whose coverage counts as enough
FAR = 1.0  # nats: an environment with a larger δH is worth a look
RISING = 0.5  # nats of information gap from which more data of this kind would be new


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
    curve: information.LearningCurve
    limit: float | None  # of the learning curve, in nats
    delta_entropy: np.ndarray  # [n] against all other structures
    threshold: float  # nats, above which an environment is an outlier
    cover: Selection  # greedy, until everything that can be covered is
    comparison: list[dict[str, Any]]
    force_norms: np.ndarray | None  # [n] eV/Å, NaN where unknown
    kept_forces: dict[str, np.ndarray]  # by rule, of the structures that it keeps
    force_tails: dict[str, dict[str, Any]]
    against: Against | None

    @property
    def information_gap(self) -> float | None:
        """Limit of the learning curve minus the entropy, in nats; None where the limit says nothing."""
        gap = None if self.limit is None else self.limit - self.entropy
        return None if gap is None or gap < 0 else gap

    @property
    def suffice(self) -> int | None:
        """Structures of the greedy cover that cover `ENOUGH` of the environments; None if it never does."""
        covered = np.cumsum(self.cover.gains)
        reached = np.flatnonzero(covered >= ENOUGH - 1e-9)
        return int(reached[0]) + 1 if len(reached) else None


class Against(NamedTuple):
    """A data set against a reference."""

    delta_entropy: np.ndarray  # [n]
    covered: float  # share of the data that the reference covers
    covers: float  # share of the reference that the data cover


def survey(
    structures: Sequence[Atoms],
    envs: Environments,
    *,
    bandwidth: float,
    known: np.ndarray | None = None,
    full: bool = False,
) -> Survey:
    """Measure a data set for a report.

    Args:
      structures: the data set; empty if only its environments are known.
      envs: environments of its S structures.
      bandwidth: h in Å⁻¹.
      known: environments of a reference, shape [r, d], in Å⁻¹.
      full: also bounds of what any choice can cover, and the relaxed rule; minutes for large sets.
    """
    x = np.asarray(envs.x)
    labels = find_labels(structures) if structures else None
    norms = None if labels is None else _force_norms(structures, labels)
    fit = bandwidth_fit(envs, bandwidth=bandwidth)
    entropy, diversity = entropy_and_diversity(x, bandwidth=bandwidth)
    advance("survey", 1, 5)
    sizes = sorted({max(1, round(share * len(x))) for share in CURVE})
    curve = information.learning_curve(x, sizes, repeats=REPEATS, bandwidth=bandwidth)
    dH = _delta_entropy_of_others(envs, bandwidth)
    advance("survey", 2, 5)
    cover = greedy_cover(cover_problem(envs, bandwidth=bandwidth), coverage=1.0)
    advance("survey", 3, 5)
    comparison = compare_environments(
        envs,
        sizes=[size for size in SIZES if round(size * envs.n_structures) >= 1] or [1.0],
        methods=FULL_METHODS if full else METHODS,
        bandwidth=bandwidth,
        tail=force_tail(structures),
        bounds=full,
    )
    advance("survey", 4, 5)
    kept, tails = _tails(envs, norms, bandwidth)
    return Survey(
        contents=_contents(structures, envs),
        labels=labels,
        quality=_quality(labels),
        fit=fit,
        entropy=entropy,
        diversity=diversity,
        curve=curve,
        limit=limit_of(curve),
        delta_entropy=dH,
        threshold=max(float(np.quantile(dH, QUANTILE)), overlap_tolerance(dH.dtype)),
        cover=cover,
        comparison=comparison,
        force_norms=norms,
        kept_forces=kept,
        force_tails=tails,
        against=None if known is None else _against(x, known, bandwidth),
    )


def conclusions(found: Survey, file: str) -> list[str]:
    """What a person should know first, each in a sentence, with the command that acts on it."""
    warning = bandwidth_warning(found.fit)
    lines = [_redundancy(found)] if warning is None else [f"Bandwidth: {warning}"]
    if warning is None:
        lines.append(_sufficiency(found, file))
        lines.append(f"Bandwidth: {found.fit.bandwidth:.3g} Å⁻¹ tells environments apart and finds likes.")
    lines.append(_broken(found))
    lines.append(_strange(found, file))
    if (gap := found.information_gap) is not None and gap > RISING:
        lines.append(f"Holes: more data of this kind would still be new (information gap {gap:.2f} nats).")
    lines.append(_advice(found))
    return lines


def by_structure(envs: Environments, dH: np.ndarray, threshold: float) -> list[dict[str, Any]]:
    """Largest δH, its atom and the number of outliers of each structure, the most foreign first."""
    rows = []
    for number, own in enumerate(np.split(dH, np.cumsum(envs.counts)[:-1])):
        if len(own):
            top = int(own.argmax())
            worst = {"structure": number, "max_delta_entropy": float(own[top]), "atom": top}
            rows.append(worst | {"outliers": int((own > threshold).sum()), "atoms": len(own)})
    return sorted(rows, key=lambda row: -row["max_delta_entropy"])


def limit_of(curve: information.LearningCurve) -> float | None:
    """Limit of a learning curve; None if it cannot be fitted."""
    try:
        return information.largest_entropy(curve)
    except InputError:
        return None


def _redundancy(found: Survey) -> str:
    share = found.fit.like_another
    if not share <= 1:
        return "Redundancy: one structure only, so nothing to compare it with."
    distinct = np.exp(found.diversity)
    n = found.contents["environments"]
    return (
        f"Redundancy: {share:.0%} of the environments are like one of another structure; "
        f"{distinct:,.0f} of {n:,} are distinct."
    )


def _sufficiency(found: Survey, file: str) -> str:
    count, total = found.suffice, found.contents["structures"]
    if count is None or count >= 0.9 * total:
        return f"Size: nearly all of the {total:,} structures are needed to cover {ENOUGH:.0%} of the data."
    return (
        f"Size: {count:,} of {total:,} structures ({count / total:.0%}) cover {ENOUGH:.0%} of the "
        f"environments: quests-jax compress {file} -m cover --coverage {ENOUGH} -o small.xyz"
    )


def _broken(found: Survey) -> str:
    quality = found.quality
    faults = [
        (quality.not_finite, "labels that are not finite"),
        (quality.without_energy if found.labels and found.labels.names["energy"] else [], "no energy"),
        (quality.without_forces if found.labels and found.labels.names["forces"] else [], "no forces"),
    ]
    words = [f"{len(numbers)} with {what} ({_first(numbers)})" for numbers, what in faults if numbers]
    return f"Broken: {'; '.join(words)}." if words else "Broken: nothing among the labels."


def _strange(found: Survey, file: str) -> str:
    new = found.delta_entropy >= overlap_tolerance(found.delta_entropy.dtype)
    if not new.any():
        return "Odd: nothing; every environment is like one of another structure."
    far = found.delta_entropy > max(found.threshold, FAR)
    if not far.any():
        return f"Odd: nothing far away; {int(new.sum()):,} environments are like no other, but near."
    return (
        f"Odd: {int(far.sum()):,} environments are far from all other structures (δH above "
        f"{max(found.threshold, FAR):.3g} nats, up to {found.delta_entropy.max():.3g}); look before you "
        f"train: quests-jax outliers {file} -o outliers.xyz"
    )


def _advice(found: Survey) -> str:
    rows = [row for row in found.comparison if row["method"] != "random"]
    size = min((row["size"] for row in rows), key=lambda s: abs(s - KEPT * found.contents["structures"]))
    at_size = [row for row in rows if row["size"] == size]
    most = max(at_size, key=lambda row: row["overlap"])
    words = f"Rule: at {size:,} structures, {most['method']} covers most ({most['overlap']:.0%})"
    tails = [row for row in at_size if row["force_tail"] is not None]
    if tails:
        best = max(tails, key=lambda row: row["force_tail"])
        words += f" and {best['method']} keeps most of the largest forces ({best['force_tail']:.0%})"
    return words + "."


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
        np.full(len(atoms), np.nan) if force is None else np.linalg.norm(force, axis=1)
        for atoms, force in zip(structures, labels.forces, strict=True)
    ]
    joined = np.concatenate(norms)
    joined[~np.isfinite(joined)] = np.nan
    return None if np.isnan(joined).all() else joined


def _delta_entropy_of_others(envs: Environments, bandwidth: float) -> np.ndarray:
    """δH of each environment against all other structures; ∞ counts as NaN for a single structure."""
    if envs.n_structures < 2:
        return np.zeros(int(envs.counts.sum()))
    return np.asarray(information.delta_entropy_of_others(envs.x, envs.structure_id, bandwidth=bandwidth))


def _tails(
    envs: Environments, norms: np.ndarray | None, bandwidth: float
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
    if norms is None:
        return {}, {}
    known, number = ~np.isnan(norms), np.asarray(envs.structure_id)
    kept = {}
    for method in METHODS:
        choice = find_rule(method).choose(envs, size=KEPT, bandwidth=bandwidth, reference=None)
        kept[method] = norms[known & np.isin(number, choice.selected)]
    kept = {method: values for method, values in kept.items() if len(values)}
    return kept, {method: compare_tails(values, norms[known]) for method, values in kept.items()}


def _against(x: np.ndarray, known: np.ndarray, bandwidth: float) -> Against:
    dH = np.asarray(information.delta_entropy(x, known, bandwidth=bandwidth))
    back = float(information.overlap(known, x, bandwidth=bandwidth))
    return Against(dH, float((dH < overlap_tolerance(dH.dtype)).mean()), back)


def _first(numbers: Sequence[int], most: int = 5) -> str:
    shown = ", ".join(map(str, numbers[:most]))
    return f"structures {shown}" + (f" and {len(numbers) - most} more" if len(numbers) > most else "")
