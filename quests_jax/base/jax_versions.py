"""The versions of jax that this package refuses, and the one line that says why."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import PackageNotFoundError, version

# 0.10.2 returns wrong numbers from vmapped products on the CPU (jax-ml/jax issue 39103);
# 0.11.0 and 0.11.1 have open reports of hangs and wrong values; 0.12.0 fails our reproducer of the former.
# The list of pyproject.toml is the same, see the test of both.
BROKEN_JAX = ("0.10.2", "0.11.0", "0.11.1", "0.12.0")


def refuse_broken_jax() -> None:
    """Raise ImportError on a jax or jaxlib release that is known to compute wrong numbers."""
    for package in ("jax", "jaxlib"):
        installed = version(package)
        if installed in BROKEN_JAX:
            but = ",".join(f"!={broken}" for broken in BROKEN_JAX)
            raise ImportError(
                f"{package} {installed} computes wrong numbers; run `pip install 'jax{but}' 'jaxlib{but}'`."
            )


def versions() -> dict[str, str | None]:
    """Versions that a number may depend on; None for a package that is not installed."""
    names = ("quests_jax", "jax", "jaxlib", "numpy", "ase")
    return {name: _version(name) for name in names} | {"python": platform.python_version()}


@functools.cache  # a work folder asks for every stage, and to read what is installed takes a millisecond
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
