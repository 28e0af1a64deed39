"""A closed embedded ledger, and the consortium that goes on with it: four validators that sign in this process.

`Grown` is a member's ledger whose blocks are decided here instead of by CometBFT; each block is signed by all four, and
blocks follow until a header states the last app hash, as CometBFT makes them.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey as Ed25519

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.step import Misbehaviour
from tallystick.kernel.genesis import Genesis
from tallystick.kernel.governance.operations import CloseChain
from tallystick.kernel.membership.records import Role
from tallystick.kernel.transaction import Transaction, read
from tallystick.ledger.archive import Archive, Light
from tallystick.ledger.comet.decided import Decided, DecidedLedger
from tallystick.ledger.engine import Outcome, RefusedAtDoor, Unknown
from tallystick.ledger.growth import begin_from_snapshot, carry_over, successor_genesis
from tallystick.ledger.receipts import receipt_key
from tallystick.ledger.store import Batch, RocksStore
from tallystick.proof import comet
from tallystick.wire.instants import Instant
from tests.conformance.chain import until_proven
from tests.conformance.engines import Embedded
from tests.support.chain import GOVERNOR, Chain, founded
from tests.support.ledger import OwnClock
from tests.support.members import key_of, public

SUCCESSOR = "tallystick-grown"
NAMES = [f"member {number}" for number in range(1, 5)]
VALIDATOR_KEYS = {public(key_of(name)): key_of(name) for name in (*NAMES, "member 5", "member 6", "member 7")}
NS = 1_000_000


class Former:
    """The embedded ledger of `home`, at work until `close` and closed by its governor there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.genesis = founded()
        self.running = Embedded(home, self.genesis)
        self.engine = self.running.engine
        self.chain = Chain(self.running, self.genesis)

    @property
    def ledger(self) -> Path:
        return self.home / "ledger"

    def close(self, successor: str = SUCCESSOR) -> None:
        """chain.close, and the block that proves it."""
        keys = tuple(public(key_of(name)) for name in NAMES)
        self.chain.do(CloseChain(successor=successor, validators=keys), by=self.chain.member(GOVERNOR, Role.GOVERNOR))
        until_proven(self.engine, "closed/chain")
        self.running.close()

    def successor(self, snapshot: Path, after_ms: int = 60_000) -> Genesis:
        """The genesis of the consortium, and the snapshot that it names."""
        store = RocksStore(self.ledger)
        try:
            names = {public(key_of(name)): name for name in NAMES}
            return successor_genesis(store, snapshot, Instant(OwnClock()() + after_ms), names)
        finally:
            store.close()


class Grown(DecidedLedger):
    """One member's ledger of the consortium in `home`, begun from `snapshot`."""

    def __init__(self, home: Path, genesis: Genesis, snapshot: Path, former: Path | None = None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        store = RocksStore(home / "ledger")
        try:
            begin_from_snapshot(snapshot, genesis, store)
            if former is not None:
                copy = shutil.copytree(former, home / "former")
                old = RocksStore(copy)
                carry_over(old, genesis, store)
                old.close()
        except ValueError:
            store.close()
            raise
        super().__init__(store, genesis, OwnClock(genesis.time))
        self._last: Light | None = None
        self._time = int(genesis.time)
        self.engine = self
        self.misbehaviours: tuple[Misbehaviour, ...] = ()

    def submit(self, raw: bytes, timeout_seconds: float = 60.0) -> Outcome:
        """A block with this transaction, and those that prove it."""
        refusal = self.check(raw)
        if refusal is not None:
            return RefusedAtDoor(refusal.status, refusal.facts)
        transaction = read(raw)
        assert isinstance(transaction, Transaction)
        self.block(raw)
        self.rest()
        receipt = self._archive.find_receipt(receipt_key(transaction.body.actor, transaction.body.id))
        found = self.result(transaction.body_hash)
        assert receipt is not None
        return found or Unknown("it was turned away")

    def rest(self) -> None:
        """Blocks until the chain stands still: no due work, and the last app hash stated."""
        while self.is_due() or not self._tip.is_attested:
            self.block()

    def block(self, *raws: bytes) -> None:
        """Decide, execute, commit and sign the next block."""
        header = self._header(raws)
        decided = Decided(header.height, header.time, header.hash(), raws, self.misbehaviours)
        self.misbehaviours = ()
        self.execute(decided)
        self.commit()
        self._last = Light(header, self._signed(header))
        batch = Batch()
        Archive.add_light(batch, self._last)
        self._store.write(batch)

    def _header(self, raws: tuple[bytes, ...]) -> comet.Header:
        tip, opened, height = self._tip, self._opened, self._tip.height + 1
        validators = opened.validators.at(height)
        first = self._last is None
        if not first:
            self._time = max(self._time + 1, self._clock())
        return comet.Header(
            chain_id=self.chain_id,
            height=height,
            time=self._time * NS,
            last_block_id=comet.BlockId() if self._last is None else self._last.commit.block_id,
            last_commit_hash=comet.NO_COMMIT_HASH if self._last is None else self._last.commit.hash(),
            data_hash=comet.data_hash(raws),
            validators_hash=validators.hash(),
            next_validators_hash=opened.validators.at(height + 1).hash(),
            consensus_hash=comet.consensus_hash(),
            app_hash=opened.roots.app_hash,
            last_results_hash=tip.results_hash or comet.NO_RESULTS_HASH,
            evidence_hash=comet.NO_EVIDENCE_HASH,
            proposer_address=validators.validators[0].address,
        )

    def _signed(self, header: comet.Header) -> comet.Commit:
        """All validators of its height sign it."""
        block_id = comet.BlockId(header.hash(), 1, bytes(32))
        message = comet.vote_sign_bytes(header.chain_id, header.height, 0, block_id, header.time)
        by_address = {comet.address_of(bytes(key.verify_key)): key for key in VALIDATOR_KEYS.values()}
        votes = tuple(
            comet.CommitSig(
                comet.BlockIdFlag.COMMIT, one.address, header.time, by_address[one.address].sign(message).signature
            )
            for one in self._opened.validators.at(header.height).validators
        )
        return comet.Commit(header.height, 0, block_id, votes)

    # What else the contract has, so that stories run here

    def submit_many(self, raws: list[bytes], timeout_seconds: float = 600.0) -> list[Outcome]:
        return [self.submit(raw) for raw in raws]

    def submit_later(self, raw: bytes, done: Callable[[Outcome], None]) -> None:
        done(self.submit(raw))

    def health(self) -> Any:
        return self._state_of_health((), 0)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._store.close()


class GrownChain(Chain):
    """The founders at work on the consortium, signing for its chain id."""

    def __init__(self, running: Grown, founded_by: Genesis, names: dict[str, str], keys: dict[str, Ed25519]) -> None:
        super().__init__(running, founded_by)  # type: ignore[arg-type]
        self.names.update(names)
        self.keys.update(keys)

    def sign(self, *operations: Operation, by: str, also: tuple[str, ...] = (), **body: Any) -> bytes:
        self._count += 1
        body.setdefault("id", f"grown{self._count}")
        body.setdefault("chain", self.engine.chain_id)
        return super().sign(*operations, by=by, also=also, **body)
