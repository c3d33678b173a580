"""The notebook of a page: the page's blocks, from top to bottom."""

import os

import nbformat
import pytest
from nbclient import NotebookClient

from hooks.page_notebooks import notebook
from tests.book import ROOT, fences, study_pages, text


@pytest.fixture
def of(site):
    """The notebook that the site offers for a page."""

    def read(source: str):
        folder = site / source.removesuffix(".md")
        return nbformat.read(folder / f"{folder.name}.ipynb", as_version=4)

    return read


@pytest.mark.parametrize("source", study_pages())
def test_every_study_page_offers_its_blocks_in_order(source, of, site):
    made = of(source)
    nbformat.validate(made)
    code = [c.source for c in made.cells if c.cell_type == "code"]
    blocks = [fence for fence in fences(source) if fence.executed]
    assert len(code) == len(blocks) > 0
    for cell, block in zip(code, blocks, strict=True):
        if block.option("html"):
            assert not cell.split("\n")[-1].startswith("print(")
        else:
            assert cell == block.body.strip("\n")
    page = (site / source.removesuffix(".md") / "index.html").read_text()
    assert f'download href="{source.split("/")[1][:-3]}.ipynb"' in page


@pytest.mark.parametrize("source", study_pages())
def test_the_text_of_a_notebook_has_no_marks_of_the_site(source):
    for cell in notebook(text(source)).cells:
        if cell.cell_type == "markdown":
            for mark in (
                "--8<--",
                "\n??? ",
                "\n!!! ",
                ".md)",
                ".md#",
                "<svg",
            ):
                assert mark not in cell.source, cell.source


@pytest.mark.parametrize(
    "source", ["sequence-models/markov-model.md", "lstm/forget-gate.md"]
)
def test_a_notebook_runs_from_top_to_bottom(source, of, monkeypatch):
    monkeypatch.setitem(os.environ, "PYTHONPATH", str(ROOT))
    made = NotebookClient(of(source), timeout=120).execute()
    outputs = [
        output
        for cell in made.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    shown = [o.get("data", {}).get("text/html", "") for o in outputs]
    assert any("<svg" in html for html in shown)
    assert any(o.output_type == "stream" for o in outputs)
