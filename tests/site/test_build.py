"""A book with a mistake in it does not build."""

import re

import pytest

from tests.conftest import mkdocs_build

BLOCK = (
    '```python exec="1" result="text" session="index"{option}\n{code}\n```'
)


def block(code: str, option: str = "") -> str:
    return BLOCK.format(code=code, option=option)


def build(book, page: str):
    """Build the small book with this as its start page."""
    (book / "docs/en/index.md").write_text(f"# Page\n\n{page}\n")
    return mkdocs_build(book, book / "site")


def test_a_sound_page_builds(small_book):
    page = "$x_1$\n\n" + block("1 / 0", ' raises="ZeroDivisionError"')
    result = build(small_book, page)
    assert result.returncode == 0, result.stdout
    html = (small_book / "site/index.html").read_text()
    assert "ZeroDivisionError: division by zero" in html


@pytest.mark.parametrize(
    "text, complaint",
    [
        (block("1 / 0"), "ZeroDivisionError"),
        (
            block("print(1)", ' raises="ValueError"'),
            "must raise ValueError",
        ),
        (block("1 / 0", ' raises="ValueError"'), "ZeroDivisionError"),
        (block("import snippets.nothing"), "No module named"),
        ('--8<-- "datasets/__init__.py:no_such_region"', "no_such_region"),
        ('--8<-- "no_such_file.py:region"', "no_such_file.py"),
        (r"$\frac{1}$", "KaTeX refuses the formula"),
        ("[page](#nowhere)", "no such anchor"),
        ("[page](nowhere.md)", "nowhere.md"),
        ("[page](/index.md)", "absolute"),
    ],
    ids=lambda value: value.split("\n")[0][:30],
)
def test_a_page_with_a_mistake_does_not(small_book, text, complaint):
    result = build(small_book, text)
    assert result.returncode != 0
    assert complaint in result.stdout


def test_blocks_run_again_when_what_they_import_changed(small_book):
    def printed() -> list[str]:
        result = build(small_book, block(code))
        assert result.returncode == 0, result.stdout
        html = (small_book / "site/index.html").read_text()
        return re.search(r"answer (\d) at (\d+)", html).groups()

    code = "import time\nfrom snippets.helper import answer\n"
    code += 'print(f"answer {answer()} at {time.time_ns()}")'
    first = printed()
    assert printed() == first  # recalled
    (small_book / "snippets/deeper.py").write_text("value = 2\n")
    second = printed()
    assert (first[0], second[0]) == ("1", "2")
    assert printed() == second
