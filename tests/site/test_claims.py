"""Claim, section and test are tied together, and none is missing."""

import ast
import re

import pytest

from hooks.claims import VERDICTS, read_claims
from tests.book import ROOT, front_matter, study_pages, text

CLAIMS = read_claims()
NAMES = [claim.name for claim in CLAIMS]
STATEMENTS, QUESTIONS = 80, 5  # of the notes


def test_the_claims_are_complete_and_in_order():
    expected = [f"C{n:02}" for n in range(1, STATEMENTS + 1)]
    expected += [f"Q{n}" for n in range(1, QUESTIONS + 1)]
    assert expected == NAMES


@pytest.mark.parametrize("claim", CLAIMS, ids=NAMES)
def test_a_claim_has_a_verdict_a_reason_and_a_page_that_says_so(claim):
    assert claim.verdict in VERDICTS
    assert len(claim.why) > 20
    assert claim.why != claim.says
    heading = rf'\?\?\? claim "{claim.name} · {claim.verdict}: \S'
    assert re.search(heading, text(claim.page)), heading
    assert claim.name in front_matter(claim.page)["claims"]


@pytest.mark.parametrize("claim", CLAIMS, ids=NAMES)
def test_the_test_of_a_claim_exists_beside_its_page(claim):
    path, _, name = claim.test.partition("::")
    part, page = claim.page.removesuffix(".md").replace("-", "_").split("/")
    assert re.fullmatch(rf"tests/{part}/test_{page}(_[a-z]+)?\.py", path)
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in [
        node.name for node in tree.body if isinstance(node, ast.FunctionDef)
    ]


def test_no_page_has_a_claim_that_the_ledger_lacks():
    for page in study_pages():
        shown = re.findall(r'\?\?\? claim "(\w+)', text(page))
        ledger = [claim.name for claim in CLAIMS if claim.page == page]
        assert shown == front_matter(page)["claims"] == ledger


def test_each_corrected_claim_stands_among_the_corrections_linked():
    page = text("reference/corrections.md")
    corrected = [c for c in CLAIMS if c.verdict == "corrected"]
    assert re.findall(r"^## (\w+): ", page, re.M) == [
        claim.name for claim in corrected
    ]
    for claim, entry in zip(
        corrected, page.split("\n## ")[1:], strict=True
    ):
        assert f"(../{claim.section})" in entry, claim.name
        assert "**Source**" in entry, claim.name
