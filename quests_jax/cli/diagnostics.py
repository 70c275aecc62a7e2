"""The commands that show what a data set holds, what it lacks and what is odd in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import jax
import numpy as np
from ase import Atoms

import quests_jax.information as information
from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.plain import plain
from quests_jax.base.progress import advance
from quests_jax.cli.inputs import Inputs
from quests_jax.cli.options import DESCRIPTOR, FILES, KERNEL, REFERENCE, REFERENCE_OR_FILE, SEED
from quests_jax.cli.run import Report, Run, labeled
from quests_jax.cli.shell import command
from quests_jax.output.figures import (
    draw_bandwidths,
    draw_histogram,
    draw_learning_curve,
    draw_overlaps,
    draw_trajectory,
)
from quests_jax.output.viewer import write_viewer
from quests_jax.studies.compression import entropy_and_diversity
from quests_jax.studies.survey import by_structure, limit_of

SHOWN = 10  # structures or frames in a table; outputs hold all of them
BANDWIDTHS = np.geomspace(0.002, 0.5, 24)  # Å⁻¹, at which H(h)/ln n is drawn
NOVEL = 0.01  # share of held-out environments that may be novel
CURVE = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # sample sizes of a learning curve


@command(
    FILES,
    REFERENCE_OR_FILE,
    click.option(
        "-q",
        "--quantile",
        type=float,
        default=0.99,
        show_default=True,
        help="Of the reference's own delta entropies: above it, an environment is an outlier.",
    ),
    *KERNEL,
    kind="diagnosis",
    examples=(
        "outliers data.xyz -o outliers.xyz -o outliers.png",
        "outliers new.xyz -r known.xyz -q 0.999 -o outliers.json",
        "outliers data.xyz -o outliers.chemiscope.json.gz",
    ),
)
def outliers(run: Run, files: Inputs, reference: Inputs | None, quantile: float) -> Report:
    """Find environments of FILE that are foreign to a reference, or to the rest of FILE.

    The threshold is a quantile of what the reference says of itself: the delta entropy of each of its
    environments against all its other structures. Extended xyz outputs hold delta_entropy and outlier of
    every atom, as does a file for chemiscope, which draws a map of all environments beside the structures.
    """
    if not 0 < quantile < 1:
        raise InputError(f"quantile must be between 0 and 1, got {quantile}.")
    given = run.load(files)
    envs = given.envs
    known = envs if reference is None else run.load(reference).envs
    if known.n_structures < 2:
        raise InputError(
            f"{(reference or files).name}: one structure has no others to compare with; give more."
        )
    with run.stage("delta_entropy"):
        group = known.structure_id
        own = np.asarray(information.delta_entropy_of_others(known.x, group, bandwidth=run.bandwidth))
        foreign = partial(information.delta_entropy, bandwidth=run.bandwidth)
        dH = own if reference is None else np.asarray(foreign(np.asarray(envs.x), np.asarray(known.x)))
    threshold = max(float(np.quantile(own, quantile)), overlap_tolerance(dH.dtype))
    per_structure = by_structure(envs, dH, threshold)
    found = {"threshold": threshold, "quantile": quantile, "outliers": int((dH > threshold).sum())}
    data = {"n_structures": envs.n_structures, "n_environments": len(dH)} | found
    data |= {"structures": per_structure, "structure_id": envs.structure_id, "delta_entropy": dH}
    cells = [
        [row["structure"], row["max_delta_entropy"], row["atom"], row["outliers"], row["atoms"]]
        for row in per_structure
    ]
    arrays = {"delta_entropy": dH, "outlier": (dH > threshold).astype(int)}

    structures = labeled(given, arrays)

    def view(path: Path) -> None:
        write_viewer(path, structures, np.asarray(envs.x), arrays, cutoff=run.parameters["cutoff"])

    return Report(
        data,
        cells[:SHOWN],
        ("structure", "largest δH", "of atom", "outliers", "atoms"),
        structures=structures,
        draw=partial(draw_histogram, dH, threshold, title=f"{given.name}: {run.caption()}"),
        view=view,
    )


@command(
    FILES,
    SEED,
    click.option("--sample", type=int, default=4000, show_default=True, help="Environments to look at."),
    *DESCRIPTOR,
    kind="figures",
    examples=("bandwidth data.xyz -o bandwidth.png",),
)
def bandwidth(run: Run, files: Inputs, sample: int, seed: int) -> Report:
    """Bandwidths that fit FILE, by five rules.

    Two rules use the volume per atom only. The others use the environments: the elbow of H(h)/ln n, the
    bandwidth at which 1 % of held-out structures' environments are novel, and the largest likelihood of one
    half of the structures under the other.
    """
    given = run.load(files)
    envs = given.envs
    if envs.n_structures < 2:
        raise InputError(f"{given.name}: one structure cannot be split into two halves; give more.")
    y, x = _halves(envs, sample, seed)
    with run.stage("bandwidths"):
        rules = _rules_by_volume(given.structures) | {
            "novelty": information.novelty_bandwidth(y, x, novel=NOVEL)
        }
        advance("bandwidths", 1, 3)
        rules["likelihood"] = information.likelihood_bandwidth(y, x)
        advance("bandwidths", 2, 3)
        rules["elbow"], share = information.elbow_bandwidth(np.concatenate([y, x]), BANDWIDTHS)
        advance("bandwidths", 3, 3)
    data = {"n_environments": len(y) + len(x), "seed": seed, "rules": rules, "recommended": rules["novelty"]}
    data |= {"bandwidths": BANDWIDTHS, "entropy_over_ln_n": share}
    rows = [(f"{name} (Å⁻¹)", value) for name, value in rules.items()]
    rows.append(("recommended: novelty, which is what covers are about", rules["novelty"]))
    draw = partial(draw_bandwidths, BANDWIDTHS, share, rules, title=f"{given.name}: {run.caption()}")
    return Report(data, rows, draw=draw)


@command(
    FILES,
    SEED,
    click.option("--repeats", type=int, default=5, show_default=True, help="Random orders."),
    *KERNEL,
    kind="figures",
    examples=("learning-curve data.xyz -o curve.png -o curve.json",),
)
def learning_curve(run: Run, files: Inputs, repeats: int, seed: int) -> Report:
    """Entropy of growing samples of FILE, and what more data would add.

    Samples are drawn without replacement. The information gap is the limit of the fitted curve minus the
    entropy of everything.
    """
    given = run.load(files)
    x = given.x
    sizes = sorted({max(1, round(share * len(x))) for share in CURVE})
    with run.stage("learning curve"):
        options = {"repeats": repeats, "bandwidth": run.bandwidth, "key": jax.random.key(seed)}
        curve = information.learning_curve(x, sizes, **options)
    limit = limit_of(curve)
    gap = None if limit is None else limit - float(curve.mean[-1])
    data = {"n_environments": len(x), "seed": seed, "repeats": repeats, "sizes": curve.sizes}
    data |= {"entropy": curve.mean, "half_width": curve.half_width, "limit": limit, "information_gap": gap}
    rows = [
        (f"{size:,}", mean, width)
        for size, mean, width in plain(list(zip(curve.sizes, curve.mean, curve.half_width, strict=True)))
    ]
    rows += [("limit of the fit", limit, ""), ("information gap", gap, "")]
    draw = partial(draw_learning_curve, curve, limit, title=f"{given.name}: {run.caption()}")
    return Report(data, rows, ("environments", "H (nats)", "± (95 %)"), draw=draw)


@command(
    FILES,
    REFERENCE,
    *KERNEL,
    kind="figures",
    examples=("trajectory md.xyz -r training.xyz -o md.png -o md.json",),
)
def trajectory(run: Run, files: Inputs, reference: Inputs | None) -> Report:
    """Entropy and diversity of every frame of FILE, and its novelty to a reference."""
    given = run.load(files)
    envs = given.envs
    known = None if reference is None else run.load(reference).x
    frames = []
    with run.stage("frames"):
        blocks = np.split(np.asarray(envs.x), np.cumsum(envs.counts)[:-1])
        for number, x in enumerate(blocks):
            frames.append(_frame(number, x, run.bandwidth))
            advance("frames", number + 1, len(blocks))
        if known is not None:
            dH = np.asarray(information.delta_entropy(np.asarray(envs.x), known, bandwidth=run.bandwidth))
            for frame, own in zip(frames, np.split(dH, np.cumsum(envs.counts)[:-1]), strict=True):
                tolerance = overlap_tolerance(dH.dtype)
                novel = {"novel": float((own >= tolerance).mean()) if len(own) else None}
                frame |= novel | {"max_delta_entropy": float(own.max(initial=-np.inf))}
    names = list(frames[0])
    step = -(-len(frames) // SHOWN)
    cells = [[frame[name] for name in names] for frame in frames[::step]]
    data = {"n_structures": envs.n_structures, "n_environments": int(envs.counts.sum()), "frames": frames}
    draw = partial(draw_trajectory, frames, title=f"{given.name}: {run.caption()}")
    return Report(data, cells, [name.replace("_", " ") for name in names], draw=draw)


@command(
    FILES,
    click.option("--by", help="Label of structures, such as config_type, that makes parts of a file."),
    *KERNEL,
    kind="figures",
    examples=(
        "overlap-matrix bulk.xyz surfaces.xyz liquid.xyz -o overlaps.png",
        "overlap-matrix data.xyz --by config_type -o overlaps.json -o overlaps.pdf",
    ),
)
def overlap_matrix(run: Run, files: Inputs, by: str | None) -> Report:
    """Share of each part of FILES that each other part covers, and their entropies.

    Parts are files, or the structures of a file that share a label. A row covers, a column is covered.
    """
    parts = dict(
        part for file in files.each() for part in _parts(run, file, by, several=len(files.files) > 1)
    )
    names, x = list(parts), list(parts.values())
    if len(names) < 2:
        raise InputError(
            f"{files.name}: is one part only; give several files, or --by a label of structures."
        )
    with run.stage("overlaps"):
        shares = information.overlap_matrix(x, bandwidth=run.bandwidth)
    with run.stage("entropies"):
        entropies = [float(information.entropy(rows, bandwidth=run.bandwidth)) for rows in x]
    limits = [float(np.log(len(rows))) for rows in x]
    data = {"names": names, "by": by, "n_environments": [len(rows) for rows in x], "entropies": entropies}
    data |= {"max_entropies": limits, "tolerance": overlap_tolerance(x[0].dtype), "overlaps": shares}
    apart = shares - np.eye(len(names))  # nobody is covered by itself
    best = apart.argmax(axis=0)
    cells = [
        (name, len(rows), H, limit, names[r] if apart[r, t] > 0 else "none", 100 * float(apart[r, t]))
        for t, (name, rows, H, limit, r) in enumerate(zip(names, x, entropies, limits, best, strict=True))
    ]
    title = f"{files.name}: {run.caption()}"
    draw = partial(draw_overlaps, names, shares, np.array(entropies), np.array(limits), title=title)
    header = ("part", "environments", "H (nats)", "ln n", "covered most by", "overlap (%)")
    return Report(data, cells, header, draw=draw)


def _parts(run: Run, file: Inputs, by: str | None, *, several: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Names and environments of the parts of a file: all of it, or one for each value of a label."""
    given = run.load(file)
    if by is None:
        yield file.name, given.x
        return
    if not given.structures or any(by not in atoms.info for atoms in given.structures):
        raise InputError(f"{file.name}: some structures have no {by}; name a label that all of them have.")
    labels = np.array([str(atoms.info[by]) for atoms in given.structures])
    for label in dict.fromkeys(labels.tolist()):
        own = (labels == label)[np.asarray(given.envs.structure_id)]
        if own.any():
            yield f"{file.name}: {label}" if several else label, given.x[own]


