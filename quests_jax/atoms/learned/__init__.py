"""Descriptors from anywhere: arrays that structures hold, pretrained potentials, other packages.

One protocol: a callable from structures to one array [atoms, d] for each of them, see `Descriptor`. Packages
are imported when their descriptor is asked for; where one is missing, a line says what to install.
"""

from quests_jax.atoms.learned.protocol import Descriptor, describe_all
from quests_jax.atoms.learned.registry import find_descriptor
from quests_jax.atoms.learned.scaling import SCALES, Scaling, fit_scaling

__all__ = ["SCALES", "Descriptor", "Scaling", "describe_all", "find_descriptor", "fit_scaling"]
