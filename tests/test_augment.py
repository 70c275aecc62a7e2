"""New structures by gradient: targets are reached, and no two atoms come too close."""

from __future__ import annotations

import ase
import ase.io
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk, molecule
from command_line import STRUCTURES, Call, call, json_of

from quests_jax.atoms.contacts import separated
from quests_jax.atoms.describe import get_descriptors
from quests_jax.base.checks import InputError
from quests_jax.generate.augmentation import TOLERANCE, Goal, augment
from quests_jax.generate.bias import known_environments
from quests_jax.information import delta_entropy

__all__ = ["call"]  # the fixture

SLAB = bulk("Cu", cubic=True) * (2, 2, 1)
SLAB.pbc = (True, True, False)
STARTS = {
    "crystal": bulk("Si", cubic=True),
    "small skewed cell": bulk("Si"),
    "slab": SLAB,
    "molecule": molecule("CH3CH2OH"),
}


def closest_pair(atoms: ase.Atoms) -> float:
    """Shortest distance of two atoms by loops over images; open directions have none."""
    shifts = np.stack(np.meshgrid(*[range(-2, 3) if p else [0] for p in atoms.pbc]), -1).reshape(-1, 3)
    vectors = atoms.positions[None, :] - atoms.positions[:, None]
    lengths = np.linalg.norm(vectors[:, :, None] + (shifts @ atoms.cell.array)[None, None], axis=-1)
    return float(lengths[lengths > 0].min())


@pytest.mark.parametrize("name", STARTS)
def test_the_target_is_reached_and_no_atoms_come_too_close(name: str) -> None:
    atoms = STARTS[name]
    found = augment(atoms, known_environments([atoms]), goal=Goal(target=8.0))
    dH = delta_entropy(get_descriptors([found.structure]), get_descriptors([atoms]))
    np.testing.assert_allclose(found.delta_entropy, dH, rtol=1e-6, atol=1e-6)
    assert abs(float(dH.mean()) - 8.0) <= TOLERANCE
    assert found.history[-1] == pytest.approx(float(dH.mean()), abs=1e-6)
    assert closest_pair(found.structure) >= found.closest
    assert found.closest == pytest.approx(0.75 * closest_pair(atoms))
    assert np.all(found.structure.cell == atoms.cell)
    assert np.all(found.structure.numbers == atoms.numbers)


@pytest.mark.parametrize("target", [4.0, 60.0])
def test_the_largest_value_can_be_the_one_to_reach_it(target: float) -> None:
    atoms = STARTS["crystal"]
    found = augment(atoms, known_environments([atoms]), goal=Goal(target=target, pool=jnp.max, closest=1.2))
    assert abs(found.delta_entropy.max() - target) <= TOLERANCE


def test_a_foreign_structure_is_brought_back_to_a_lower_target() -> None:
    atoms = STARTS["crystal"].copy()
    atoms.rattle(0.3, seed=1)
    found = augment(atoms, known_environments([STARTS["crystal"]]), goal=Goal(target=5.0, closest=1.2))
    assert found.history[0] > 8
    assert abs(found.delta_entropy.mean() - 5.0) <= TOLERANCE


def test_without_end_the_largest_value_seen_is_returned() -> None:
    atoms = STARTS["crystal"]
    goal = Goal(target=np.inf, max_steps=8, closest=1.9)
    found = augment(atoms, known_environments([atoms]), goal=goal)
    assert found.delta_entropy.mean() == pytest.approx(found.history.max())
    assert found.history.max() > found.history[0] + 10


def test_an_energy_holds_atoms_back() -> None:
    atoms = STARTS["crystal"]
    known, goal = known_environments([atoms]), Goal(target=np.inf, max_steps=8, closest=1.2)
    held = lambda positions: 100.0 * jnp.sum((positions - atoms.positions) ** 2)  # noqa: E731
    moves = [
        np.abs(augment(atoms, known, goal=goal, energy=energy).structure.positions - atoms.positions).mean()
        for energy in (None, held)
    ]
    assert moves[1] < 0.7 * moves[0]


def test_the_same_key_gives_the_same_structure() -> None:
    atoms = STARTS["small skewed cell"]
    known, goal = known_environments([atoms]), Goal(target=5.0)
    first, again, other = (
        augment(atoms, known, goal=goal, key=jax.random.key(seed)).structure.positions for seed in (1, 1, 2)
    )
    assert np.all(first == again)
    assert np.any(first != other)


