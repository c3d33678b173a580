"""Each page with executed blocks is also published as a notebook.

The code cells are the page's blocks, in order; the text between them
becomes Markdown cells, without what only the site can show.
"""

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.pages import Page
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from hooks.code_graph import ROOT
from hooks.executed_blocks import FENCE, option

FOLDERS = {"reference", "labs"}
DRAWING = re.compile(r"<figure.*?</figure>\n?", re.S)
BOX = re.compile(r'^(?:\?\?\?\+?|!!!) \w+ "(.*)"\n((?:    .*\n|\n)+)', re.M)
LINK = re.compile(r"\[([^]]+)\]\((?!\w+:)[^)]*\)")
INCLUDE = re.compile(r'^ *--8<-- "([^":]+):(\w+)"$', re.M)
START = """\
A page of *Sequence Models, Executed* as a notebook. It needs the book's
code: run `pip install ".[torch]"` in a copy of the repository first."""

waiting: dict[str, Any] = {}


def offered(page: Page) -> bool:
    """Study pages only, and only those with blocks."""
    part = page.file.src_uri.split("/")[0]
    return "/" in page.file.src_uri and part not in FOLDERS


def region(found: re.Match[str]) -> str:
    """The text of an included region."""
    text = (ROOT / "snippets" / found[1]).read_text(encoding="utf-8")
    start, end = (
        f"# --8<-- [{word}:{found[2]}]\n" for word in ("start", "end")
    )
    return text.split(start)[1].split(end)[0].strip("\n")


def plain(markdown: str) -> str:
    """What a notebook can show of the page's Markdown."""
    text = DRAWING.sub("", markdown)
    text = BOX.sub(lambda box: f"**{box[1]}**\n{dedented(box[2])}", text)
    text = INCLUDE.sub(region, text)
    text = re.sub(r"^( *)```python .*$", r"\1```python", text, flags=re.M)
    return LINK.sub(r"\1", text).strip()


def dedented(text: str) -> str:
    return re.sub(r"^    ", "", text, flags=re.M)


def cell_code(block: re.Match[str]) -> str:
    """A figure's block ends with the figure, which the notebook draws."""
    code = block["body"].strip("\n")
    if 'html="1"' not in block["head"]:
        return code
    *before, last = ast.parse(code).body
    assert isinstance(last, ast.Expr)
    assert isinstance(last.value, ast.Call)
    assert ast.unparse(last.value.func) == "print"
    lines = code.split("\n")[: last.lineno - 1]
    return "\n".join([*lines, ast.unparse(last.value.args[0])])


def notebook(markdown: str) -> Any:
    cells, at = [new_markdown_cell(START)], 0
    for block in FENCE.finditer(markdown):
        if block["indent"]:
            continue
        cells.append(new_markdown_cell(plain(markdown[at : block.start()])))
        cells.append(new_code_cell(cell_code(block)))
        if option(block, "raises"):
            cells[-1].metadata["tags"] = ["raises-exception"]
        at = block.end()
    cells.append(new_markdown_cell(plain(markdown[at:])))
    kept = [cell for cell in cells if cell.source]
    for number, cell in enumerate(kept):
        cell["id"] = f"cell-{number}"  # random otherwise
    kernel = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    return new_notebook(cells=kept, metadata={"kernelspec": kernel})


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    if not offered(page) or not FENCE.search(markdown):
        return markdown
    waiting[page.file.src_uri] = notebook(markdown)
    name = Path(page.file.src_uri).stem
    link = f'<a class="md-button" download href="{name}.ipynb">'
    return f"{markdown}\n\n{link}Download the blocks as a notebook</a>\n"


def on_post_page(output: str, page: Page, **_: Any) -> str:
    made = waiting.pop(page.file.src_uri, None)
    if made:
        target = Path(page.file.abs_dest_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(
            made, target.with_name(f"{Path(page.file.src_uri).stem}.ipynb")
        )
    return output
