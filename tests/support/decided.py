"""A consortium's node without its CometBFT: the test decides the blocks, the same for every ledger that it drives."""

import hashlib
from pathlib import Path

import msgspec

from tallystick.kernel.genesis import Genesis
from tallystick.kernel.governance.operations import AddValidator
from tallystick.kernel.governance.records import Engine, Validator
from tallystick.ledger.comet.decided import Decided, DecidedLedger, Executed
from tallystick.ledger.store import RocksStore
from tests.support.ledger import START, Consortium, genesis
from tests.support.members import key_of, public

BLOCK_MS = 1_000


def consortium_genesis() -> Genesis:
    """The small genesis of `tests.support.ledger`, kept by four validators."""
    names = [f"node {number}" for number in range(4)]
    validators = tuple(Validator(key=public(key_of(name)), name=name) for name in names)
    return msgspec.structs.replace(genesis(), engine=Engine.CONSORTIUM, validators=validators)


class DecidedChain:
    """Writes blocks to a ledger. Height and content say all of a block, so two of these make the same chain."""

    def __init__(self, path: Path) -> None:
        self.store = RocksStore(path, cache_bytes=8 << 20)
        self.ledger = DecidedLedger(self.store, consortium_genesis())
        self._consortium = Consortium()

    @property
    def height(self) -> int:
        return self.ledger.height

    @property
    def app_hash(self) -> bytes:
        return self.ledger.app_hash

    def block(self, transactions: int = 5) -> Executed:
        """Decide and commit the next block: documents, one that is turned away, and a new validator at height 7."""
        height = self.height + 1
        consortium = self._consortium
        raws = [consortium.anchoring(f"{height}/{n} {'x' * 200}", name=f"t{height}-{n}") for n in range(transactions)]
        raws.append(b"not a transaction")
        if height == 7:
            added = AddValidator(key=public(key_of("node 4")), validator="node 4")
            raws.append(consortium.sign(added, by="governor", name="add"))
        time_ns = (int(START) + BLOCK_MS * height) * 1_000_000
        self.ledger.execute(Decided(height, time_ns, hashlib.sha256(b"block %d" % height).digest(), tuple(raws)))
        return self.ledger.commit()

    def blocks(self, until: int, transactions: int = 5) -> "DecidedChain":
        """Go on to the height `until`."""
        while self.height < until:
            self.block(transactions)
        return self

    def close(self) -> None:
        self.store.close()
