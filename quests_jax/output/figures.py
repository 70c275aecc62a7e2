"""Figures, drawn by Matplotlib without a screen; Matplotlib is imported when a figure is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from quests_jax.information import LearningCurve

# Colors that color-blind readers can tell apart [okabe:08]; styles and markers tell apart what shares one.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
LINES = ("-", "--", ":")
MARKERS = "osD^vPX*<>dh8"

PANELS = {
    "overlap": "overlap",
    "coverage": "saturated coverage",
    "certified_ratio": "coverage / certified bound",
    "entropy": "entropy (nats)",
    "diversity": "diversity (nats)",
    "force_tail": "force tail kept",
    "max_delta_entropy": "largest delta entropy (nats)",
    "delta_entropy_999": "99.9 % of delta entropy (nats)",
    "seconds": "time of selection (s)",
}
SMALLEST_SHOWN = 1e-3  # nats: a threshold below this only says whether others cover an environment
LINEAR_UP_TO = 10.0  # nats: an axis with far values is linear up to here and logarithmic above
LARGEST = 24.0  # inches on a side, 3,600 pixels
NUMBERED = 40  # parts of an overlap matrix that have room for numbers
LONGEST_NAME = 32  # characters of a name on an axis

# Panels that are linear up to this value and logarithmic above.
THRESHOLDS = {"max_delta_entropy": 10.0, "delta_entropy_999": 10.0, "seconds": 0.01}


def draw_comparison(rows: Sequence[dict[str, Any]], path: Path, *, title: str = "") -> None:
    """Write the figure of `comparison` to a file, in the format of its suffix."""
    _save(comparison(rows, title=title), path)


def comparison(rows: Sequence[dict[str, Any]], *, title: str = "") -> Figure:
    """Every number of `compare` against the size, one panel each and one line per method.

    The certified upper bound of the coverage is a thick gray line: no choice can lie above it.

    Args:
      rows: from `compare`.
      title: title of the figure.
    """
    known = [name for name in PANELS if any(row[name] is not None for row in rows)]
    lines = -(-len(known) // 3)
    figure = _figure((12, 3.3 * lines))
    axes = figure.subplots(lines, 3, squeeze=False)
    for panel, name in zip_longest(axes.flat, known):
        if name is None:
            panel.set_visible(False)
            continue
        _panel(panel, rows, name)
        panel.set_title(PANELS[name], fontsize=11)
    for column in axes.T:
        [*_, last] = (panel for panel in column if panel.get_visible())
        last.set_xlabel("structures chosen (%)")
    handles, labels = axes[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(_plain(title))
    return figure


def _panel(panel: Axes, rows: Sequence[dict[str, Any]], name: str) -> None:
    fractions = sorted({row["fraction"] for row in rows})
    bounds = [bound for size in fractions if (bound := _bound(rows, size)) is not None]
    if name == "coverage" and len(bounds) == len(fractions):
        panel.plot(
            _percent(fractions),
            bounds,
            color="0.6",
            linewidth=5,
            solid_capstyle="round",
            label="certified bound",
        )
    for number, method in enumerate(dict.fromkeys(row["method"] for row in rows)):
        points = [
            (row["fraction"], row[name]) for row in rows if row["method"] == method and row[name] is not None
        ]
        if points:
            sizes, values = zip(*sorted(points), strict=True)
            panel.plot(_percent(sizes), values, label=method, **_style(number))
    panel.set_xscale("log")
    panel.set_xticks(_percent(fractions), [f"{100 * size:.2g}" for size in fractions])
    panel.set_xticks([], minor=True)
    if name in THRESHOLDS:
        lowest = min((row[name] for row in rows if row[name] is not None), default=0.0)
        panel.set_yscale("symlog", linthresh=THRESHOLDS[name])
        panel.set_ylim(bottom=min(1.1 * lowest, 0.0))
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)


def _bound(rows: Sequence[dict[str, Any]], fraction: float) -> float | None:
    """What no choice of this size covers more than; None if nobody computed it."""
    found = [row["upper_bound"] for row in rows if row["fraction"] == fraction]
    return None if None in found else min(found)


def _percent(fractions: Sequence[float]) -> list[float]:
    return [100 * fraction for fraction in fractions]


def _style(number: int) -> dict[str, Any]:
    return {
        "color": COLORS[number % len(COLORS)],
        "linestyle": LINES[number // len(COLORS) % len(LINES)],
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 5,
        "linewidth": 1.5,
    }


def draw_histogram(dH: np.ndarray, threshold: float, path: Path, *, title: str = "") -> None:
    """Delta entropies of all environments on a logarithmic count axis, outliers in a color of their own."""
    figure, axes = _single(title)
    finite = dH[np.isfinite(dH)]
    limit = "not covered by others" if threshold < SMALLEST_SHOWN else f"above {threshold:.3g} nats"
    for part, color, label in (
        (finite[finite <= threshold], COLORS[0], "known"),
        (finite[finite > threshold], COLORS[1], f"outliers: {limit}"),
    ):
        axes.hist(part, bins=_bins(finite), color=color, label=f"{label} ({len(part):,})")
    axes.set_yscale("log")
    if _is_wide(finite):
        axes.set_xscale("symlog", linthresh=LINEAR_UP_TO)
    axes.set_xlabel("delta entropy (nats)")
    axes.set_ylabel("environments")
    axes.legend(frameon=False)
    _save(figure, path)


def _is_wide(values: np.ndarray) -> bool:
    """Whether most values would share a bin of a linear axis because a few lie far away."""
    if not len(values):
        return False
    return float(values.max()) > max(LINEAR_UP_TO, 10 * float(np.quantile(values, 0.99)))


def _bins(values: np.ndarray) -> list[float]:
    """Edges of 60 bins, equal in width on the axis that `_is_wide` asks for."""
    if not _is_wide(values):
        return list(np.histogram_bin_edges(values, bins=60))
    low, high = (np.arcsinh(v / LINEAR_UP_TO) for v in (values.min(), values.max()))
    edges = LINEAR_UP_TO * np.sinh(np.linspace(low, high, 61))
    edges[[0, -1]] = values.min(), values.max()
    return list(edges)


def draw_bandwidths(
    bandwidths: np.ndarray, share: np.ndarray, rules: dict[str, float], path: Path, *, title: str = ""
) -> None:
    """H(h)/ln n with the bandwidths that the rules name."""
    figure, axes = _single(title)
    axes.plot(bandwidths, share, color="0.3")
    for number, (name, h) in enumerate(rules.items()):
        axes.axvline(h, label=f"{name}: {h:.4f}", **{**_style(number), "marker": None})
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("bandwidth (Å⁻¹)")
    axes.set_ylabel("H / ln n")
    axes.legend(frameon=False)
    _save(figure, path)


def draw_learning_curve(curve: LearningCurve, limit: float | None, path: Path, *, title: str = "") -> None:
    """Mean entropy of samples with its confidence interval, ln n, and the limit of the fit."""
    figure, axes = _single(title)
    mean, width = curve.mean, np.nan_to_num(curve.half_width)
    axes.fill_between(curve.sizes, mean - width, mean + width, color=COLORS[0], alpha=0.25, linewidth=0)
    axes.plot(curve.sizes, mean, marker="o", markersize=4, color=COLORS[0], label="samples")
    axes.plot(curve.sizes, np.log(curve.sizes), "--", color="0.5", label="ln n")
    if limit is not None:
        axes.axhline(limit, color=COLORS[1], linestyle=":", label=f"limit of the fit: {limit:.2f}")
        axes.set_ylim(top=1.15 * limit)
    axes.set_xscale("log")
    axes.set_xlabel("environments")
    axes.set_ylabel("entropy (nats)")
    axes.legend(frameon=False)
    _save(figure, path)


def draw_trajectory(
    frames: Sequence[dict[str, Any]], path: Path, *, threshold: float | None = None, title: str = ""
) -> None:
    """Entropy and diversity of every frame above, its novelty and the threshold below, given a reference."""
    rows = [
        names
        for names in (("entropy", "diversity"), ("max_delta_entropy",), ("novel",))
        if names[0] in frames[0]
    ]
    figure = _figure((9, 3 * len(rows)))
    for axes, names in zip(
        figure.subplots(len(rows), 1, squeeze=False, sharex=True)[:, 0], rows, strict=True
    ):
        for number, name in enumerate(names):
            values = [np.nan if frame[name] is None else frame[name] for frame in frames]
            axes.plot([frame["frame"] for frame in frames], values, color=COLORS[number], label=name)
        unit = "share" if names == ("novel",) else "nats"
        axes.set_ylabel(unit)
        axes.grid(alpha=0.3)
        labels = [name.replace("_", " ") for name in names]
        if threshold is not None and names == ("max_delta_entropy",):
            axes.axhline(threshold, color=COLORS[1], linestyle=":")
            labels.append(f"threshold: {threshold:.3g}")
        axes.legend(labels, frameon=False)
    axes.set_xlabel("frame")
    figure.suptitle(_plain(title))
    _save(figure, path)


def draw_overlaps(
    names: Sequence[str],
    shares: np.ndarray,
    entropies: np.ndarray,
    limits: np.ndarray,
    path: Path,
    *,
    title: str = "",
) -> None:
    """Shares [r, t] of part t that part r covers, in percent, and the entropy of each part beside ln n."""
    count = len(names)
    shown = [_plain(name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…") for name in names]
    room = 0.08 * max(len(name) for name in shown)  # inches, for names
    size = (3.0 + room + 0.62 * count, 1.5 + room + 0.45 * count)
    figure = _figure((min(size[0], LARGEST), min(size[1], LARGEST)))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(max(count, 4), max(4.0, 0.2 * count)))
    left.imshow(shares, cmap="Blues", vmin=0, vmax=1.4, aspect="auto")  # 1.4: dark text stays readable
    if count <= NUMBERED:
        for (r, t), share in np.ndenumerate(shares):
            left.text(t, r, f"{100 * share:.0f}", ha="center", va="center", fontsize=9)
    places = np.arange(count)
    points = min(10.0, 1000.0 / count)
    left.set_xticks(places, shown, rotation=45, ha="right", rotation_mode="anchor", fontsize=points)
    left.set_yticks(places, shown, fontsize=points)
    left.set_xlabel("environments of")
    left.set_ylabel("covered by")
    left.set_title("overlap (%)", fontsize=11)
    right.barh(places, limits, color="0.85", label="ln n")
    right.barh(places, entropies, height=0.5, color=COLORS[0], label="H")
    right.set_title("entropy (nats)", fontsize=11)
    right.spines[["top", "right"]].set_visible(False)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=2, frameon=False)
    figure.suptitle(_plain(title), fontsize=10)
    _save(figure, path)


def draw_tails(everything: np.ndarray, kept: dict[str, np.ndarray], path: Path, *, title: str = "") -> None:
    """Share of atoms with a force above each value, for all of the data and for each choice."""
    figure, axes = _single(title)
    for number, (name, values) in enumerate([("all", everything), *kept.items()]):
        ordered = np.sort(values)
        above = 1 - np.arange(len(ordered)) / len(ordered)
        color, width = ("0.3", 2.5) if name == "all" else (COLORS[number - 1], 1.5)
        axes.step(ordered, above, where="pre", label=name, color=color, linewidth=width)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left=max(float(np.quantile(everything, 0.05)), 1e-4))
    axes.set_xlabel("force (eV/Å)")
    axes.set_ylabel("share of atoms above")
    axes.legend(frameon=False)
    _save(figure, path)


def _plain(text: str) -> str:
    """Text of the data as it is: a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def _figure(size: tuple[float, float]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _single(title: str) -> tuple[Figure, Axes]:
    figure = _figure((7, 4.5))
    axes = figure.subplots()
    axes.set_title(_plain(title), fontsize=11)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format=path.suffix.lower().removeprefix("."), dpi=150)
