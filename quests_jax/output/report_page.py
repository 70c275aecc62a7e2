"""One self-contained page about a data set: conclusions, facts, a linked map, and a figure for every study.

The page loads nothing from a network; its policy forbids it. Text of the data is escaped. A figure that
cannot be drawn leaves a line that says so, because the numbers are worth more than the figure. Charts travel
as numbers and are drawn by Plotly, which draws the atoms too, when they come into view.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from quests_jax.base.environments import Environments
from quests_jax.output import chart_data as charts
from quests_jax.output.chart_data import Chart
from quests_jax.output.comparison_table import table
from quests_jax.output.explorer import (
    Map,
    explorer_html,
    in_script,
    own_file,
    principal_components,
    shown_name,
)
from quests_jax.studies.comparison import config_types
from quests_jax.studies.outliers import QUANTILE
from quests_jax.studies.report_survey import KEPT, Survey

SHOWN = 12  # most foreign structures in the table
MOST_NAMES = 12  # config types, elements and periodicities that the facts name
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)


class Section(NamedTuple):
    """A heading, what to know when reading, a table, and what makes its charts."""

    title: str
    words: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    charts: Callable[[], Sequence[Chart]]


class Page(NamedTuple):
    """Content of a page, from top to bottom."""

    title: str
    conclusions: Sequence[str]
    facts: Sequence[tuple[str, str]]
    shown: Map
    sections: Sequence[Section]
    made: Sequence[str]  # lines on how the page was made


def page_of(
    title: str,
    conclusions: Sequence[str],
    found: Survey,
    structures: Sequence[Atoms],
    envs: Environments,
    made: Sequence[str],
) -> Page:
    """The page about a data set that has been surveyed."""
    return Page(
        title, conclusions, _facts(found), map_of(found, structures, envs), _sections(found, envs), made
    )


def write_page(path: Path, page: Page) -> None:
    """Write the page to a file."""
    path.write_text(page_html(page), encoding="utf-8", errors="surrogateescape")


def page_html(page: Page) -> str:
    """The page as HTML."""
    conclusions = "".join(f"<li>{html.escape(line)}</li>" for line in page.conclusions)
    facts = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in page.facts)
    made = "".join(f"<li><code>{html.escape(line)}</code></li>" for line in page.made)
    title = html.escape(shown_name(page.title))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{own_file('page.css')}</style></head><body><h1>{title}</h1>"
        f'<section class="conclusions" id="conclusions"><ul>{conclusions}</ul></section>'
        f'<section id="facts"><h2>What the data is</h2><dl>{facts}</dl></section>'
        f"<h2>Map</h2>{explorer_html(page.shown)}"
        f"{_sections_html(page.sections)}"
        f"<h2>How this page was made</h2><ul>{made}</ul></body></html>\n"
    )


def map_of(found: Survey, structures: Sequence[Atoms], envs: Environments) -> Map:
    """A point for each structure, by what the survey knows of it."""
    n_structures = envs.n_structures
    number = np.asarray(envs.structure_id)
    components = principal_components(np.asarray(envs.x, float), number, n_structures)
    columns = {
        "principal component 1": components[:, 0],
        "principal component 2": components[:, 1],
        "largest δH (nats)": _largest(found.outliers.delta_entropy, number, n_structures),
        "atoms": envs.counts.astype(float),
    }
    if found.labels is not None and found.labels.names["energy"]:
        energy = np.array([np.nan if e is None else e for e in found.labels.energy], float)
        columns["energy (eV/atom)"] = energy / np.maximum(envs.counts, 1)
    if found.force_norms is not None:
        columns["largest force (eV/Å)"] = _largest(found.force_norms, number, n_structures)
    order = np.full(n_structures, np.nan)
    order[found.cover.selected] = np.arange(1, len(found.cover.selected) + 1)
    columns["order of choice by cover"] = order
    wanted = max(1, round(KEPT * n_structures))
    labels: dict[str, Sequence[str]] = {}
    if (types := config_types(structures)) is not None:
        labels["config type"] = types
    labels[f"kept at {KEPT:.0%} by cover"] = np.where(order <= wanted, "kept", "left out").tolist()
    odd = np.bincount(number[found.outliers.is_outlier], minlength=n_structures) > 0
    labels["outlier"] = np.where(odd, "has outliers", "none").tolist()
    first = [*found.cover.selected[:wanted].tolist(), *np.flatnonzero(odd).tolist()]
    unknown = {"order of choice by cover": "not needed"}
    return Map(columns, labels, structures, found.outliers.delta_entropy, first=first, unknown=unknown)


def _facts(found: Survey) -> list[tuple[str, str]]:
    contents = found.contents
    facts = [
        ("structures", f"{contents['structures']:,}"),
        ("environments", f"{contents['environments']:,}"),
        ("atoms per structure", f"{contents['atoms_min']:,} to {contents['atoms_max']:,}"),
    ]
    for key, name in (
        ("elements", "elements"),
        ("periodicity", "periodicity"),
        ("config_types", "config types"),
    ):
        if key in contents:
            facts.append((name, _counted(contents[key])))
    if found.labels is not None:
        for kind, names in found.labels.names.items():
            text = ", ".join(
                f"{shown_name(name)} in {count:,} of {contents['structures']:,} structures"
                for name, count in names.items()
            )
            facts.append((kind, text or "none"))
    return facts


def _counted(counts: dict[str, int]) -> str:
    names = list(counts)
    shown = ", ".join(f"{shown_name(name)} {counts[name]:,}" for name in names[:MOST_NAMES])
    return shown + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")


def _largest(values: np.ndarray, number: np.ndarray, n_structures: int) -> np.ndarray:
    """Largest known value of each structure's atoms, shape [S]; NaN where none is known."""
    largest = np.full(n_structures, -np.inf)
    known = ~np.isnan(values)
    np.maximum.at(largest, number[known], values[known])
    return np.where(np.isfinite(largest), largest, np.nan)


