"""`--bandwidth auto` finds one bandwidth for each element that is told apart, in memory and on disk."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from command_line import Call, call, json_of

import quests_jax as qj
from quests_jax import information
from quests_jax.base.environments import Environments
from quests_jax.cli.bandwidth_choice import rounded
from quests_jax.studies.bandwidths import recommended_bandwidth

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # how well a bandwidth fits

__all__ = ["call"]  # the fixture

COMMON = ("bandwidth", "bandwidth_by_element", "bandwidth_auto")
KERNEL = ("-k", "8", "-c", "4.0")


def crystals(count: int, seed: int, *, dopant: str = "Br") -> list:
    """Rock salt, in which chlorine moves more than sodium, and a few atoms are of a third element."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(count):
        atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
        width = np.where(atoms.symbols == "Cl", 0.25, 0.08)[:, None]
        atoms.positions += width * generator.normal(size=(len(atoms), 3))
        atoms.positions = atoms.positions.round(8)  # what extended xyz keeps
        if number % 8 == 0:
            atoms.symbols[1] = dopant
        made.append(atoms)
    return made


def write_sets() -> None:
    """Two data sets that share sodium and chlorine."""
    ase.io.write("salt.xyz", crystals(60, 0), format="extxyz")
    ase.io.write("known.xyz", crystals(60, 1), format="extxyz")


def environments(name: str) -> Environments:
    return qj.environments(qj.read(name), k=8, cutoff=4.0, elements="center")


def own_bandwidths(envs: Environments) -> dict[str, float]:
    """What the rule gives sodium and chlorine alone; bromine is too rare and has the median of both."""
    alone = {symbol: envs.take(np.asarray(envs.elements) == Z) for symbol, Z in (("Na", 11), ("Cl", 17))}
    found = {symbol: rounded(recommended_bandwidth(part).value) for symbol, part in alone.items()}
    return found | {"Br": rounded(np.median([*found.values()]))}


NUMBERS = {"Na": 11, "Cl": 17, "Br": 35}


def separately(y: Environments, x: Environments, each: dict[str, float]) -> np.ndarray:
    """Σ_j K_ij of each environment of y, from each element described, measured and joined by itself."""
    sums = np.zeros(len(y))
    for symbol, h in each.items():
        of_y, of_x = (np.asarray(envs.elements) == NUMBERS[symbol] for envs in (y, x))
        rows = np.asarray(y.x)[of_y], np.asarray(x.x)[of_x]
        sums[of_y] = np.asarray(information.kernel_sum(*rows, bandwidth=h))
    return sums


def test_measures_are_those_of_each_element_at_its_own_bandwidth(call: Call) -> None:
    write_sets()
    found = json_of(call("metrics", "salt.xyz", *KERNEL, "-b", "auto", "--json"))
    envs = environments("salt.xyz")
    each = own_bandwidths(envs)
    assert found["bandwidth_by_element"] == each
    assert found["bandwidth"] == each["Br"]
    assert len(set(each.values())) == 3
    p = separately(envs, envs, each)
    assert found["entropy"] == pytest.approx(np.log(len(envs)) - np.log(p).mean(), abs=1e-12)
    assert found["diversity"] == pytest.approx(np.log((1 / p).sum()), abs=1e-12)


def test_a_reference_decides_for_the_elements_that_it_holds(call: Call) -> None:
    write_sets()
    words = ("delta-entropy", "salt.xyz", "-r", "known.xyz", *KERNEL, "-b", "auto", "--json")
    found = json_of(call(*words))
    y, x = environments("salt.xyz"), environments("known.xyz")
    each = own_bandwidths(x)
    assert found["bandwidth_by_element"] == each
    expected = -np.log(separately(y, x, each))
    np.testing.assert_allclose(found["delta_entropy"], expected, atol=1e-11)


