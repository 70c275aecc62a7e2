"""The page of the report in a notebook."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from command_line import STRUCTURES

import quests_jax as qj
from quests_jax.output.notebook import View


@pytest.fixture(scope="module")
def view() -> View:
    return qj.show(STRUCTURES, title="<b>copper</b>")


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(view: View) -> None:
    (framed,) = re.findall(r'srcdoc="([^"]*)"', view._repr_html_())
    assert html.unescape(framed) == view.page
    assert "&lt;b&gt;copper" in view.page
    assert len(repr(view)) < 100


def test_the_page_can_be_kept(view: View, tmp_path: Path) -> None:
    view.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == view.page


def test_environments_alone_have_a_map_without_atoms() -> None:
    page = qj.show(qj.environments(STRUCTURES)).page
    assert '"atoms":null' in page
