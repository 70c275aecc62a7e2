"""One decision for all members of a `jax.vmap`: loops and conditions that stay what they are when mapped.

A condition that every member decides for itself becomes both of its branches, and a loop whose end is that of
each member copies its carry in every pass. Where more passes or more care than a member needs do no harm,
these functions let the members agree.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


@jax.custom_batching.custom_vmap
def in_any_member(flag: jax.Array) -> jax.Array:
    """Whether a truth value holds, under `jax.vmap` in any member.

    >>> jax.vmap(lambda flag: in_any_member(flag) | flag)(jnp.array([True, False])).tolist()
    [True, True]
    """
    return flag


@in_any_member.def_vmap
def _any(size: int, mapped: list[bool], flags: jax.Array) -> tuple[jax.Array, bool]:
    del size
    return (jnp.any(flags, axis=0) if mapped[0] else flags), False


@jax.custom_batching.custom_vmap
def most_of_members(number: jax.Array) -> jax.Array:
    """A number, under `jax.vmap` the largest of all members.

    >>> jax.vmap(lambda n: most_of_members(n) + 0 * n)(jnp.array([3, 7])).tolist()
    [7, 7]
    """
    return number


@most_of_members.def_vmap
def _most(size: int, mapped: list[bool], numbers: jax.Array) -> tuple[jax.Array, bool]:
    del size
    return (jnp.max(numbers, axis=0) if mapped[0] else numbers), False
