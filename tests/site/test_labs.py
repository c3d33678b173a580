"""A lab runs again when, and only when, something it needs has changed."""

import json
import re

import pytest

from tests.conftest import mkdocs_build

LAB = """\
# %% [markdown]
# # A lab
# See [the start](../index.md), $x_1$.

# %%
import time
from snippets.helper import answer
print(f"answer {answer()}, run {time.time_ns()}")
"""


@pytest.fixture
def book(small_book):
    (small_book / "docs/en/labs/lab.py").write_text(LAB)
    return small_book


def run_of(book) -> tuple[str, str]:
    """Build the book; what the lab printed: its answer and its run."""
    result = mkdocs_build(book, book / "site")
    assert result.returncode == 0, result.stdout
    html = (book / "site/labs/lab/index.html").read_text()
    return re.search(r"answer (\d+), run (\d+)", html).groups()


def test_a_lab_reruns_when_a_snippet_it_needs_changed_and_not_before(book):
    first = run_of(book)
    assert first[0] == "1"

    (book / "snippets/other.py").write_text("value = 2\n")
    assert run_of(book) == first

    (book / "snippets/deeper.py").write_text("value = 2\n")
    second = run_of(book)
    assert second[0] == "2"
    assert second[1] != first[1]
    assert len(list((book / ".cache/labs").iterdir())) == 1

    html = (book / "site/labs/lab/index.html").read_text()
    assert "jp-" not in html
    assert "<math" in html
    assert 'href="../.."' in html  # the link to index.md, made relative

    notebook = json.loads((book / "site/labs/lab/lab.ipynb").read_text())
    assert [cell["cell_type"] for cell in notebook["cells"]] == [
        "markdown",
        "code",
    ]


def test_a_lab_that_raises_breaks_the_build(book):
    (book / "docs/en/labs/lab.py").write_text("# %%\n1 / 0\n")
    result = mkdocs_build(book, book / "site")
    assert result.returncode != 0
    assert "ZeroDivisionError" in result.stdout
