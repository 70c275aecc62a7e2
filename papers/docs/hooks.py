"""What the documentation takes from elsewhere in the project: the README, the papers and the experiments."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "CHANGELOG.md", "papers/*.md", "experiments/*/*.md")
TAKEN = (*PAGES, "papers/*.png", "papers/*.bib", "experiments/*/*.png")
FOLDER = re.compile(r"\]\((\.\./)?experiments/(\w+)/?\)")


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
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Turn links to folders of experiments into links to their pages."""
    return FOLDER.sub(lambda found: f"]({found[1] or ''}experiments/{found[2]}/README.md)", markdown)
