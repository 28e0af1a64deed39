"""A node that takes a snapshot in slowly, to be killed: `python -m tests.ledger.joining_node LEDGER SNAPSHOT`."""

import os
import sys
import time
from pathlib import Path

from tallystick.ledger.comet.state_sync import OfferAnswer, SnapshotTaking
from tallystick.ledger.snapshots import read_manifest
from tallystick.ledger.store import RocksStore
from tests.support.decided import consortium_genesis

PAUSE_SECONDS = 0.03


def main(ledger: Path, snapshot: Path) -> None:
    """Say when the first rows may be written, and when the ledger is whole."""
    manifest = read_manifest(snapshot)
    digest = bytes.fromhex(manifest.digest)
    taking = SnapshotTaking(RocksStore(ledger), consortium_genesis(), lambda _: digest)
    metadata, app_hash = (snapshot / "manifest.json").read_bytes(), bytes.fromhex(manifest.app_hash)
    offer = taking.offer(manifest.height, manifest.format, len(manifest.chunks), digest, metadata, app_hash)
    if offer.answer is not OfferAnswer.ACCEPT:
        sys.exit(offer.reason)
    os.write(1, b"begun\n")
    for index, chunk in enumerate(manifest.chunks):
        time.sleep(PAUSE_SECONDS)
        if taking.apply(index, (snapshot / chunk.name).read_bytes(), "peer").is_restored:
            os.write(1, b"restored\n")
    time.sleep(60)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
