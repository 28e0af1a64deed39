"""What CometBFT asks, put to the ledger: ABCI's messages on one side, `DecidedLedger` on the other.

The time rule (DESIGN section 6): a header's time is the median of the votes on the block before, so the first block
after an idle hour is dated an hour ago. A proposer whose clock is well past the time that its block will have proposes
no transactions; that block's votes are fresh, and so is the next one's time. Nothing else is ever left out of a
proposal: what is not let in is taken out of the mempool by being turned away in a block. Packets are opened
(`ledger.comet.packets`).
"""

import json
import logging
import re
import time
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from tallystick.kernel.core import codec
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.step import Misbehaviour
from tallystick.kernel.transaction import is_wake
from tallystick.ledger.abci.application import Unsupported
from tallystick.ledger.abci.protos import abci_pb2 as abci
from tallystick.ledger.abci.protos import keys_pb2 as keys
from tallystick.ledger.comet.decided import MAX_BLOCK_TRANSACTIONS, Decided, DecidedLedger, Executed
from tallystick.ledger.comet.mempool import Mempool
from tallystick.ledger.comet.packets import is_packet, unpack
from tallystick.ledger.engine import NotYet
from tallystick.proof.comet import Validator
from tallystick.proof.timestamps import NS_PER_SECOND
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant
from tallystick.wire.keys import KEY_BYTES

STALE_NS = 2 * NS_PER_SECOND
RECORD_PATH = "/record"
RESULT_PATH = "/result"
SNAPSHOT_PATH = "/snapshot/"
PROOF_TYPE = "tallystick:state:v1"
NOT_FOUND, ASK_AGAIN = 1, 2
NO_PACKET, NOTHING_NEW, NOTHING_LEFT = 1, 2, 3
"""Codes of the answer to a packet; a transaction's are its refusal's status."""
OPENED_AGAIN = 4  # packets a block, of those that were forgotten for want of room

_KINDS = {
    abci.MisbehaviorType.DUPLICATE_VOTE: "duplicate_vote",
    abci.MisbehaviorType.LIGHT_CLIENT_ATTACK: "light_client_attack",
}

_HEIGHT = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)

_log = logging.getLogger(__name__)


class Snapshots(Protocol):
    """Snapshots for state sync: those kept here, and the one that is being taken in."""

    def after_commit(self, height: int) -> int:
        """A block was committed; returns the height below which CometBFT may forget its blocks, 0 for none."""

    def list_snapshots(self) -> list[abci.Snapshot]: ...

    def load_chunk(self, height: int, format_: int, index: int) -> bytes: ...

    def offer(self, snapshot: abci.Snapshot, app_hash: bytes) -> abci.ResponseOfferSnapshot: ...

    def apply(self, request: abci.RequestApplySnapshotChunk) -> abci.ResponseApplySnapshotChunk: ...

    def digest(self, height: int) -> str: ...


class Watcher(Protocol):
    """Who waits for outcomes on this node."""

    def started(self) -> None:
        """CometBFT was started, and nothing waits in its mempool."""

    def refused(self, raw: bytes, refusal: Refusal) -> None:
        """The mempool's door refused a transaction."""

    def turned_back(self, raws: list[bytes]) -> None:
        """The mempool's door refused a packet for the others in it: these may come again, each by itself."""

    def committed(self, executed: Executed) -> None:
        """A block is on the disk."""


