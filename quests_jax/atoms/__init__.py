"""A structure becomes environments: read, validate, find neighbors, describe."""

from quests_jax.atoms.describe import environments, get_descriptors
from quests_jax.atoms.descriptors import quests_descriptor
from quests_jax.atoms.neighbors import Neighbors, displacements, find_neighbors
from quests_jax.atoms.reading import read
from quests_jax.atoms.smooth import get_smooth_descriptors, smooth_descriptors
from quests_jax.atoms.writing import write

__all__ = [
    "Neighbors",
    "displacements",
    "environments",
    "find_neighbors",
    "get_descriptors",
    "get_smooth_descriptors",
    "quests_descriptor",
    "read",
    "smooth_descriptors",
    "write",
]
