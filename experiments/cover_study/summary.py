"""Tables of the study: what each rule reached, file by file and over all files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from quests_jax.base.json_values import as_rows

Records = dict[str, dict[str, Any]]
Row = dict[str, Any]

# Measures of the comparison with MSC: +1 where more is better, and what counts as equal (relative above 1).
MEASURES = {
    "overlap": (1, 1e-9),
    "entropy": (1, 1e-3),
    "diversity": (1, 1e-3),
    "force_tail": (1, 1e-9),
    "max_delta_entropy": (-1, 1e-3),
}
BASELINES = ("random", "k-means", "fps", "mean-fps")  # those of the paper
OURS = ("cover", "relaxed", "diversity", "pareto")


def studied(records: Records) -> Records:
    """Files that were not left out and have more than one structure, with their columns as rows."""
    return {
        name: record | {"rows": as_rows(record["rows"])}
        for name, record in records.items()
        if "rows" in record and record["n_structures"] > 1
    }


def by_rule(record: dict[str, Any]) -> dict[tuple[float, str], Row]:
    """Rows of one file by size and rule."""
    return {(row["size"], row["method"]): row for row in record["rows"]}


def text(records: Records) -> str:
    """All tables, as they stand in the README."""
    files = studied(records)
    n_structures, n_environments = (
        sum(record[name] for record in files.values()) for name in ("n_structures", "n_environments")
    )
    sections = (
        ("Certified ratio", "Coverage over the proven bound", certified),
        ("Against MSC", "Cases (file and size) in which a rule is at least as good as MSC", against_msc),
        ("The claims of the paper", "MSC against other choices of the same size", claims),
        ("Full covers", "Structures needed to cover every environment", full_covers),
        (
            "Where a baseline overlaps more",
            "Best overlap of `cover` and `relaxed` below it",
            overlap_exceptions,
        ),
    )
    tables = (f"### {title}\n\n{words}\n\n{table(files)}" for title, words, table in sections)
    counts = f"{len(files)} files with {n_structures:,} structures and {n_environments:,} environments."
    return "\n\n".join([counts, *tables])


def certified(files: Records) -> str:
    """Smallest and median certified ratio of every rule over files, and its time over that of `cover`."""
    found: dict[str, list[tuple[float, float]]] = {}
    for record in files.values():
        rows = by_rule(record)
        for (size, method), row in rows.items():
            slower = row["seconds"] / max(rows[size, "cover"]["seconds"], 1e-3)
            found.setdefault(method, []).append((row["certified_ratio"], slower))
    order = sorted(found, key=lambda method: -np.median([ratio for ratio, _ in found[method]]))
    lines = []
    for method in order:
        ratio, slower = np.array(found[method]).T
        share = (ratio >= 0.93).mean()
        lines.append(
            [method, len(ratio), f"{ratio.min():.3f}", f"{np.median(ratio):.3f}", f"{share:.0%}"]
            + [f"{np.median(slower):.1f}"]
        )
    return _table(["rule", "cases", "smallest", "median", "≥ 0.93", "time / cover"], lines)


def against_msc(files: Records) -> str:
    """Share of cases in which each measure, and all of them together, are at least those of MSC."""
    found: dict[str, list[list[bool]]] = {}
    for record in files.values():
        rows = by_rule(record)
        for (size, method), row in rows.items():
            if method != "msc":
                found.setdefault(method, []).append(
                    [at_least(row, rows[size, "msc"], name) for name in MEASURES]
                )
    lines = []
    for method, cases in sorted(found.items(), key=lambda item: -np.mean(np.all(item[1], axis=1))):
        kept = np.array(cases)
        shares = [*kept.mean(axis=0), kept.all(axis=1).mean()]
        lines.append([method, len(kept), *(f"{share:.0%}" for share in shares)])
    return _table(["rule", "cases", *MEASURES, "all five"], lines)


def at_least(row: Row, other: Row, measure: str) -> bool:
    """Whether the row is as good as the other in this measure; true where it is not known.

    What is covered is covered: delta entropies below 0 count as 0.
    """
    sign, equal = MEASURES[measure]
    if row[measure] is None or other[measure] is None:
        return True
    ours, theirs = (max(found[measure], 0.0) for found in (row, other))
    return bool(sign * (ours - theirs) >= -equal * max(1.0, theirs))


def claims(files: Records) -> str:
    """The paper's claim file by file: MSC keeps more diversity, and more of the force tail, at every size."""
    lines = []
    for measure in ("diversity", "force_tail"):
        for baseline in BASELINES:
            held, exceptions, cases = _claim(files, measure, baseline)
            shown = ", ".join(exceptions[:6]) + (", ..." if len(exceptions) > 6 else "")
            lines.append([f"{measure} ≥ {baseline}", f"{held}/{len(files)}", cases, shown or "none"])
    return _table(["claim", "files at all sizes", "cases", "exceptions"], lines)


def _claim(files: Records, measure: str, baseline: str) -> tuple[int, list[str], str]:
    exceptions, right, total = [], 0, 0
    for name, record in files.items():
        rows = by_rule(record)
        holds = [
            at_least(row, rows[size, baseline], measure)
            for (size, method), row in rows.items()
            if method == "msc" and (size, baseline) in rows
        ]
        right, total = right + sum(holds), total + len(holds)
        if not all(holds):
            exceptions.append(_short(name))
    return len(files) - len(exceptions), exceptions, f"{right}/{total}"


def full_covers(files: Records) -> str:
    """Greedy, bounds and optimum of every file for which the optimum was sought."""
    lines = []
    for name, record in files.items():
        cover = record["full_cover"]
        if "exact" in cover:
            proven = "proven" if cover["exact"] <= (cover["proven_bound"] or 0) + 1e-6 else "not proven"
            bounds = [f"{cover['linear_bound']:.1f}", f"{cover['capped_bound']:.1f}"]
            lines.append(
                [_short(name), record["n_structures"], cover["greedy"], *bounds, cover["exact"], proven]
            )
    return _table(["file", "structures", "greedy", "linear bound", "capped", "best", "optimum"], lines)


def overlap_exceptions(files: Records) -> str:
    """Cases in which a baseline covers more environments than `cover` or `relaxed` (the count, not f)."""
    lines = []
    for name, record in files.items():
        rows = by_rule(record)
        for size in sorted({size for size, _ in rows}):
            best = max(
                (row["overlap"], rule) for (n, rule), row in rows.items() if n == size and rule not in OURS
            )
            ours = max(rows[size, rule]["overlap"] for rule in ("cover", "relaxed"))
            if ours < best[0] - 1e-9:
                lines.append([_short(name), size, f"{ours:.3f}", f"{best[0]:.3f}", best[1]])
    return _table(["file", "size", "cover", "baseline", "which"], lines) if lines else "None."


def _short(name: str) -> str:
    return name.removesuffix(".xyz.gz")


def _table(header: list[str], lines: Iterable[list[Any]]) -> str:
    line: Callable[[Iterable[Any]], str] = lambda cells: "| " + " | ".join(map(str, cells)) + " |"  # noqa: E731
    return "\n".join([line(header), line("---" for _ in header), *map(line, lines)])
