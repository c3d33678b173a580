"""Which of the book's files a piece of Python needs."""

import ast
import functools
import hashlib
import platform
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
SNIPPETS = ROOT / "snippets"
DATA = {".csv", ".txt", ".npz", ".json"}


def modules_of(source: str) -> list[str]:
    """Dotted names of all that the source imports, as written."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{a.name}" for a in node.names]
    return names


def imported_modules(path: Path) -> list[str]:
    return _imports(path, path.stat().st_mtime_ns)


@functools.cache
def _imports(path: Path, changed_at: int) -> list[str]:
    return modules_of(path.read_text(encoding="utf-8"))


def book_file(module: str) -> Path | None:
    """The file of a module of the book, None for other modules."""
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if module.split(".")[0] in {"snippets", "hooks"} and path.exists():
            return path
    return None


def direct_imports(path: Path) -> set[Path]:
    """The book's files that the file imports."""
    found = {book_file(name) for name in imported_modules(path)}
    return {file for file in found if file and file != path}


def files_needed(modules: Iterable[str]) -> list[Path]:
    """Every file of the book on which code with these imports depends:
    modules, however indirectly, the data beside them, and the lock."""
    todo = [file for name in modules if (file := book_file(name))]
    seen = set(todo)
    while todo:
        for file in direct_imports(todo.pop()) - seen:
            seen.add(file)
            todo.append(file)
    folders = {path.parent for path in seen}
    data = {f for d in folders for f in d.iterdir() if f.suffix in DATA}
    if ROOT / "hooks/claims.py" in seen:
        data.add(ROOT / "docs/claims.yml")
    if ROOT / "hooks/colophon.py" in seen:  # it counts the whole book
        for folder in ("docs/en", "snippets", "tests"):
            found = (ROOT / folder).rglob("*")
            data |= {f for f in found if f.suffix in {".md", ".py"}}
    return sorted(seen | data | {ROOT / "requirements.lock"})


def fingerprint(modules: Iterable[str], text: str = "") -> str:
    """A name that changes with the text, with anything that code with
    these imports depends on, and with the version of Python."""
    key = hashlib.sha256(f"{platform.python_version()}\n{text}".encode())
    for path in files_needed(modules):
        key.update(path.read_bytes())
    return key.hexdigest()[:20]
