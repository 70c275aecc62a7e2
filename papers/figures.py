"""The figures of the pages, each with a digest of what it was drawn from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import compression
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from sources import helper, results

from quests_jax.output.matplotlib_figures import COLORS

BARS = {
    "diversity": "diversity",
    "force_tail": "force tail kept",
    "max_delta_entropy": "largest δH (lower)",
    "efficiency": "H / ln n",
    "entropy": "entropy",
    "overlap": "overlap",
}


def digest(name: str) -> str:
    """What the figure of this name would be drawn from now, in 16 letters."""
    return hashlib.sha256(json.dumps(DATA[name]()).encode()).hexdigest()[:16]


def drawn_from(path: Path) -> str | None:
    """The digest that a figure was drawn from; None if there is no such figure."""
    if not path.exists():
        return None
    with Image.open(path) as image:
        return image.info.get("Source")


def _information() -> dict[str, Any]:
    """Entropies and overlaps beside the published ones, and what compression loses."""
    found, rows = results("gap20"), results("learning_curves")["rows"]
    names = ("entropy", "published", "share")
    entropies = {name: [e[key] for key in names] for name, e in found["entropies"].items()}
    lost = {row["file"]: [row["lost"], row["published_lost"]] for row in rows if "GAP20" in row["file"]}
    theirs = helper("gap20", "published").OVERLAP
    return {"entropies": entropies, "overlaps": found["overlaps"], "published": theirs, "lost": lost}


def _compression() -> dict[str, dict[str, float]]:
    """Share of the cases in which MSC is at least as good as each baseline, by measure."""
    files = helper("cover_study", "summary").studied(results("cover_study")["records"])
    return {
        name: {measure: compression.share_held(files, measure, name) for measure in BARS}
        for name in compression.BASELINES
    }


def draw_information(path: Path) -> None:
    """Three panels for [schwalbe-koda:25]."""
    data = _information()
    figure, (left, middle, right) = _panels(3)
    for number, (name, (H, known, share)) in enumerate(data["entropies"].items()):
        left.plot(known, H, "o", color=COLORS[0], markersize=4 + 6 * min(share, 1))
        side = {"ha": "left", "xytext": (6, -3)} if number % 2 else {"ha": "right", "xytext": (-6, -3)}
        left.annotate(name, (known, H), fontsize=6, textcoords="offset points", **side)
    left.set_xlim(-3, 14)
    middle.plot(np.ravel(data["published"]), np.ravel(data["overlaps"]), "o", color=COLORS[1])
    for axes, end, what in ((left, 12, "entropy (nats)"), (middle, 100, "overlap (%)")):
        axes.plot([0, end], [0, end], color="0.7", zorder=0)
        axes.set_xlabel(f"published {what}")
        axes.set_ylabel(f"measured {what}")
    for number, (name, (lost, known)) in enumerate(data["lost"].items()):
        kept = np.linspace(20, 100, len(lost))
        right.plot(kept, lost, "-o", color=COLORS[number], markersize=3, label=name.split("/")[-1])
        if known:
            right.plot(kept, known, "x", color=COLORS[number], label="published")
    right.set_xlabel("environments kept (%)")
    right.set_ylabel("entropy lost (nats)")
    right.legend(fontsize=7, frameon=False)
    _save(figure, path)


def draw_compression(path: Path) -> None:
    """Bars for [schwalbe-koda:25b]: where MSC is at least as good as each baseline."""
    data = _compression()
    figure, (axes,) = _panels(1)
    place = np.arange(len(BARS))
    for number, (name, shares) in enumerate(data.items()):
        heights = [100 * shares[measure] for measure in BARS]
        axes.bar(place + 0.2 * (number - 1.5), heights, 0.18, color=COLORS[number], label=f"than {name}")
    axes.axhline(50, color="0.6", linestyle=":")
    axes.set_xticks(place, list(BARS.values()))
    axes.set_ylabel("cases in which MSC is at least as good (%)")
    axes.legend(ncols=4, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    _save(figure, path)


def _panels(number: int) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.0 + 3.2 * number, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, number, squeeze=False)[0]
    for axes in panels:
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=120, metadata={"Source": digest(path.name)})


DATA: dict[str, Callable[[], Any]] = {"information.png": _information, "compression.png": _compression}
FIGURES: dict[str, Callable[[Path], None]] = {
    "information.png": draw_information,
    "compression.png": draw_compression,
}
