"""docs/claims.yml, read and shown as a table.

The page `reference/notes-checked` prints the table while it is built.
"""

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
    def link(self) -> str:
        """Relative to a page of `reference/`. What a block prints is not
        rewritten by MkDocs, so this is the address of the built page."""
        return "../../" + self.section.replace(".md", "/")


def read_claims() -> list[Claim]:
    rows = yaml.safe_load(CLAIMS.read_text(encoding="utf-8"))
    return [Claim(name, **row) for name, row in rows.items()]


def table() -> str:
    """Markdown: one row a claim, linked to its section."""
    lines = [
        "| claim | the notes say | verdict | because |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| [{claim.name}]({claim.link}) | {claim.says} "
        f"| {claim.verdict} | {claim.why} |"
        for claim in read_claims()
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