class LedgerApplication:
    """One node's answers to its CometBFT. `wall_clock_ns` is this machine's time.

    `commit_wait_ns` is how long CometBFT is set to wait after each block, which is no idleness.
    """

    def __init__(
        self,
        ledger: DecidedLedger,
        watcher: Watcher,
        snapshots: Snapshots,
        wall_clock_ns: Callable[[], int],
        commit_wait_ns: int = 0,
    ) -> None:
        self._ledger = ledger
        self._watcher = watcher
        self._snapshots = snapshots
        self._wall_clock_ns = wall_clock_ns
        self._fresh_ns = STALE_NS + commit_wait_ns
        self._mempool = Mempool()
        self._opened_again = 0
        self._busy_ns = 0  # what the last block took here, from its decision to the disk: no idleness
        self._decided_ns = 0

    # Information and the chain's beginning

    def started(self) -> None:
        self._mempool.clear()
        self._watcher.started()

    def info(self, request: abci.RequestInfo) -> abci.ResponseInfo:
        height = self._ledger.height
        return abci.ResponseInfo(
            data="tallystick",
            version=request.version,
            last_block_height=height,
            last_block_app_hash=self._ledger.app_hash if height else b"",
        )

    def init_chain(self, request: abci.RequestInitChain) -> abci.ResponseInitChain:
        ledger = self._ledger
        named = sorted((one.pub_key.ed25519, one.power) for one in request.validators)
        own = sorted((one.public_key, one.power) for one in ledger.validators_at(request.initial_height).validators)
        for what, theirs, ours in (
            ("chain id", request.chain_id, ledger.chain_id),
            ("initial height", request.initial_height, ledger.initial_height),
            ("time", _instant(request.time), ledger.genesis.time),
            ("validators", named, own),
        ):
            if theirs != ours:
                raise DecodeError(f"CometBFT's genesis has another {what} than the ledger's", "genesis.json")
        return abci.ResponseInitChain(app_hash=ledger.app_hash)

    def query(self, request: abci.RequestQuery) -> abci.ResponseQuery:
        try:
            return self._answer(request.path, request.data)
        except NotYet as error:
            return abci.ResponseQuery(code=ASK_AGAIN, log=str(error))
        except (DecodeError, LookupError) as error:
            return abci.ResponseQuery(code=NOT_FOUND, log=str(error))

    def _answer(self, path: str, data: bytes) -> abci.ResponseQuery:
        ledger = self._ledger
        if path == RECORD_PATH:
            proof = ledger.prove(data.decode(errors="replace"))
            shown = {
                "blind": proof.blind.hex(),
                "proof": proof.proof.to_bytes().hex(),
                "receipts_root": proof.receipts_root.hex(),
                "state_root": proof.state_root.hex(),
            }
            step = abci.ResponseQuery(key=data, value=proof.value or b"", height=proof.height)
            step.proof_ops.ops.add(type=PROOF_TYPE, key=data, data=codec.encode(shown))
            return step
        if path == RESULT_PATH:
            result = ledger.result(data)
            if result is None:
                raise LookupError("no transaction with this body hash was ordered")
            said = {
                "facts": result.facts,
                "height": result.height,
                "index": result.index,
                "status": result.status.label,
            }
            return abci.ResponseQuery(key=data, value=codec.encode(said), height=result.height)
        if path.startswith(SNAPSHOT_PATH):
            height = path.removeprefix(SNAPSHOT_PATH)
            digest = self._snapshots.digest(int(height)) if _HEIGHT.fullmatch(height) else ""
            if not digest:
                raise LookupError(f"no snapshot of height {height} is kept here")
            return abci.ResponseQuery(value=digest.encode(), height=int(height))
        raise LookupError(
            f"known paths are {RECORD_PATH}, {RESULT_PATH} and {SNAPSHOT_PATH}<height>, not {path[:80]!r}"
        )

    # The mempool

    def check_tx(self, request: abci.RequestCheckTx) -> abci.ResponseCheckTx:
        raw = request.tx
        if request.type == abci.CheckTxType.RECHECK:
            return self._check_again(raw)
        if is_packet(raw):
            return self._check_packet(raw)
        refusal = self._ledger.check(raw)
        if is_wake(raw):
            return _checked(refusal)
        if refusal is None:
            self._mempool.add(raw)
        elif not self._mempool.holds(raw):  # else its block has the word: a packet that it waits in was let in
            self._watcher.refused(raw, refusal)
        return _checked(refusal)

    def _check_packet(self, packet: bytes) -> abci.ResponseCheckTx:
        """Let a packet in of which at least half is new here and let in; else anybody could fill the mempools by
        packing what waits already, or what nobody signed, again and again.
        """
        try:
            raws = unpack(packet)
        except DecodeError as error:
            return abci.ResponseCheckTx(code=NO_PACKET, log=str(error))
        known = dict.fromkeys(self._mempool.held_otherwise(packet, raws))
        new: list[bytes] = []
        for raw in raws:
            if raw in known:
                continue
            refusal = self._ledger.check(raw)
            if refusal is None:
                new.append(raw)
            else:
                self._watcher.refused(raw, refusal)
        if 2 * sum(map(len, new)) < len(packet):
            self._watcher.turned_back([*new, *known])
            return abci.ResponseCheckTx(code=NOTHING_NEW, log="less than half of the packet is new and let in")
        self._mempool.put(packet, new)
        return abci.ResponseCheckTx()

    def _check_again(self, raw: bytes) -> abci.ResponseCheckTx:
        """What stands in the mempool leaves it by a block alone, and a packet once all of it is in blocks."""
        self._mempool.still_waits(raw)
        if not is_packet(raw):
            return abci.ResponseCheckTx()
        left = self._mempool.left(raw)
        if left is None:  # opening costs as much as letting it in: of many, a few after each block
            self._opened_again += 1
            left = (raw,) if self._opened_again > OPENED_AGAIN else self._left(raw)
        if left:
            return abci.ResponseCheckTx()
        self._mempool.forget(raw)
        return abci.ResponseCheckTx(code=NOTHING_LEFT, log="all of the packet is in blocks")

    def _left(self, packet: bytes) -> tuple[bytes, ...]:
        """What of a packet in the mempool is to come into a block."""
        left = self._mempool.left(packet)
        if left is None:  # forgotten for want of room
            waits = self._mempool.holds
            left = tuple(raw for raw in unpack(packet) if not waits(raw) and self._ledger.check(raw) is None)
            self._mempool.put(packet, left)
        return left

    # Consensus

    def prepare_proposal(self, request: abci.RequestPrepareProposal) -> abci.ResponsePrepareProposal:
        idle_ns = self._wall_clock_ns() - _nanoseconds(request.time) - self._busy_ns
        if idle_ns > self._fresh_ns:
            return abci.ResponsePrepareProposal()
        opened = (each for raw in request.txs for each in (self._left(raw) if is_packet(raw) else (raw,)))
        return abci.ResponsePrepareProposal(txs=list(islice(dict.fromkeys(opened), MAX_BLOCK_TRANSACTIONS)))

    def process_proposal(self, request: abci.RequestProcessProposal) -> abci.ResponseProcessProposal:
        status = abci.ResponseProcessProposal.ProposalStatus
        accepted = self._ledger.may_be_decided(request.txs)
        if not accepted:
            _log.warning("a proposal for height %d is refused: it holds what can't be read", request.height)
        return abci.ResponseProcessProposal(status=status.ACCEPT if accepted else status.REJECT)

    def extend_vote(self, request: abci.RequestExtendVote) -> abci.ResponseExtendVote:
        raise Unsupported("votes are not extended on this chain")

    def verify_vote_extension(self, request: abci.RequestVerifyVoteExtension) -> abci.ResponseVerifyVoteExtension:
        raise Unsupported("votes are not extended on this chain")

    def finalize_block(self, request: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock:
        decided = Decided(
            request.height,
            _nanoseconds(request.time),
            request.hash,
            tuple(request.txs),
            tuple(_misbehaviour(one) for one in request.misbehavior),
        )
        self._decided_ns = time.monotonic_ns()
        executed = self._ledger.execute(decided)
        return abci.ResponseFinalizeBlock(
            tx_results=[
                abci.ExecTxResult(code=outcome.status.number, data=outcome.data) for outcome in executed.block.outcomes
            ],
            validator_updates=[_update(one) for one in executed.validators_changed],
            app_hash=executed.app_hash,
        )

    def commit(self, request: abci.RequestCommit) -> abci.ResponseCommit:
        executed = self._ledger.commit()
        self._mempool.ordered(executed.decided.transactions)
        self._opened_again = 0
        self._watcher.committed(executed)
        self._busy_ns = time.monotonic_ns() - self._decided_ns
        return abci.ResponseCommit(retain_height=self._snapshots.after_commit(executed.decided.height))

    # Snapshots

    def list_snapshots(self, request: abci.RequestListSnapshots) -> abci.ResponseListSnapshots:
        return abci.ResponseListSnapshots(snapshots=self._snapshots.list_snapshots())

    def offer_snapshot(self, request: abci.RequestOfferSnapshot) -> abci.ResponseOfferSnapshot:
        return self._snapshots.offer(request.snapshot, request.app_hash)

    def load_snapshot_chunk(self, request: abci.RequestLoadSnapshotChunk) -> abci.ResponseLoadSnapshotChunk:
        chunk = self._snapshots.load_chunk(request.height, request.format, request.chunk)
        return abci.ResponseLoadSnapshotChunk(chunk=chunk)

    def apply_snapshot_chunk(self, request: abci.RequestApplySnapshotChunk) -> abci.ResponseApplySnapshotChunk:
        return self._snapshots.apply(request)


def _checked(refusal: Refusal | None) -> abci.ResponseCheckTx:
    if refusal is None:
        return abci.ResponseCheckTx()
    said = json.dumps(refusal.facts, default=str)
    return abci.ResponseCheckTx(code=refusal.status.number, log=f"{refusal.status.label} {said}"[:500])


def _nanoseconds(stamp: object) -> int:
    """A protobuf timestamp as nanoseconds since 1970."""
    seconds, nanos = getattr(stamp, "seconds", 0), getattr(stamp, "nanos", 0)
    return int(seconds) * NS_PER_SECOND + int(nanos)


def _instant(stamp: object) -> Instant:
    return Instant(_nanoseconds(stamp) // 1_000_000)


def _misbehaviour(one: abci.Misbehavior) -> Misbehaviour:
    return Misbehaviour(
        kind="light_client_attack" if _KINDS.get(one.type) == "light_client_attack" else "duplicate_vote",
        validator=one.validator.address.hex().upper(),
        height=one.height,
        time=_instant(one.time),
        power=one.validator.power,
        total_power=one.total_voting_power,
    )


def _update(one: Validator) -> abci.ValidatorUpdate:
    if len(one.public_key) != KEY_BYTES:
        raise DecodeError("not an Ed25519 key", "validator update")
    return abci.ValidatorUpdate(pub_key=keys.PublicKey(ed25519=one.public_key), power=one.power)
