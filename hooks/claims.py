"""docs/claims.yml, read and shown as a table.

The page `reference/notes-checked` prints the table while it is built.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import yaml

CLAIMS = Path(__file__).parent.parent / "docs/claims.yml"
VERDICTS = ("holds", "holds if", "corrected", "answered")


class Claim(NamedTuple):
    """One row: what the notes say, and what the book found."""

    name: str
    says: str
    verdict: str
    why: str
    section: str  # <part>/<page>.md#<anchor>
    test: str  # <path>::<function>

    @property
    def page(self) -> str:
        return self.section.partition("#")[0]

    @property
    def part(self) -> str:
        """The folder of the page."""
        return self.section.partition("/")[0]

    @property
    def link(self) -> str:
        """Relative to a page of `reference/`. What a block prints is not
        rewritten by MkDocs, so this is the address of the built page."""
        return "../../" + self.section.replace(".md", "/")


def read_claims() -> list[Claim]:
    rows = yaml.safe_load(CLAIMS.read_text(encoding="utf-8"))
    return [Claim(name, **row) for name, row in rows.items()]


def choices(about: str, names: Iterable[str], of: list[str]) -> str:
    """HTML: one button a name; the style sheet hides the other rows."""
    labels = [
        f'<label><input type="radio" name="{about}"{checked} '
        f'data-shows="{slug(name)}"> {name.replace("-", " ")} ({n})</label>'
        for name, n, checked in [
            ("all", len(of), " checked"),
            *((name, of.count(name), "") for name in names),
        ]
    ]
    legend = f"<legend>{about}</legend>"
    return f'<fieldset class="choices">{legend}{"".join(labels)}</fieldset>'


def slug(name: str) -> str:
    return name.replace(" ", "-")


def table() -> str:
    """Markdown: filters, and one row a claim, linked to its section."""
    claims = read_claims()
    parts = [claim.part for claim in claims]
    verdicts = [claim.verdict for claim in claims]
    lines = [
        choices("part", dict.fromkeys(parts), parts),
        choices("verdict", VERDICTS, verdicts),
        "",
        "| claim | the notes say | verdict | because |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| [{claim.name}]({claim.link}) | {claim.says} "
        f'| <span class="{claim.part} {slug(claim.verdict)}">'
        f"{claim.verdict}</span> | {claim.why} |"
        for claim in claims
    ]
    return "\n".join(lines)


def counts() -> str:
    """Markdown: how many claims have each verdict."""
    claims = read_claims()
    parts = [
        f"{sum(claim.verdict == verdict for claim in claims)} {verdict}"
        for verdict in VERDICTS
    ]
    return f"{len(claims)} claims: {', '.join(parts)}."
