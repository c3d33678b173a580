"""Each page says that nothing may come from elsewhere."""

import base64
import hashlib

from bs4 import BeautifulSoup

from hooks.content_policy import CHARSET, hashes, state, with_policy


def test_an_inline_script_is_allowed_by_its_hash_and_data_is_not():
    code = "let a = 1;"
    digest = hashlib.sha256(code.encode()).digest()
    html = f"<script>{code}</script><script>{code}</script>"
    html += '<script type="application/json">{}</script>'
    html += '<script src="a.js"></script>'
    expected = base64.b64encode(digest).decode()
    assert hashes(html) == [f"'sha256-{expected}'"]


def test_every_page_has_one_policy_before_any_script(site):
    pages = sorted(site.rglob("*.html"))
    assert any(page.name == "404.html" for page in pages)
    for page in pages:
        soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
        policy = soup.find_all("meta", {"http-equiv": True})
        assert [m["http-equiv"] for m in policy] == [
            "Content-Security-Policy"
        ], page
        first = soup.head.find_all(["meta", "script", "link", "style"])[:2]
        assert first[0].get("charset") == "utf-8", page
        assert first[1] is policy[0], page
        rules = policy[0]["content"]
        assert rules.startswith("default-src 'self'; ")
        assert "unsafe-eval'" not in rules.replace("'wasm-unsafe-eval'", "")
        for script in soup.find_all("script"):
            if script.get("type") == "application/json" or script.get(
                "src"
            ):
                continue
            digest = hashlib.sha256(script.string.encode()).digest()
            assert base64.b64encode(digest).decode() in rules, page


def test_a_served_page_has_none(monkeypatch):
    monkeypatch.setitem(state, "served", True)
    assert with_policy(CHARSET) == CHARSET
