"""What the colophon says of the book is so."""

import ast

from hooks.claims import read_claims
from hooks.code_graph import files_needed
from hooks.colophon import live, numbers, versions_table
from tests.book import DOCS, ROOT, fences, markdown_pages, nav, study_pages


def test_the_colophon_counts_what_the_nav_and_the_blocks_have():
    told = numbers()
    blocks = [
        fence
        for page in markdown_pages()
        for fence in fences(page)
        if fence.executed
    ]
    assert told["study pages"] == len(study_pages())
    assert told["labs"] == sum(page.endswith(".py") for page in nav())
    assert told["blocks run while building"] == len(blocks)
    assert told["of these, blocks that must fail"] == sum(
        bool(fence.option("raises")) for fence in blocks
    )
    assert told["claims of the notes with a verdict"] == len(read_claims())


def test_every_shown_block_is_live_or_has_a_reason():
    shown = [
        fence
        for page in markdown_pages()
        for fence in fences(page)
        if fence.executed and fence.option("source")
    ]
    told = live()
    assert sum(told.values()) == len(shown)
    assert {"", "PyTorch", "checked shapes"} <= set(told)
    assert told[""] > len(shown) / 2


def test_the_colophon_counts_each_test_function():
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for path in (ROOT / "tests").rglob("test_*.py")
    ]
    found = [
        node
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_"
    ]
    assert numbers()["test functions"] == len(found)


def test_the_colophon_is_made_again_when_any_page_or_test_changes():
    needed = files_needed(["hooks.colophon"])
    assert DOCS / "index.md" in needed
    assert ROOT / "tests/book.py" in needed


def test_the_versions_are_those_that_are_locked():
    locked = (ROOT / "requirements.lock").read_text()
    for row in versions_table().split("\n")[3:]:
        tool, version = row.strip("| ").split(" | ")
        assert f"{tool}=={version}" in locked
