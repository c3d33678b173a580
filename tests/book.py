"""The book's sources, as the tests of the frame read them."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs/en"
SNIPPETS = ROOT / "snippets"
EXERCISES = SNIPPETS / "exercises"
NO_STUDY = {"reference", "labs"}

MARK = re.compile(r"# --8<-- \[(start|end):([a-z0-9_]+)\]")
INCLUDE = re.compile(r'--8<-- "([^":]+)(?::([a-z0-9_]+))?"')
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<head>[^`\n]*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


def config() -> dict:
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def nav() -> list[str]:
    """Every page of the nav, in reading order."""
    return [
        page for part in config()["nav"] for page in [*part.values()][0]
    ]


def study_pages() -> list[str]:
    return [
        page
        for page in nav()
        if "/" in page and page.split("/")[0] not in NO_STUDY
    ]


def markdown_pages() -> list[str]:
    return [page for page in nav() if page.endswith(".md")]


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def front_matter(page: str) -> dict:
    found = re.match(r"---\n(.*?)\n---\n", text(page), re.DOTALL)
    return yaml.safe_load(found[1]) if found else {}


def code_name(page: str) -> str:
    """`lstm/forget-gate.md` is `lstm/forget_gate` in code."""
    return page.rsplit(".", 1)[0].replace("-", "_")


class Fence(NamedTuple):
    """A fenced block of a page: its first line's words, and its body."""

    page: str
    line: int
    head: str
    body: str

    @property
    def language(self) -> str:
        return self.head.split()[0] if self.head.split() else ""

    @property
    def executed(self) -> bool:
        return 'exec="1"' in self.head

    @property
    def is_region(self) -> bool:
        lines = [line.strip() for line in self.body.strip().split("\n")]
        return all(INCLUDE.fullmatch(line) for line in lines if line)

    def option(self, name: str) -> str:
        found = re.search(rf'{name}="([^"]*)"', self.head)
        return found[1] if found else ""


def fences(page: str) -> list[Fence]:
    source = text(page)
    return [
        Fence(
            page,
            source[: found.start()].count("\n") + 1,
            found["head"].strip(),
            found["body"],
        )
        for found in FENCE.finditer(source)
    ]


def regions(path: Path) -> dict[str, tuple[int, str]]:
    """Name to first line and text; ValueError for a region that is
    unclosed, nested or defined twice."""
    found: dict[str, tuple[int, str]] = {}
    lines = path.read_text(encoding="utf-8").split("\n")
    name, start = "", 0
    for number, line in enumerate(lines, start=1):
        mark = MARK.search(line)
        if not mark:
            continue
        if mark[1] == "start":
            if name or mark[2] in found:
                raise ValueError(f"{path}:{number}: {line.strip()}")
            name, start = mark[2], number + 1
        else:
            if mark[2] != name:
                raise ValueError(f"{path}:{number}: {line.strip()}")
            found[name] = start, "\n".join(lines[start - 1 : number - 1])
            name = ""
    if name:
        raise ValueError(f"{path}: region {name} is never closed")
    return found


def modules() -> list[Path]:
    """The modules of the pages, with their PyTorch twins."""
    return sorted(
        path
        for path in SNIPPETS.glob("*/*.py")
        if path.name != "__init__.py"
        and path.parent.name not in {"exercises", "datasets"}
    )
