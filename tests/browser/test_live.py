"""Every block that runs in the page prints there what the build printed."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from hooks.live_blocks import plans
from tests.book import fences, markdown_pages
from tests.browser.serving import serve
from tests.browser.test_site import OPTIONS

# `same`: what a block printed, and what the build printed, as a reader sees
# both; of a block that must fail, the last lines of its traceback.
RESULTS = """() => [...document.querySelectorAll('.live')].map(block => {
  const output = block.querySelector('.live-output');
  const told = part => part.querySelector('svg') || part.matches('figure')
    ? part.innerHTML : part.textContent.trim();
  const recorded = [];
  for (let next = output.nextElementSibling; next;
       next = next.nextElementSibling) recorded.push(told(next));
  const live = [...output.children].map(told).join('\\n');
  const book = recorded.join('\\n');
  const same = block.dataset.raises
    ? live.endsWith(book.split('\\n').at(-1)) : live === book;
  return {same, live, book};
})"""


def pages_with_live_blocks() -> list[str]:
    found = []
    for name in markdown_pages():
        blocks = [fence for fence in fences(name) if fence.executed]
        told = plans(
            (b.body, b.option("raises"), b.option("needs")) for b in blocks
        )
        if any(
            not plan.needs and block.option("source")
            for plan, block in zip(told, blocks, strict=True)
        ):
            found.append(
                name.removesuffix(".md").removesuffix("index") + "/"
            )
    return found


def run_last_block(page: Page) -> None:
    """Which runs all blocks before it first."""
    last = page.locator(".live").last
    last.get_by_role("button", name="Run").click()
    status = last.locator(".live-status")
    expect(status).to_contain_text("in the book", timeout=300_000)


@pytest.mark.parametrize("path", pages_with_live_blocks())
def test_every_live_block_prints_what_the_build_printed(
    page, address, path
):
    page.goto(address + path)
    run_last_block(page)
    results = page.evaluate(RESULTS)
    assert len(results) == page.locator(".live").count() > 0
    for number, result in enumerate(results, start=1):
        assert result["same"], (
            f"block {number}\n--- in the page\n{result['live']}"
            f"\n--- in the book\n{result['book']}"
        )


@pytest.fixture
def markov(page, address) -> Page:
    page.goto(address + "sequence-models/markov-model/")
    return page


def replace_code(page: Page, block: int, code: str):
    cell = page.locator(".live").nth(block)
    if cell.get_by_role("button", name="Edit").is_visible():
        cell.get_by_role("button", name="Edit").click()
    cell.get_by_role("textbox").fill(code)
    return cell


def test_a_reader_can_change_a_block_and_take_it_back(markov):
    cell = replace_code(markov, 0, "print(6 * 7)\n'and a value'")
    cell.get_by_role("button", name="Run").click()
    expect(cell.locator(".live-status")).to_have_text("Done.")
    expect(cell.locator(".live-output")).to_contain_text(
        "42\n'and a value'"
    )
    cell.get_by_role("button", name="Reset").click()
    expect(cell.locator(".live-output")).to_be_hidden()
    expect(cell.get_by_role("textbox")).not_to_have_value("print(6 * 7)")


def test_a_traceback_shows_the_readers_own_lines(markov):
    cell = replace_code(markov, 0, "def f():\n    return 1 / 0\n\nf()")
    cell.get_by_role("button", name="Run").click()
    expect(cell.locator(".live-status")).to_have_text("ZeroDivisionError.")
    told = cell.locator(".live-error").inner_text()
    assert 'File "<block 1>", line 4' in told
    assert "    return 1 / 0" in told
    assert "book_runner" not in told


def test_stop_ends_an_endless_loop_and_the_next_run_works(markov):
    cell = replace_code(markov, 0, "print('on', flush=True)\nwhile True: 0")
    cell.get_by_role("button", name="Run").click()
    expect(cell.locator(".live-output")).to_contain_text("on")
    cell.get_by_role("button", name="Stop").click()
    status = cell.locator(".live-status")
    expect(status).to_contain_text("variables of this page are gone")
    replace_code(markov, 0, "print('again')")
    cell.get_by_role("button", name="Run").click()
    expect(cell.locator(".live-output")).to_contain_text("again")


def test_output_is_cut_at_a_limit(markov):
    cell = replace_code(markov, 0, "print('x' * 300_000)\nprint('more')")
    cell.get_by_role("button", name="Run").click()
    expect(cell.locator(".live-output")).to_contain_text(
        "[output cut at 200000 characters]"
    )
    assert "more" not in cell.locator(".live-output").inner_text()


def test_a_missing_file_gives_words_and_another_try(browser, address):
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    context.route("**/std-pyc.zip", lambda route: route.abort())
    page.goto(address + "sequence-models/markov-model/")
    cell = page.locator(".live").first
    cell.get_by_role("button", name="Run").click()
    expect(cell.locator(".live-status")).to_contain_text("could not start")
    context.unroute("**/std-pyc.zip")
    cell.get_by_role("button", name="Run").click()
    expect(cell.locator(".live-status")).to_contain_text("in the book")
    context.close()


def test_nothing_of_python_is_loaded_before_it_is_wanted(page, address):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address + "sequence-models/markov-model/")
    page.wait_for_load_state("networkidle")
    assert not [url for url in asked if "/pyodide/" in url]


def test_python_starts_again_without_a_network(page, address):
    page.goto(address + "sequence-models/markov-model/")
    run_last_block(page)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # for what is kept in the background
    page.context.set_offline(True)
    page.reload()
    cell = replace_code(page, 0, "while True: 0")
    cell.get_by_role("button", name="Run").click()
    cell.get_by_role("button", name="Stop").click()
    replace_code(page, 0, "import numpy as np\nprint(np.arange(3))")
    cell.get_by_role("button", name="Run").click()
    expect(cell.locator(".live-output")).to_contain_text("[0 1 2]")


def test_a_starter_fails_and_its_solution_passes_the_check(page, address):
    page.goto(address + "sequence-models/markov-model/")
    bar = page.get_by_role("button", name="Check exercise 1")
    bar.click()
    status = bar.locator("xpath=..").locator(".live-status")
    expect(status).to_contain_text("Not yet: ")
    expect(page.get_by_role("heading", name="Exercise 2")).to_be_visible()
    page.locator("details.success summary").first.click()
    solution = page.locator("details.success").first
    code = solution.locator(".language-python code").inner_text()
    page.get_by_role("textbox", name="Code of exercise 1").fill(code)
    bar.click()
    expect(status).to_have_text("Right: the check passes.")


def test_what_a_reader_wrote_survives_a_reload_until_reset(page, address):
    page.goto(address + "sequence-models/markov-model/")
    box = page.get_by_role("textbox", name="Code of exercise 1")
    starter = box.input_value()
    box.fill("mine = 1")
    page.reload()
    expect(box).to_have_value("mine = 1")
    page.get_by_role("button", name="Reset exercise 1").click()
    page.reload()
    expect(box).to_have_value(starter)


def test_one_button_forgets_all_that_was_written(page, address):
    page.goto(address + "sequence-models/markov-model/")
    box = page.get_by_role("textbox", name="Code of exercise 1")
    box.fill("mine = 1")
    page.goto(address + "how-to-run/")
    page.get_by_role("button", name="Clear what I wrote").click()
    page.goto(address + "sequence-models/markov-model/")
    expect(box).not_to_have_value("mine = 1")


def test_axe_finds_nothing_in_an_open_editor_and_its_output(markov):
    cell = replace_code(markov, 0, "print('out')\n1 / 0")
    cell.get_by_role("button", name="Run").click()
    expect(cell.locator(".live-error")).to_be_visible()
    for scheme in ("light", "dark"):
        markov.emulate_media(color_scheme=scheme)
        found = Axe().run(markov, context=".live", options=OPTIONS)
        assert found.violations_count == 0, found.generate_report()


def test_it_works_from_another_host_name_and_below_a_path(page, site):
    with serve(site.parent) as address:
        other = address.replace("127.0.0.1", "localhost") + f"{site.name}/"
        page.goto(other + "sequence-models/markov-model/")
        cell = page.locator(".live").first
        cell.get_by_role("button", name="Run").click()
        expect(cell.locator(".live-status")).to_contain_text("in the book")


def test_the_keyboard_reaches_and_leaves_an_editor(markov):
    cell = markov.locator(".live").first
    cell.get_by_role("button", name="Edit").press("Enter")
    box = cell.get_by_role("textbox")
    expect(box).to_be_focused()
    box.press("Tab")
    expect(box).to_be_focused()
    box.press("Escape")
    box.press("Tab")
    expect(box).not_to_be_focused()
