"""The demo's directory: made anew on each run, and nothing else is ever touched.

A directory is the demo's if it holds the demo's marker file. Anything else that stands there is left alone.
"""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tallystick.node.composition import node_answers
from tallystick.node.home import PRIVATE_DIRECTORY, Home, write_private
from tallystick.wire.errors import DecodeError

USUAL_HOME = Path("var/demo")
MARKER = "THIS-IS-A-DEMO"
PASSPHRASE = "demo"  # noqa: S105 (the keys guard nothing)
_MARKER_TEXT = """\
`make demo` made this directory and removes it when it runs again. Keep nothing here.
The ledger in it is a sandbox; what happens in it is made up (docs/demo.md).
"""


@contextmanager
def new_home(path: Path) -> Iterator[Home]:
    """An empty home at `path`, in place of an earlier run's, kept from other runs meanwhile.

    Raises `DecodeError` where it would destroy anything.
    """
    home = Home(path)
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise DecodeError("this is no directory of the demo's, and is left as it is", str(path))
    if path.is_dir() and any(path.iterdir()) and not (path / MARKER).is_file():
        raise DecodeError(f"there is no file {MARKER} here: not the demo's, and left as it is", str(path))
    path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    with (path / MARKER).open("a", encoding="utf-8") as marker:
        try:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DecodeError("another demo is running here", str(path)) from None
        if node_answers(home):
            raise DecodeError("a node is running on the ledger of an earlier demo; stop it first", str(path))
        _clear(path)
        marker.truncate(0)
        marker.write(_MARKER_TEXT)
        marker.flush()
        write_private(home.passphrase, PASSPHRASE.encode() + b"\n")
        yield home


def _clear(path: Path) -> None:
    """Remove an earlier run; the marker stays, so that an interrupted removal is simply done again."""
    for entry in path.iterdir():
        if entry.name == MARKER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
