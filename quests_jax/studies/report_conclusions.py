"""What a person should know first about a data set, in sentences that end in a command to type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.wording import agreeing, counted
from quests_jax.studies.bandwidths import bandwidth_warning
from quests_jax.studies.report_survey import ENOUGH, KEPT, Survey

FAR = 1.0  # nats: an environment with a larger δH is worth a look
RISING = 0.5  # nats of information gap from which more data of this kind would be new


def conclusions(found: Survey, file: str) -> list[str]:
    """What a person should know first, each in a sentence, with the command that acts on it."""
    warning = bandwidth_warning(found.fit)
    again = f" For a page at that bandwidth: quests-jax report {file} -b auto -o report.html"
    lines = [_redundancy(found)] if warning is None else [f"Bandwidth: {warning}{again}"]
    if warning is None:
        lines.append(_sufficiency(found, file))
        lines.append(f"Bandwidth: {found.fit.bandwidth:.3g} Å⁻¹ tells environments apart and finds likes.")
    lines.append(_broken(found))
    lines.append(_strange(found, file))
    if (gap := found.saturation.gap) is not None and gap > RISING:
        lines.append(f"Holes: more data of this kind would still be new (information gap {gap:.2f} nats).")
    lines.append(_advice(found))
    return lines


def _redundancy(found: Survey) -> str:
    share = found.fit.like_another
    if not share <= 1:
        return "Redundancy: one structure only, so nothing to compare it with."
    distinct = np.exp(found.diversity)
    n = found.contents["environments"]
    return (
        f"Redundancy: {share:.0%} of the environments are like one of another structure; "
        f"{distinct:,.0f} of {n:,} {agreeing(round(distinct), 'is', 'are')} distinct."
    )


def _sufficiency(found: Survey, file: str) -> str:
    count, total = found.suffice, found.contents["structures"]
    if count is None or count >= 0.9 * total:
        return f"Size: nearly all of the {total:,} structures are needed to cover {ENOUGH:.0%} of the data."
    cover = agreeing(count, "covers", "cover")
    return (
        f"Size: {count:,} of {total:,} structures ({count / total:.0%}) {cover} {ENOUGH:.0%} of the "
        f"environments: quests-jax compress {file} -m cover --coverage {ENOUGH} -o small.xyz"
    )


def _broken(found: Survey) -> str:
    quality = found.quality
    faults = [
        (quality.not_finite, "labels that are not finite"),
        (quality.without_energy if found.labels and found.labels.names["energy"] else [], "no energy"),
        (quality.without_forces if found.labels and found.labels.names["forces"] else [], "no forces"),
    ]
    words = [f"{len(numbers)} with {what} ({_first(numbers)})" for numbers, what in faults if numbers]
    return f"Broken: {'; '.join(words)}." if words else "Broken: nothing among the labels."


def _strange(found: Survey, file: str) -> str:
    dH = found.outliers.delta_entropy[~found.alone]
    single = int(found.alone.sum())
    besides = ""
    if single:
        atoms = f"{counted(single, 'isolated atom')}, which {agreeing(single, 'is', 'are')}"
        besides = f" Besides, {atoms} foreign by nature."
    new = dH >= overlap_tolerance(dH.dtype)
    if not new.any():
        return f"Odd: nothing; every environment is like one of another structure.{besides}"
    least = max(found.outliers.threshold, FAR)
    far = dH > least
    if not far.any():
        return f"Odd: nothing far away; {_environments(new)} like no other, but near.{besides}"
    return (
        f"Odd: {_environments(far)} far from all other structures (δH above {least:.3g} nats, "
        f"up to {_nats(dH.max())}).{besides} Look before you train: "
        f"quests-jax outliers {file} -o outliers.xyz"
    )


def _environments(which: np.ndarray) -> str:
    number = int(which.sum())
    return f"{counted(number, 'environment')} {agreeing(number, 'is', 'are')}"


def _nats(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _advice(found: Survey) -> str:
    rows = [row for row in found.comparison if row["method"] != "random"]
    size = min((row["size"] for row in rows), key=lambda s: abs(s - KEPT * found.contents["structures"]))
    at_size = [row for row in rows if row["size"] == size]
    most = max(at_size, key=lambda row: row["overlap"])
    words = f"Rule: at {size:,} structures, {most['method']} covers most ({most['overlap']:.0%})"
    tails = [row for row in at_size if row["force_tail"]]  # neither unknown nor 0
    if tails:
        best = max(tails, key=lambda row: row["force_tail"])
        words += f" and {best['method']} keeps most of the largest forces ({best['force_tail']:.0%})"
    return words + "."


def _first(numbers: Sequence[int], most: int = 5) -> str:
    shown = ", ".join(map(str, numbers[:most]))
    return f"structures {shown}" + (f" and {len(numbers) - most} more" if len(numbers) > most else "")
