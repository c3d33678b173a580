"""Labs: mkdocs-jupyter runs them, MkDocs renders them like any page.

1. The plugin's cache is keyed on the notebook alone. Here it gets a folder
   named after everything that the lab depends on.
2. The plugin's page brings half a megabyte of JupyterLab's style sheets.
   Here only the outputs are kept; text, code, formulas and links go through
   the book's own Markdown, so that they look and are checked the same.
3. Each lab is published as a notebook beside its page.
"""

import shutil
from pathlib import Path
from typing import Any

import jupytext
from bs4 import BeautifulSoup, Tag
from mkdocs.plugins import event_priority
from mkdocs.structure.pages import Page

from hooks.code_graph import ROOT, fingerprint, imported_modules

CACHE = ROOT / ".cache/labs"

used_caches: set[Path] = set()


def is_lab(page: Page) -> bool:
    return page.file.src_uri.endswith(".py")


def cache_dir(lab: Path) -> Path:
    """A folder whose name changes with all that the lab's result needs."""
    return CACHE / f"{lab.stem}-{fingerprint(imported_modules(lab))}"


@event_priority(100)  # before the plugin reads its settings for this page
def on_pre_page(page: Page, config: Any, files: Any) -> Page:
    if is_lab(page):
        folder = cache_dir(Path(page.file.abs_src_path or ""))
        used_caches.add(folder)
        config.plugins["mkdocs-jupyter"].config["cache_dir"] = str(folder)
    return page


def on_page_content(html: str, page: Page, config: Any, files: Any) -> str:
    if not is_lab(page):
        return html
    notebook = jupytext.read(page.file.abs_src_path)
    cells = BeautifulSoup(html, "html.parser").select(".jp-Cell[id]")
    assert len(cells) == len(notebook.cells), page.file.src_uri
    parts = []
    for cell, ran in zip(notebook.cells, cells, strict=True):
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        else:
            parts.append(f"```python\n{cell.source}\n```")
            parts += map(output_block, ran.select(".jp-OutputArea-output"))
    name = Path(page.file.src_uri).stem
    link = f'<a class="md-button" download href="{name}.ipynb">'
    parts.insert(1, f"{link}Download as a notebook</a>")
    page.markdown = "\n\n".join(parts)
    Page.render(page, config, files)
    return page.content or ""


def output_block(output: Tag) -> str:
    """One output of a cell, as Markdown."""
    text = output.find("pre", recursive=False)
    if text:
        return f"```text\n{text.get_text().rstrip()}\n```"
    return f'<div class="lab-output">{output.decode_contents()}</div>'


def on_post_page(output: str, page: Page, config: Any) -> str:
    if is_lab(page):
        source = Path(page.file.abs_src_path or "")
        notebook = jupytext.read(source)
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{number}"  # random otherwise
        folder = Path(page.file.abs_dest_path).parent
        folder.mkdir(parents=True, exist_ok=True)
        jupytext.write(notebook, folder / f"{source.stem}.ipynb")
    return output


def on_post_build(config: Any) -> None:
    """Remove the results of labs as they were before an edit."""
    for lab in {folder.name.rsplit("-", 1)[0] for folder in used_caches}:
        for folder in CACHE.glob(f"{lab}-*"):
            if folder not in used_caches:
                shutil.rmtree(folder, ignore_errors=True)
    used_caches.clear()
