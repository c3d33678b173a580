"""Executed blocks that must fail: fences with `raises="ValueError"`.

The block's real error becomes its output. A block that raises another
error, or none, breaks the build.
"""

from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown_exec import formatters

run_python = formatters["python"]


def first_part(error: BaseException) -> str:
    """The error's message, without the list of arguments that jaxtyping
    adds below a line of dashes."""
    return str(error).split("\n----")[0].rstrip()


def run_expecting(code: str, expected: str, namespace: dict) -> None:
    """Execute a block in its page's session and print the error."""
    try:
        exec(compile(code, "<block that must fail>", "exec"), namespace)
    except Exception as error:
        if type(error).__name__ != expected:
            raise
        namespace["print"](f"{expected}: {first_part(error)}")
    else:
        raise AssertionError(f"this block must raise {expected}")


def format_python(**options: Any) -> str:
    expected = options.get("extra", {}).pop("raises", "")
    if not expected:
        return run_python(**options)

    def as_expression(code: str) -> tuple[str, str]:
        call = f"run_expecting({code!r}, {expected!r}, globals())"
        return f"from {__name__} import run_expecting\n{call}", code

    return run_python(**options, transform_source=as_expression)


class ExpectedErrors(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        formatters["python"] = format_python


def makeExtension(**kwargs: Any) -> ExpectedErrors:
    return ExpectedErrors(**kwargs)
