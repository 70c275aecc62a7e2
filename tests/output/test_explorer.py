"""The map of structures: what the page holds, and what a person can do with it in a browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

import quests_jax as qj
from quests_jax.datasets import bundled
from quests_jax.information import LearningCurve
from quests_jax.output import chart_data, explorer, report_page
from quests_jax.output.explorer import Map, explorer_html, principal_components, shown_name

STALL = 200  # milliseconds between two frames
FIRST_PAINT = 5  # seconds until the map is there
TRIES = 5  # times of dragging, of which one must be undisturbed by what else the machine does
HOSTILE = (
    "<script>window.ran = 1</script>",
    "</script><img src=x onerror='window.ran = 1'>",
    "$a^$ \u202eabc",
    "\" onmouseover='window.ran = 1' `${window.ran = 1}`",
    "<!--<script>",
    "x" * 10_000,
)
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "img-src data: blob:"
)


def a_map(n_structures: int = 30) -> Map:
    rng = np.random.default_rng(0)
    kinds = (bulk("Si", cubic=True), molecule("H2O"), bulk("NaCl", "rocksalt", 5.6, cubic=True))
    structures: list[Atoms] = [kinds[i % 3].copy() for i in range(n_structures)]
    columns = {name: rng.normal(size=n_structures) for name in ("one", "two", "three")}
    columns["three"][5] = np.nan
    labels = {"config type": [HOSTILE[i % len(HOSTILE)] for i in range(n_structures)]}
    return Map(columns, labels, structures, np.arange(sum(map(len, structures)), dtype=float))


def payload(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="map-data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found.group(1))


def unpacked(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def test_every_number_travels_inside_the_page() -> None:
    shown = a_map()
    data = payload(explorer_html(shown))
    for column, (name, values) in zip(data["columns"], shown.columns.items(), strict=True):
        assert column["name"] == name
        np.testing.assert_array_equal(unpacked(column["values"], "<f4"), values.astype(np.float32))
    positions = np.concatenate([atoms.positions for atoms in shown.structures]).astype(np.float32)
    np.testing.assert_array_equal(unpacked(data["atoms"]["positions"], "<f4").reshape(-1, 3), positions)
    assert unpacked(data["atoms"]["counts"], "<i4").tolist() == [len(atoms) for atoms in shown.structures]


def test_names_from_files_are_no_markup_and_of_bounded_length() -> None:
    page = explorer_html(a_map())
    assert "window.ran" not in re.sub(
        r'<script type="application/json".*?</script>', "", page, flags=re.DOTALL
    )
    assert "<img" not in page[page.index('id="map-data"') : page.index('id="map-data"') + 20_000]
    assert len(shown_name("x" * 10_000)) == explorer.LONGEST_NAME
    assert shown_name("a\u202eb\nc") == "a b c"


def test_labels_are_sorted_by_how_often_they_occur() -> None:
    names = [f"part {i}" for i in range(30) for _ in range(30 - i)]
    shown = Map({"one": np.zeros(len(names))}, {"config type": names})
    (label,) = payload(explorer_html(shown))["labels"]
    assert label["names"] == [f"part {i}" for i in range(30)]
    assert [label["names"][code] for code in unpacked(label["codes"], "<i4")] == names


def test_the_rarest_labels_share_a_color_and_keep_their_names(browser: Any, tmp_path: Path) -> None:
    names = [f"part {i}" for i in range(30) for _ in range(30 - i)]
    rows = np.arange(len(names), dtype=float)
    shown = Map({"one": rows, "two": rows}, {"config type": names})
    opened = Opened(browser, write(tmp_path / "map.html", shown)).page
    legend = opened.locator("#map-legend button").all_text_contents()
    assert legend == [f"part {i}" for i in range(explorer.MOST_GROUPS - 1)] + ["others"]
    opened.click("#map-legend button:first-child")
    x, y = opened.evaluate(PLACE, 0)
    opened.mouse.move(x, y)
    assert opened.is_hidden("#map-tip")  # structures of a name that was clicked are not there
    opened.fill("#list-find", "part 29")
    assert "part 29" in opened.text_content("#list tbody tr")


def test_atoms_that_do_not_fit_leave_room_for_those_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer, "MOST_ATOMS", 60)
    data = payload(explorer_html(a_map()._replace(first=(29, 3))))
    kept = unpacked(data["atoms"]["kept"], "<i4").tolist()
    assert {3, 29} <= set(kept)
    assert sum(unpacked(data["atoms"]["counts"], "<i4")) <= 60


def test_principal_components_are_those_of_the_mean_descriptors() -> None:
    rng = np.random.default_rng(1)
    x, number = rng.normal(size=(40, 5)), np.repeat([0, 1, 3, 4], 10)
    found = principal_components(x, number, 5)
    means = np.array([x[number == s].mean(axis=0) for s in (0, 1, 3, 4)])
    centered = means - means.mean(axis=0)
    left, values, _ = np.linalg.svd(centered, full_matrices=False)
    np.testing.assert_allclose(np.abs(found[[0, 1, 3, 4]]), np.abs(left * values)[:, :2], atol=1e-12)
    assert np.isnan(found[2]).all()
    assert np.isfinite(principal_components(np.ones((4, 1)), np.arange(4), 4)).all()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; tests skip where it is not installed."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
        running = driver.chromium.launch(executable_path=program, args=arguments)
        yield running
        running.close()


class Opened:
    """A page in the browser, with every request, error and dialog since it was opened."""

    def __init__(self, browser: Any, path: Path, width: int = 1200) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, accept_downloads=True)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.errors.append("dialog"), dialog.dismiss()))
        self.page.goto(path.as_uri())
        self.page.wait_for_function("document.documentElement.dataset.ready == 'map'", timeout=60_000)

    def silent(self) -> bool:
        """Whether nothing was asked of a network, nothing failed, and no string of the data ran."""
        asked = [url for url in self.requests if not url.startswith(("file:", "blob:"))]
        assert (asked, self.errors, self.page.evaluate("window.ran")) == ([], [], None)
        return True


def saved(page: Any) -> list[int]:
    """What the button for saving puts into a file."""
    with page.expect_download() as download:
        page.click("#pick-save")
    return [int(word) for word in Path(download.value.path()).read_text().split()]


def write(path: Path, shown: Map, more: str = "") -> Path:
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    head += '<meta name="viewport" content="width=device-width, initial-scale=1">'
    path.write_text(
        f"<!doctype html><html><head>{head}</head><body>{explorer_html(shown)}{more}</body></html>", "utf-8"
    )
    return path


PLACE = "(i) => window.questsMap.place(i)"  # of structure i in the window, in pixels


def test_hover_click_pick_and_save(browser: Any, tmp_path: Path) -> None:
    opened = Opened(browser, write(tmp_path / "map.html", a_map()))
    page = opened.page
    x, y = page.evaluate(PLACE, 4)
    page.mouse.move(x, y)
    page.wait_for_selector("#map-tip:visible", timeout=10_000)
    assert "structure 4 H2O" in page.text_content("#map-tip")
    page.mouse.click(x, y)
    page.wait_for_function("document.getElementById('atoms-facts').textContent.startsWith('structure 4 ')")
    assert page.evaluate("document.getElementById('atoms-plot').data[0].x.length") == 3
    page.click("#atoms-pick")
    page.fill("#list-find", "Cl4Na4")
    page.click("#list tbody tr:nth-child(2) input")
    assert saved(page) == [4, 5]
    assert opened.silent()


@pytest.mark.parametrize("tool", ["box", "lasso"])
def test_a_box_and_a_lasso_pick_what_they_hold(browser: Any, tmp_path: Path, tool: str) -> None:
    shown = a_map()._replace(
        columns={"one": np.arange(30.0), "two": np.arange(30.0)}, labels={"kind": ["a"] * 30}
    )
    page = Opened(browser, write(tmp_path / "map.html", shown)).page
    page.check(f"#map-{tool}")
    (left, low), (right, high) = page.evaluate(PLACE, 9), page.evaluate(PLACE, 12)
    corners = [(left - 3, high - 3), (right + 3, high - 3), (right + 3, low + 3), (left - 3, low + 3)]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:] if tool == "lasso" else corners[2:3]:
        page.mouse.move(*corner)
    page.mouse.up()
    page.click("#pick-selected")
    assert saved(page) == [9, 10, 11, 12]


def test_what_was_moved_and_enlarged_is_hit_where_it_is_drawn(browser: Any, tmp_path: Path) -> None:
    page = Opened(browser, write(tmp_path / "map.html", a_map())).page
    before = page.evaluate(PLACE, 7)
    page.mouse.move(before[0] + 25, before[1] + 25)
    page.mouse.down()
    page.mouse.move(before[0] + 65, before[1] + 5)
    page.mouse.up()
    assert page.evaluate(PLACE, 7) == pytest.approx([before[0] + 40, before[1] - 20], abs=0.01)
    for _ in range(3):
        page.mouse.wheel(0, -100)
    x, y = page.evaluate(PLACE, 7)
    page.mouse.click(x, y)
    assert "structure 7 " in page.text_content("#atoms-facts")
    page.click("#map-whole")
    assert page.evaluate(PLACE, 7) == pytest.approx(before, abs=0.01)


def test_no_string_of_the_data_runs(browser: Any, tmp_path: Path) -> None:
    structures = [molecule("H2O") for _ in HOSTILE]
    one = np.arange(float(len(HOSTILE)))
    shown = Map(
        {text: one + place for place, text in enumerate(HOSTILE)},
        dict.fromkeys(HOSTILE, HOSTILE),
        structures,
        np.ones(3 * len(HOSTILE)),
        value_name=HOSTILE[0],
        unknown=dict.fromkeys(HOSTILE, HOSTILE[1]),
    )
    sections = [report_page.Section(text, text, (text,), [(text,)], lambda: []) for text in HOSTILE]
    facts = list(zip(HOSTILE, HOSTILE, strict=True))
    report_page.write_page(
        tmp_path / "page.html", report_page.Page(HOSTILE[0], HOSTILE, facts, shown, sections, HOSTILE)
    )
    opened = Opened(browser, tmp_path / "page.html", width=420)
    for color in opened.page.eval_on_selector_all("#map-color option", "all => all.map(o => o.value)"):
        opened.page.select_option("#map-color", color)
    x, y = opened.page.evaluate(PLACE, 1)
    opened.page.mouse.move(x, y)
    opened.page.mouse.click(x, y)
    for heading in opened.page.locator("#list th").all()[1:]:
        heading.click()
    assert opened.page.evaluate("document.images.length") == 0
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 420
    assert opened.silent()


@pytest.mark.slow
def test_the_page_of_the_bundled_set_is_operated(browser: Any, tmp_path: Path) -> None:
    structures = qj.read(bundled())
    qj.show(structures, title="bundled").save(tmp_path / "report.html")
    opened = Opened(browser, tmp_path / "report.html")
    page = opened.page
    assert "Redundancy" in page.text_content("#conclusions")
    for color in page.eval_on_selector_all("#map-color option", "options => options.map(o => o.value)"):
        page.select_option("#map-color", color)
        assert page.locator("#map-legend > *").count() >= 2
    x, y = page.evaluate(PLACE, 100)
    page.mouse.move(x, y)
    page.wait_for_selector("#map-tip:visible", timeout=10_000)
    named = int(page.text_content("#map-tip").split()[1])  # another may lie closer on top of it
    page.mouse.click(x, y)
    facts = page.text_content("#atoms-facts")
    assert facts.startswith(f"structure {named} {structures[named].get_chemical_formula()}")
    assert page.evaluate("document.getElementById('atoms-plot').data[0].x.length") == len(structures[named])
    page.click("#atoms-pick")
    page.click("#list th:has-text('largest δH')")
    page.click("#list tbody tr:first-child input")
    assert named in saved(page)
    assert len(saved(page)) in (1, 2)
    for chart in page.locator("[data-chart]").all():
        chart.scroll_into_view_if_needed()
        chart.locator(".main-svg").first.wait_for(timeout=10_000)
    assert opened.silent()


def test_the_list_sorts_and_leaves_the_unknown_to_the_end(browser: Any, tmp_path: Path) -> None:
    page = Opened(browser, write(tmp_path / "map.html", a_map())).page
    page.click("#list th:has-text('three')")
    cells = page.eval_on_selector_all("#list tbody tr", "rows => rows.map(r => r.lastChild.textContent)")
    assert cells[-1] == "unknown"
    values = [float(cell) for cell in cells[:-1]]
    assert values == sorted(values, reverse=True)


def test_a_narrow_window_shows_everything_without_scrolling_sideways(browser: Any, tmp_path: Path) -> None:
    page = Opened(browser, write(tmp_path / "map.html", a_map()), width=420).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert page.evaluate("document.getElementById('atoms-plot').getBoundingClientRect().right") <= 420


# The longest time between two frames while the map is dragged, in milliseconds.
FRAMES = """window.last = performance.now(); window.longest = 0; (function next() {
  const now = performance.now(); window.longest = Math.max(window.longest, now - window.last);
  window.last = now; requestAnimationFrame(next); })()"""


def test_twenty_thousand_structures_open_and_pan_without_a_stall(browser: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "map.html", a_map(20_000))
    begun = time.perf_counter()
    opened = Opened(browser, path)
    assert time.perf_counter() - begun < FIRST_PAINT
    page = opened.page
    page.evaluate(FRAMES)
    box = page.locator("#map-plot").bounding_box()
    stalls = []
    for _ in range(TRIES):
        page.evaluate("window.last = performance.now(); window.longest = 0")
        page.mouse.move(box["x"] + 300, box["y"] + 200)
        page.mouse.down()
        for step in range(30):
            page.mouse.move(box["x"] + 300 + 5 * step, box["y"] + 200 + step)
        page.mouse.up()
        stalls.append(page.evaluate("window.longest"))
        if stalls[-1] < STALL:
            break
    assert stalls[-1] < STALL, stalls
    assert opened.silent()


def test_charts_are_drawn_when_they_come_into_view(browser: Any, tmp_path: Path) -> None:
    rows = [
        {"method": m, "asked": n, "size": n, "upper_bound": None} | dict.fromkeys(chart_data.PANELS, 3.0 * n)
        for m in ("cover", "<b>$x$")
        for n in (5, 50)
    ]
    forces = np.random.default_rng(0).lognormal(0, 2, 3000)
    curve = LearningCurve(np.array([10, 100]), np.array([[1.0, 2.0], [1.2, 2.1]]))
    made = [
        chart_data.histogram(np.append(forces[:500] - 3, 4e3), 5.0),
        chart_data.tails_chart(forces, {"cover": forces[:100]}),
        chart_data.learning_chart(curve, 2.5),
        *chart_data.comparison_charts(rows),
    ]
    section = report_page.Section("<i>title", "$words$", ("a",), [("b",)], lambda: made)
    path = write(tmp_path / "map.html", a_map(), report_page._sections_html([section]))
    opened = Opened(browser, path, width=420)
    for place in range(len(made)):
        opened.page.locator(f'[data-chart="{place}"]').scroll_into_view_if_needed()
        opened.page.wait_for_selector(f'[data-chart="{place}"] .main-svg :is(.trace, .bars)', timeout=10_000)
    assert "could not be drawn" not in opened.page.content().split('id="charts-data"')[0]
    assert opened.errors == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 420
