"""What a newcomer types: make, with and without what it needs; serve."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.book import ROOT

BLOCK = """\
# Start

```python exec="1" source="above" result="text" session="index"
from snippets.helper import answer

print("answer", answer())
```
"""


def make(folder, *words: str) -> subprocess.CompletedProcess:
    for file in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / file, folder / file)
    outer = ("MAKE", "MFLAGS")  # these tests may run under make themselves
    env = {k: v for k, v in os.environ.items() if not k.startswith(outer)}
    return subprocess.run(
        ["make", *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_alone_prints_its_targets(tmp_path):
    result = make(tmp_path)
    for target in ("serve", "test", "build", "lint", "lock", "clean"):
        assert f"make {target} " in result.stdout


@pytest.mark.parametrize("python", ["no-such-python", "./too-old"])
def test_a_missing_or_old_python_gets_one_line_that_says_so(
    tmp_path, python
):
    old = tmp_path / "too-old"
    pretend = "import sys; sys.version_info = (3, 10); exec(sys.argv[1])"
    old.write_text(f"#!/bin/sh\n{sys.executable} -c '{pretend}' \"$2\"\n")
    old.chmod(0o755)
    result = make(tmp_path, f"PYTHON={python}", "test")
    assert result.returncode != 0
    error, *rest = result.stderr.strip().split("\n")
    assert error.startswith("error: needs Python 3.11 to 3.13")
    assert all(line.startswith("make: ***") for line in rest)
    assert not (tmp_path / ".venv").exists()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url: str, text: str, seconds: float) -> None:
    """Ask until the page has the text."""
    last = ""
    for _ in range(int(seconds * 5)):
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                last = response.read().decode()
        except OSError as error:
            last = str(error)
        if text in last:
            return
        time.sleep(0.2)
    raise AssertionError(f"{text!r} never came; last: {last[-2000:]}")


def test_serving_shows_an_edited_snippet(small_book):
    (small_book / "docs/en/index.md").write_text(BLOCK)
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "mkdocs", "serve"]
        + ["--dev-addr", f"127.0.0.1:{port}"],
        cwd=small_book,
        env={**os.environ, "PYTHONPATH": "."},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/", "answer 1", 60)
            (small_book / "snippets/deeper.py").write_text("value = 2\n")
            wait_for(f"http://127.0.0.1:{port}/", "answer 2", 60)
        finally:
            server.terminate()
