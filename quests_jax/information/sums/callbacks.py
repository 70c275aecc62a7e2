"""What the loops over tiles are given to call, each with its shapes."""

from __future__ import annotations

from typing import Protocol, TypeVar

import jax

Carry = TypeVar("Carry")


class OfTiles(Protocol):
    """Something of one query tile i, or of several [r]: a mask over the tiles of x, or a first carry."""

    def __call__(self, i: jax.Array, /) -> jax.Array:
        """For `near`, shape [tiles of x]; for `wide`, shape [r, tiles of x]."""
        ...


class Contribution(Protocol):
    """What two tiles add to each other."""

    def __call__(self, i: jax.Array, j: jax.Array, careful: bool, /) -> tuple[jax.Array, jax.Array]:
        """What j [BATCH] adds to i [BATCH], and what i adds to j; `careful` where plain products err."""
        ...


class Update(Protocol[Carry]):
    """What some tiles of x add to the carry of one query tile."""

    def __call__(self, i: jax.Array, j: jax.Array, carry: Carry, /, careful: bool) -> Carry:
        """The carry of tile i once the tiles j [BATCH] are added."""
        ...


class Step(Protocol[Carry]):
    """One step of a fold over tiles."""

    def __call__(self, j: jax.Array, carry: Carry, /, careful: bool) -> Carry:
        """The carry once the tiles j [BATCH] are added."""
        ...
