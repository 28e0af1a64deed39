"""What CometBFT asks, put to the ledger: ABCI's messages on one side, `DecidedLedger` on the other.

The time rule (DESIGN section 6): a header's time is the median of the votes on the block before, so the first block
after an idle hour is dated an hour ago. A proposer whose clock is well past the time that its block will have proposes
no transactions; that block's votes are fresh, and so is the next one's time. Nothing else is ever left out of a
proposal: what is not let in is taken out of the mempool by being turned away in a block.
"""

import json
import logging
import re
import time
from collections.abc import Callable
from typing import Protocol

from tallystick.kernel.core import codec
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.step import Misbehaviour
from tallystick.kernel.transaction import is_wake
from tallystick.ledger.abci.application import Unsupported
from tallystick.ledger.abci.protos import abci_pb2 as abci
from tallystick.ledger.abci.protos import keys_pb2 as keys
from tallystick.ledger.comet.decided import MAX_BLOCK_TRANSACTIONS, Decided, DecidedLedger, Executed
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
        """CometBFT was started: it asks where the ledger stands, and nothing waits in its mempool."""

    def refused(self, raw: bytes, refusal: Refusal) -> None:
        """The mempool's door refused a transaction."""

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
        self._busy_ns = 0  # what the last block took here, from its decision to the disk: no idleness
        self._decided_ns = 0

    # Information and the chain's beginning

    def info(self, request: abci.RequestInfo) -> abci.ResponseInfo:
        self._watcher.started()
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
        if request.type == abci.CheckTxType.RECHECK:
            return abci.ResponseCheckTx()  # what stands in the mempool leaves it by a block alone
        refusal = self._ledger.check(request.tx)
        if refusal is None:
            return abci.ResponseCheckTx()
        if not is_wake(request.tx):
            self._watcher.refused(request.tx, refusal)
        said = json.dumps(refusal.facts, default=str)
        return abci.ResponseCheckTx(code=refusal.status.number, log=f"{refusal.status.label} {said}"[:500])

    # Consensus

    def prepare_proposal(self, request: abci.RequestPrepareProposal) -> abci.ResponsePrepareProposal:
        idle_ns = self._wall_clock_ns() - _nanoseconds(request.time) - self._busy_ns
        if idle_ns > self._fresh_ns:
            return abci.ResponsePrepareProposal()
        return abci.ResponsePrepareProposal(txs=list(dict.fromkeys(request.txs))[:MAX_BLOCK_TRANSACTIONS])

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
