"""A reader moves a control of a block to explore, and takes it back."""

import pytest
from playwright.sync_api import expect

# The page, one of its controls, the key that moves it.
CONTROLS = [
    ("lstm/overview/", "x", "ArrowLeft"),
    ("rnn/short-term-dependency/", "scale", "ArrowRight"),
    ("questions/decoder-queries-encoder-memory/", "attention", "ArrowUp"),
    ("transformer/positional-encoding/", "position", "ArrowRight"),
    ("questions/sampling-a-word/", "at temperature", "ArrowRight"),
]


@pytest.mark.parametrize(("path", "control", "key"), CONTROLS)
def test_a_control_changes_the_picture_and_reset_takes_it_back(
    page, address, path, control, key
):
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address + path)
    block = page.locator("[data-explore]")
    book = block.locator("figure").inner_html()
    slider = block.get_by_label(control, exact=True)
    start = slider.input_value()

    slider.focus()
    page.keyboard.press(key)
    live = block.locator(".live-output")
    expect(live.locator("figure")).to_be_visible(timeout=120_000)
    expect(block.locator(".live-status")).to_have_text("Done.")
    assert slider.input_value() != start
    assert live.locator("figure").inner_html() != book
    assert block.locator("figure:visible").count() == 1
    expect(slider).to_be_focused()

    block.get_by_role("button", name="Reset").click()
    expect(live).to_be_hidden()
    assert slider.input_value() == start
    assert block.locator("figure:visible").inner_html() == book
    assert not errors


def test_every_block_to_explore_is_tried_here():
    from tests.book import fences, markdown_pages

    found = {
        name.removesuffix(".md") + "/"
        for name in markdown_pages()
        if any(fence.option("explore") for fence in fences(name))
    }
    assert found == {path for path, _, _ in CONTROLS}
