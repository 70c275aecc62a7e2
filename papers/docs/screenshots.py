"""Screenshots of the report for the recipes: papers/docs/screenshots.py, with Chromium and playwright."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import quests_jax as qj
from quests_jax.datasets import bundled

FOLDER = Path(__file__).resolve().parent / "pages" / "recipes"
WIDTHS = {"report": 1200, "report_narrow": 420}  # pixels, by name of the picture
OPENED = 150  # structure that is shown in 3D
CLICK = f"document.querySelector('#list tbody tr[data-i=\"{OPENED}\"]').click()"


def main() -> None:
    """Draw the page about the bundled data set and take its picture, wide and narrow."""
    from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder) / "report.html"
        qj.show(qj.read(bundled()), title="Data set report: bundled:silicon").save(path)
        arguments = ["--no-sandbox", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        for name, width in WIDTHS.items():
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.goto(path.as_uri())
            page.wait_for_function("document.documentElement.dataset.ready == 'map'")
            page.click("#list-next")
            page.evaluate(CLICK)
            page.wait_for_timeout(2000)
            bottom = page.evaluate("document.querySelector('#list').getBoundingClientRect().top + scrollY")
            area = {"x": 0, "y": 0, "width": width, "height": round(bottom) + 160}
            page.screenshot(path=FOLDER / f"{name}.png", full_page=True, clip=area)
        browser.close()


if __name__ == "__main__":
    main()
