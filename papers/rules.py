"""What rules of choice do to potentials at equal numbers of atoms, by each kind of potential."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from sources import EXPERIMENTS, Values, helper, table

SIZE = 0.1  # share of the atoms
RULES = ("msc", "balanced", "cover", "fps", "mean-fps", "k-means", "direct")
COMPARED = {"random", "msc", "balanced", "cover"}
KINDS = {"linear": "screen", "gap": "gap", "nequix": "nequix"}
LEAST = 5  # data sets of a part that has lines of its own
Rows = list[dict[str, Any]]


def values() -> Values:
    """Tables and verdicts, from the stored errors."""
    stored = {kind: _stored(name) for kind, name in KINDS.items()}
    rows = {kind: _complete([row for row in each if row["size"] == SIZE]) for kind, each in stored.items()}
    found = {f"rules_{kind}": _table(each) for kind, each in rows.items()}
    found |= {f"sets_{kind}": str(len(_names(each))) for kind, each in rows.items()}
    found |= {f"pools_{kind}": _pools(each) for kind, each in rows.items()}
    found |= {"sizes_gap": _sizes(stored["gap"]), "against": _against(rows)} | _bandwidths(stored["linear"])
    found["each_nequix"] = f"\n\n{helper('potentials', 'ratio_tables').each_set(rows['nequix'])}\n\n"
    return found | {"aim": _aim(rows)} | _summary(rows) | _designs() | _loops()


def _stored(name: str) -> Rows:
    path = EXPERIMENTS / "potentials" / f"{name}_results.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def _complete(rows: Rows) -> Rows:
    """Rows of the data sets that were chosen from by every rule that is compared."""
    methods = {name: {row["method"] for row in rows if row["data"] == name} for name in _names(rows)}
    return [row for row in rows if methods[row["data"]] >= COMPARED]


def _pools(rows: Rows, rule: str = "msc") -> str:
    """How many pools of each data set a rule chose from."""
    counts = {sum(row["data"] == name and row["method"] == rule for row in rows) for name in _names(rows)}
    return " to ".join(str(count) for count in sorted({min(counts), max(counts)})) if counts else "no"


def _names(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["data"] for row in rows))


def _parts(rows: Rows) -> dict[str, list[str]]:
    """Data sets by what they had to do with the design of `balanced`."""
    design = {row["data"] for row in rows if row["design"]}
    new = [name for name in _names(rows) if name not in design]
    parts = {"all": _names(rows), "no part in the design": new, "of the design": sorted(design)}
    return {title: names for title, names in parts.items() if title == "all" or len(names) >= LEAST}


def _table(rows: Rows) -> str:
    if not rows:
        return "not measured"
    ratio = helper("potentials", "ratio_tables")
    heads = [f"{name}, {where}" for where in ("in", "out") for name in ratio.KEYS.values()]
    lines = []
    for title, names in _parts(rows).items():
        for rule in RULES:
            logs = [
                list(ratio.over_sets(rows, names, rule, key, inside).values())
                for inside in (True, False)
                for key in ratio.KEYS
            ]
            if len(logs[0]) == len(names):  # others are under way
                words = [title, f"`{rule}`", str(len(logs[0])), _pools(rows, rule)]
                lines.append([*words, *map(ratio.interval, logs)])
    return table(["data sets", "rule", "sets", "pools", *heads], lines)


def _against(rows: dict[str, Rows]) -> str:
    """Errors of `balanced` over those of each other rule, paired by data set."""
    ratio = helper("potentials", "ratio_tables")
    heads = [f"{name}, {where}" for where in ("in", "out") for name in ratio.KEYS.values()]
    lines = []
    for kind, each in rows.items():
        for rule in (rule for rule in RULES if rule != "balanced"):
            logs = [
                ratio.paired(each, _names(each), "balanced", rule, key, inside)
                for inside in (True, False)
                for key in ratio.KEYS
            ]
            if len(logs[0]) == len(_names(each)):
                lines.append([kind, f"`{rule}`", str(len(logs[0])), *map(ratio.interval, logs)])
    return table(["potential", "over", "sets", *heads], lines)


def _sizes(rows: Rows) -> str:
    """GAP at each share of the atoms, all data sets together."""
    ratio = helper("potentials", "ratio_tables")
    heads = [f"{name}, {where}" for where in ("in", "out") for name in ratio.KEYS.values()]
    lines = []
    for size in sorted({row["size"] for row in rows}):
        some = _complete([row for row in rows if row["size"] == size])
        for rule in ("msc", "balanced", "cover") if some else ():
            logs = [
                list(ratio.over_sets(some, _names(some), rule, key, inside).values())
                for inside in (True, False)
                for key in ratio.KEYS
            ]
            words = [f"{100 * size:g} %", f"`{rule}`", str(len(logs[0])), _pools(some)]
            lines.append([*words, *map(ratio.interval, logs)])
    return table(["atoms", "rule", "sets", "pools", *heads], lines)


def _bandwidths(screen: Rows) -> Values:
    """Errors at other bandwidths over those of the same rule at the default one."""
    ratio = helper("potentials", "ratio_tables")
    rows = _stored("bandwidth")
    every = [*ratio.at_default(rows, screen), *rows]
    found = {"bandwidths": f"\n\n{ratio.at_bandwidths(every, _names(rows))}\n\n"}
    for rule in ("msc", "cover"):
        logs = [ratio.paired(every, _names(rows), f"{rule}, auto", rule, key, True) for key in ratio.KEYS]
        words = zip(ratio.KEYS.values(), map(ratio.interval, logs), strict=True)
        found[f"{rule}_auto"] = ", ".join(f"{name} {interval}" for name, interval in words)
    return found


def _loops() -> Values:
    """Active learning, dynamics and strained cells, Atom-HiFi."""
    found = dict.fromkeys(("active", "dynamics", "hifi"), "not measured")
    ratio, strained = helper("potentials", "ratio_tables"), {}
    if active := _stored("active"):
        found["active"] = helper("potentials", "active_tables").table(active)
    if dynamics := _stored("dynamics"):
        moves = helper("potentials", "dynamics_tables")
        found["dynamics"] = f"{moves.table(dynamics)}\n{moves.over_sets(dynamics, ratio.interval)}"
        strained = moves.strained_ratios(dynamics, "balanced", "msc")
    if hifi := _stored("hifi"):
        own = [row for row in hifi if row["method"] == "atom-hifi"]
        others = ratio.at_default([row for row in hifi if row["method"] != "random"], _stored("screen"))
        means = ratio.means([*others, *own], _names(own), ("atom-hifi", "msc", "balanced", "cover"))
        found["hifi"] = f"{means}\n\n{ratio.likeness_table(hifi)}"
    found = {name: f"\n\n{text}\n\n" for name, text in found.items()}
    return found | {"strained": ratio.interval(list(strained.values()))}


def _aim(rows: dict[str, Rows]) -> str:
    """How near each certified rule comes to the aim, and the rule MSC beside it."""
    lines = []
    for kind, each in rows.items():
        for title, names in _parts(each).items():
            for rule in ("balanced", "msc"):
                lines.append([kind, title, f"`{rule}`", *_verdicts(each, names, rule)])
    heads = ["potential", "data sets", "rule", "forces ≤ 0.80", "energies ≤ 1.00", "tails ≤ those of `msc`"]
    return table([*heads, "worse than random, out"], lines)


def _verdicts(rows: Rows, names: Sequence[str], rule: str) -> list[str]:
    ratio = helper("potentials", "ratio_tables")
    forces, energies, tails = (ratio.over_sets(rows, names, rule, key, True) for key in ratio.KEYS)
    usual = ratio.over_sets(rows, names, "msc", "force_rmse_tail", True)
    beside = [tails[name] - usual[name] for name in tails if name in usual]
    worse = [name for name in names if ratio.is_worse(rows, name, rule)]
    cells = [_verdict(list(forces.values()), 0.8), _verdict(list(energies.values()), 1.0)]
    return [*cells, "-" if rule == "msc" else _verdict(beside, 1.0), ", ".join(worse) or "none"]


def _verdict(logs: Sequence[float], limit: float) -> str:
    """Whether a mean keeps to a limit, by its interval over data sets."""
    ratio = helper("potentials", "ratio_tables")
    middle, low, high = np.exp(ratio.bounds(logs))
    word = "yes" if middle <= limit else "no"
    certain = high <= limit or low > limit
    return f"{word if certain else f'{word}, not beyond chance'}: {ratio.interval(logs)}"


def _summary(rows: dict[str, Rows]) -> Values:
    """Forces and energies of two rules over all data sets, for the page on choosing."""
    found = {
        f"{rule}_{kind}": _in_distribution(each, _names(each), rule)
        for kind, each in rows.items()
        for rule in ("msc", "balanced")
    }
    spread = [_spread(rows["gap"], rule) for rule in ("msc", "balanced")]
    fresh = _stored("fresh")
    last = {f"{rule}_fresh": _in_distribution(fresh, _names(fresh), rule) for rule in ("msc", "balanced")}
    return found | last | {"spread_gap": " and ".join(spread), "sets_fresh": str(len(_names(fresh)))}


def _in_distribution(rows: Rows, names: Sequence[str], rule: str) -> str:
    ratio = helper("potentials", "ratio_tables")
    logs = [ratio.over_sets(rows, names, rule, key, True) for key in ratio.KEYS]
    words = [ratio.interval(list(one.values())) for one in logs]
    return f"forces {words[0]}, energies {words[1]}, tails {words[2]}"


def _designs() -> Values:
    """V-optimal designs on data sets without a part in the design of `balanced`, and with GAPs."""
    found = {}
    for kind, stored, beside in (("linear", "design", ("screen", "fresh")), ("gap", "design_gap", ("gap",))):
        own = _stored(stored)
        names = _names([row for row in own if kind == "gap" or not row["design"]])
        seeds = {row["seed"] for row in own}
        others = [row for name in beside for row in _stored(name) if row["size"] == SIZE]
        chance = [row for row in others if row["method"] == "random"]
        if kind == "gap":
            chance = [row for row in chance if row["seed"] in seeds]
        found[f"designs_{kind}"] = _in_distribution([*own, *chance], names, "V-optimal")
        found[f"sets_designs_{kind}"] = str(len(names))
    return found


def _spread(rows: Rows, rule: str) -> str:
    """From where to where the energies of a rule go, set by set."""
    logs = helper("potentials", "ratio_tables").over_sets(rows, _names(rows), rule, "energy_rmse", True)
    low, high = np.exp([min(logs.values()), max(logs.values())])
    return f"{low:.2f} to {high:.1f} times random's with `{rule}`"
