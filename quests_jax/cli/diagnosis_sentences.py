"""What a diagnosis found, in sentences for a person, and the option or command that acts on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from quests_jax.base.wording import agreeing, counted, percent
from quests_jax.cli.file_arguments import Inputs
from quests_jax.cli.typed_again import Place, known_again
from quests_jax.output.chart_data import number_text
from quests_jax.studies.bandwidths import DISAGREEMENT

if TYPE_CHECKING:
    from quests_jax.studies.bandwidths import Recommendation
    from quests_jax.studies.outliers import Outliers
    from quests_jax.studies.overlaps import Comparison, Parts
    from quests_jax.studies.saturation import Saturation
    from quests_jax.studies.trajectories import Trajectory

SATURATED = 0.1  # nats of information gap below which more data of the same kind add little
COVERED = 0.95  # overlap from which one part makes another superfluous


def about_outliers(found: Outliers, places: Sequence[Place]) -> list[str]:
    """How many environments are foreign, and where the most foreign one is."""
    count = int(found.is_outlier.sum())
    if not count:
        return ["No environment is more foreign than the reference is to itself; nothing to do."]
    worst = found.structures[0]
    file, index = places[worst.structure]
    return [
        f"{count:,} of {len(found.delta_entropy):,} environments {agreeing(count, 'lies', 'lie')} above "
        f"{found.threshold:.3g} nats; the most foreign is atom {worst.atom} of structure {index} of {file}. "
        "Look at it before you train: -o outliers.xyz writes δH of every atom. "
        "To remove broken structures: quests-jax clean."
    ]


def about_bandwidth(found: Recommendation, name: str, *, several: bool) -> list[str]:
    """What to type, and what the rules disagree on; `several` elements have bandwidths of their own."""
    auto = "auto, which takes the value of each element" if several else "auto"
    sentences = [f"Use --bandwidth {found.value:.3g}, or {auto}:\n  quests-jax inspect {name} -b auto"]
    if found.disagreement > DISAGREEMENT:
        sentences.append(
            f"The rules differ by a factor of {found.disagreement:.1f}: compare results at both ends before "
            "you rely on one."
        )
    sentences += [f"The {rule} rule gives no value: {reason}" for rule, reason in found.failed.items()]
    return sentences


def about_saturation(found: Saturation, name: str) -> list[str]:
    """Whether more data of the same kind would be new."""
    if found.gap is None:
        return ["The curve has no limit that can be fitted: the data set is too small to say what it lacks."]
    if found.gap < SATURATED:
        return [
            f"The information gap is {found.gap:.2f} nats: more data of this kind would repeat what is there."
        ]
    return [
        f"The information gap is {found.gap:.2f} nats: more data of this kind would still be new. Sample "
        f"more, and choose from it:\n  quests-jax compress new.xyz -r {name} -s 50 -m cover -o added.xyz"
    ]


def about_parts(found: Parts) -> list[str]:
    """Which parts another part covers already."""
    covered = []
    for part, name in enumerate(found.names):
        best, share = found.covered_most_by(part)
        if share >= COVERED:
            covered.append(f"{name} ({percent(share)} by {best})")
    if covered:
        return [f"Covered by another part already, and likely superfluous: {', '.join(covered)}."]
    return [f"No part covers {percent(COVERED)} of another: each adds something of its own."]


def about_overlap(found: Comparison, test: str, known: Inputs) -> list[str]:
    """The overlap beside its baseline, a verdict, and what to do about it."""
    reference = known.name
    again = known_again(known)
    own = found.baseline
    if found.verdict == "unknown":
        return [
            f"overlap {found.overlap:.3f}; the reference is hardly like itself at this bandwidth, so nothing "
            "follows from it. Try --bandwidth auto."
        ]
    sentence = f"overlap {found.overlap:.3f}; the reference of itself {own:.3f}: {found.verdict}."
    if found.verdict == "inside":
        if not found.foreign:
            if found.overlap >= COVERED:
                return [f"{sentence} {test} holds little that {reference} does not know."]
            return [
                f"{sentence} {test} is of the kind of {reference}, and {percent(1 - found.overlap)} of it is "
                f"as new as further data of that kind are. To choose from it:\n  quests-jax compress {test} "
                f"{again} -m cover --coverage 0.95 -o added.xyz"
            ]
        names = f"quests-jax outliers {test} {again}"
        are = agreeing(found.foreign, "is", "are")
        yet = f"Yet {counted(found.foreign, 'environment')} {are} foreign to {reference}. To see which:"
        return [f"{sentence} {yet}\n  {names}"]
    add = f"quests-jax compress {test} {again} -s 50 -m cover -o added.xyz"
    return [f"{sentence} To choose what is missing:\n  {add}"]


def _in_file(place: Place) -> str:
    """The number of a frame in its file."""
    file, index = place
    return f"{index} of {file}"


def _false_alarms(share: float | None) -> str:
    """How many frames the threshold calls foreign that are not; nothing where the user chose it."""
    if share is None:
        return ""
    return f" Of frames of the reference's own kind, {percent(share)} at most would lie above it too."


def about_trajectory(
    found: Trajectory, place: Callable[[int], Place], symbol: str, *, written: bool
) -> list[str]:
    """Which frame leaves the domain of the reference first, which is the worst, and how to get them.

    `place` says where a frame is, and `symbol` the element of the worst atom, or nothing.
    """
    novelty = found.novelty
    if novelty is None:
        return ["Add -r TRAINING.xyz to see where these frames leave what a training set knows."]
    above, total = novelty.above, len(novelty.largest)
    frames = counted(total, "frame")
    threshold = f"the threshold of {number_text(novelty.threshold)} nats"
    if not len(above):
        stay = "The only frame stays" if total == 1 else f"All {frames} stay"
        return [f"{stay} below {threshold}: inside the domain of the reference."]
    worst, first = novelty.worst, int(above[0])
    atom = int(novelty.atom[worst])
    element = f" ({symbol})" if symbol else ""
    lie = agreeing(len(above), "lies", "lie")
    sentences = [
        f"Frame {_in_file(place(first))} is the first that leaves the domain of the reference; "
        f"{len(above):,} of {frames} ({percent(len(above) / total)}) {lie} above {threshold}."
        f"{_false_alarms(novelty.alarms)}",
        f"Worst: frame {_in_file(place(worst))}, atom {atom}{element}, {novelty.largest[worst]:.3g} nats.",
    ]
    if not written:
        sentences.append(
            "To label and add them: -o novel.xyz writes the frames above the threshold (--above T for "
            "another)."
        )
    return sentences
