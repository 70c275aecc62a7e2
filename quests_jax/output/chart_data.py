"""Charts as data: what is drawn, apart from who draws it.

`matplotlib_figures` draws them into files, `charts.js` with Plotly on the page of the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from quests_jax.information import LearningCurve

# Colors that color-blind readers can tell apart [okabe:08]; styles and markers tell apart what shares one.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
LINES = ("-", "--", ":")
MARKERS = "osD^vPX*<>dh8"
GRAY, DARK = "#b3b3b3", "#4d4d4d"

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
NAMES = {"entropy": "entropy", "diversity": "diversity", "max_delta_entropy": "largest δH", "novel": "new"}
FAR = {"max_delta_entropy": 10.0, "delta_entropy_999": 10.0, "seconds": 0.01}  # linear up to here
SMALLEST_SHOWN = 1e-3  # nats: a threshold below this only says whether others cover an environment
LINEAR_UP_TO = 10.0  # nats: an axis with far values is linear up to here and logarithmic above
BINS = 60
MOST_STEPS = 400  # of a distribution; the steps are closer where values are rarer


class Axis(NamedTuple):
    """How one direction of a chart is divided."""

    title: str = ""
    log: bool = False
    linear_up_to: float | None = None  # linear up to here in size, logarithmic above
    limits: tuple[float | None, float | None] = (None, None)
    ticks: Sequence[float] | None = None


class Series(NamedTuple):
    """Points that belong together."""

    name: str
    x: Sequence[float] | np.ndarray  # edges, one more than there are heights, of bars
    y: Sequence[float | None] | np.ndarray
    color: str
    look: str = "line"  # line, dots (a line through markers), steps, bars, or band from y to `top`
    dash: str = "-"
    marker: str = "o"
    width: float = 1.5
    top: Sequence[float] | np.ndarray | None = None


class Chart(NamedTuple):
    """Series on common axes."""

    series: Sequence[Series]
    x: Axis
    y: Axis
    title: str = ""


def comparison_charts(rows: Sequence[dict[str, Any]]) -> list[Chart]:
    """Every number of `compare` against the size, one chart each and one line per method.

    The certified upper bound of the coverage is a thick gray line: no choice can lie above it.
    """
    asked = sorted({row["asked"] for row in rows})
    counted = "structures" if all(row["size"] == row["asked"] for row in rows) else "atoms"
    x = Axis(f"{counted} chosen", log=True, ticks=asked)
    known = [name for name in PANELS if any(row[name] is not None for row in rows)]
    return [Chart(_of_methods(rows, name), x, _axis_of(rows, name), PANELS[name]) for name in known]


def _of_methods(rows: Sequence[dict[str, Any]], name: str) -> list[Series]:
    series = []
    asked = sorted({row["asked"] for row in rows})
    bounds = [_bound(rows, size) for size in asked]
    if name == "coverage" and None not in bounds:
        series.append(Series("certified bound", asked, bounds, GRAY, width=5))
    for number, method in enumerate(dict.fromkeys(row["method"] for row in rows)):
        own = sorted(
            (row["asked"], row[name]) for row in rows if row["method"] == method and row[name] is not None
        )
        if own:
            sizes, values = zip(*own, strict=True)
            series.append(Series(method, sizes, values, look="dots", **style(number)))
    return series


def _axis_of(rows: Sequence[dict[str, Any]], name: str) -> Axis:
    if name not in FAR:
        return Axis()
    values = [row[name] for row in rows if row[name] is not None and np.isfinite(row[name])] or [0.0]
    return Axis(linear_up_to=FAR[name], limits=(min(1.1 * min(values), 0.0), 1.5 * max(*values, 0.01)))


def _bound(rows: Sequence[dict[str, Any]], asked: int) -> float | None:
    """What no choice of this size covers more than; None if nobody computed it."""
    found = [row["upper_bound"] for row in rows if row["asked"] == asked]
    return None if None in found else min(found)


def style(number: int) -> dict[str, Any]:
    """Color, dash and marker of the line with this number."""
    dash = LINES[number // len(COLORS) % len(LINES)]
    return {
        "color": COLORS[number % len(COLORS)],
        "dash": dash,
        "marker": MARKERS[number % len(MARKERS)],
    }


def histogram(dH: np.ndarray, threshold: float) -> Chart:
    """Delta entropies of all environments on a logarithmic count axis, outliers in a color of their own."""
    finite = dH[np.isfinite(dH)]
    edges = _bins(finite)
    limit = "not covered by others" if threshold < SMALLEST_SHOWN else f"above {number_text(threshold)} nats"
    series = []
    for part, color, label in (
        (finite[finite <= threshold], COLORS[0], "known"),
        (finite[finite > threshold], COLORS[1], f"outliers: {limit}"),
    ):
        counts = np.histogram(part, edges)[0]
        series.append(Series(f"{label} ({len(part):,})", edges, counts, color, "bars"))
    far = LINEAR_UP_TO if _is_wide(finite) else None
    x = Axis("delta entropy (nats)", linear_up_to=far, limits=(float(edges[0]), float(edges[-1])))
    return Chart(series, x, Axis("environments", log=True, limits=(0.7, None)))


def _is_wide(values: np.ndarray) -> bool:
    """Whether most values would share a bin of a linear axis because a few lie far away."""
    if not len(values):
        return False
    return float(values.max()) > max(LINEAR_UP_TO, 10 * float(np.quantile(values, 0.99)))


def _bins(values: np.ndarray) -> np.ndarray:
    """Edges of the bins, equal in width on the axis that `_is_wide` asks for."""
    if not _is_wide(values):
        return np.histogram_bin_edges(values, bins=BINS)
    low, high = (np.arcsinh(v / LINEAR_UP_TO) for v in (values.min(), values.max()))
    edges = LINEAR_UP_TO * np.sinh(np.linspace(low, high, BINS + 1))
    edges[[0, -1]] = values.min(), values.max()
    return edges


def bandwidth_chart(bandwidths: np.ndarray, share: np.ndarray, rules: dict[str, float]) -> Chart:
    """H(h)/ln n with the bandwidths that the rules name."""
    series = [Series("H / ln n", bandwidths, share, DARK)]
    for number, (name, h) in enumerate(rules.items()):
        look = style(number)
        series.append(Series(f"{name}: {h:.3g}", (h, h), (0.0, 1.0), look["color"], dash=look["dash"]))
    return Chart(series, Axis("bandwidth (Å⁻¹)", log=True), Axis("H / ln n", limits=(0.0, 1.02)))


def learning_chart(curve: LearningCurve, limit: float | None) -> Chart:
    """Mean entropy of samples with its confidence interval, ln n, and the limit of the fit."""
    mean, width = np.asarray(curve.mean), np.nan_to_num(curve.half_width)
    sizes = np.asarray(curve.sizes)
    series = [
        Series("95 % interval", sizes, mean - width, "#bfdcec", "band", top=mean + width),
        Series("ln n", sizes, np.log(sizes), "#7f7f7f", dash="--"),
        Series("samples", sizes, mean, COLORS[0], "dots"),
    ]
    top = None
    if limit is not None:
        ends = (sizes[0], sizes[-1])
        series.append(
            Series(f"limit of the fit: {limit:.2f}", ends, (limit, limit), COLORS[1], dash=":", width=2)
        )
        top = 1.15 * limit
    low = float(min((mean - width).min(), np.log(sizes[0])))
    y = Axis("entropy (nats)", limits=(0.95 * low if top is not None else None, top))
    return Chart(series, Axis("environments", log=True), y)


def trajectory_charts(frames: Sequence[dict[str, Any]], threshold: float | None = None) -> list[Chart]:
    """Entropy and diversity of every frame, then its novelty with the threshold, given a reference."""
    number = [frame["frame"] for frame in frames]
    if len(set(number)) < len(number):  # frames of several files
        number = list(range(len(frames)))
    charts = []
    for names in (("entropy", "diversity"), ("max_delta_entropy",), ("novel",)):
        if names[0] not in frames[0]:
            continue
        series = [
            Series(NAMES[name], number, [frame[name] for frame in frames], COLORS[place])
            for place, name in enumerate(names)
        ]
        y = Axis("share of new atoms" if names == ("novel",) else "nats")
        if names == ("max_delta_entropy",):
            y = _novelty_axis([frame[names[0]] for frame in frames], threshold)
            if threshold is not None:
                ends = (number[0], number[-1])
                name = f"threshold: {number_text(threshold)}"
                series.append(Series(name, ends, (threshold, threshold), COLORS[1], dash=":"))
        charts.append(Chart(series, Axis(), y))
    charts[-1] = charts[-1]._replace(x=Axis("frame"))
    return charts


def _novelty_axis(values: Sequence[float | None], threshold: float | None) -> Axis:
    """Linear, unless a few frames lie far above the others and the threshold."""
    known = np.array([value for value in (*values, threshold) if value is not None and np.isfinite(value)])
    if not _is_wide(known) and (not len(known) or known.max() < 100 * LINEAR_UP_TO):
        return Axis("nats")
    low = min(0.0, 1.2 * float(known.min()))
    return Axis("nats", linear_up_to=LINEAR_UP_TO, limits=(low, 1.5 * float(known.max())))


def tails_chart(everything: np.ndarray, kept: dict[str, np.ndarray]) -> Chart:
    """Share of atoms with a force above each value, for all of the data and for each choice."""
    series = []
    for number, (name, values) in enumerate([("all", everything), *kept.items()]):
        ordered, above = _survival(values)
        color, width = (DARK, 2.5) if name == "all" else (COLORS[number - 1], 1.5)
        series.append(Series(name, ordered, above, color, "steps", width=width))
    low = max(float(np.quantile(everything, 0.05)), 1e-4)
    high = max(2 * low, 1.3 * float(everything.max()))
    return Chart(
        series,
        Axis("force (eV/Å)", log=True, limits=(low, high)),
        Axis("share of atoms above", log=True),
    )


def _survival(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values in ascending order and the share at least as large, `MOST_STEPS` at most."""
    n = len(values)
    ranks = np.unique(np.geomspace(1, n, MOST_STEPS).round().astype(int))[::-1]  # from the largest
    return np.sort(values)[n - ranks], ranks / n


def number_text(value: float) -> str:
    """Three digits, or whole numbers with commas from 1,000 on; never a power of ten for a force or a δH."""
    if abs(value) < SMALLEST_SHOWN:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def plain(chart: Chart) -> dict[str, Any]:
    """A chart as JSON holds it; None where there is no number."""
    series = []
    for each in chart.series:
        arrays = {name: _numbers(getattr(each, name)) for name in ("x", "y", "top")}
        series.append(each._asdict() | arrays)
    return {"title": chart.title, "x": chart.x._asdict(), "y": chart.y._asdict(), "series": series}


def _numbers(values: Any) -> list[float | None] | None:
    if values is None:
        return None
    array = np.asarray([np.nan if value is None else value for value in values], float)
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in array]
