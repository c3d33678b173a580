"""Start every build with fresh code, so that `mkdocs serve` shows edits.

Python keeps imported modules and markdown-exec keeps the variables of a
page's session; without this, a rebuild would run yesterday's snippets.
"""

import sys
from typing import Any

from markdown_exec._internal.formatters import python as exec_python


def on_pre_build(config: Any) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == "snippets":
            del sys.modules[name]
    exec_python._sessions_globals.clear()
    exec_python._sessions_counter.clear()
