"""The page of the report inside a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ase import Atoms

from quests_jax.atoms.describe import environments
from quests_jax.base.defaults import DEFAULT_BANDWIDTH, DEFAULT_CUTOFF, DEFAULT_K
from quests_jax.base.environments import Environments
from quests_jax.base.jax_versions import versions
from quests_jax.studies.compression import Compression
from quests_jax.studies.report_conclusions import conclusions
from quests_jax.studies.report_survey import survey

HEIGHT = 900  # pixels of the frame in a notebook


class View(NamedTuple):
    """A page that a notebook shows and a file can keep."""

    page: str  # HTML

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that its styles and scripts stay inside."""
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" sandbox="allow-scripts allow-downloads" '
            f'style="width: 100%; height: {HEIGHT}px; border: 1px solid #ddd"></iframe>'
        )

    def __repr__(self) -> str:
        """What a terminal shows in its place."""
        return f"View of {len(self.page):,} characters; a notebook shows it, save(path) writes it."

    def save(self, path: str | Path) -> None:
        """Write the page to a file."""
        Path(path).write_text(self.page, encoding="utf-8")


def show(
    data: Sequence[Atoms] | Environments | Compression,
    *,
    k: int = DEFAULT_K,
    cutoff: float = DEFAULT_CUTOFF,
    elements: str | None = None,
    bandwidth: float = DEFAULT_BANDWIDTH,
    title: str = "Data set",
) -> View:
    """The report of a data set, with its map and structures in 3D, for a notebook.

    Args:
      data: structures; or environments, without a view in 3D; or what `compress` returned: the chosen ones.
      k: neighbors of an environment.
      cutoff: cutoff radius, in Å.
      elements: how they are told apart: ignore, center or neighbors, see `environments`.
      bandwidth: width of the kernel, in Å⁻¹.
      title: heading of the page.

    Raises:
      InputError: a structure or a parameter that `environments` refuses.

    >>> import quests_jax as qj
    >>> from quests_jax.datasets import bundled
    >>> qj.show(qj.read(bundled())[::30]).page.startswith("<!doctype html>")
    True
    """
    from quests_jax.output.report_page import (  # of no use to anybody else who imports the package
        page_html,
        page_of,
    )

    if isinstance(data, Compression):
        data = data.structures
    structures = [] if isinstance(data, Environments) else list(data)
    envs = (
        data
        if isinstance(data, Environments)
        else environments(structures, k=k, cutoff=cutoff, elements=elements)
    )
    found = survey(structures, envs, bandwidth=bandwidth)
    made = [
        f"k {k}, cutoff {cutoff:g} Å, elements {elements or 'not told apart'}, bandwidth {bandwidth:g} Å⁻¹",
        ", ".join(f"{name} {version}" for name, version in versions().items()),
    ]
    return View(page_html(page_of(title, conclusions(found, "FILE"), found, structures, envs, made)))
