"""How much of one data set another covers, beside how much the other covers of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from quests_jax.base.environments import Environments
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.precision import follows_dtype
from quests_jax.information import DEFAULT_BANDWIDTH, delta_entropy, entropy, overlap_matrix
from quests_jax.studies.outliers import QUANTILE
from quests_jax.studies.reference_thresholds import baseline

INSIDE, PARTLY = 0.9, 0.5  # shares of the reference's own coverage: at least this is inside, or partly inside


class Comparison(NamedTuple):
    """A data set against a reference."""

    delta_entropy: np.ndarray  # [m] nats, of each environment against the reference
    tolerance: float  # nats, below which an environment is covered
    baseline: float  # share of the reference that its other structures cover; NaN for one structure
    threshold: float  # nats, that nearly all of the reference stays below to its other structures

    @property
    def foreign(self) -> int:
        """Number of environments that are more foreign than nearly all of the reference is to itself."""
        return int((self.delta_entropy > self.threshold).sum())

    @property
    def overlap(self) -> float:
        """Share of the data set that the reference covers."""
        return float((self.delta_entropy < self.tolerance).mean())

    @property
    def verdict(self) -> str:
        """inside, partly outside or outside; unknown without a baseline."""
        if not self.baseline > 0:
            return "unknown"
        ratio = self.overlap / self.baseline
        return "inside" if ratio >= INSIDE else "partly outside" if ratio >= PARTLY else "outside"


class Parts(NamedTuple):
    """Parts of a data set against each other."""

    names: list[str]
    n_environments: list[int]
    overlaps: np.ndarray  # [P, P]; entry [r, t] is the share of part t that part r covers
    entropies: np.ndarray  # [P] nats
    tolerance: float  # nats

    @property
    def limits(self) -> np.ndarray:
        """Largest entropy of each part, ln n, shape [P], in nats."""
        return np.log(self.n_environments)

    def covered_most_by(self, part: int) -> tuple[str | None, float]:
        """The other part that covers the most of one, and the share; None if no other covers anything."""
        shares = np.delete(self.overlaps[:, part], part)
        best = int(shares.argmax())
        names = self.names[:part] + self.names[part + 1 :]
        return (names[best], float(shares[best])) if shares[best] > 0 else (None, 0.0)


@follows_dtype
def compare_with_reference(
    envs: Environments, reference: Environments, *, bandwidth: float = DEFAULT_BANDWIDTH
) -> Comparison:
    """δH(y|x) of a data set y against a reference x, with what x says of itself as the yardstick.

    An overlap alone says little: at a small bandwidth even data of the same kind are hardly covered. The
    baseline is the share of the reference that its own other structures cover.

    >>> from quests_jax.base.environments import make_environments
    >>> known = make_environments(np.array([[0.0], [0.0], [1.0], [1.0]]), np.arange(4))
    >>> new = make_environments(np.array([[0.0], [7.0], [8.0]]), np.arange(3))
    >>> found = compare_with_reference(new, known, bandwidth=0.1)
    >>> round(found.overlap, 2), found.baseline, found.verdict
    (0.33, 1.0, 'outside')
    """
    dH = np.asarray(delta_entropy(envs, reference, bandwidth=bandwidth))
    return comparison(dH, reference, bandwidth=bandwidth)


def comparison(dH: np.ndarray, reference: Environments, *, bandwidth: float) -> Comparison:
    """δH(y|x) of a data set, shape [m], in nats, beside what the reference x says of itself."""
    own = baseline(reference, bandwidth=bandwidth)
    return Comparison(dH, overlap_tolerance(dH.dtype), own.covered, own.threshold(QUANTILE))


@follows_dtype
def overlaps_of_parts(
    names: Sequence[str], parts: Sequence[Environments], *, bandwidth: float = DEFAULT_BANDWIDTH
) -> Parts:
    """The overlap of every part of a data set with every other, and the entropy of each."""
    shares = overlap_matrix(parts, bandwidth=bandwidth)
    entropies = np.array([float(entropy(part, bandwidth=bandwidth)) for part in parts])
    tolerance = overlap_tolerance(np.asarray(parts[0].x).dtype)
    return Parts(list(names), [len(part) for part in parts], shares, entropies, tolerance)
