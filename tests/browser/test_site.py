"""The built site as readers meet it, in Chromium."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.book import nav

PHONE, LAPTOP = (360, 740), (1280, 800)
ADDRESSES = [
    page.rsplit(".", 1)[0].removesuffix("index") + "/" for page in nav()
]
OPEN_ALL = "for (d of document.querySelectorAll('details')) d.open = true"
# The drawn half of a formula is hidden from screen readers, beside MathML,
# and inherits its colours. Of code, one word of each colour is looked at:
# the thousands of others would take most of the time.
LESS = """() => {
  const all = selector => document.querySelectorAll(selector);
  for (const drawn of all('.katex-html')) drawn.remove();
  const seen = new Set();
  for (const word of all('.highlight code span')) {
    if (seen.has(word.className)) word.replaceWith(...word.childNodes);
    seen.add(word.className);
  }
}"""
OPTIONS = {"resultTypes": ["violations"]}  # what passes takes half the time
SIGHTS = [("light", PHONE), ("dark", LAPTOP)]


def visit(page: Page, url: str, scheme: str, size: tuple[int, int]) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(url)


@pytest.mark.parametrize("path", ADDRESSES)
def test_a_page_opens_without_an_error_or_another_host(page, address, path):
    errors: list[str] = []
    requests: list[str] = []
    page.on(
        "console", lambda m: m.type == "error" and errors.append(m.text)
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    response = page.goto(address + path.lstrip("/"))
    page.wait_for_load_state("networkidle")
    assert response.ok
    assert not errors
    assert requests
    assert all(url.startswith((address, "data:")) for url in requests)


@pytest.mark.parametrize("path", ADDRESSES)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    page, address, path
):
    """Light on a phone, dark on a laptop, with all answers open."""
    for scheme, size in SIGHTS:
        visit(page, address + path.lstrip("/"), scheme, size)
        page.evaluate(OPEN_ALL)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size[0], f"{scheme}, {size}"
        page.evaluate(LESS)
        found = Axe().run(page, options=OPTIONS)
        assert found.violations_count == 0, (
            f"{scheme}, {size}: {found.generate_report()}"
        )


def test_the_dark_switch_works_and_lasts(page, address):
    visit(page, address, "light", LAPTOP)
    body = page.locator("body")
    expect(body).to_have_attribute("data-md-color-scheme", "default")
    page.get_by_title("Switch to dark").click()
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    page.goto(address + "how-to-run/")
    expect(body).to_have_attribute("data-md-color-scheme", "slate")


def test_a_term_explains_itself(page, address):
    visit(page, address + "sequence-models/markov-model/", "light", LAPTOP)
    term = page.locator("article abbr").first
    title = term.get_attribute("title")
    term.hover()
    tip = page.locator(".md-tooltip2, .md-tooltip").filter(
        has_text=title[:20]
    )
    expect(tip.first).to_be_visible()


def test_without_javascript_a_page_reads_completely(
    browser, address, browser_context_args
):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + "sequence-models/markov-model/")
    for part in ("math", "figure svg", ".language-python code", "details"):
        expect(page.locator(f"article {part}").first).to_be_attached()
    page.locator("article details summary").first.click()
    opened = page.locator("article details").first
    expect(opened.locator("p").last).to_be_visible()
    context.close()


def test_the_checked_notes_can_be_filtered_without_a_script(
    browser, address
):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + "reference/notes-checked/")
    rows = page.locator("article tbody tr")
    shown = rows.filter(visible=True)
    expect(shown).to_have_count(rows.count())
    page.get_by_role("radio", name="lstm").check()
    page.get_by_role("radio", name="corrected").check()
    expect(shown).to_have_count(1)
    expect(shown.first).to_contain_text("C19")
    page.get_by_role("radio", name="all").first.check()
    for verdict in shown.locator("td:nth-child(3)").all():
        expect(verdict).to_have_text("corrected")
    context.close()
