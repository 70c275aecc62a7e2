"""One self-contained page about a data set: HTML with inline SVG, no network, no script.

Every section is a table of numbers and a figure. The numbers come first: a figure that cannot be drawn
leaves a line that says so.
"""

from __future__ import annotations

import html
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from quests_jax import information
from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.cover.rules.registry import find_rule
from quests_jax.output import figures
from quests_jax.studies.comparison import compare_environments, config_types, force_tail, table
from quests_jax.studies.compression import entropy_and_diversity
from quests_jax.studies.force_tails import compare_tails, force_norms

METHODS = ("msc", "cover", "relaxed", "random")
SIZES = (0.05, 0.1, 0.25, 0.5)
KEPT = 0.1  # share of structures whose force tails are shown
CURVE = (0.01, 0.03, 0.1, 0.3, 1.0)  # sample sizes of the learning curve
REPEATS = 3
QUANTILE = 0.99  # of the data's own delta entropies above which an environment is an outlier
SHOWN = 12  # most foreign structures in the table

STYLE = """
:root { color-scheme: light; font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } figure { margin: 1rem 0; }
svg { max-width: 100%; height: auto; } p, figcaption { max-width: 45rem; } code { overflow-wrap: anywhere; }
"""


class Section(NamedTuple):
    """A heading, what to know when reading, a table, and how to draw the figure."""

    title: str
    words: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    draw: Callable[[Path], None] | None = None


def sections(
    structures: Sequence[Atoms], envs: Environments, *, bandwidth: float, known: np.ndarray | None
) -> tuple[list[Section], dict[str, Any]]:
    """All sections of the page, and their numbers.

    Args:
      structures: the data set; empty if only its environments are known.
      envs: environments of its S structures.
      bandwidth: h in Å⁻¹.
      known: environments of a reference, shape [r, d], or None.
    """
    parts = [
        _contents(structures, envs),
        _measures(envs, bandwidth),
        _compression(structures, envs, bandwidth),
    ]
    if (norms := force_norms(structures)) is not None:
        parts.append(_tails(norms, envs, bandwidth))
    if envs.n_structures > 1:
        parts.append(_outliers(envs, bandwidth))
    if known is not None:
        parts.append(_against(np.asarray(envs.x), known, bandwidth))
    pages, numbers = zip(*parts, strict=True)
    return list(pages), {name: value for found in numbers for name, value in found.items()}


def write_page(path: Path, title: str, facts: Sequence[str], content: Sequence[Section]) -> None:
    """Write the page; `facts` are lines on how it was made."""
    body = "".join(_section(section) for section in content)
    made = "".join(f"<li><code>{html.escape(fact)}</code></li>" for fact in facts)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1>{body}<h2>How this page was made</h2><ul>{made}</ul></body></html>\n"
    )
    path.write_text(page, encoding="utf-8")


def by_structure(envs: Environments, dH: np.ndarray, threshold: float) -> list[dict[str, Any]]:
    """Largest δH, its atom and the number of outliers of each structure, the most foreign first."""
    rows = []
    for number, own in enumerate(np.split(dH, np.cumsum(envs.counts)[:-1])):
        if len(own):
            top = int(own.argmax())
            worst = {"structure": number, "max_delta_entropy": float(own[top]), "atom": top}
            rows.append(worst | {"outliers": int((own > threshold).sum()), "atoms": len(own)})
    return sorted(rows, key=lambda row: -row["max_delta_entropy"])


def limit_of(curve: information.LearningCurve) -> float | None:
    """Limit of a learning curve; None if it cannot be fitted: the numbers are worth more than their limit."""
    try:
        return information.largest_entropy(curve)
    except InputError:
        return None


def _section(section: Section) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in section.header)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in section.rows
    )
    figure = "" if section.draw is None else f"<figure>{_svg(section.draw)}</figure>"
    return (
        f"<section><h2>{html.escape(section.title)}</h2><p>{html.escape(section.words)}</p>"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"{figure}</section>"
    )


