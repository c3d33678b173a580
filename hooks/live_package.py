"""Pack what the page's Python imports: the book's code, without PyTorch.

The same sources give the same bytes.
"""

import zipfile
from pathlib import Path
from typing import Any

from hooks.code_graph import DATA, ROOT, SNIPPETS

BROWSER = ROOT / "hooks/browser"
PACKED = {".py", *DATA}


def contents() -> dict[str, bytes]:
    """Name in the archive to bytes, in order."""
    found = {path.name: path for path in BROWSER.glob("*.py")}
    for path in SNIPPETS.rglob("*"):
        name = path.relative_to(ROOT)
        torch = path.stem.endswith("_torch")
        if (
            path.suffix in PACKED
            and not torch
            and name.parts[1] != "exercises"
        ):
            found[name.as_posix()] = path
    packed = {name: found[name].read_bytes() for name in sorted(found)}
    packed["snippets/__init__.py"] = b""  # it would check the shapes
    return packed


def on_post_build(config: Any) -> None:
    target = Path(config.site_dir) / "pyodide/book.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in contents().items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED, 9)
