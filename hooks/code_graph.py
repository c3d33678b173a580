"""Which snippets a Python file imports, directly or through others."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
SNIPPETS = ROOT / "snippets"


def imported_modules(path: Path) -> list[str]:
    """Dotted names of all modules that the file imports, as written."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{a.name}" for a in node.names]
    return names


def snippet_file(module: str) -> Path | None:
    """The file of a module of the book, None for other modules."""
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if module.split(".")[0] == SNIPPETS.name and path.exists():
            return path
    return None


def direct_imports(path: Path) -> set[Path]:
    """The book's files that the file imports."""
    found = {snippet_file(name) for name in imported_modules(path)}
    return {file for file in found if file and file != path}


def all_imports(path: Path) -> set[Path]:
    """The book's files that the file needs, however indirectly."""
    seen: set[Path] = set()
    todo = [path]
    while todo:
        for file in direct_imports(todo.pop()) - seen:
            seen.add(file)
            todo.append(file)
    return seen