def _sections(found: Survey, envs: Environments) -> list[Section]:
    parts = [_information(found), _compression(found)]
    if found.force_tails:
        parts.append(_force_tails(found))
    if envs.n_structures > 1:
        parts.append(_outliers(found))
    if found.against is not None:
        parts.append(_against(found))
    return parts


def _information(found: Survey) -> Section:
    rows = [
        ("entropy", found.entropy),
        ("diversity", found.diversity),
        ("largest entropy, ln n", float(np.log(found.contents["environments"]))),
        ("limit of the learning curve", found.saturation.limit),
        ("information gap", found.saturation.gap),
    ]
    words = (
        "In nats. The entropy is 0 if all environments are alike and ln n if no two are. Exp of the "
        "diversity counts distinct environments. A curve that still rises says that more data of this kind "
        "would be new."
    )
    curve, limit = found.saturation
    return Section("Information", words, ("", "nats"), rows, lambda: [charts.learning_chart(curve, limit)])


def _compression(found: Survey) -> Section:
    header, cells = table(found.comparison)
    words = (
        "What each rule of choice keeps at several sizes. With --full, the ratio is the coverage over a "
        "bound that no choice of the same size can exceed. H and D are entropy and diversity of the choice; "
        "max δH is how foreign the environment is that is covered worst; tail is the share kept of the "
        "structures with the largest forces."
    )
    return Section("Compression", words, header, cells, lambda: charts.comparison_charts(found.comparison))


def _force_tails(found: Survey) -> Section:
    rows = []
    for method, tail in found.force_tails.items():
        shares = [tail["quantiles"][q] for q in ("0.5", "0.99", "0.999")]
        rows.append([method, *shares, tail["largest"], tail["wasserstein"], tail["jensen_shannon"]])
    header = ("rule", "kept above 50 %", "above 99 %", "above 99.9 %", "largest", "Wasserstein", "JS")
    words = (
        f"Forces of a choice of {KEPT:.0%} of the structures: which share of the atoms with forces above a "
        "quantile of all forces is kept, the largest force kept over the largest of all, and distances "
        "between the distributions (Wasserstein in eV/Å, Jensen-Shannon from 0 to 1)."
    )
    assert found.force_norms is not None
    known = found.force_norms[~np.isnan(found.force_norms)]
    return Section("Force tails", words, header, rows, lambda: [charts.tails_chart(known, found.kept_forces)])


def _outliers(found: Survey) -> Section:
    names = ("structure", "atom", "max_delta_entropy", "outliers", "atoms")
    rows = [[getattr(row, name) for name in names] for row in found.outliers.structures[:SHOWN]]
    words = (
        "Delta entropy of every environment against all other structures: above 0 nothing else in the data "
        f"is like it. Outliers lie above its {QUANTILE:.0%} quantile, {found.outliers.threshold:.3g} nats. "
        "Structure and atom numbers begin at 0."
    )
    header = ("structure", "atom", "its delta entropy", "outliers", "atoms")
    dH, threshold = found.outliers.delta_entropy, found.outliers.threshold
    return Section("Outliers", words, header, rows, lambda: [charts.histogram(dH, threshold)])


def _against(found: Survey) -> Section:
    against = found.against
    assert against is not None
    dH = against.delta_entropy
    rows = [
        ("covered by the reference", against.overlap),
        ("of the reference, covered by its own other structures", against.baseline),
        ("of the reference, covered by the data", found.covers),
        ("mean delta entropy (nats)", float(dH.mean())),
        ("largest delta entropy (nats)", float(dH.max())),
    ]
    words = "How much of the data the reference knows, and how much of the reference the data would cover."
    tolerance = against.tolerance
    return Section("Against the reference", words, ("", ""), rows, lambda: [charts.histogram(dH, tolerance)])


def _sections_html(sections: Sequence[Section]) -> str:
    """All sections, the numbers of their charts, and the script that draws them."""
    parts, drawn = [], []
    for section in sections:
        boxes = ""
        try:
            found = [charts.plain(chart) for chart in section.charts()]
        except Exception as reason:  # the numbers must not be lost with the figure
            boxes = f"<figcaption>This figure could not be drawn: {html.escape(str(reason))}</figcaption>"
        else:
            places = range(len(drawn), len(drawn) + len(found))
            boxes = "".join(f'<div class="chart" data-chart="{place}"></div>' for place in places)
            drawn += found
        kind = "several" if boxes.count("data-chart") > 1 else "one"
        parts.append(f'{_section(section)}<figure class="{kind}">{boxes}</figure></section>')
    data = in_script(json.dumps(drawn, allow_nan=False, separators=(",", ":")))
    script = own_file("charts.js")
    parts.append(f'<script type="application/json" id="charts-data">{data}</script><script>{script}</script>')
    return "".join(parts)


def _section(section: Section) -> str:
    """Heading, words and table of a section, which its figure follows."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in section.header)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in section.rows
    )
    return (
        f"<section><h2>{html.escape(section.title)}</h2><p>{html.escape(section.words)}</p>"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _cell(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, (float, np.floating)):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, (int, np.integer)) else str(value)
