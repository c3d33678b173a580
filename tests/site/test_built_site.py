"""The site as built: links, anchors, hosts, pictures, blocks."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from bs4 import BeautifulSoup

from hooks.claims import read_claims
from tests.book import fences, markdown_pages

LOADS = [("script", "src"), ("img", "src"), ("iframe", "src")]
LOADS += [("link", "href"), ("source", "src"), ("form", "action")]
LOADS += [("video", "src"), ("audio", "src"), ("object", "data")]
HOST = "http://book"


@cache
def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(path: Path) -> set[str]:
    return {tag["id"] for tag in soup(path).find_all(id=True)}


def has_anchor(path: Path, anchor: str) -> bool:
    return not anchor or unquote(anchor) in anchors(path)


def pages(site: Path) -> list[Path]:
    found = sorted(site.rglob("*.html"))
    assert len(found) > len(markdown_pages())  # the labs and 404 too
    return found


def address(site: Path, page: Path) -> str:
    return f"{HOST}/{page.relative_to(site).as_posix()}"


def file_of(site: Path, url: str) -> Path:
    path = site / unquote(urlsplit(url).path).lstrip("/")
    return path / "index.html" if path.is_dir() else path


def html_of(site: Path, page: str) -> Path:
    folder = site / page.removesuffix(".md").removesuffix("index")
    return folder / "index.html"


def test_every_internal_link_and_anchor_leads_somewhere(site):
    broken = []
    for page in pages(site):
        base = address(site, page)
        if page.name == "404.html":
            base = f"{HOST}/"
        for tag in soup(page).find_all(href=True):
            url, anchor = urldefrag(urljoin(base, tag["href"]))
            if not url.startswith(HOST):
                continue
            target = file_of(site, url)
            if not (target.is_file() and has_anchor(target, anchor)):
                broken.append((base, tag["href"]))
    assert not broken


def test_no_page_and_no_style_sheet_loads_from_another_host(site):
    foreign = []
    for page in pages(site):
        for name, attribute in LOADS:
            for tag in soup(page).find_all(name):
                value = str(tag.get(attribute, ""))
                if "canonical" not in tag.get("rel", []) and re.match(
                    r"(\w+:)?//", value
                ):
                    foreign.append((page.name, value))
    for sheet in site.rglob("*.css"):
        css = sheet.read_text(encoding="utf-8")
        found = re.findall(
            r"(?:url\(|@import)\s*[\"']?((?:\w+:)?//[^)]+)", css
        )
        foreign += [(sheet.name, value) for value in found]
    assert not foreign


def test_every_picture_says_what_it_shows(site):
    for page in pages(site):
        article = soup(page).find("article") or soup(page)
        for image in article.find_all("img"):
            assert image.get("alt"), (page, image)
        for figure in article.find_all("figure"):
            for svg in figure.find_all("svg"):
                assert svg.get("role") == "img", page
                assert len(svg.get("aria-label", "")) > 20, (page, svg)


def test_pages_show_every_python_block_of_their_source(site):
    for page in markdown_pages():
        shown = soup(html_of(site, page)).select(
            ".language-python.highlight"
        )
        expected = [
            fence
            for fence in fences(page)
            if fence.language == "python"
            and (not fence.executed or fence.option("source"))
        ]
        assert len(shown) == len(expected), page


def test_executed_blocks_leave_no_trace_of_an_error(site):
    for page in markdown_pages():
        raised = [f.option("raises") for f in fences(page)]
        results = soup(html_of(site, page)).select(
            ".language-text.highlight"
        )
        said = [r.get_text().strip() for r in results]
        assert not any("Traceback" in text for text in said), page
        for error in filter(None, raised):
            assert any(f"\n{error}: " in f"\n{text}" for text in said), page


def test_formulas_are_drawn(site):
    for page in pages(site):
        for formula in soup(page).select(".arithmatex"):
            assert formula.find("math"), (page, formula.get_text())


def test_the_section_of_every_claim_exists(site):
    for claim in read_claims():
        anchor = claim.section.partition("#")[2]
        heading = soup(html_of(site, claim.page)).find(id=anchor)
        assert heading is not None, claim.section
        assert re.fullmatch(r"h[2-4]", heading.name), claim.section


def test_each_lab_offers_its_notebook(site):
    labs = [page.parent for page in (site / "labs").glob("*/index.html")]
    assert labs
    for lab in labs:
        link = soup(lab / "index.html").find("a", download=True)
        assert (lab / link["href"]).is_file()
