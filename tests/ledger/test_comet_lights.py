"""Headers that a member archives from its CometBFT: what is believed, and that one hostile vote ends nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tallystick.ledger.archive import Light
from tallystick.ledger.comet.decided import Decided
from tallystick.ledger.comet.gathering import GatheringLedger
from tallystick.ledger.comet.rpc import CometRpc, SignedHeader
from tallystick.ledger.engine import NotYet
from tallystick.ledger.engines.reading import ReadingEngine
from tallystick.ledger.evidence import collect
from tallystick.ledger.fsck import Check
from tallystick.ledger.invariants import audit
from tallystick.ledger.store import RocksStore
from tallystick.ledger.validators import set_of
from tallystick.proof import comet
from tallystick.proof.comet import BlockId, BlockIdFlag, Commit, CommitSig, Header, address_of, vote_sign_bytes
from tallystick.proof.evidence.blocks import Era, prove_headers
from tallystick.proof.light_client import check_commit
from tallystick.wire.errors import DecodeError
from tests.support.decided import BLOCK_MS, consortium_genesis
from tests.support.ledger import START, Consortium
from tests.support.members import key_of

KEYS = {address_of(bytes(key.verify_key)): key for key in (key_of(f"node {number}") for number in range(4))}
JUNK = bytes(64)


class OneCometbft:
    """What CometBFT answers to `commit`."""

    def __init__(self) -> None:
        self.has: dict[int, SignedHeader] = {}

    def signed_header(self, height: int) -> SignedHeader | None:
        return self.has.get(height)

    def close(self) -> None:
        return


class Chain:
    """A member's ledger, and blocks with true headers for it."""

    def __init__(self, path: Path) -> None:
        self.comet = OneCometbft()
        self.store = RocksStore(path, cache_bytes=8 << 20)
        self.ledger = GatheringLedger(self.store, consortium_genesis(), cast(CometRpc, self.comet))
        self._consortium = Consortium()
        self._last: tuple[BlockId, bytes] = (BlockId(), comet.NO_RESULTS_HASH)

    def block(self, *, is_idle: bool = False) -> None:
        """Decide and commit the next, with all four votes; an idle one changes no state."""
        ledger = self.ledger
        height = ledger.height + 1
        raws = (b"" if is_idle else self._consortium.anchoring(f"paper {height}"), b"not a transaction")
        last_block_id, last_results = self._last
        header = Header(
            chain_id=ledger.chain_id,
            height=height,
            time=(int(START) + BLOCK_MS * height) * 1_000_000,
            last_block_id=last_block_id,
            last_commit_hash=comet.NO_COMMIT_HASH,
            data_hash=comet.data_hash(raws),
            validators_hash=ledger.validators_at(height).hash(),
            next_validators_hash=ledger.validators_at(height + 1).hash(),
            consensus_hash=comet.consensus_hash(),
            app_hash=ledger.app_hash,
            last_results_hash=last_results,
            evidence_hash=comet.NO_COMMIT_HASH,
            proposer_address=bytes(20),
        )
        executed = ledger.execute(Decided(height, header.time, header.hash(), raws))
        ledger.commit()
        block_id = BlockId(header.hash(), 1, bytes(32))
        self._last = (block_id, comet.results_hash(executed.block.results))
        votes = tuple(
            CommitSig(
                BlockIdFlag.COMMIT,
                validator.address,
                header.time,
                KEYS[validator.address]
                .sign(vote_sign_bytes(ledger.chain_id, height, 0, block_id, header.time))
                .signature,
            )
            for validator in ledger.validators_at(height).validators
        )
        self.comet.has[height] = SignedHeader(header, Commit(height, 0, block_id, votes), True)

    def only(self, height: int, *, good: int, junk: int, is_canonical: bool = True) -> None:
        """Let its commit have so many votes that hold and so many that do not; the others were away."""
        found = self.comet.has[height]
        votes = found.commit.signatures
        spoiled = tuple(replace(vote, signature=JUNK) for vote in votes[good : good + junk])
        away = (comet.ABSENT,) * (len(votes) - good - junk)
        commit = replace(found.commit, signatures=votes[:good] + spoiled + away)
        self.comet.has[height] = SignedHeader(found.header, commit, is_canonical)

    def gather(self, height: int) -> None:
        assert self.ledger._gather(height)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    one = Chain(tmp_path / "ledger")
    yield one
    one.store.close()


