"""What tests share: the settings of their examples, the built site."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from hypothesis import settings

from tests.book import ROOT

# Times vary between machines. In CI the same examples run every time.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# Small networks: sharing the work costs more than it gains.
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Tests of the built site come first: of two workers, which begin with
    a half each, one then builds it while the other runs the rest."""
    items.sort(key=lambda item: "site" not in item.fixturenames)


def mkdocs_build(book: Path, site: Path) -> subprocess.CompletedProcess:
    """A strict build in a process of its own, as `make build` does it."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"]
        + ["--site-dir", str(site)],
        cwd=book,
        env={**os.environ, "PYTHONPATH": ".", "NO_MKDOCS_2_WARNING": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built strictly from the sources.

    The first worker that needs it builds it; the others wait for it.
    """
    run = tmp_path_factory.getbasetemp()
    shared = run.parent if "PYTEST_XDIST_WORKER" in os.environ else run
    folder, log = shared / "site", shared / "site.log"
    with FileLock(shared / "site.lock"):
        if not log.exists():
            build = mkdocs_build(ROOT, folder)
            log.write_text(f"{build.returncode}\n{build.stdout}")
    assert log.read_text().startswith("0\n"), log.read_text()
    return folder
