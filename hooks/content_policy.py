"""A Content-Security-Policy in each page: nothing from elsewhere.

Inline scripts are allowed by their hash, so the policy is made last. What
`mkdocs serve` shows goes without: it adds a script that reloads pages.
"""

import base64
import hashlib
import re
from typing import Any

from mkdocs.plugins import event_priority

INLINE = re.compile(r"<script(?P<tag>[^>]*)>(?P<code>.+?)</script>", re.S)
CHARSET = '<meta charset="utf-8">'  # must come within 1024 bytes
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' {hashes}; "
    "style-src 'self'; style-src-attr 'unsafe-inline'; "  # KaTeX's heights
    "img-src 'self' data:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'"
)

state = {"served": False}


def on_startup(command: str, dirty: bool) -> None:
    state["served"] = command == "serve"


def hashes(html: str) -> list[str]:
    """Of the scripts that run, each once, in order."""
    found = [
        base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        for tag, code in INLINE.findall(html)
        if "application/json" not in tag
    ]
    return [f"'sha256-{digest}'" for digest in dict.fromkeys(found)]


def with_policy(html: str) -> str:
    if state["served"]:
        return html
    policy = POLICY.format(hashes=" ".join(hashes(html)))
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return html.replace(CHARSET, CHARSET + meta, 1)


@event_priority(-100)  # after everything that changes the page
def on_post_page(output: str, **_: Any) -> str:
    return with_policy(output)


def on_post_template(output: str, template_name: str, **_: Any) -> str:
    return (
        with_policy(output) if template_name.endswith(".html") else output
    )
