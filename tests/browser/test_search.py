"""What readers look for is found first or second."""

import pytest

WANTED = {
    "markov": "/sequence-models/markov-model/",
    "batch_first": "/questions/batch-first/",
    "forget gate bias": "/lstm/forget-gate/",
    "why divide by sqrt d_k": "/transformer/scaled-dot-product-attention/",
    "teacher forcing": "/transformer/masking/",
    "padding mask": "/transformer/masking/",
    "top-p": "/transformer/sampling/",
    "cell state vs hidden state": "/lstm/overview/",
    "value dimension": "/questions/value-dimension/",
    "mm vs matmul": "/questions/tensor-mm/",
    "log-sum-exp": "/questions/mixture-density-networks/",
    "truncated backpropagation": "/rnn/unrolling/",
    "positional encoding add": "/transformer/positional-encoding/",
    "permutation equivariant": "/transformer/positional-encoding/",
    "key value cache": "/transformer/generation/",
    "label shift": "/transformer/masking/",
}


@pytest.fixture
def search(page, address):
    """The addresses that a search finds, best first."""
    page.goto(address)
    box = page.get_by_role("textbox", name="Search")
    found = page.locator(".md-search-result__item")

    def ask(words: str) -> list[str]:
        for _ in range(20):  # typing counts only once the index has loaded
            box.click()
            box.fill("")
            box.press_sequentially(words, delay=20)
            page.wait_for_timeout(1000)
            if found.first.is_visible():
                break
        links = [item.locator("a").first for item in found.all()]
        return [link.get_attribute("href").split("?")[0] for link in links]

    return ask


@pytest.mark.parametrize("words", WANTED)
def test_a_search_finds_the_page_first_or_second(search, words):
    best = search(words)[:2]
    assert any(WANTED[words] in link for link in best), best
