"""What the engine collects as evidence is proven by the bundle alone, and nothing else is."""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tallystick.kernel.core import codec
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.evidence import BLOCK_START, collect
from tallystick.ledger.signing_guard import SigningGuard
from tallystick.ledger.store import RocksStore
from tallystick.ledger.validators import set_of
from tallystick.proof.evidence.blocks import Era, Headers, Revision, prove_headers
from tallystick.proof.evidence.bundle import Bundle, Roots, Transaction
from tallystick.proof.evidence.contents import check_contents
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.inclusion import prove_due_work, prove_transaction
from tallystick.proof.evidence.state import prove_records
from tallystick.wire.errors import DecodeError
from tests.conformance.chain import until_proven
from tests.support.ledger import CHAIN_ID, NODE_KEY, Consortium, OwnClock, genesis

GENESIS_HASH = hashlib.sha256(codec.encode(genesis())).digest()
SET = frozenset({set_of(genesis().validators).hash()})


class Story:
    """A ledger with blocks of several documents each, some refused, and what became of them."""

    def __init__(self, home: Path) -> None:
        self.consortium = Consortium()
        self.engine = EmbeddedEngine(
            RocksStore(home / "ledger"), NODE_KEY, genesis(), OwnClock(), SigningGuard(home / "signed")
        )
        for _ in range(4):
            raws = [self.consortium.anchoring("paper") for _ in range(3)]
            self.engine.submit_many([*raws, self.consortium.anchoring("none", earlier="doc_0000000000000000")])
        until_proven(self.engine, "protocol/chain")
        heights = range(1, self.engine.health().height)
        self.places = [(height, index) for height in heights for index in range(len(self.engine.transactions(height)))]
        self.keys = [row.key for row in self.engine.scan("document", limit=4)]

    def bundle(self, every: int = 3) -> Bundle:
        """Some of the steps, and some records of which one is not there."""
        keys = [*self.keys, "document/doc_0000000000000000"]
        return collect(self.engine, self.keys[0], GENESIS_HASH, keys, self.places[::every])


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    story = Story(tmp_path_factory.mktemp("evidence"))
    yield story
    story.engine.close()


def headers_of(bundle: Bundle) -> Headers:
    return prove_headers(bundle, (Era(CHAIN_ID, SET),))


def prove(bundle: Bundle) -> None:
    """Everything that a bundle claims about blocks and state."""
    check_contents(bundle)
    headers = headers_of(bundle)
    for transaction in bundle.transactions:
        prove_transaction(transaction, headers)
    for work in bundle.due_work:
        prove_due_work(work, headers)
    prove_records(bundle, headers, genesis().tree_depth)


@pytest.mark.parametrize("every", [1, 2, 5, 100])
def test_what_is_collected_is_proven(story: Story, every: int) -> None:
    bundle = story.bundle(every)
    read = Bundle.from_bytes(bundle.to_bytes())
    assert read == bundle
    prove(read)
    assert len(read.transactions) == len(story.places[::every])


def test_consecutive_blocks_need_one_commit(story: Story) -> None:
    bundle = story.bundle(1)
    runs = sum(after.header.height != before.header.height + 1 for before, after in itertools.pairwise(bundle.blocks))
    assert sum(block.commit is not None for block in bundle.blocks) == runs + 1 < len(bundle.blocks)


def changed_block(bundle: Bundle, place: int, **fields: object) -> Bundle:
    block = bundle.blocks[place]
    header = replace(block.header, **fields)  # type: ignore[arg-type]
    return replace(bundle, blocks=(*bundle.blocks[:place], replace(block, header=header), *bundle.blocks[place + 1 :]))


@pytest.mark.parametrize("field", ["app_hash", "data_hash", "last_results_hash", "proposer_address", "evidence_hash"])
def test_a_changed_header_is_not_believed(story: Story, field: str) -> None:
    bundle = story.bundle()
    for place, block in enumerate(bundle.blocks):
        value: bytes = getattr(block.header, field)
        with pytest.raises(NotProven) as refused:
            headers_of(changed_block(bundle, place, **{field: bytes([value[0] ^ 1]) + value[1:]}))
        assert str(block.header.height) in refused.value.where or str(block.header.height + 1) in refused.value.where


def test_a_commit_may_not_be_missing_or_to_spare(story: Story) -> None:
    bundle = story.bundle()
    for place, block in enumerate(bundle.blocks):
        commit = None if block.commit is not None else story.engine.light_block(block.header.height).commit
        blocks = (*bundle.blocks[:place], replace(block, commit=commit), *bundle.blocks[place + 1 :])
        with pytest.raises(NotProven, match="a commit"):
            headers_of(replace(bundle, blocks=blocks))


