"""Numbers and verdicts for the page of [schwalbe-koda:25b]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sources import Values, helper, results, table, verdict

BASELINES = ("random", "k-means", "fps", "mean-fps")


def values() -> Values:
    """What stands behind each name that the page may mark."""
    return _cover_study() | _metals() | _maps()


def _cover_study() -> Values:
    summary = helper("cover_study", "summary")
    files = summary.studied(results("cover_study")["records"])
    folders = {name.split("/")[0] for name in files}
    values = {"study_files": str(len(files)), "study_sets": str(len(folders))}
    values["study_structures"] = f"{sum(record['n_structures'] for record in files.values()):,}"
    for measure in (*summary.MEASURES, "efficiency"):
        shares = {name: share_held(files, measure, name) for name in BASELINES}
        values[f"msc_{measure}_cases"] = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        values[f"msc_{measure}_verdict"] = verdict(min(shares.values()))
    rows = [row for record in files.values() for row in record["rows"] if row["method"] == "msc"]
    ratios = [row["certified_ratio"] for row in rows]
    values |= {"msc_ratio": f"{min(ratios):.2f}", "msc_median": f"{np.median(ratios):.3f}"}
    covers = [record["full_cover"] for record in files.values() if "exact" in record.get("full_cover", {})]
    proven = sum(cover["exact"] <= (cover["proven_bound"] or 0) + 1e-6 for cover in covers)
    values |= {"covers": str(len(covers)), "covers_proven": str(proven)}
    return values | {"files_table": _files_table(files)}


def measured(row: dict[str, Any], measure: str) -> dict[str, Any]:
    """The row with the efficiency H / ln n of the choice, which the study does not list."""
    if measure != "efficiency":
        return row
    n = row["environments"]
    return row | {"efficiency": row["entropy"] / math.log(n) if n > 1 else 1.0}


def share_held(files: dict[str, Any], measure: str, baseline: str) -> float:
    """Share of the cases (file and size) in which MSC is at least as good as the baseline."""
    return float(np.mean([held for record in files.values() for held in holds(record, measure, baseline)]))


def holds(record: dict[str, Any], measure: str, baseline: str) -> list[bool]:
    """Whether MSC is at least as good as the baseline, at every size of one file."""
    summary = helper("cover_study", "summary")
    rows = summary.by_rule(record)
    pairs = [
        (measured(row, measure), measured(rows[size, baseline], measure))
        for (size, method), row in rows.items()
        if method == "msc" and (size, baseline) in rows
    ]
    if measure == "efficiency":
        return [ours[measure] >= theirs[measure] * (1 - 1e-3) for ours, theirs in pairs]
    return [summary.at_least(ours, theirs, measure) for ours, theirs in pairs]


def _files_table(files: dict[str, Any]) -> str:
    """One row for every folder: cases in which MSC is at least as good as all four baselines."""
    measures = ("diversity", "force_tail", "max_delta_entropy", "overlap", "efficiency")
    rows = []
    for folder in sorted({name.split("/")[0] for name in files}):
        records = [record for name, record in files.items() if name.split("/")[0] == folder]
        cells = [folder, str(len(records))]
        for measure in measures:
            held = [
                all(each)
                for record in records
                for each in zip(*(holds(record, measure, name) for name in BASELINES), strict=True)
            ]
            cells.append(f"{sum(held)}/{len(held)}")
        rows.append(cells)
    return table(("data set", "files", *(measure.replace("_", " ") for measure in measures)), rows)


def _metals() -> Values:
    """In how many metals MSC keeps at least as much as each of the four baselines."""
    kept = [row["compression"] for row in results("tm_protocol")["rows"]]
    values = {}
    for measure in ("diversity", "force_tail"):
        held = [all(found["msc"][measure] >= found[name][measure] for name in BASELINES) for found in kept]
        values[f"metals_{measure}"] = f"{sum(held)} of {len(held)}"
    return values


def _maps() -> Values:
    rows = results("dimensionality")["rows"]
    at = [{found["components"]: found for found in row["maps"]} for row in rows]
    hidden = [[maps[m]["hidden"] for maps in at if maps[m]["hidden"] is not None] for m in (2, 10)]
    planted = {"foreign": "foreign", "near": "displaced 0.6 Å", "far": "displaced 1.5 Å"}
    found = {
        (name, by, way): float(np.mean([row[kind][way][by] for row in results("outliers")["rows"]]))
        for name, kind in planted.items()
        for by in ("delta_entropy", "map")
        for way in ("within", "reference")
    }
    values = {
        f"{name}_{by}": f"{found[name, by, 'within']:.0%} and {found[name, by, 'reference']:.0%}"
        for name, by, _ in found
    }
    better = all(found[name, "delta_entropy", way] > found[name, "map", way] for name, _, way in found)
    return values | {
        "maps_pairs": str(len(rows)),
        "maps_variance": f"{min(maps[2]['variance'] for maps in at):.0%}",
        "maps_hidden_2": _spread(hidden[0]),
        "maps_hidden_10": _spread(hidden[1]),
        "maps_verdict": "reproduced" if better and np.median(hidden[0]) > 0.5 else "not reproduced",
    }


def _spread(shares: list[float]) -> str:
    return f"{np.median(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})"
