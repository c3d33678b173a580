"""Which blocks of a page a reader can run in the browser, and why not.

The browser's Python has NumPy and the book's own code, but no PyTorch, and
it does not check shapes. A statement that needs what is absent is left out
there, and so is each that uses what it would have made.
"""

import ast
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hooks.code_graph import files_needed, imported_modules, modules_of

ABSENT = {
    "torch": "PyTorch",
    "hooks": "the book's build",
    "jaxtyping.TypeCheckError": "checked shapes",
}


MUTATING = {"add", "append", "extend", "insert", "pop", "shuffle", "update"}


class Names(ast.NodeVisitor):
    """What code takes from earlier code, and what it defines, in the
    order in which Python evaluates it."""

    def __init__(self, made: set[str] | None = None) -> None:
        self.taken: set[str] = set()
        self.changed: set[str] = set()  # in place
        self.made = set(made or ())

    def within(self, made: set[str], parts: Sequence[ast.AST]) -> None:
        """An inner scope: what it takes, but not what it defines."""
        inner = Names(made=self.made | made)
        for part in parts:
            inner.visit(part)
        self.taken |= inner.taken
        self.changed |= inner.changed

    def each(self, *parts: Any) -> None:
        for part in parts:
            for node in part if isinstance(part, list) else [part]:
                if node is not None:
                    self.visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.made.add(node.id)
        elif node.id not in self.made:
            self.taken.add(node.id)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.ctx, ast.Store) and isinstance(
            node.value, ast.Name
        ):
            self.changed.add(node.value.id)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in MUTATING and isinstance(node.value, ast.Name):
            self.changed.add(node.value.id)
        self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> None:
        self.made.add((node.asname or node.name).split(".")[0])

    def visit_Assign(self, node: ast.Assign) -> None:
        self.each(node.value, node.targets)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.each(node.annotation, node.value, node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.each(node.value, node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.taken |= {node.target.id} - self.made
        self.each(node.value, node.target)

    def visit_For(self, node: ast.For) -> None:
        self.each(node.iter, node.target, node.body, node.orelse)

    def visit_function(self, node: Any) -> None:
        given = node.args
        self.each(given.defaults, given.kw_defaults)
        self.each(getattr(node, "decorator_list", []))
        if isinstance(node, ast.FunctionDef):
            self.made.add(node.name)
        local = {n.arg for n in ast.walk(given) if isinstance(n, ast.arg)}
        body = node.body if isinstance(node.body, list) else [node.body]
        self.within(local, body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.each(node.bases, node.decorator_list)
        self.within(set(), node.body)
        self.made.add(node.name)

    def visit_comprehension_of(self, node: Any) -> None:
        last = (
            [node.key, node.value] if hasattr(node, "key") else [node.elt]
        )
        parts: list[ast.AST] = []
        for loop in node.generators:
            parts += [loop.iter, loop.target, *loop.ifs]
        self.within(set(), parts + last)

    visit_FunctionDef = visit_Lambda = visit_function
    visit_ListComp = visit_SetComp = visit_comprehension_of
    visit_GeneratorExp = visit_DictComp = visit_comprehension_of


def absent_import(statement: ast.stmt) -> str:
    """In words, what a statement imports that the browser lacks."""
    modules = modules_of(ast.unparse(statement))
    used = set(modules)
    for path in files_needed(modules):
        if path.suffix == ".py":
            modules += imported_modules(path)
    used |= {module.split(".")[0] for module in modules}
    return next((word for name, word in ABSENT.items() if name in used), "")


def is_print(statement: ast.stmt) -> bool:
    return ast.unparse(statement).startswith("print(")


class Plan(NamedTuple):
    """How the browser treats a block: it runs it whole if it `needs`
    nothing that is absent, else only what later blocks may use."""

    needs: str
    rest: str
    alone: bool = False  # it uses nothing of the blocks before it


class Page:
    """What the blocks so far have left in the browser's Python."""

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}  # name to what it needs
        self.generators: set[str] = set()  # of random numbers
        self.made: set[str] = set()  # by any block so far

    def plan(self, code: str, raises: str = "", needs: str = "") -> Plan:
        """`needs`: what the page says that the block needs, in words."""
        try:
            statements = ast.parse(code).body
        except SyntaxError:
            return Plan("a valid program", "")  # the build will say so
        block = Names()
        block.each(statements)
        alone = not block.taken & self.made
        self.made |= block.made
        if raises == "TypeCheckError":
            needs = needs or "checked shapes"
        found, rest = needs, []
        for place, statement in enumerate(statements, start=1):
            last = raises and place == len(statements)
            imports = isinstance(statement, ast.Import | ast.ImportFrom)
            forced = needs if last or (needs and not raises) else ""
            need = self.follow(statement, "" if imports else forced)
            found = found or need
            if not need and not last and not is_print(statement):
                rest.append(ast.unparse(statement))
        return Plan(found, "\n".join(rest) if found else "", alone)

    def follow(self, statement: ast.stmt, need: str = "") -> str:
        """What the statement needs that is absent, in words, or ""."""
        names = Names()
        names.visit(statement)
        need = need or absent_import(statement)
        for name in sorted(names.taken & set(self.missing)):
            need = need or self.missing[name]
        if need:
            # numbers that are not drawn shift all that come after them
            names.made |= names.changed | (names.taken & self.generators)
        elif "default_rng" in names.taken or "default_rng(" in ast.unparse(
            statement
        ):
            self.generators |= names.made
        for name in names.made:
            self.missing.pop(name, None)
            if need:
                self.missing[name] = need
        return need


def plans(blocks: Iterable[tuple[str, ...]]) -> list[Plan]:
    """One for each block: its code and its options `raises` and `needs`."""
    page = Page()
    return [page.plan(*block) for block in blocks]