def test_an_element_that_the_reference_lacks_takes_its_bandwidth_from_the_data(call: Call) -> None:
    write_sets()
    only_sodium = [atoms[atoms.symbols == "Na"] for atoms in crystals(60, 1)]
    ase.io.write("sodium.xyz", only_sodium, format="extxyz")
    words = ("overlap", "salt.xyz", "sodium.xyz", *KERNEL, "-b", "auto", "--json")
    found = json_of(call(*words))
    sodium = recommended_bandwidth(environments("sodium.xyz")).value
    assert found["bandwidth"] == found["bandwidth_by_element"]["Na"] == float(f"{sodium:.3g}")
    assert found["bandwidth_by_element"]["Cl"] == own_bandwidths(environments("salt.xyz"))["Cl"]


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("compress salt.xyz -r known.xyz -s 3 -m cover", ["selected", "entropy", "coverage"]),
        ("outliers salt.xyz -r known.xyz", ["threshold", "outliers"]),
        ("metrics salt.xyz", ["entropy", "diversity"]),
    ],
)
def test_what_an_output_records_gives_the_same_again_when_typed_in_memory_and_on_disk(
    call: Call, line: str, same: list[str]
) -> None:
    write_sets()
    words = (*line.split(), *KERNEL, "--json")
    found = json_of(call(*words, "-b", "auto"))
    assert len(found["bandwidth_by_element"]) == 3
    each = ",".join(f"{symbol}={h:g}" for symbol, h in found["bandwidth_by_element"].items())
    typed = json_of(call(*words, "-b", f"{found['bandwidth']:g},{each}"))
    on_disk = json_of(call(*words, "-b", "auto", "--work", "folder"))
    again = json_of(call(*words, "-b", "auto", "--work", "folder"))
    for name in COMMON:
        assert on_disk[name] == again[name] == found[name]
    differing = {"command", "seconds", "warnings", "advice", "bandwidth_auto"}
    assert {k: v for k, v in typed.items() if k not in differing} == {
        k: v for k, v in found.items() if k not in differing
    }
    for name in same:
        assert on_disk[name] == pytest.approx(found[name], abs=1e-9), name
        assert again[name] == on_disk[name]


@pytest.mark.parametrize(
    "line", ["inspect salt.xyz", "split salt.xyz", "entropy salt.xyz", "diversity salt.xyz"]
)
def test_every_command_says_the_bandwidths_of_elements(call: Call, line: str) -> None:
    write_sets()
    words = (*line.split(), *KERNEL, "-b", "auto")
    each = json_of(call(*words, "--json"))["bandwidth_by_element"]
    text = " ".join(call(*words).out.split())
    assert f"(by element: Na {each['Na']:g}, Cl {each['Cl']:g}, Br {each['Br']:g})" in text


def test_one_bandwidth_and_elements_that_are_ignored_have_none_by_element(call: Call) -> None:
    write_sets()
    assert json_of(call("entropy", "salt.xyz", *KERNEL, "--json"))["bandwidth_by_element"] is None
    words = ("entropy", "salt.xyz", *KERNEL, "--elements", "ignore")
    found = json_of(call(*words, "-b", "auto", "--json"))
    assert found["bandwidth_by_element"] is None
    ignored = qj.environments(qj.read("salt.xyz"), k=8, cutoff=4.0)
    assert found["bandwidth"] == float(f"{recommended_bandwidth(ignored).value:.3g}")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--elements ignore -b 0.02,Na=0.03", "elements are not told apart"),
        ("-b Na=0.03", "the bandwidth of all other elements comes first"),
        ("-b 0.02,Xx=0.03", "'Xx=0.03' is not an element and its bandwidth"),
        ("-b 0.02,Na=0.03,Na=0.04", "each once"),
        ("-b 0.02,Na=-1", "bandwidth of Na must be a positive number"),
        ("-b 0.02,Na=x", "'x' is not a valid float"),
    ],
)
def test_what_cannot_be_meant_is_refused(call: Call, options: str, words: str) -> None:
    write_sets()
    outcome = call("entropy", "salt.xyz", *options.split())
    assert outcome.code == 2
    assert words in outcome.err
