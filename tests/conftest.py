"""What tests share: the built site, and how they spread over workers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests.book import ROOT

# Times vary between machines. In CI the same examples run every time.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker builds the site, first, while others test the code."""
    needs_site = [item for item in items if "site" in item.fixturenames]
    for item in needs_site:
        item.add_marker(pytest.mark.xdist_group("site"))
    items.sort(key=lambda item: item not in needs_site)


def mkdocs_build(config: Path, site: Path) -> subprocess.CompletedProcess:
    """A strict build in a process of its own, as `make build` does it."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"]
        + ["--config-file", str(config), "--site-dir", str(site)],
        cwd=config.parent if (config.parent / "hooks").exists() else ROOT,
        env={**os.environ, "PYTHONPATH": ".", "NO_MKDOCS_2_WARNING": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built strictly from the sources."""
    folder = tmp_path_factory.mktemp("site")
    build = mkdocs_build(ROOT / "mkdocs.yml", folder)
    assert build.returncode == 0, build.stdout
    return folder