def test_another_chain_or_genesis_is_not_believed(story: Story) -> None:
    bundle = story.bundle()
    with pytest.raises(NotProven, match="another chain id"):
        prove_headers(bundle, (Era("another", SET),))
    with pytest.raises(NotProven, match="not those that are trusted"):
        prove_headers(bundle, (Era(CHAIN_ID, frozenset({hashlib.sha256(b"others").digest()})),))
    with pytest.raises(NotProven, match="another chain id"):
        prove_headers(bundle, (Era(CHAIN_ID, SET, (Revision("later-id", 1),)),))
    with pytest.raises(NotProven, match="stands twice"):
        headers_of(replace(bundle, validators=bundle.validators * 2))


def one(bundle: Bundle, code: int) -> Transaction:
    return next(each for each in bundle.transactions if each.code == code)


def test_a_changed_transaction_or_result_is_not_believed(story: Story) -> None:
    bundle = story.bundle(1)
    headers = headers_of(bundle)
    good = one(bundle, 0)
    refused = one(bundle, 300)
    cases: tuple[tuple[Transaction, str], ...] = (
        (replace(good, envelope=refused.envelope), "inclusion"),
        (replace(good, index=good.index + 1), "inclusion"),
        (replace(good, total=good.total + 1), "inclusion"),
        (replace(good, path=good.path[:-1]), "inclusion"),
        (replace(good, path=good.path[::-1]), "inclusion"),
        (replace(good, result_path=(*good.result_path[:-1], bytes(32))), "results"),
        (replace(refused, code=0), "results"),
        (replace(refused, data=good.data), "results"),
        (replace(good, events=[]), "events"),
        (replace(good, height=good.height + 1), "inclusion"),
    )
    for changed, check in cases:
        with pytest.raises(NotProven) as found:
            prove_transaction(changed, headers)
        assert found.value.check == check, found.value


def test_a_signature_that_does_not_hold_is_named(story: Story) -> None:
    bundle = story.bundle(1)
    good, other = one(bundle, 0), one(bundle, 300)
    assert isinstance(good.envelope, dict)
    assert isinstance(other.envelope, dict)
    forged = {**good.envelope, "signatures": other.envelope["signatures"]}
    with pytest.raises(NotProven, match=r"signatures: .* a signature does not verify"):
        prove_transaction(replace(good, envelope=forged), headers_of(bundle))


def test_records_are_those_of_the_state_or_not_at_all(story: Story) -> None:
    bundle = story.bundle()
    headers = headers_of(bundle)
    there = next(record for record in bundle.records if record.value is not None)
    assert isinstance(there.value, dict)
    others = tuple(record for record in bundle.records if record is not there)
    for changed in (
        replace(there, value={**there.value, "owner": "mbr_0000000000000000"}),
        replace(there, blind=bytes(32)),
        replace(there, value=None),
        replace(there, key="document/doc_1111111111111111"),
    ):
        with pytest.raises(NotProven, match="state"):
            prove_records(replace(bundle, records=(*others, changed)), headers, genesis().tree_depth)
    with pytest.raises(NotProven, match="state"):
        prove_records(replace(bundle, records=others), headers, genesis().tree_depth)
    with pytest.raises(NotProven, match="not those under"):
        prove_records(replace(bundle, roots=Roots(bytes(32), bundle.roots.receipts)), headers, genesis().tree_depth)


def test_a_missing_header_is_named(story: Story) -> None:
    bundle = story.bundle(1)
    headers = headers_of(bundle)
    last = bundle.transactions[-1]
    del headers.by_height[last.height + 1]
    with pytest.raises(NotProven, match=f"the header of height {last.height + 1} is missing"):
        prove_transaction(last, headers)


def test_no_byte_of_the_file_is_free(story: Story) -> None:
    raw = story.bundle(7).to_bytes()
    for place in range(0, len(raw), 11):
        changed = bytearray(raw)
        changed[place] ^= 1
        try:
            read = Bundle.from_bytes(bytes(changed))
        except DecodeError:
            continue
        if (read.about, read.genesis) != (story.keys[0], GENESIS_HASH):
            continue  # what the caller compares with the genesis it pins and the thing it asked about
        with pytest.raises(NotProven):
            prove(read)


def test_due_work_is_shown_with_its_links(story: Story) -> None:
    bundle = collect(story.engine, "x", GENESIS_HASH, story.keys, [(2, BLOCK_START)])
    assert bundle.due_work == ()  # nothing was due there, and nothing is what the bundle then says
