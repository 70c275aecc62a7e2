"""Information and set cover for data sets of atomistic structures.

Glossary. A *structure* is one `ase.Atoms`; an *environment* is one atom with its neighbors, a row of a
matrix of descriptors. Letters in shapes: n reference environments, m query environments, d features,
S structures, k neighbors. Lengths in Å, descriptors and bandwidths in Å⁻¹, information in nats.

What is computed follows the dtype of the input, whether `jax_enable_x64` is on or off: float64 and lists
give float64, float32 gives float32. Where it is off, float64 results are NumPy arrays. Importing the package
changes nothing in JAX.
"""

# ruff: noqa: E402  (signals are answered before anything slow is imported, and the version of jax is checked
# before anything uses it)

from quests_jax.base import signals as _signals

_signals.watch_if_command()

from quests_jax.base import jax_versions as _versions

_versions.refuse_broken_jax()

from quests_jax.atoms import environments, get_descriptors, read, write
from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments, make_environments
from quests_jax.cover import (
    CoverProblem,
    Selection,
    certify,
    cover_problem,
    exact_cover,
    greedy_cover,
    msc,
    relaxed_cover,
)
from quests_jax.information import (
    DEFAULT_BANDWIDTH,
    delta_entropy,
    diversity,
    efficiency,
    entropy,
    overlap,
)
from quests_jax.output.notebook import show
from quests_jax.studies.compression import Compression, compress

__all__ = [
    "DEFAULT_BANDWIDTH",
    "Compression",
    "CoverProblem",
    "Environments",
    "InputError",
    "Selection",
    "certify",
    "compress",
    "cover_problem",
    "delta_entropy",
    "diversity",
    "efficiency",
    "entropy",
    "environments",
    "exact_cover",
    "get_descriptors",
    "greedy_cover",
    "make_environments",
    "msc",
    "overlap",
    "read",
    "relaxed_cover",
    "show",
    "write",
]
