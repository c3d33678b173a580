"""Show a term's definition where it first stands on a page.

The terms are those of the definition list in the edition's glossary page;
each `<dt>` there gets an anchor. The first occurrence of a term in a
paragraph or list becomes an `<abbr>`, which the theme shows as a tooltip.
"""

import functools
import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.extensions.toc import slugify
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString

ENTRY = re.compile(
    r"^(?P<term>\S.*)\n:   (?P<definition>.+(?:\n    .+)*)", re.M
)
LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
SKIP = {"a", "abbr", "code", "pre", "dt", "h1", "h2", "h3", "h4", "figure"}


@functools.cache
def read_glossary(path: Path, changed_at: int) -> dict[str, str]:
    """Term to definition, in plain text; read once for all blocks and
    pages, and again when the file has changed."""
    text = path.read_text(encoding="utf-8")
    return {
        entry["term"]: plain(entry["definition"])
        for entry in ENTRY.finditer(text)
    }


def plain(markdown: str) -> str:
    """The definition without its markup and its closing links."""
    words = LINK.sub(r"\1", markdown.split("\n    See [")[0]).split()
    return re.sub(r"[*`$]", "", " ".join(words))


class GlossaryTerms(Treeprocessor):
    def __init__(self, md: Markdown, terms: dict[str, str]) -> None:
        super().__init__(md)
        self.terms = terms

    def run(self, root: Element) -> None:
        self.open = {
            term.lower(): text for term, text in self.terms.items()
        }
        for term in root.iter("dt"):
            name = "".join(term.itertext())
            term.set("id", slugify(name, "-"))
            self.open.pop(name.lower(), None)  # this page defines it
        if self.open:
            self.visit(root, inside=False)

    def visit(self, element: Element, inside: bool) -> None:
        """Mark terms below the element; `inside` a paragraph or list."""
        inside = inside or element.tag in {"p", "li"}
        if inside:
            element.text = self.mark(element, 0, element.text)
        for child in list(element):
            if child.tag == "abbr":
                continue  # `mark` made it, and has seen what follows it
            if child.tag not in SKIP:
                self.visit(child, inside)
            if inside:
                place = list(element).index(child) + 1
                child.tail = self.mark(element, place, child.tail)

    def mark(
        self, parent: Element, place: int, text: str | None
    ) -> str | None:
        """Insert the terms of the text below the parent; the text that
        stays in front of the first of them."""
        if not text or isinstance(text, AtomicString) or not self.open:
            return text
        longest = sorted(self.open, key=len, reverse=True)
        either = "|".join(map(re.escape, longest))
        found = re.search(rf"\b({either})(s?)\b", text, re.I)
        if not found:
            return text
        abbr = Element("abbr", {"title": self.open[found[1].lower()]})
        del self.open[found[1].lower()]
        abbr.text = AtomicString(found[0])
        parent.insert(place, abbr)
        abbr.tail = self.mark(parent, place + 1, text[found.end() :])
        return text[: found.start()]


class GlossaryExtension(Extension):
    def __init__(self, **kwargs: Any) -> None:
        self.config = {
            "path": ["docs/en/reference/glossary.md", "The glossary page"]
        }
        super().__init__(**kwargs)

    def extendMarkdown(self, md: Markdown) -> None:
        path = Path(self.getConfig("path"))
        terms = read_glossary(path, path.stat().st_mtime_ns)
        md.treeprocessors.register(GlossaryTerms(md, terms), "terms", 8)


def makeExtension(**kwargs: Any) -> GlossaryExtension:
    return GlossaryExtension(**kwargs)
