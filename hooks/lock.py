"""Print requirements.lock: what pip resolves for the `dev` group.

Run by `make lock` with the Python of an empty virtual environment.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

PIP = [sys.executable, "-m", "pip"]
HEADER = "# Made by `make lock` from pyproject.toml; do not edit."

project = tomllib.loads(Path("pyproject.toml").read_text())
group = project["dependency-groups"]["dev"]
subprocess.run(
    [*PIP, "install", *group], check=True, stdout=subprocess.DEVNULL
)
frozen = subprocess.run(
    [*PIP, "list", "--format=freeze", "--exclude=pip"],
    check=True,
    capture_output=True,
    text=True,
).stdout
# A CPU build of torch calls itself 2.13.0+cpu; any build satisfies 2.13.0.
print(HEADER, *(pin.split("+")[0] for pin in frozen.split()), sep="\n")
