"""What parrot_server.py says, and what it was asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def command(script: Path) -> list[str]:
    """How it is started; it says nothing yet."""
    script.write_text("{}")
    return [sys.executable, str(Path(__file__).with_name("parrot_server.py")), str(script)]


class Script:
    """A server's words, in a file."""

    def __init__(self, script: Path) -> None:
        self.script, self.num_read = script, 0

    def says(self, **script: Any) -> None:
        new = self.script.with_suffix(".new")  # The parrot may be reading.
        new.write_text(json.dumps(script))
        new.replace(self.script)

    def log(self) -> list[str]:
        """What came since the last call."""
        log = Path(f"{self.script}.log")
        lines = log.read_text().split() if log.exists() else []
        new, self.num_read = lines[self.num_read :], len(lines)
        return new
