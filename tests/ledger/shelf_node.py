"""A node that commits blocks and takes snapshots until it is killed: `python -m tests.ledger.shelf_node HOME`."""

import os
import sys
from pathlib import Path

from tallystick.ledger.comet.snapshots import SnapshotShelf
from tests.support.decided import DecidedChain


def main(home: Path) -> None:
    """A snapshot falls due every 3 blocks, so that one is being written nearly always. Says when one is taken."""
    chain = DecidedChain(home / "ledger")
    shelf = SnapshotShelf(home / "shelf", chain.store, 3, keep=4)
    before: set[int] | None = {one.height for one in shelf.kept()}
    while True:
        chain.block(transactions=20)
        shelf.after_commit(chain.height)
        if before is not None and {one.height for one in shelf.kept()} - before:
            os.write(1, b"taken\n")
            before = None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