def _svg(draw: Callable[[Path], None]) -> str:
    """The figure as inline SVG; a line of text if it cannot be drawn, whatever the reason."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figure.svg"
        try:
            draw(path)
        except Exception as reason:  # the numbers must not be lost with the figure
            return f"<figcaption>This figure could not be drawn: {html.escape(str(reason))}</figcaption>"
        text = path.read_text(encoding="utf-8")
    return text[text.index("<svg") :]


def _cell(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, (int, np.integer)) else str(value)


def _contents(structures: Sequence[Atoms], envs: Environments) -> tuple[Section, dict[str, Any]]:
    found: dict[str, Any] = {"structures": envs.n_structures, "environments": int(envs.counts.sum())}
    found["atoms per structure"] = f"{envs.counts.min()} to {envs.counts.max()}"
    if structures:
        elements = Counter(symbol for atoms in structures for symbol in atoms.symbols)
        periodicity = Counter("".join("FT"[int(p)] for p in atoms.pbc) for atoms in structures)
        found["elements"] = _counted(elements)
        found["periodicity"] = _counted(periodicity)
    if (labels := config_types(structures)) is not None:
        found["config types"] = _counted(Counter(labels), most=10)
    words = "Structures are what can be kept or left out; environments are their atoms with their neighbors."
    return Section("What the data is", words, ("", ""), list(found.items())), {"contents": found}


def _measures(envs: Environments, bandwidth: float) -> tuple[Section, dict[str, Any]]:
    x = np.asarray(envs.x)
    H, D = entropy_and_diversity(x, bandwidth=bandwidth)
    sizes = sorted({max(1, round(share * len(x))) for share in CURVE})
    curve = information.learning_curve(x, sizes, repeats=REPEATS, bandwidth=bandwidth)
    limit = limit_of(curve)
    found = {"entropy": H, "diversity": D, "largest entropy, ln n": float(np.log(len(x)))}
    found |= {"limit of the learning curve": limit, "information gap": None if limit is None else limit - H}
    words = (
        "In nats. The entropy is 0 if all environments are alike and ln n if no two are. Exp of the "
        "diversity counts distinct environments. A curve that still rises says that more data of this kind "
        "would be new."
    )
    draw = partial(figures.draw_learning_curve, curve, limit)
    return Section("Information", words, ("", "nats"), list(found.items()), draw), {"information": found}


def _compression(
    structures: Sequence[Atoms], envs: Environments, bandwidth: float
) -> tuple[Section, dict[str, Any]]:
    tail = force_tail(structures)
    sizes = [size for size in SIZES if round(size * envs.n_structures) >= 1] or [1]
    rows = compare_environments(envs, sizes=sizes, methods=METHODS, bandwidth=bandwidth, tail=tail)
    header, cells = table(rows)
    words = (
        "What each rule of choice keeps at several sizes. The ratio is the coverage over a bound that no "
        "choice of the same size can exceed; H and D are entropy and diversity of the choice; max δH is how "
        "foreign the worst covered environment is; tail is the share kept of structures with the largest "
        "forces."
    )
    draw = partial(figures.draw_comparison, rows)
    return Section("Compression", words, header, cells, draw), {"compression": rows}


def _tails(norms: np.ndarray, envs: Environments, bandwidth: float) -> tuple[Section, dict[str, Any]]:
    rows, kept, number = [], {}, np.asarray(envs.structure_id)
    for method in ("msc", "cover", "random"):
        choice = find_rule(method).choose(envs, size=KEPT, bandwidth=bandwidth, reference=None)
        kept[method] = norms[np.isin(number, choice.selected)]
        found = compare_tails(kept[method], norms)
        shares = [found["quantiles"][q] for q in ("0.5", "0.99", "0.999")]
        rows.append([method, *shares, found["largest"], found["wasserstein"], found["jensen_shannon"]])
    header = ("rule", "kept above 50 %", "above 99 %", "above 99.9 %", "largest", "Wasserstein", "JS")
    words = (
        f"Forces of a choice of {KEPT:.0%} of the structures: which share of the atoms with forces above a "
        "quantile of all forces is kept, the largest force kept over the largest of all, and distances "
        "between the distributions (Wasserstein in eV/Å, Jensen-Shannon from 0 to 1)."
    )
    draw = partial(figures.draw_tails, norms, kept)
    return Section("Force tails", words, header, rows, draw), {"force_tails": rows}


def _outliers(envs: Environments, bandwidth: float) -> tuple[Section, dict[str, Any]]:
    dH = np.asarray(information.delta_entropy_of_others(envs.x, envs.structure_id, bandwidth=bandwidth))
    threshold = max(float(np.quantile(dH, QUANTILE)), overlap_tolerance(dH.dtype))
    names = ("structure", "atom", "max_delta_entropy", "outliers", "atoms")
    rows = [[row[name] for name in names] for row in by_structure(envs, dH, threshold)[:SHOWN]]
    words = (
        "Delta entropy of every environment against all other structures: above 0 nothing else in the data "
        f"is like it. Outliers lie above its {QUANTILE:.0%} quantile, {threshold:.3g} nats. Structure and "
        "atom numbers begin at 0."
    )
    header = ("structure", "atom", "its delta entropy", "outliers", "atoms")
    draw = partial(figures.draw_histogram, dH, threshold)
    return Section("Outliers", words, header, rows, draw), {"outlier_threshold": threshold, "outliers": rows}


def _against(x: np.ndarray, known: np.ndarray, bandwidth: float) -> tuple[Section, dict[str, Any]]:
    dH = np.asarray(information.delta_entropy(x, known, bandwidth=bandwidth))
    back = float(information.overlap(known, x, bandwidth=bandwidth))
    tolerance = overlap_tolerance(dH.dtype)
    found = {
        "covered by the reference": float((dH < tolerance).mean()),
        "of the reference, covered by the data": back,
        "mean delta entropy (nats)": float(dH.mean()),
        "largest delta entropy (nats)": float(dH.max()),
    }
    words = "How much of the data the reference knows, and how much of the reference the data would cover."
    draw = partial(figures.draw_histogram, dH, tolerance)
    return Section("Against the reference", words, ("", ""), list(found.items()), draw), {"reference": found}


def _counted(counts: Counter, most: int = 20) -> str:
    shown = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(most))
    return shown + (f" and {len(counts) - most} more" if len(counts) > most else "")
