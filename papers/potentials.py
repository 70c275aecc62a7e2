"""What potentials trained on compressed data say of both papers, as far as there are any."""

from __future__ import annotations

from typing import Any

import numpy as np
from compression import BASELINES
from sources import EXPERIMENTS, Values, results, verdict

from quests_jax.base.json_values import as_rows

SIZE, BUDGET, MODELS = 0.1, "structures", ("ridge", "neural")
Errors = dict[tuple[str, str, str], list[float]]  # by task, model and method: ln of the error, seed by seed


def values() -> Values:
    """Numbers and verdicts about force errors; words where no potentials have been trained."""
    if not (EXPERIMENTS / "potentials" / "results.json").exists():
        none = "not tested: no potentials are trained here"
        return dict.fromkeys(("potentials", "potentials_errors", "potentials_r"), "none") | {
            "potentials_verdict": none,
            "potentials_r_verdict": none,
        }
    records = results("potentials")["records"]
    return (
        {"potentials": "[potentials](../experiments/potentials)"} | _errors(records) | _correlation(records)
    )


def _errors(records: dict[str, Any]) -> Values:
    """Force error of MSC over that of each baseline, out of distribution, as a mean over data sets."""
    found = _logs(records, "force_rmse")
    parts, shares = [], []
    for model in MODELS:
        ratios = {name: _ratios(found, model, name) for name in BASELINES}
        known = {name: ratio for name, ratio in ratios.items() if len(ratio)}
        if known:
            words = (f"{name} {np.exp(ratio.mean()):.2f}" for name, ratio in known.items())
            parts.append(f"{model} on {max(map(len, known.values()))} data sets: {', '.join(words)}")
            shares += [float((ratio < 0).mean()) for ratio in known.values()]
    return {"potentials_errors": "; ".join(parts), "potentials_verdict": verdict(min(shares))}


def _logs(records: dict[str, Any], measure: str) -> Errors:
    """ln of a measure at the size of the page, averaged over the tests out of distribution."""
    found: Errors = {}
    for key, record in sorted(records.items()):
        task, model, _ = key.split(" / ")
        for row in as_rows(record["rows"]):
            out = [np.log(test[measure]) for name, test in row["tests"].items() if name != "in"]
            if out and row["budget"] == BUDGET and row["size"] == SIZE:
                found.setdefault((task, model, row["method"]), []).append(float(np.mean(out)))
    return found


def _ratios(found: Errors, model: str, baseline: str) -> np.ndarray:
    """ln of the error of MSC over that of a baseline, of every data set that has both, shape [tasks]."""
    tasks = sorted({task for task, _, _ in found})
    pairs = [(found.get((task, model, "msc")), found.get((task, model, baseline))) for task in tasks]
    return np.array([np.mean(ours) - np.mean(theirs) for ours, theirs in pairs if ours and theirs])


def _correlation(records: dict[str, Any]) -> Values:
    """Correlation of δH with the force error of potentials trained on everything, out of distribution."""
    found = [
        test["correlation"]
        for record in records.values()
        for row in as_rows(record["rows"])
        if row["method"] == "full"
        for name, test in row["tests"].items()
        if name != "in" and test.get("correlation") is not None
    ]
    positive = float(np.mean(np.array(found) > 0.4))
    words = f"median {np.median(found):.2f}, from {min(found):.2f} to {max(found):.2f}"
    return {"potentials_r": words, "potentials_r_verdict": f"{verdict(positive)} (r above 0.4)"}
