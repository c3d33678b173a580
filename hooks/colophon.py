"""Counts and versions for the page `reference/colophon`."""

import platform
import re
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from hooks.claims import read_claims
from hooks.code_graph import ROOT
from hooks.executed_blocks import FENCE, plans_of

DOCS = ROOT / "docs/en"
TOOLS = ["numpy", "torch", "mkdocs", "mkdocs-material", "markdown-exec"]
TOOLS += ["mkdocs-jupyter", "pytest", "hypothesis", "jaxtyping"]


def count(pattern: str, files: list[Path]) -> int:
    texts = (path.read_text(encoding="utf-8") for path in files)
    return sum(len(re.findall(pattern, text, re.M)) for text in texts)


def numbers() -> dict[str, int]:
    """What the book consists of, by name."""
    pages = sorted(DOCS.rglob("*.md"))
    study = [path for path in pages if path.parent.name != "reference"]
    code = sorted((ROOT / "snippets").rglob("*.py"))
    exercises = sorted((ROOT / "snippets/exercises").rglob("*.py"))
    return {
        "study pages": sum(path.parent != DOCS for path in study),
        "labs": len(sorted((DOCS / "labs").glob("*.py"))),
        "blocks run while building": count(
            r'^ *```python .*exec="1"', pages
        ),
        "of these, blocks that must fail": count(
            r'^ *```.* raises="', pages
        ),
        "regions of tested code": count(r"# --8<-- \[start:", code),
        "exercises with check and solution": count(
            r"\[start:exercise_\d+_check\]", exercises
        ),
        "test functions": count(
            r"^def test_", sorted((ROOT / "tests").rglob("test_*.py"))
        ),
        "claims of the notes with a verdict": len(read_claims()),
        "terms in the glossary": count(
            r"^:   ", [DOCS / "reference/glossary.md"]
        ),
        "sources in the bibliography": count(
            r"^- ", [DOCS / "reference/bibliography.md"]
        ),
    }


def live() -> Counter[str]:
    """How many shown blocks run in the page (""), and what others need."""
    found: Counter[str] = Counter()
    for path in sorted(DOCS.rglob("*.md")):
        blocks = list(FENCE.finditer(path.read_text(encoding="utf-8")))
        told = plans_of(blocks)
        found.update(
            plan.needs
            for plan, block in zip(told, blocks, strict=True)
            if 'source="' in block["head"]
        )
    return found


def live_table() -> str:
    """Markdown: which blocks a reader can run in the page, and why not."""
    rows = [
        f"| {'no: needs ' + need if need else 'yes'} | {n:,} |"
        for need, n in sorted(live().items())
    ]
    return "\n".join(["| runs in the page | blocks |", "|---|---:|", *rows])


def numbers_table() -> str:
    """Markdown: what the book consists of."""
    rows = [f"| {name} | {n:,} |" for name, n in numbers().items()]
    return "\n".join(["| what | how many |", "|---|---:|", *rows])


def versions_table() -> str:
    """Markdown: what built this site."""
    rows = [
        f"| {tool} | {version(tool).partition('+')[0]} |"  # as in the lock
        for tool in TOOLS
    ]
    python = f"| Python | {platform.python_version()} |"
    return "\n".join(["| tool | version |", "|---|---|", python, *rows])
