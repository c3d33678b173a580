"""Render formulas with KaTeX while building, as a Markdown extension.

`pymdownx.arithmatex` finds the formulas; this turns them into HTML and
MathML. No script runs in the page, nothing moves after it is drawn, and a
formula that KaTeX refuses breaks the build.
"""

import functools
import html
import re
from pathlib import Path
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.postprocessors import Postprocessor
from py_mini_racer import MiniRacer

KATEX = Path(__file__).parent / "katex/katex.min.js"
FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">'
    r"\\(?P<open>[(\[])(?P<tex>.*?)\\[)\]]</(?P=tag)>",
    re.DOTALL,
)


@functools.cache
def engine() -> MiniRacer:
    katex = MiniRacer()
    katex.eval(KATEX.read_text(encoding="utf-8"))
    return katex


@functools.cache
def render_tex(tex: str, display: bool) -> str:
    """HTML and MathML of one formula; ValueError where KaTeX refuses it."""
    options = {
        "displayMode": display,
        "output": "htmlAndMathml",
        "strict": "error",
        "throwOnError": True,
    }
    tex = html.unescape(tex).strip()
    try:
        return engine().call("katex.renderToString", tex, options)
    except Exception as error:
        raise ValueError(
            f"KaTeX refuses the formula {tex!r}: {error}"
        ) from None


class KatexPostprocessor(Postprocessor):
    def run(self, text: str) -> str:
        return FORMULA.sub(self.render, text)

    def render(self, match: re.Match[str]) -> str:
        tag, tex = match["tag"], match["tex"]
        formula = render_tex(tex, display=match["open"] == "[")
        return f'<{tag} class="arithmatex">{formula}</{tag}>'


class KatexExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        md.postprocessors.register(KatexPostprocessor(md), "katex", 1)


def makeExtension(**kwargs: Any) -> KatexExtension:
    return KatexExtension(**kwargs)
