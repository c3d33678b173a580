"""Claim, section and test are tied together, and none is missing."""

import ast
import re

import pytest

from hooks.claims import VERDICTS, read_claims
from tests.book import ROOT, front_matter, study_pages, text

CLAIMS = read_claims()
NAMES = [claim.name for claim in CLAIMS]
LAST_OF_PART = 64  # C01 to C64 so far; C80 and Q5 in the end


def test_the_claims_are_complete_and_in_order():
    expected = [f"C{n:02}" for n in range(1, LAST_OF_PART + 1)]
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
