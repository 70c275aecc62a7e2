"""Delta entropy as a function of positions: values, slopes, and a simulation that it drives."""

from __future__ import annotations

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk

from quests_jax.atoms.describe import get_descriptors
from quests_jax.atoms.neighbors import Neighbors, find_neighbors
from quests_jax.atoms.smooth import get_smooth_descriptors
from quests_jax.base.checks import InputError
from quests_jax.generate.bias import Known, biased, delta_entropies, known_environments, pooled_with_slope
from quests_jax.information import delta_entropy

K, CUTOFF, STEP = 8, 4.0, 1e-6
OPTIONS = {"k": K, "cutoff": CUTOFF, "bandwidth": 0.05}


def rattled(size: float, seed: int = 0) -> ase.Atoms:
    atoms = bulk("Si", cubic=True)
    atoms.rattle(size, seed=seed)
    return atoms


def given(atoms: ase.Atoms, smooth: bool) -> tuple[jax.Array, jax.Array, Neighbors]:
    neighbors = find_neighbors(atoms, k=K + smooth, cutoff=CUTOFF)
    return jnp.asarray(atoms.positions), jnp.asarray(atoms.cell.array), neighbors


REFERENCE = [rattled(0.02, seed) for seed in range(3)]
DESCRIBE = {False: get_descriptors, True: get_smooth_descriptors}


@pytest.mark.parametrize("smooth", DESCRIBE)
def test_values_are_delta_entropies(smooth: bool) -> None:
    atoms, known = rattled(0.1, 7), known_environments(REFERENCE, **OPTIONS, smooth=smooth)
    y, x = (DESCRIBE[smooth](part, k=K, cutoff=CUTOFF) for part in ([atoms], REFERENCE))
    found = delta_entropies(*given(atoms, smooth), known)
    np.testing.assert_allclose(found, delta_entropy(y, x, bandwidth=0.05), rtol=0, atol=1e-9)


@pytest.mark.parametrize("smooth", DESCRIBE)
@pytest.mark.parametrize("bandwidth", [0.05, 0.0005])
def test_slopes_equal_finite_differences(smooth: bool, bandwidth: float) -> None:
    """Also where exp(−δH) is 0 in float64."""
    known = known_environments(REFERENCE, **OPTIONS | {"bandwidth": bandwidth}, smooth=smooth)
    positions, cell, neighbors = given(rattled(0.1, 7), smooth)
    (value, dH), slope = pooled_with_slope(positions, cell, neighbors, known, jnp.mean)
    assert value == pytest.approx(float(dH.mean()))
    assert (value > 745) == (bandwidth < 0.001)
    for entry in [(0, 0), (3, 1), (7, 2)]:
        ahead, behind = (positions.at[entry].add(side * STEP) for side in (1, -1))
        values = [delta_entropies(p, cell, neighbors, known).mean() for p in (ahead, behind)]
        np.testing.assert_allclose(slope[entry], (values[0] - values[1]) / (2 * STEP), rtol=1e-5, atol=1e-5)


def test_padding_changes_nothing() -> None:
    known = known_environments(REFERENCE, **OPTIONS)
    place = given(rattled(0.1, 7), False)
    plain, padded = (pooled_with_slope(*place, k, jnp.max) for k in (known, known.padded()))
    assert len(known.padded().x) == 256
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-10), plain, padded)


def test_what_is_included_becomes_known() -> None:
    atoms, known = rattled(0.3, 7), known_environments(REFERENCE, **OPTIONS)
    before, after = (delta_entropies(*given(atoms, False), k) for k in (known, known.including([atoms])))
    assert before.max() > 1
    assert np.all(after < 1e-9)


def spring_energy(positions: jax.Array) -> jax.Array:
    return 2.0 * jnp.sum((positions - bulk("Si", cubic=True).positions) ** 2)


def a_bias(target: float):
    known = known_environments(REFERENCE, **OPTIONS, smooth=True)
    cell = jnp.asarray(bulk("Si", cubic=True).cell.array)
    return biased(spring_energy, known, cell, target=target, stiffness=0.05)


def test_biased_forces_equal_finite_differences() -> None:
    positions, _, neighbors = given(rattled(0.1, 7), True)
    energy = jax.jit(a_bias(20.0))
    force = -jax.grad(energy)(positions, neighbors=neighbors)
    for entry in np.ndindex(force.shape):
        ahead, behind = (positions.at[entry].add(side * STEP) for side in (1, -1))
        difference = energy(ahead, neighbors=neighbors) - energy(behind, neighbors=neighbors)
        np.testing.assert_allclose(force[entry], -difference / (2 * STEP), rtol=1e-5, atol=1e-5)


def driven_to(*targets: float) -> list[float]:
    """Mean δH after short Langevin runs under the bias, from near the data; one program for all targets."""
    from jax_md import simulate, space

    atoms, known = rattled(0.02), known_environments(REFERENCE, **OPTIONS, smooth=True)
    cell = jnp.asarray(atoms.cell.array)
    neighbors = find_neighbors(atoms, k=40, cutoff=CUTOFF + 1.0)

    def energy(positions: jax.Array, *, target: jax.Array, **given) -> jax.Array:
        return biased(spring_energy, known, cell, target=target, stiffness=0.05)(positions, **given)

    init, step = simulate.nvt_langevin(jax.jit(energy), space.free()[1], dt=0.02, kT=0.001, gamma=1.0)
    step, found = jax.jit(step), []
    start = init(
        jax.random.key(0), jnp.asarray(atoms.positions), mass=1.0, neighbors=neighbors, target=jnp.array(0.0)
    )
    for target in targets:
        state = start
        for _ in range(150):
            state = step(state, neighbors=neighbors, target=jnp.array(target))
        assert np.isfinite(state.position).all()
        assert np.abs(state.position - atoms.positions).max() < 0.5  # the candidates hold
        found.append(float(delta_entropies(state.position, cell, neighbors, known).mean()))
    return found


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_bias_drives_a_simulation_away_from_the_data() -> None:
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        far, near = driven_to(15.0, 0.0)
    assert far > near + 5


def test_a_bias_on_a_descriptor_that_jumps_is_refused() -> None:
    known = known_environments(REFERENCE, **OPTIONS)
    with pytest.raises(InputError, match="smooth"):
        biased(spring_energy, known, np.eye(3), target=1.0, stiffness=1.0)


def test_weights_count() -> None:
    known = known_environments(REFERENCE, **OPTIONS)
    twice = Known(known.x, weights=np.full(len(known.x), 2.0), **OPTIONS)
    place = given(rattled(0.1, 7), False)
    once, double = (delta_entropies(*place, k) for k in (known, twice))
    np.testing.assert_allclose(once - double, np.log(2), rtol=1e-9)
