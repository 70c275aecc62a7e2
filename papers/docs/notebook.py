"""A page of Markdown becomes a notebook that has run, and the notebook a page that shows what it printed.

Blocks that begin with "```python cell" are its cells. They run in order, in this process, as Jupyter would
run them: what they print comes first, then the value of a last expression that knows how to show itself.
"""

from __future__ import annotations

import ast
import html
import io
import re
from contextlib import redirect_stdout
from typing import Any

CELL = re.compile(r"^```python cell\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FRAME = re.compile(r'srcdoc="([^"]*)"')


def executed(page: str) -> dict[str, Any]:
    """The notebook of a page, in the format of Jupyter (nbformat 4)."""
    cells, names = [], {}
    for place, text in enumerate(CELL.split(page)):
        lines = text.strip("\n").splitlines(keepends=True)
        if place % 2 == 0 and lines:
            cells.append({"cell_type": "markdown", "metadata": {}, "source": lines})
        elif place % 2:
            count = place // 2 + 1
            cell = {"cell_type": "code", "metadata": {}, "execution_count": count, "source": lines}
            cells.append(cell | {"outputs": _outputs(text, names, count)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4}


def _outputs(code: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    tree = ast.parse(code)
    last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        if last is not None:
            value = eval(compile(last, "<cell>", "eval"), names)
    outputs = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        data = {"text/plain": [repr(value)]}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = [value._repr_html_()]
        shown = {"output_type": "execute_result", "metadata": {}, "execution_count": count, "data": data}
        outputs.append(shown)
    return outputs


def as_page(notebook: dict[str, Any], name: str) -> tuple[str, dict[str, str]]:
    """Markdown that shows the cells and their outputs, and the pages that its frames show, by file name."""
    parts, frames = [], {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            if output["output_type"] == "stream":
                parts.append(f"```text\n{''.join(output['text'])}```")
            elif "text/html" in output["data"]:
                shown = "".join(output["data"]["text/html"])
                if (found := FRAME.search(shown)) is not None:
                    file = f"{name}_{len(frames) + 1}.html"
                    frames[file] = html.unescape(found[1])
                    shown = FRAME.sub(f'src="{file}"', shown)
                parts.append(shown)
            else:
                parts.append(f"```text\n{''.join(output['data']['text/plain'])}\n```")
    return "\n\n".join(parts) + "\n", frames
