"""A linear model of energies and forces, solved in closed form.

    E = Σ_i [μ_z(i) + θ_z(i) · φ(Ĝ_i)],    φ(Ĝ) = (1, Ĝ, √(2/R) tanh(W Ĝ + b)),    F = −∂E/∂R
    θ = argmin Σ_s w_s L_s(θ) + λ |θ|²,
    L_s = κ² (E_s − E_s(θ))²/n_s + Σ_a |F_a − F_a(θ)|²/3

with Ĝ the symmetry functions (see `features`) in units of their spread, W and b random and fixed (a hidden
layer that is not trained [huang:06]), n_s atoms in structure s, and shifts μ_z fitted to the energies
beforehand. Every structure brings its part of the normal equations, so a choice of structures is fitted by
adding up: (Σ_s w_s A_s + λ) θ = Σ_s w_s b_s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms
from features import Features
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

ENERGY = 10.0  # κ in 1/Å: 10 meV per atom weigh as much as 0.1 eV/Å
FLAT = 1e-10  # relative spread below which a symmetry function is left out
PENALTIES = (0.1, 1.0, 10.0)  # λ to choose from


class Basis(NamedTuple):
    """What turns symmetry functions into the columns of the linear model."""

    center: np.ndarray  # [g]
    scale: np.ndarray  # [g], 1/spread
    weights: np.ndarray  # W, [g, R]
    biases: np.ndarray  # b, [R]
    n_species: int


class Targets(NamedTuple):
    """Energies without shifts, in eV, and forces in eV/Å, of a list of structures."""

    energies: np.ndarray  # [S]
    forces: np.ndarray  # [n, 3]


class Rows(NamedTuple):
    """What the linear model predicts for some structures, and should."""

    energy: np.ndarray  # [S, D]
    force: np.ndarray  # [3 n, D]
    targets: Targets
    atoms: np.ndarray  # [S]

    def take(self, chosen: np.ndarray) -> Rows:
        """Those of some structures."""
        own = np.isin(np.repeat(np.arange(len(self.atoms)), self.atoms), chosen)
        aims = Targets(self.targets.energies[chosen], self.targets.forces[own])
        return Rows(self.energy[chosen], self.force[np.repeat(own, 3)], aims, self.atoms[chosen])


class Equations(NamedTuple):
    """Parts of the normal equations that structures bring."""

    grams: np.ndarray  # [S, D, D], A_s
    moments: np.ndarray  # [S, D], b_s


def make_basis(found: Sequence[Features], n_species: int, *, n_hidden: int, seed: int) -> Basis:
    """Spread of the symmetry functions of these structures, and random frequencies for them."""
    values = np.concatenate([one.values for one in found])
    spread, generator = values.std(axis=0), np.random.default_rng(seed)
    weights = generator.normal(size=(values.shape[1], n_hidden)) / np.sqrt(values.shape[1])
    flat = spread < FLAT * np.maximum(abs(values).max(axis=0), FLAT)
    scale = 1.0 / np.where(flat, np.inf, spread)
    return Basis(values.mean(axis=0), scale, weights, generator.normal(size=n_hidden), n_species)


def fit_shifts(structures: Sequence[Atoms], elements: Sequence[int]) -> np.ndarray:
    """μ_z in eV by least squares, of least norm where the composition does not tell elements apart."""
    counts = np.array([[(atoms.numbers == z).sum() for z in elements] for atoms in structures], float)
    return np.linalg.lstsq(counts, np.array([atoms.get_potential_energy() for atoms in structures]))[0]


def targets(structures: Sequence[Atoms], elements: Sequence[int], shifts: np.ndarray) -> Targets:
    """Energies less the shifts of their atoms, and forces."""
    energies = [
        atoms.get_potential_energy() - shifts[[list(elements).index(z) for z in atoms.numbers]].sum()
        for atoms in structures
    ]
    return Targets(np.array(energies), np.concatenate([atoms.get_forces() for atoms in structures]))


def rows(found: Sequence[Features], basis: Basis, aims: Targets) -> Rows:
    """The linear model of some structures."""
    energy, force = zip(*(design(one, basis) for one in found), strict=True)
    return Rows(np.stack(energy), np.concatenate(force), aims, np.array([len(one.values) for one in found]))


def weighted_rows(model: Rows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """X_s [1 + 3 n_s, D] and y_s of every structure, scaled so that L_s = |y_s − X_s θ|²."""
    ends = np.cumsum(model.atoms)[:-1]
    force_rows, forces = np.split(model.force, 3 * ends), np.split(model.targets.forces, ends)
    for row, energy, own, force in zip(model.energy, model.targets.energies, force_rows, forces, strict=True):
        each = ENERGY / np.sqrt(len(force))
        x = np.concatenate([each * row[None], own / np.sqrt(3)])
        yield x, np.concatenate([[each * energy], force.reshape(-1) / np.sqrt(3)])


def equations(model: Rows) -> Equations:
    """A_s = X_sᵀ X_s and b_s = X_sᵀ y_s of every structure."""
    grams, moments = zip(*((x.T @ x, x.T @ y) for x, y in weighted_rows(model)), strict=True)
    return Equations(np.stack(grams), np.stack(moments))


def design(one: Features, basis: Basis) -> tuple[np.ndarray, np.ndarray]:
    """Rows of one structure: of its energy [D], and of its forces [3 n, D] atom by atom."""
    values, slopes = _columns(one, basis)
    n, width = values.shape
    row, force = np.zeros((basis.n_species, width)), np.zeros((3 * n, basis.n_species, width))
    np.add.at(row, one.species, values)
    for z in range(basis.n_species):
        own = np.flatnonzero(one.species[one.center] == z)
        ends, signs = np.concatenate([one.center[own], one.neighbor[own]]), np.repeat([1.0, -1.0], len(own))
        scatter = csr_array((signs, (ends, np.tile(np.arange(len(own)), 2))), shape=(n, len(own)))
        force[:, z] = (scatter @ slopes[own].reshape(len(own), 3 * width)).reshape(3 * n, width)
    return row.reshape(-1), force.reshape(3 * n, -1)


def _columns(one: Features, basis: Basis) -> tuple[np.ndarray, np.ndarray]:
    """φ of every atom [n, 1 + g + R] and its derivatives by the vectors of pairs [P, 3, 1 + g + R]."""
    scaled, slope = (one.values - basis.center) * basis.scale, one.slopes * basis.scale
    hidden, height = np.tanh(scaled @ basis.weights + basis.biases), np.sqrt(2.0 / max(len(basis.biases), 1))
    values = np.concatenate([np.ones((len(scaled), 1)), scaled, height * hidden], axis=1)
    steps = height * (1.0 - hidden**2)[one.center, None] * (slope @ basis.weights)
    return values, np.concatenate([np.zeros((*slope.shape[:2], 1)), slope, steps], axis=2)


def fit(equations: Equations, chosen: np.ndarray, penalty: float) -> np.ndarray:
    """θ [D] for the structures `chosen`, all of weight 1."""
    gram, moment = equations.grams[chosen].sum(axis=0), equations.moments[chosen].sum(axis=0)
    return solve(gram, moment, penalty)


def solve(gram: np.ndarray, moment: np.ndarray, penalty: float) -> np.ndarray:
    """θ of (A + λ) θ = b."""
    return cho_solve(cho_factor(gram + penalty * np.eye(len(gram))), moment)


def predict(model: Rows, theta: np.ndarray) -> Targets:
    """Energies without shifts and forces."""
    return Targets(model.energy @ theta, (model.force @ theta).reshape(-1, 3))


def loss(found: Targets, aim: Targets, atoms: np.ndarray) -> float:
    """Σ_s L_s, per atom."""
    energy = ENERGY**2 * ((found.energies - aim.energies) ** 2 / atoms).sum()
    return float((energy + ((found.forces - aim.forces) ** 2).sum() / 3) / atoms.sum())


def best_fit(known: Equations, chosen: np.ndarray, held_out: Rows) -> tuple[np.ndarray, float]:
    """θ and λ of the smallest loss on the structures held out."""
    gram, moment = known.grams[chosen].sum(axis=0), known.moments[chosen].sum(axis=0)
    fits = [(solve(gram, moment, penalty), penalty) for penalty in PENALTIES]
    return min(fits, key=lambda found: loss(predict(held_out, found[0]), held_out.targets, held_out.atoms))
