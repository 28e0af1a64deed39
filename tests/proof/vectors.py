"""The vectors that CometBFT's own packages computed."""

import json
from pathlib import Path
from typing import Any

_ROOM = Path(__file__).parent.parent / "vectors" / "comet"


def comet(name: str) -> Any:
    """What `tools/comet_vectors` wrote about one topic."""
    return json.loads((_ROOM / f"{name}.json").read_text("utf-8"))["vectors"]
