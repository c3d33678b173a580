"""What others made and the site serves is what docs/vendored.json says."""

import hashlib
import json
import re

from tests.book import ROOT

VENDORED = json.loads((ROOT / "docs/vendored.json").read_text())
FOLDERS = ["docs/theme/katex", "docs/theme/pyodide", "hooks/katex"]


def test_every_vendored_file_has_its_sum():
    for part in VENDORED:
        for name, expected in part["files"].items():
            found = hashlib.sha256((ROOT / name).read_bytes()).hexdigest()
            assert found == expected, name


def test_nothing_is_vendored_without_version_source_and_licence():
    listed = {name for part in VENDORED for name in part["files"]}
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not path.name.startswith("LICENSE")
    }
    assert found - listed == {"docs/theme/pyodide/worker.js"}  # our own
    for part in VENDORED:
        assert part["source"]
        assert part["licence"]
        assert (ROOT / part["notice"]).stat().st_size > 500


def test_the_versions_are_those_of_the_files():
    version = {part["name"]: part["version"] for part in VENDORED}
    folder = ROOT / "docs/theme/pyodide"
    lock = json.loads((folder / "lock-min.json").read_text())
    assert lock["info"]["version"] == version["Pyodide"]
    assert lock["info"]["python"] == version["Python standard library"]
    assert lock["packages"]["numpy"]["version"] == version["NumPy"]
    katex = (ROOT / "hooks/katex/katex.min.js").read_text()
    assert f'version:"{version["KaTeX"]}"' in katex


def test_a_new_runtime_gets_a_new_cache_in_the_browser():
    version = {part["name"]: part["version"] for part in VENDORED}
    keeper = (ROOT / "docs/theme/sw.js").read_text()
    (cache,) = re.findall(r'const CACHE = "([^"]+)"', keeper)
    assert cache == f"python-{version['Pyodide']}-numpy-{version['NumPy']}"