def checked(chain: Chain, scratch: Path) -> list[int]:
    """The heights that fsck finds short of votes on a ledger that holds."""
    check = Check(chain.store, consortium_genesis(), scratch)
    assert check.run(lambda _: None) is None
    assert [done.violation for done in audit(ReadingEngine(chain.store)) if done.violation is not None] == []
    assert check.unattested == 0
    return check.short_of_votes


def test_a_vote_that_only_cometbft_takes_is_left_out(chain: Chain, tmp_path: Path) -> None:
    chain.block()
    chain.only(1, good=3, junk=1)
    chain.gather(1)
    assert chain.ledger.light_block(1).commit.signatures[3] == comet.ABSENT
    assert check_commit(chain.ledger.light_block(1)).is_trusted
    assert checked(chain, tmp_path / "scratch") == []


def test_too_few_votes_under_the_decided_block_end_no_gathering(chain: Chain, tmp_path: Path) -> None:
    """One member is away, and one signs so that only CometBFT takes it: what the next block holds stays so."""
    for height in (1, 2, 3):
        chain.block()
        if height == 2:
            chain.only(2, good=2, junk=1)
        chain.gather(height)
    assert chain.ledger.archived_until == 3
    kept = [check_commit(chain.ledger.light_block(height)).is_trusted for height in (1, 2, 3)]
    assert kept == [True, False, True], "and nobody takes it for more than it is"
    assert checked(chain, tmp_path / "scratch") == [2]


def test_too_few_votes_that_may_become_more_are_asked_for_again(chain: Chain) -> None:
    """The newest commit is this CometBFT's own, until the next block holds one."""
    chain.block()
    chain.only(1, good=2, junk=1, is_canonical=False)
    with pytest.raises(DecodeError, match="two thirds"):
        chain.ledger._gather(1)
    assert chain.ledger.archived_until == 0


@pytest.mark.parametrize("next_one", ["there", "absent", "short"])
def test_the_next_header_says_what_was_decided_where_that_is_forgotten(chain: Chain, next_one: str) -> None:
    chain.block()
    chain.block()
    chain.only(1, good=2, junk=1)
    chain.ledger._opened.hashes.clear()
    if next_one == "short":
        chain.only(2, good=2, junk=1)
    if next_one == "absent":
        del chain.comet.has[2]
    if next_one == "there":
        chain.gather(1)
        assert chain.ledger.archived_until == 1
        return
    with pytest.raises(DecodeError, match="two thirds"):
        chain.ledger._gather(1)


def test_evidence_shows_the_header_that_names_a_block_short_of_votes(chain: Chain) -> None:
    """Of a step in block 1: its result is stated by block 2, whose own commit proves nothing."""
    for height in range(1, 6):
        chain.block(is_idle=height > 3)
        if height == 2:
            chain.only(height, good=2, junk=1)
        chain.gather(height)
    engine, genesis = ReadingEngine(chain.store), consortium_genesis()
    trusted = Era(genesis.chain_id, frozenset({set_of(genesis.validators).hash()}))
    for places in ([(1, 0)], [(1, 0), (3, 0)]):
        bundle = collect(engine, "documents", bytes(32), ["protocol/chain"], places)
        prove_headers(bundle, (trusted,))
        assert {1, 2, 3} <= {block.header.height for block in bundle.blocks}


def test_evidence_waits_for_the_header_that_names_the_last_block(chain: Chain) -> None:
    for height in (1, 2):
        chain.block(is_idle=height == 2)
        if height == 2:
            chain.only(2, good=2, junk=1)
        chain.gather(height)
    with pytest.raises(NotYet, match="no header names block 2 yet"):
        collect(ReadingEngine(chain.store), "documents", bytes(32), ["protocol/chain"], [(1, 0)])


def test_a_block_that_was_not_decided_here_is_not_believed(chain: Chain) -> None:
    chain.block()
    found = chain.comet.has[1]
    other = replace(found.header, app_hash=bytes(32))
    chain.comet.has[1] = replace(found, header=other)
    with pytest.raises(DecodeError, match="another block"):
        chain.ledger._gather(1)


def test_fsck_finds_a_vote_that_does_not_hold(chain: Chain, tmp_path: Path) -> None:
    chain.block()
    chain.gather(1)
    light = chain.ledger.light_block(1)
    votes = light.commit.signatures
    spoiled = replace(light.commit, signatures=(replace(votes[0], signature=JUNK), *votes[1:]))
    chain.ledger._keep_light(Light(light.header, spoiled))
    fault = Check(chain.store, consortium_genesis(), tmp_path / "scratch").run(lambda _: None)
    assert fault is not None
    assert "signature" in str(fault)
