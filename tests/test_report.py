"""The report: one page that needs nothing else, and numbers that survive a figure."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from command_line import STRUCTURES, Call, call

import quests_jax as qj
from quests_jax.base.checks import InputError
from quests_jax.cli import report
from quests_jax.output import chart_data
from quests_jax.studies.force_tails import compare_tails, force_norms

__all__ = ["call"]  # the fixture

OUTPUTS = ("-o", "report.html", "-o", "report.json")


@pytest.fixture
def page(call: Call) -> str:
    rng = np.random.default_rng(0)
    for atoms in (structures := [atoms.copy() for atoms in STRUCTURES]):
        atoms.calc = SinglePointCalculator(atoms, forces=rng.normal(0, 1, (len(atoms), 3)), energy=0.0)
    qj.write("forces.xyz", structures)
    assert call("report", "forces.xyz", "-r", "data.xyz", *OUTPUTS).code == 0
    return Path("report.html").read_text(encoding="utf-8")


class Reader(HTMLParser):
    """Every tag with its attributes, outside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_nothing_else(page: str) -> None:
    reader = Reader()
    reader.feed(page)
    names = [tag for tag, _ in reader.tags]
    assert page.count('<div class="chart"') == 12
    assert not {"link", "img", "iframe"} & set(names)
    for _, attributes in reader.tags:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    policy = [a["content"] for tag, a in reader.tags if tag == "meta" and "http-equiv" in a]
    assert policy[0].startswith("default-src 'none'")


def test_the_page_and_the_json_say_the_same(page: str) -> None:
    numbers = json.loads(Path("report.json").read_text(encoding="utf-8"))
    entropy = numbers["entropy"]
    assert f"<td>{entropy:.4g}</td>" in page
    assert entropy == pytest.approx(float(qj.entropy(qj.environments(qj.read("forces.xyz")).x)), rel=1e-9)
    assert len(numbers["compression"]) == len({(r["size"], r["method"]) for r in numbers["compression"]})
    assert all(html.escape(line) in page for line in numbers["advice"])
    assert re.search(r"<code>quests_jax .*, jax \d", page)


def test_a_page_is_asked_for_before_anything_is_computed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "survey", None)
    ran = call("report", "data.xyz")
    assert ran.code == 2
    assert "add -o report.html" in ran.err


def test_forces_that_are_not_finite_are_named_and_left_out(call: Call) -> None:
    structures = [atoms.copy() for atoms in STRUCTURES]
    for number, atoms in enumerate(structures):
        forces = np.full((len(atoms), 3), np.nan if number == 2 else 1.0)
        atoms.calc = SinglePointCalculator(atoms, forces=forces, energy=0.0)
    qj.write("broken.xyz", structures)
    assert call("report", "broken.xyz", *OUTPUTS).code == 0
    numbers = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert numbers["quality"]["not_finite"] == [2]
    assert any("1 with labels that are not finite (structures 2)" in line for line in numbers["advice"])
    outcome = call("compare", "broken.xyz", "-s", "2", "-m", "random", "-o", "compare.json")
    assert outcome.code == 0, outcome.err
    advice = json.loads(Path("compare.json").read_text(encoding="utf-8"))["advice"]
    assert "Forces are missing or not finite" in advice[-1]
    assert "structure 2 of broken.xyz" in advice[-1]


def test_a_figure_that_fails_does_not_take_the_numbers_along(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no canvas")

    monkeypatch.setattr(chart_data, "histogram", fail)
    assert call("report", "data.xyz", *OUTPUTS).code == 0
    page = Path("report.html").read_text(encoding="utf-8")
    assert "could not be drawn: no canvas" in page
    assert "its delta entropy" in page


def test_tails_of_the_whole_are_whole() -> None:
    values = np.random.default_rng(0).lognormal(0, 1, 5000)
    found = compare_tails(values, values)
    assert set(found["quantiles"].values()) == {1.0}
    assert (found["largest"], found["wasserstein"], found["jensen_shannon"]) == (1.0, 0.0, 0.0)


def test_distances_of_tails_are_those_of_the_definition() -> None:
    values = np.random.default_rng(0).uniform(1, 2, 4000)
    assert compare_tails(values + 0.5, values)["wasserstein"] == pytest.approx(0.5, abs=1e-9)
    assert compare_tails(2 + values, values)["jensen_shannon"] == pytest.approx(1.0)
    assert set(compare_tails(0.1 * values, values)["quantiles"].values()) == {0.0}


def test_without_forces_there_are_no_tails() -> None:
    assert force_norms(STRUCTURES) is None
    for wrong in (np.zeros(0), np.array([-1.0])):
        with pytest.raises(InputError):
            compare_tails(wrong, np.ones(3))
