"""Making a block of what was executed: the header that continues the chain, its signature, and its place in the batch.

The embedded engine's part of what CometBFT does between its validators; there is one key, and it signs here alone.
"""

from nacl.signing import SigningKey

from tallystick.ledger.archive import NS_PER_MS, Archive, ArchivedBlock, BlockBody
from tallystick.ledger.execution import ExecutedBlock
from tallystick.ledger.opening import Opened, Tip, put_tip
from tallystick.proof import comet

_CONSENSUS_HASH = comet.consensus_hash()


def seal(opened: Opened, executed: ExecutedBlock, key: SigningKey) -> Tip:
    """Sign the block after the present tip; its batch then holds the archived block and the new tip, which it returns.

    Whoever calls it writes the batch, and nothing that shows the signature leaves the process before that.
    """
    header = next_header(opened, executed)
    commit = comet.sign_commit(header, comet.embedded_block_id(header), key)
    tip = Tip.after(executed, header, commit)
    Archive.add_block(executed.batch, ArchivedBlock(body_of(executed, header.time), header, commit))
    put_tip(executed.batch, tip)
    return tip


def body_of(executed: ExecutedBlock, time_ns: int) -> BlockBody:
    """What the archive keeps of an executed block whose header has the time `time_ns`."""
    return BlockBody(
        executed.height,
        time_ns,
        executed.transactions,
        [outcome.status.number for outcome in executed.outcomes],
        [outcome.data for outcome in executed.outcomes],
        [outcome.events for outcome in executed.outcomes],
        executed.due_events,
        (executed.roots.state, executed.roots.receipts),
        executed.misbehaviours,
    )


def next_header(opened: Opened, executed: ExecutedBlock) -> comet.Header:
    """The header of the block after the tip: what it states of the blocks before it, and which transactions it has."""
    tip = opened.tip
    validators = opened.validators.at(tip.height + 1)
    validators_hash = validators.hash()
    return comet.Header(
        chain_id=opened.chain.chain_id,
        height=tip.height + 1,
        time=int(executed.time) * NS_PER_MS,
        last_block_id=tip.block_id or comet.BlockId(),
        last_commit_hash=tip.commit_hash or comet.NO_COMMIT_HASH,
        data_hash=comet.data_hash(executed.transactions),
        validators_hash=validators_hash,
        next_validators_hash=validators_hash,
        consensus_hash=_CONSENSUS_HASH,
        app_hash=opened.roots.app_hash,
        last_results_hash=tip.results_hash or comet.NO_RESULTS_HASH,
        evidence_hash=comet.NO_EVIDENCE_HASH,
        proposer_address=validators.validators[0].address,
    )
