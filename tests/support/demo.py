"""Commands of this interpreter, run as from a shell: what `make demo` and a newcomer after it type."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*words: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command of this interpreter, as from a shell 100 columns wide."""
    environment = {**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    if home is not None:
        environment["TALLYSTICK_HOME"] = str(home)
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
