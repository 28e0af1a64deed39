"""Executing an archived block again and holding it to what it states; for catching up, and for whoever checks a ledger.

Checked, in this order: the header continues the chain and covers these transactions; the commit is signed by the
validators; each transaction is well formed, signed and let in; results, events, due work and roots are those archived.
"""

from tallystick.kernel.core import codec
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.step import Misbehaviour
from tallystick.kernel.governance.records import Engine
from tallystick.kernel.transaction import read_decided
from tallystick.ledger.archive import NS_PER_MS, ArchivedBlock, BlockBody
from tallystick.ledger.execution import BlockExecution, Done, ExecutedBlock
from tallystick.ledger.opening import Opened
from tallystick.proof import comet
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant
from tallystick.wire.keys import verifies


def replay_block(opened: Opened, block: ArchivedBlock) -> ExecutedBlock:
    """Execute `block` on the ledger's present state. Raises `DecodeError` naming the block and what differs.

    Changes nothing; the caller writes the batch.
    """
    _check_header(opened, block, f"block {block.body.height}")
    return replay_body(opened, block.body)


def replay_body(opened: Opened, body: BlockBody) -> ExecutedBlock:
    """Execute a block of which nothing is known but what the archive keeps of it."""
    where = f"block {body.height}"
    execution = BlockExecution(
        opened.state,
        opened.archive,
        opened.tree,
        opened.chain,
        opened.roots,
        body.height,
        Instant(body.time // NS_PER_MS),
        codec.decode(tuple[Misbehaviour, ...], body.misbehaviours, where),
    )
    decided = opened.genesis.engine is Engine.CONSORTIUM
    for index, raw in enumerate(body.transactions):
        transaction = read_decided(raw)
        if decided:
            execution.include(raw, transaction)
            continue
        done = transaction if isinstance(transaction, Refusal) else execution.add(transaction)
        if isinstance(done, Refusal):
            raise DecodeError(f"is refused at the door: {done.status.label}", f"{where}, {_nth(index)}")
        if not isinstance(done, Done):
            raise DecodeError(f"was ordered before, at {done.receipt.height}", f"{where}, {_nth(index)}")
    executed = execution.finish()
    _check_outcome(body, executed, where)
    return executed


def is_attested(opened: Opened, block: ArchivedBlock) -> bool:
    """Whether votes for it carry over two thirds of the power; that they hold, `replay_block` checks.

    A consortium's block may lack some that CometBFT takes for valid and verifiers don't (`ledger.comet.lights`).
    """
    validators = opened.validators.at(block.header.height)
    return comet.LightBlock(block.header, block.commit, validators).has_two_thirds


def _check_header(opened: Opened, block: ArchivedBlock, where: str) -> None:
    header, tip, validators = block.header, opened.tip, opened.validators.at(block.header.height)
    following = opened.validators.at(header.height + 1)
    expected: tuple[tuple[str, object, object], ...] = (
        ("chain id", header.chain_id, opened.chain.chain_id),
        ("height", header.height, tip.height + 1),
        ("archived height", block.body.height, header.height),
        ("archived time", block.body.time, header.time),
        *_expected_of_the_embedded(opened, header),
        ("last block", header.last_block_id.hash, tip.block_hash),
        ("last results hash", header.last_results_hash, tip.results_hash or comet.NO_RESULTS_HASH),
        ("app hash", header.app_hash, opened.roots.app_hash),
        ("validators hash", header.validators_hash, validators.hash()),
        ("next validators hash", header.next_validators_hash, following.hash()),
        ("data hash", header.data_hash, comet.data_hash(block.transactions)),
        ("committed height", block.commit.height, header.height),
        ("committed block", block.commit.block_id.hash, header.hash()),
        ("number of signatures", len(block.commit.signatures), len(validators.validators)),
    )
    for name, stated, computed in expected:
        if stated != computed:
            raise DecodeError(f"its {name} is not the one that follows from the blocks before it", where)
    _check_time(opened, header, where)
    _check_signatures(validators, block, where)
    if opened.genesis.engine is Engine.EMBEDDED and not is_attested(opened, block):
        raise DecodeError("its commit is not signed by over two thirds of the validators", where)


def _check_time(opened: Opened, header: comet.Header, where: str) -> None:
    """Time goes on from block to block; CometBFT dates its first as the genesis (state/validation.go)."""
    genesis, before = opened.genesis, opened.tip.time_ns
    if genesis.engine is Engine.CONSORTIUM and header.height == genesis.initial_height:
        before = genesis.time * NS_PER_MS - 1
    if header.time <= before:
        raise DecodeError("its time is not after the block before it", where)


def _expected_of_the_embedded(opened: Opened, header: comet.Header) -> tuple[tuple[str, object, object], ...]:
    """What follows only where this engine signed the block before: of CometBFT's commits each node keeps its own."""
    if opened.genesis.engine is not Engine.EMBEDDED:
        return ()
    tip = opened.tip
    return (
        ("last block id", header.last_block_id, tip.block_id or comet.BlockId()),
        ("last commit hash", header.last_commit_hash, tip.commit_hash or comet.NO_COMMIT_HASH),
    )


def _check_signatures(validators: comet.ValidatorSet, block: ArchivedBlock, where: str) -> None:
    """Every vote for this block that its commit holds is signed."""
    for index, (validator, vote) in enumerate(zip(validators.validators, block.commit.signatures, strict=True)):
        if vote.flag is not comet.BlockIdFlag.COMMIT:
            continue
        message = block.commit.vote_sign_bytes(block.header.chain_id, index)
        if vote.validator_address != validator.address or not verifies(validator.public_key, message, vote.signature):
            raise DecodeError("its commit holds a signature that does not verify", where)


def _nth(index: int) -> str:
    return f"transaction {index}"


def _check_outcome(body: BlockBody, executed: ExecutedBlock, where: str) -> None:
    count = len(executed.outcomes)
    if (len(body.codes), len(body.data), len(body.events)) != (count, count, count):
        raise DecodeError("it holds not one result for each transaction", where)
    kept = zip(body.codes, body.data, body.events, strict=True)
    for index, (stated, done) in enumerate(zip(kept, executed.outcomes, strict=True)):
        if stated[:2] != (done.status.number, done.data):
            raise DecodeError("executing it again gives another result than was archived", f"{where}, {_nth(index)}")
        if stated[2] != done.events:
            raise DecodeError("executing it again gives other events than were archived", f"{where}, {_nth(index)}")
    expected: tuple[tuple[str, object, object], ...] = (
        ("due work", body.due_events, executed.due_events),
        ("state root and receipts root", body.roots, (executed.roots.state, executed.roots.receipts)),
    )
    for name, archived, computed in expected:
        if archived != computed:
            raise DecodeError(f"executing it again gives other {name} than were archived", where)
