"""What CometBFT asks of an application (ABCI 2.0), one method a message. All are called one after another.

CometBFT opens four connections (consensus, mempool, query, snapshot). Requests of one connection are answered in their
order; no two requests run at once, so an application needs no locks. Source: CometBFT v0.39, spec/abci.
"""

from typing import Protocol

from tallystick.ledger.abci.protos import abci_pb2 as abci


class Unsupported(NotImplementedError):
    """A method that this application does not offer; CometBFT is told so, and the connection stays."""


class Application(Protocol):
    """One method for each request. An exception other than `Unsupported` is fatal to the node."""

    def started(self) -> None:
        """CometBFT was started and is about to ask for the first time; it has nothing of what it had before."""

    def info(self, request: abci.RequestInfo) -> abci.ResponseInfo:
        """The last block that was committed, so that CometBFT replays those after it."""

    def query(self, request: abci.RequestQuery) -> abci.ResponseQuery:
        """A record at the present height, with its proof."""

    def check_tx(self, request: abci.RequestCheckTx) -> abci.ResponseCheckTx:
        """Whether a transaction may enter the mempool; a recheck asks again after a block."""

    def init_chain(self, request: abci.RequestInitChain) -> abci.ResponseInitChain:
        """Begin the chain from its genesis."""

    def prepare_proposal(self, request: abci.RequestPrepareProposal) -> abci.ResponsePrepareProposal:
        """What this node proposes as a block, as its turn has come."""

    def process_proposal(self, request: abci.RequestProcessProposal) -> abci.ResponseProcessProposal:
        """Whether another node's proposal may be voted for. The same on every node."""

    def extend_vote(self, request: abci.RequestExtendVote) -> abci.ResponseExtendVote:
        """What to add to this node's vote."""

    def verify_vote_extension(self, request: abci.RequestVerifyVoteExtension) -> abci.ResponseVerifyVoteExtension:
        """Whether another's addition to its vote holds."""

    def finalize_block(self, request: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock:
        """Execute a decided block from the committed state and keep nothing of it yet. It may be asked twice."""

    def commit(self, request: abci.RequestCommit) -> abci.ResponseCommit:
        """Write what the last block changed, durably."""

    def list_snapshots(self, request: abci.RequestListSnapshots) -> abci.ResponseListSnapshots:
        """The snapshots that others may fetch here."""

    def offer_snapshot(self, request: abci.RequestOfferSnapshot) -> abci.ResponseOfferSnapshot:
        """Whether to begin from a snapshot that a peer has."""

    def load_snapshot_chunk(self, request: abci.RequestLoadSnapshotChunk) -> abci.ResponseLoadSnapshotChunk:
        """A part of one of this node's snapshots."""

    def apply_snapshot_chunk(self, request: abci.RequestApplySnapshotChunk) -> abci.ResponseApplySnapshotChunk:
        """Take in a part of the snapshot that was begun."""
