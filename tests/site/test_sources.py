"""The sources hang together: pages, modules, tests, regions, imports."""

import ast
import re
from bisect import bisect
from pathlib import Path

import pytest

from hooks.code_graph import (
    book_file,
    direct_imports,
    imported_modules,
)
from tests.book import (
    DOCS,
    EXERCISES,
    INCLUDE,
    ROOT,
    SNIPPETS,
    code_name,
    fences,
    front_matter,
    markdown_pages,
    modules,
    nav,
    regions,
    study_pages,
    text,
)

BOOK_CODE = set(modules())
LONGEST_FILE = 400


def module_name(module: Path) -> str:
    """The code name of the page that a module belongs to."""
    name = module.with_suffix("").relative_to(SNIPPETS).as_posix()
    return name.removesuffix("_torch")


@pytest.mark.parametrize("source", study_pages())
def test_every_study_page_has_its_module_tests_and_exercises(source):
    part, name = code_name(source).split("/")
    for path in (
        SNIPPETS / part / f"{name}.py",
        EXERCISES / part / f"{name}.py",
        ROOT / "tests" / part / f"test_{name}.py",
    ):
        assert path.exists(), f"{source} lacks {path.relative_to(ROOT)}"


def test_every_module_has_its_page_and_its_tests():
    pages = [code_name(page) for page in nav()]
    for path in modules():
        name = module_name(path)
        assert name in pages, path
        part, module = name.split("/")
        assert (ROOT / "tests" / part / f"test_{module}.py").exists(), path


def test_every_file_of_exercises_has_its_study_page():
    pages = [code_name(page) for page in study_pages()]
    for path in EXERCISES.glob("*/*.py"):
        if path.name != "__init__.py":
            assert (
                module_name(SNIPPETS / path.relative_to(EXERCISES)) in pages
            )


def test_the_nav_has_every_page_once():
    files = [*DOCS.rglob("*.md"), *DOCS.rglob("*.py")]
    assert sorted(nav()) == sorted(
        path.relative_to(DOCS).as_posix() for path in files
    )


def test_pages_stand_in_the_order_of_the_notes():
    starts = [1, 9, 16, 28, 32, 38, 43, 65, 71]  # of the notes' sections
    sections = [
        bisect(starts, int(claim[1:]))
        for page in study_pages()
        for claim in front_matter(page)["claims"]
        if claim.startswith("C")
    ]
    assert sections == sorted(sections)


def test_every_region_is_closed_defined_once_and_shown_on_a_page():
    shown = {
        (path, region)
        for page in nav()
        for path, region in INCLUDE.findall(text(page))
    }
    for path in SNIPPETS.rglob("*.py"):
        name = path.relative_to(SNIPPETS).as_posix()
        for region in regions(path):
            assert (name, region) in shown, f"{name}:{region}"


def test_a_region_left_open_or_defined_twice_is_found(tmp_path):
    module = tmp_path / "module.py"
    start, end = "# --8<-- [start:a]\n", "# --8<-- [end:a]\n"
    for source in (start, start + start, end, (start + end) * 2):
        module.write_text(source)
        with pytest.raises(ValueError, match=r"module\.py"):
            regions(module)


@pytest.mark.parametrize("source", markdown_pages())
def test_every_python_block_is_executed_or_a_region(source):
    for fence in fences(source):
        where = f"{source}:{fence.line}"
        if fence.language in {"python", "py", "pycon", "pyodide"}:
            assert fence.language == "python", where
            assert fence.executed or fence.is_region, where
        if fence.executed:
            assert fence.language == "python", where
            assert fence.option("session") == source.removesuffix(".md")
            assert "sep=" not in fence.body, f"{where}: print has no sep"
            assert max(map(len, fence.body.split("\n"))) <= 76, where


@pytest.mark.parametrize("source", markdown_pages())
def test_no_page_is_cut_short_by_a_fence_left_open(source):
    ticks = re.findall(r"^ *```", text(source), re.MULTILINE)
    assert len(ticks) == 2 * len(fences(source))


def test_imports_follow_the_reading_order():
    order = [code_name(page) for page in nav()]
    for module in modules():
        allowed = order[: order.index(module_name(module)) + 1]
        for file in direct_imports(module) & BOOK_CODE:
            assert module_name(file) in allowed, (module, file)


@pytest.mark.parametrize("source", markdown_pages())
def test_blocks_import_only_what_was_read_before(source):
    order = [code_name(other) for other in nav()]
    allowed = order[: order.index(code_name(source)) + 1]
    for fence in fences(source):
        for node in ast.walk(
            ast.parse(fence.body if fence.executed else "")
        ):
            if isinstance(node, ast.ImportFrom) and node.module:
                file = book_file(node.module)
                if file in BOOK_CODE:
                    assert module_name(file) in allowed, fence.line


def test_numpy_modules_and_their_exercises_do_not_import_torch():
    for path in SNIPPETS.rglob("*.py"):
        if not path.stem.endswith("_torch"):
            tops = {name.split(".")[0] for name in imported_modules(path)}
            assert "torch" not in tops, path


def test_no_file_is_too_long_to_read():
    folders = ("docs", "hooks", "snippets", "tests")
    kinds = {".py", ".md", ".css", ".svg"}
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.name == "glossary.md":  # to look things up in
                continue
            if path.suffix in kinds and "katex" not in path.parts:
                length = path.read_text(encoding="utf-8").count("\n")
                assert length <= LONGEST_FILE, path
