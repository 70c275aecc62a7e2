"""What the documentation takes from elsewhere in the project: the README, papers, experiments and modules."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).resolve().parent))
import notebook

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "papers/*.md", "experiments/*/*.md")
TAKEN = (*PAGES, "papers/*.png", "papers/*.bib", "experiments/*/*.png")
FOLDER = re.compile(r"\]\((\.\./)?experiments/(\w+)/?\)")
EVERY_MODULE = re.compile(r"^::: (quests_jax\.[\w.]+)\.\*$", re.MULTILINE)


def on_config(config: Any) -> Any:
    """List every experiment that has a README."""
    folders = sorted(path.parent.name for path in ROOT.glob("experiments/*/README.md"))
    pages = [{name.replace("_", " "): f"experiments/{name}/README.md"} for name in folders]
    config.nav = [
        {"Experiments": pages} if entry == {"Experiments": "EXPERIMENTS"} else entry for entry in config.nav
    ]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the files of the project that are pages already."""
    for pattern in TAKEN:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    _add_notebook(files, config)
    return files


def _add_notebook(files: Files, config: Any) -> None:
    """The tutorial: its page shows what its cells gave, and the notebook that ran lies beside it."""
    path = Path(config.docs_dir) / "tutorial.md"
    made = notebook.executed(path.read_text(encoding="utf-8"))
    page, frames = notebook.as_page(made, "tutorial")
    contents = {"tutorial.md": page, "tutorial.ipynb": json.dumps(made, indent=1)} | frames
    for name, content in contents.items():
        if (old := files.get_file_from_path(name)) is not None:
            files.remove(old)
        files.append(File.generated(config, name, content=content))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Name every module where a page asks for a whole folder; lead links to experiments to their pages."""
    markdown = EVERY_MODULE.sub(_modules, markdown)
    return FOLDER.sub(lambda found: f"]({found[1] or ''}experiments/{found[2]}/README.md)", markdown)


def _modules(found: re.Match[str]) -> str:
    folder = ROOT.joinpath(*found[1].split("."))
    names = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    return "\n\n".join(f"::: {found[1]}.{name}" for name in names)