def test_new_structures_are_new_to_one_another() -> None:
    atoms = STARTS["crystal"]
    known, made = known_environments([atoms]), [atoms]
    for seed in range(3):
        new = augment(atoms, known, goal=Goal(target=5.0), key=jax.random.key(seed))
        dH = delta_entropy(get_descriptors([new.structure]), get_descriptors(made))
        np.testing.assert_allclose(dH.mean(), 5.0, atol=TOLERANCE + 1e-6)
        known, made = known.including([new.structure]), [*made, new.structure]


# ---- What is refused, and the guard on its own ----


def test_what_cannot_be_reached_is_refused() -> None:
    atoms = STARTS["crystal"]
    with pytest.raises(InputError, match="instead of 1e.05 nats after 6 steps with no atoms closer than 2 Å"):
        augment(atoms, known_environments([atoms]), goal=Goal(target=1e5, closest=2.0, max_steps=2))


def test_a_cell_too_small_for_the_closest_approach_is_refused() -> None:
    atoms = STARTS["small skewed cell"]
    with pytest.raises(InputError, match="cannot be kept 5 Å apart"):
        augment(atoms, known_environments([atoms]), goal=Goal(closest=5.0))


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        (Goal(target=np.nan), "target must be"),
        (Goal(closest=-1.0), "closest must be"),
        (Goal(max_steps=0), "max_steps must be"),
        (Goal(attempts=0), "attempts must be"),
    ],
)
def test_bad_goals_are_refused(goal: Goal, message: str) -> None:
    atoms = STARTS["crystal"]
    with pytest.raises(InputError, match=message):
        augment(atoms, known_environments([atoms]), goal=goal)


def test_nothing_to_move_is_refused() -> None:
    with pytest.raises(InputError, match="no atoms to move"):
        augment(ase.Atoms(), known_environments([STARTS["crystal"]]), goal=Goal(closest=1.0))


def test_a_single_atom_without_images_needs_a_closest_approach() -> None:
    atoms = ase.Atoms("Si")
    with pytest.raises(InputError, match="say how close atoms may come"):
        augment(atoms, known_environments([atoms]))


@pytest.mark.parametrize("seed", range(3))
def test_atoms_are_moved_apart_and_others_stay(seed: int) -> None:
    atoms = STARTS["crystal"] * 2
    atoms.rattle(0.02, seed=seed)
    atoms.positions[5] += 0.75 * (atoms.positions[6] - atoms.positions[5])
    moved = atoms.copy()
    moved.positions = separated(atoms, 1.8)
    assert closest_pair(atoms) < 1.8 <= closest_pair(moved)
    assert np.sum(np.any(moved.positions != atoms.positions, axis=1)) < 10


# ---- The command ----


def test_the_command_writes_new_structures(call: Call) -> None:
    options = ("--target", "9", "-n", "2", "--seed", "3", "-o", "new.xyz", "--json")
    found = json_of(call("augment", "data.xyz", *options))
    frames = ase.io.read("new.xyz", ":")
    dH = delta_entropy(get_descriptors(frames[:1]), get_descriptors(STRUCTURES))
    np.testing.assert_allclose(frames[0].arrays["delta_entropy"], dH, atol=1e-3)  # positions are rounded
    assert found["structures"][0]["mean_delta_entropy"] == pytest.approx(float(dH.mean()), abs=1e-3)
    assert [frame.info["start"] for frame in frames] == [row["start"] for row in found["structures"]]


def test_the_command_takes_a_smooth_descriptor_and_a_start(call: Call) -> None:
    found = json_of(call("augment", "data.xyz", "-i", "2", "--smooth", "--of", "max", "--json"))
    assert found["structures"][0]["start"] == 2
    assert found["structures"][0]["max_delta_entropy"] == pytest.approx(30.0, abs=TOLERANCE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-i", "8"), "has no structure 8"),
        (("-n", "0"), "number must be"),
        (("-i", "3", "--closest", "9"), "data.xyz: structure 3: atoms cannot be kept 9 Å apart"),
        (("-r", "data.npz", "--smooth"), "leave out --smooth"),
    ],
)
def test_the_command_refuses_what_cannot_be(call: Call, options: tuple[str, ...], message: str) -> None:
    assert call("descriptors", "data.xyz", "--elements", "ignore", "-o", "data.npz").code == 0
    outcome = call("augment", "data.xyz", *options)
    assert (outcome.code, message in outcome.err) == (2, True), outcome.err


def test_descriptors_that_tell_elements_apart_are_refused(call: Call) -> None:
    assert call("descriptors", "data.xyz", "--elements", "center", "-o", "data.npz").code == 0
    outcome = call("augment", "data.xyz", "-r", "data.npz")
    assert (outcome.code, "--elements ignore" in outcome.err) == (2, True), outcome.err
