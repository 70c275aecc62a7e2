"""Pages of the documentation: what they execute runs, and every public name has a place in the reference."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "papers" / "docs"
PAGES = sorted(DOCS.glob("pages/**/*.md"))
DIRECTIVE = re.compile(r"^::: ([\w.*]+)(?:\n    options:\n      members: \[(.*)\])?", re.MULTILINE)


def blocks(path: Path) -> list[str]:
    """Code that runs when the page is built."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r"^```python (?:exec|cell)[^\n]*\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_blocks_of_a_page_run_in_order(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    together: dict[str, object] = {}
    for code in blocks(path):
        compiled = compile(code, path.name, "exec")
        if path.stem != "tutorial":  # takes a minute; `make docs` runs it and fails where it fails
            exec(compiled, together)
            assert capsys.readouterr().out


SMALL = """# A

```python cell
class Shown:
    def _repr_html_(self):
        return '<iframe srcdoc="&lt;b&gt;1"></iframe>'

print("one")
```

Words.

```python cell
Shown()
```

```python cell
2 + 1
```
"""


def test_a_page_becomes_a_notebook_that_has_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS)
    notebook = importlib.import_module("notebook")
    made = notebook.executed(SMALL)
    kinds = [cell["cell_type"] for cell in made["cells"]]
    assert kinds == ["markdown", "code", "markdown", "code", "code"]
    first, second, third = (cell["outputs"] for cell in made["cells"] if cell["cell_type"] == "code")
    assert first == [{"output_type": "stream", "name": "stdout", "text": ["one\n"]}]
    assert second[0]["data"]["text/html"] == ['<iframe srcdoc="&lt;b&gt;1"></iframe>']
    assert third[0]["data"] == {"text/plain": ["3"]}
    page, frames = notebook.as_page(made, "small")
    assert frames == {"small_1.html": "<b>1"}
    assert '<iframe src="small_1.html"></iframe>' in page
    assert "```text\none\n```" in page


def documented() -> set[str]:
    """Dotted names of all objects that the pages document."""
    names: set[str] = set()
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for name, members in re.findall(
            r"^::: ([\w.*]+)(?:\n    options:\n      members: \[(.*)\])?", text, re.M
        ):
            for each in modules(name):
                module = importlib.import_module(each)
                found = members.split(", ") if members else public(module)
                assert not [member for member in found if not hasattr(module, member)], each
                names |= {f"{each}.{member}" for member in found}
    return names


def modules(name: str) -> list[str]:
    """The module of this name; for one that ends in `.*`, all modules of the folder."""
    if not name.endswith(".*"):
        return [name]
    folder = ROOT.joinpath(*name[:-2].split("."))
    return [f"{name[:-2]}.{path.stem}" for path in folder.glob("[a-z]*.py")]


def public(module: ModuleType) -> list[str]:
    """Names in `__all__` of a module, or else all public names that it defines itself."""
    own = [
        name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
    ]
    return getattr(module, "__all__", [name for name in own if not name.startswith("_")])


def test_every_public_name_has_a_place_in_the_reference() -> None:
    if not DOCS.exists():
        pytest.skip("no documentation beside these tests")
    listed = {name.split(".")[-1] for name in documented()}
    packages = [f"quests_jax.{path.parent.name}" for path in (ROOT / "quests_jax").glob("*/__init__.py")]
    for package in ["quests_jax", *packages]:
        public = set(getattr(importlib.import_module(package), "__all__", ()))
        assert public - listed - {"NAME", "cli"} == set(), (
            f"{package}: names without a place in the reference"
        )


def test_pages_of_the_menu_exist() -> None:
    if not DOCS.exists():
        pytest.skip("no documentation beside these tests")
    menu = (DOCS / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2].partition("\nvalid")[0]
    for name in re.findall(r": (\S+\.md)$", menu, flags=re.MULTILINE):
        assert (DOCS / "pages" / name).exists() or (ROOT / name).exists(), name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_to_pages_and_headings(path: Path) -> None:
    for target, heading in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", path.read_text(encoding="utf-8")):
        page = (path.parent / target).resolve() if target else path
        taken = DOCS / "pages" in page.parents and (ROOT / page.relative_to(DOCS / "pages")).exists()
        made = target.startswith("{") or target.endswith(".ipynb")  # when the page is built
        assert page.exists() or taken or made, f"{path.name}: {target}"
        if heading.startswith("quests_jax."):
            assert heading in documented(), f"{path.name}: {heading}"
        elif heading:
            titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert heading in {title.lower().replace(" ", "-") for title in titles}, f"{path.name}: {heading}"