def _halves(envs: Environments, sample: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Environments of two disjoint halves of the structures, at most `sample` in all."""
    generator = np.random.default_rng(seed)
    side = generator.permutation(envs.n_structures) % 2
    halves = []
    for half in (0, 1):
        rows = np.flatnonzero(side[np.asarray(envs.structure_id)] == half)
        kept = np.sort(generator.permutation(rows)[: max(1, sample // 2)])
        if not len(kept):
            raise InputError("half of the structures hold no atoms; give structures with atoms.")
        halves.append(np.asarray(envs.x)[kept])
    return halves[0], halves[1]


def _rules_by_volume(given: Sequence[Atoms]) -> dict[str, float]:
    """The rules that need a volume per atom, at the median over fully periodic structures."""
    volumes = [atoms.cell.volume / len(atoms) for atoms in given if len(atoms) and atoms.pbc.all()]
    if not volumes:
        return {}
    volume = float(np.median(volumes))
    rules = {"volume, gaussian": information.gaussian_rule(volume)}
    return {
        name: float(h) for name, h in (rules | {"volume, cutoff": information.cutoff_rule(volume)}).items()
    }


def _frame(number: int, x: np.ndarray, bandwidth: float) -> dict[str, Any]:
    if not len(x):
        return {"frame": number, "entropy": None, "diversity": None}
    H, D = entropy_and_diversity(x, bandwidth=bandwidth)
    return {"frame": number, "entropy": H, "diversity": D}
