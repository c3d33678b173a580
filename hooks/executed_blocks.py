"""What the book adds to markdown-exec: blocks that must fail, and a cache.

A fence with `raises="ValueError"` prints the real error that it raises;
another error, or none, breaks the build.

The blocks of a page run again when one of them, or any of the book's code
that they import, has changed. Otherwise their recorded output is used, so
that editing one page does not run the others.
"""

import json
import re
from functools import partial
from html import escape
from textwrap import dedent
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown_exec import base_format, formatters
from markdown_exec._internal.formatters.python import _run_python
from markupsafe import Markup

from hooks.code_graph import ROOT, fingerprint, modules_of
from hooks.live_blocks import Plan, plans

CACHE = ROOT / ".cache/blocks"
FENCE = re.compile(
    r"^(?P<indent> *)```python (?P<head>[^\n]*exec=\"1\"[^\n]*)\n"
    r"(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


class PageRun:
    """The blocks of one page: run and recorded, or recalled."""

    def __init__(self, text: str) -> None:
        blocks = list(FENCE.finditer(text))
        self.expected = len(blocks)
        self.file = CACHE / f"{cache_key(blocks)}.json"
        self.plans = plans_of(blocks)
        self.recorded: list[list[str]] = []
        self.recalled: list[list[str]] = []
        if self.file.exists():
            self.recalled = json.loads(self.file.read_text("utf-8"))

    def run(self, code: str, **options: Any) -> str:
        place = len(self.recorded)
        if self.recalled:
            recorded, output = self.recalled[place]
            assert recorded == code, f"{self.file} is of another page"
        else:
            output = _run_python(code, **options)
        self.recorded.append([code, output])
        if len(self.recorded) == self.expected and not self.recalled:
            self.save()
        return output

    def save(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps(self.recorded), "utf-8")
        part.replace(self.file)


def option(block: re.Match[str], name: str) -> str:
    found = re.search(rf'{name}="([^"]*)"', block["head"])
    return found[1] if found else ""


def plans_of(blocks: list[re.Match[str]]) -> list[Plan]:
    return plans(
        (dedent(b["body"]), option(b, "raises"), option(b, "needs"))
        for b in blocks
    )


def cache_key(blocks: list[re.Match[str]]) -> str:
    """A name that changes with all that the blocks' output depends on."""
    modules: list[str] = []
    for block in blocks:
        try:
            modules += modules_of(block["body"])
        except SyntaxError:
            continue  # the build will say so
    return fingerprint(modules, "\n".join(block[0] for block in blocks))


def run_expecting(code: str, expected: str, namespace: dict) -> None:
    """Execute a block in its page's session and print the error."""
    try:
        exec(compile(code, "<block that must fail>", "exec"), namespace)
    except Exception as error:
        if type(error).__name__ != expected:
            raise
        # jaxtyping lists all arguments below a line of dashes
        message = str(error).split("\n----")[0].rstrip()
        namespace["print"](f"{expected}: {message}")
    else:
        raise AssertionError(f"this block must raise {expected}")


def must_fail(code: str, expected: str) -> tuple[str, str]:
    """What to run, and what to show."""
    call = f"run_expecting({code!r}, {expected!r}, globals())"
    return f"from {__name__} import run_expecting\n{call}", code


def format_python(md: Markdown, **options: Any) -> str:
    """What markdown-exec calls for a fence with `exec="1"`."""
    if not hasattr(md, "page_run"):
        md.page_run = PageRun("\n".join(md.lines))  # type: ignore
    run: PageRun = md.page_run  # type: ignore[attr-defined]
    place = len(run.recorded)
    extra = options.get("extra", {})
    expected, explore = extra.pop("raises", ""), extra.pop("explore", "")
    extra.pop("needs", "")  # the plan has it
    shown = base_format(
        language="python",
        run=run.run,
        md=md,
        transform_source=expected and partial(must_fail, expected=expected),
        **options,
    )
    if not options["source"]:
        return shown
    plan = run.plans[place]
    about = (
        f'data-needs="{escape(plan.needs)}"'
        if plan.needs
        else 'class="live"'
    )
    if plan.alone:
        about += " data-alone"
    if explore:
        assert not plan.needs, f"a block to explore needs {plan.needs}"
        about += f' data-explore="{escape(explore)}"'
    if plan.rest:
        about += f' data-rest="{escape(plan.rest)}"'
    if expected:
        about += f' data-raises="{expected}"'
    if options["html"]:
        about += ' data-output="html"'
    return Markup(f"<div {about}>{shown}</div>")  # noqa: S704


class ExecutedBlocks(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        formatters["python"] = format_python


def makeExtension(**kwargs: Any) -> ExecutedBlocks:
    return ExecutedBlocks(**kwargs)
