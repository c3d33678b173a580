"""A small book to change and to break, with the real book's settings."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.book import ROOT, config

HELPER = """\
from snippets.deeper import value


def answer() -> int:
    return value
"""


@pytest.fixture
def small_book(tmp_path: Path) -> Path:
    """A start page and an empty lab, in a folder with a space in its name.

    `snippets.helper` imports `snippets.deeper`; nothing imports `other`.
    """
    root = tmp_path / "a book"
    for folder in ("hooks", "docs/theme", "snippets/datasets"):
        shutil.copytree(ROOT / folder, root / folder)
    for file in ("requirements.lock", "snippets/__init__.py"):
        shutil.copy(ROOT / file, root / file)
    (root / "snippets/helper.py").write_text(HELPER)
    (root / "snippets/deeper.py").write_text("value = 1\n")
    (root / "snippets/other.py").write_text("value = 1\n")
    docs = root / "docs/en"
    (docs / "labs").mkdir(parents=True)
    (docs / "reference").mkdir()
    (docs / "reference/glossary.md").write_text("# Glossary\n")
    (docs / "index.md").write_text("# Start\n")
    (docs / "labs/lab.py").write_text("# %% [markdown]\n# # A lab\n")
    pages = ["index.md", "labs/lab.py", "reference/glossary.md"]
    settings = config() | {"nav": pages, "watch": ["snippets"]}
    (root / "mkdocs.yml").write_text(yaml.safe_dump(settings))
    return root
