"""Runs a reader's code in the page's Python; worker.js calls `run`."""

import ast
import json
import linecache
import sys
import traceback

spaces: dict[str, dict] = {}


def namespace(space: str, fresh: bool) -> dict:
    """The variables of a page or of an exercise."""
    if fresh or space not in spaces:
        spaces[space] = {"__name__": "__main__"}
    return spaces[space]


def run(code: str, name: str, space: str, fresh: bool) -> str:
    """JSON: the last expression's value, or the error and its traceback."""
    linecache.cache[name] = (len(code), None, code.splitlines(True), name)
    try:
        value = execute(code, name, namespace(space, fresh))
        return json.dumps({"value": None if value is None else repr(value)})
    except BaseException as error:
        return json.dumps(
            {
                "error": type(error).__name__,
                "message": str(error),
                "traceback": readers_traceback(error, name),
            }
        )
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def execute(code: str, name: str, variables: dict) -> object:
    """Run the code; the value of a last expression, as in a notebook."""
    tree = ast.parse(code, name)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        exec(compile(tree, name, "exec"), variables)
        return None
    tree.body.pop()
    exec(compile(tree, name, "exec"), variables)
    expression = ast.Expression(last.value)
    return eval(compile(expression, name, "eval"), variables)


def readers_traceback(error: BaseException, name: str) -> str:
    """The traceback without the frames of this file."""
    told = traceback.TracebackException.from_exception(error, compact=True)
    seen: set[int] = set()
    parts = [told]
    while parts:
        part = parts.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        frames = [f for f in part.stack if f.filename != __file__]
        if isinstance(error, SyntaxError) and error.filename == name:
            frames = []
        part.stack = traceback.StackSummary.from_list(frames)
        parts += [p for p in (part.__cause__, part.__context__) if p]
    return "".join(told.format())
