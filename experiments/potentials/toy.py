"""Learned selection in two dimensions, to look at: a crowd, a few others, and a function of both."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from bilevel import Quadratic, learn, outer_loss
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import quests_jax as qj
from quests_jax.output.matplotlib_figures import COLORS

CROWD, OTHERS = 240, 60  # points around the origin, and spread over the square
SIZE = 30
BANDWIDTH = 0.25  # of the kernel that says which points are alike
PENALTY = 0.1


class Toy(NamedTuple):
    """Points to choose from, and a grid on which the model is to be right."""

    points: np.ndarray  # [S, 2]
    grid: np.ndarray  # [m, 2]
    problem: Quadratic


def make_toy(seed: int = 0) -> Toy:
    """300 points and ridge on 60 Gaussian bumps."""
    generator = np.random.default_rng(seed)
    crowd = 0.3 * generator.normal(size=(CROWD, 2)) + np.array([-0.8, -0.8])
    points = np.concatenate([crowd, generator.uniform(-2, 2, (OTHERS, 2))])
    axis = np.linspace(-2, 2, 25)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    centers = generator.uniform(-2.2, 2.2, (60, 2))
    x, y = (_bumps(part, centers) for part in (points, grid))
    value, aim = _function(points), _function(grid)
    grams, moments = jnp.asarray(x[:, :, None] * x[:, None, :]), jnp.asarray(x * value[:, None])
    outer = jnp.asarray(y.T @ y / len(y)), jnp.asarray(y.T @ aim / len(y)), float((aim**2).mean())
    return Toy(points, grid, Quadratic(grams, moments, PENALTY, *outer))


def draw_toy(path: Path, *, steps: int) -> None:
    """Which points are chosen by chance, by the cover and by descent, and how the loss falls."""
    toy = make_toy()
    w, losses = learn(toy.problem, SIZE, steps=steps)
    envs = qj.make_environments(toy.points, np.arange(len(toy.points)))
    cover = qj.greedy_cover(qj.cover_problem(envs, bandwidth=BANDWIDTH), size=SIZE).selected
    chosen = {
        "random": np.random.default_rng(0).permutation(len(w))[:SIZE],
        "cover": cover,
        "learned": np.argsort(-w, kind="stable")[:SIZE],
    }
    figure = Figure(figsize=(14, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 4)
    found = {name: _rounded_loss(toy, selected) for name, selected in chosen.items()}
    for number, (panel, (name, selected)) in enumerate(zip(axes, chosen.items(), strict=False)):
        panel.scatter(*toy.points.T, s=6, color="0.75")
        panel.scatter(*toy.points[selected].T, s=28, color=COLORS[number])
        panel.set_title(f"{name}: root mean square error {found[name]:.3f}", fontsize=10)
        panel.set_aspect("equal")
    axes[3].plot(np.sqrt(losses), color=COLORS[2], label="weights, not rounded")
    for number, (name, error) in enumerate(found.items()):
        axes[3].axhline(error, color=COLORS[number], linestyle="--", label=name)
    axes[3].set_xlabel("step")
    axes[3].set_ylabel("root mean square error on the grid")
    axes[3].legend(frameon=False, fontsize=9)
    figure.suptitle(f"{SIZE} of {len(w)} points for ridge on bumps", fontsize=11)
    figure.savefig(path, dpi=130)


def _rounded_loss(toy: Toy, selected: np.ndarray) -> float:
    w = jnp.zeros(len(toy.points)).at[jnp.asarray(selected)].set(1.0)
    return float(jnp.sqrt(outer_loss(toy.problem, w)))


def _bumps(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    return np.exp(-((points[:, None] - centers[None]) ** 2).sum(axis=2) / (2 * 0.5**2))


def _function(points: np.ndarray) -> np.ndarray:
    return np.sin(2.0 * points[:, 0]) * np.cos(1.5 * points[:, 1]) + 0.5 * points[:, 0]
