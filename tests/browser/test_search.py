"""What readers look for is found first or second."""

import pytest
from playwright.sync_api import expect

WANTED = {
    "batch_first": ["questions/batch-first/"],
    "forget gate bias": ["lstm/forget-gate/"],
    "why divide by sqrt d_k": ["transformer/scaled-dot-product-attention/"],
    "teacher forcing": ["transformer/masking/"],
    "padding mask": ["transformer/masking/"],
    "top-p": ["transformer/sampling/"],
    "cell state vs hidden state": ["lstm/overview/"],
    "value dimension": ["questions/value-dimension/"],
    "mm vs matmul": ["questions/tensor-mm/"],
    "log-sum-exp": ["questions/mixture-density-networks/"],
    "truncated backpropagation": ["rnn/unrolling/"],
    "positional encoding add": ["transformer/positional-encoding/"],
    "permutation equivariant": ["transformer/positional-encoding/"],
    "key value cache": ["transformer/generation/"],
    "label shift": ["transformer/masking/"],
}


@pytest.mark.parametrize("words", WANTED)
def test_a_search_finds_the_page_first_or_second(page, address, words):
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.get_by_role("textbox", name="Search").fill(words)
    found = page.locator(".md-search-result__item")
    expect(found.first).to_be_visible()
    first = [
        item.locator("a").first.get_attribute("href").split("?")[0]
        for item in found.all()[:2]
    ]
    assert any(
        link.removeprefix(address).removeprefix("./").startswith(wanted)
        for link in first
        for wanted in WANTED[words]
    ), first
