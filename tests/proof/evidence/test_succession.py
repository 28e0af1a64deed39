"""Evidence across the growth from one operator to a consortium: of either chain, given both genesis files."""

import copy
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tallystick.cli.evidence import verify as tally_verify
from tallystick.kernel.core import codec
from tallystick.kernel.documents.anchors import AnchorDocument
from tallystick.kernel.governance.operations import AddValidator, RemoveValidator
from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.transaction import Seen
from tallystick.ledger.engine import Cursor
from tallystick.node.evidence import bundle_about
from tallystick.proof import comet
from tallystick.proof.evidence.bundle import Block, Bundle
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.founding import check_founders
from tallystick.proof.evidence.genesis import Genesis
from tallystick.proof.evidence.trust import Succession, founders_of
from tallystick.proof.evidence.verifier import verify
from tallystick.verifier.command import main
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import DAY_MS
from tests.conformance.chain import until_proven
from tests.support.chain import GOVERNOR
from tests.support.financing import market
from tests.support.grown import SUCCESSOR, Former, Grown, GrownChain
from tests.support.ledger import NODE_KEY
from tests.support.members import application, key_of, public
from tests.support.receivables import acceptance_of, anchor, issued, offered, passing_of, span
from tests.support.world import CHAIN_ID


class Scene:
    """A receivable issued and handed on by the one operator's ledger, and handed on again by the consortium's."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.former = Former(home / "former")
        old = self.former.chain
        m = self.market = market(chain=old)
        self.auditor, self.client, self.funder = m.trade.auditor, m.client, m.funder
        self.receivable = issued(old, m.trade.buyer, m.client, 1_000, self.auditor)
        self.other = issued(old, m.trade.buyer, m.client, 2_000, self.auditor)
        old.do(application("Newcomer"), by=m.client, keys=(key_of("Newcomer"),))
        self.hand_on(old, self.receivable, m.client, m.funder, 1_000)
        until_proven(self.former.engine, "protocol/chain")
        self.old_bundle = bundle_about(self.former.engine, codec.encode(self.former.genesis), self.receivable)
        self.former.close()
        self.old_file = codec.encode(self.former.genesis)
        self.snapshot = home / "snapshot"
        genesis = self.former.successor(self.snapshot, after_ms=20 * DAY_MS)  # reviews have run out meanwhile
        self.new_file = codec.encode(genesis)
        self.grown = Grown(home / "grown", genesis, self.snapshot, self.former.ledger)
        self.chain = GrownChain(self.grown, self.former.genesis, old.names, old.keys)
        self.grown.rest()
        self.hand_on(self.chain, self.receivable, m.funder, m.client, 700)
        self.late = issued(self.chain, m.trade.buyer, m.client, 3_000, self.auditor)
        self.former_genesis, self.genesis = Genesis.from_bytes(self.old_file), Genesis.from_bytes(self.new_file)
        self.both = Succession.of(self.former_genesis, self.genesis)
        assert self.genesis.predecessor is not None
        self.last = self.genesis.predecessor.height

    def hand_on(self, chain: Any, receivable: str, sender: str, receiver: str, units: int) -> None:
        last = int(chain.row(Receivable, receivable).face)
        transfer = offered(chain, receivable, span(1, last), units, sender, receiver)
        height = chain.height
        seen = Seen(height=height, block=chain.engine.light_block(height).header.hash().hex())
        chain.do(acceptance_of(chain, transfer), by=receiver, seen=seen)
        chain.do(passing_of(chain, transfer), by=self.auditor)

    def bundle(self, record: str, engine: Any = None) -> Bundle:
        return bundle_about(engine or self.grown, self.new_file, record)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scene = Scene(tmp_path_factory.mktemp("succession"))
    yield scene
    scene.grown.close()


def refusal(bundle: Bundle, trusted: Any) -> NotProven:
    with pytest.raises(NotProven) as refused:
        verify(bundle.to_bytes(), trusted)
    return refused.value


def test_an_old_bundle_verifies_with_the_old_genesis_alone_and_with_both(scene: Scene) -> None:
    raw = scene.old_bundle.to_bytes()
    alone, both = verify(raw, scene.former_genesis), verify(raw, scene.both)
    for report in (alone, both):
        assert report.verdict.exit_code == 0
        assert report.verdict.attests == "1 of 1, the operator"
        assert (report.verdict.chain_id, report.verdict.former) == (CHAIN_ID, None)
    assert refusal(scene.old_bundle, scene.genesis).check == "genesis"


def test_a_story_over_both_chains_verifies_with_both_genesis_files(scene: Scene) -> None:
    bundle = scene.bundle(scene.receivable)
    report = verify(bundle.to_bytes(), scene.both)
    assert report.verdict.exit_code == 0, report.verdict.missing
    assert report.verdict.attests == "1 of 1, the operator; 4 of 4 validators"
    assert report.verdict.chain_id == SUCCESSOR
    assert {holding.holder for holding in report.holdings} == {scene.client, scene.funder}
    heights = [block.header.height for block in bundle.blocks]
    assert {1, scene.last, scene.last + 1} <= set(heights)
    assert [block.header.chain_id for block in bundle.blocks if block.header.height <= scene.last] == [CHAIN_ID] * sum(
        height <= scene.last for height in heights
    )
    said = " ".join(report.verdict.lines)
    assert f"Up to height {scene.last} the chain was {CHAIN_ID}; {SUCCESSOR} goes on from its last block" in said
    assert "Up to height" in report.verdict.residual
    assert report.verdict.is_sandbox


def test_steps_of_the_closed_chain_need_its_genesis(scene: Scene) -> None:
    told = refusal(scene.bundle(scene.receivable), scene.genesis)
    assert (told.check, told.where) == ("genesis", "block 1")
    assert CHAIN_ID in told.what
    assert refusal(scene.bundle(scene.receivable), scene.former_genesis).check == "genesis"


def test_a_story_of_the_new_chain_alone_needs_the_new_genesis_alone(scene: Scene) -> None:
    bundle = scene.bundle(scene.late)
    assert bundle.blocks[0].header.height == scene.last + 1
    alone, both = verify(bundle.to_bytes(), scene.genesis), verify(bundle.to_bytes(), scene.both)
    assert alone.verdict.exit_code == both.verdict.exit_code == 0
    assert alone.verdict.attests == both.verdict.attests == "4 of 4 validators"
    assert any("Its genesis was not given" in line for line in alone.verdict.lines)
    assert not any("Its genesis was not given" in line for line in both.verdict.lines)


def test_without_the_old_blocks_old_steps_are_named_as_missing(scene: Scene, tmp_path: Path) -> None:
    """A member that did not carry the old blocks over proves what stands, and which steps it does not show."""
    grown = Grown(tmp_path / "grown", codec.decode(type(scene.former.genesis), scene.new_file), scene.snapshot)
    grown.rest()
    bundle = scene.bundle(scene.receivable, grown)
    chain = GrownChain(grown, scene.former.genesis, scene.former.chain.names, scene.former.chain.keys)
    last = Seen(height=scene.last, block=scene.chain.engine.light_block(scene.last).header.hash().hex())
    document = chain.do(AnchorDocument(anchor=anchor("note")), by=scene.client, seen=last).events[0].record
    countersigned = scene.bundle(document, grown)
    grown.close()
    report = verify(bundle.to_bytes(), scene.genesis)
    assert report.verdict.exit_code == 3
    assert report.verdict.missing
    (known,) = verify(countersigned.to_bytes(), scene.genesis).verdict.countersigned
    assert (known.height, known.is_shown) == (scene.last, False)


def test_the_work_of_the_first_block_is_shown(scene: Scene) -> None:
    """What fell due while the chain was closed is done by its successor's first block."""
    first = scene.last + 1
    assert scene.grown.results(first).due_events != b"[]"
    newcomer = next(
        placed.event.record
        for placed in scene.grown.events(Cursor(first))
        if placed.cursor.height == first and placed.event.record.startswith("mbr_")
    )
    bundle = scene.bundle(newcomer)
    assert first in {work.height for work in bundle.due_work}
    assert verify(bundle.to_bytes(), scene.both).verdict.exit_code == 0


def test_a_member_s_founding_is_held_to_the_old_genesis(scene: Scene) -> None:
    founders = founders_of(scene.both)
    assert founders is scene.former_genesis
    assert founders_of(scene.genesis) is None
    records: dict[str, Any] = {one.key: one.value for one in scene.bundle(scene.late).records}
    check_founders(founders, records)
    member = records[f"member/{scene.client}"]
    member["roles"].append({"role": "auditor", "since": [0, 0]})
    with pytest.raises(NotProven, match="genesis"):
        check_founders(founders, records)


# What a closed chain's operator may try


def signed(header: comet.Header) -> Block:
    """A block with the operator's commit."""
    return Block(header, comet.sign_commit(header, comet.embedded_block_id(header), NODE_KEY))


def resigned(bundle: Bundle, height: int, **fields: Any) -> Bundle:
    """The bundle with a header changed and its commit signed anew by the operator."""
    blocks = (
        signed(replace(block.header, **fields)) if block.header.height == height else block for block in bundle.blocks
    )
    return replace(bundle, blocks=tuple(blocks)).listed()


def test_a_header_later_than_the_closing_is_refused_by_name(scene: Scene) -> None:
    """Signed by the operator's own key, and fine by the old genesis alone."""
    last = scene.old_bundle.blocks[-1].header
    moved = replace(last, height=scene.last + 5, time=last.time + 10**9, last_block_id=comet.BlockId(bytes(32)))
    extra = replace(scene.old_bundle, blocks=(*scene.old_bundle.blocks, signed(moved))).listed()
    assert verify(extra.to_bytes(), scene.former_genesis)
    told = refusal(extra, scene.both)
    assert (told.check, told.where) == ("headers", f"block {scene.last + 5}")
    assert f"closed with block {scene.last}, and {SUCCESSOR} goes on" in told.what


def test_another_last_header_is_refused(scene: Scene) -> None:
    bundle = scene.bundle(scene.receivable)
    time = next(block.header.time for block in bundle.blocks if block.header.height == scene.last)
    told = refusal(resigned(bundle, scene.last, time=time + 1), scene.both)
    assert (told.check, told.where) == ("headers", f"block {scene.last}")


def test_no_header_of_the_seam_may_be_left_out(scene: Scene) -> None:
    bundle = scene.bundle(scene.receivable)
    for height in (1, scene.last, scene.last + 1):
        less = replace(bundle, blocks=tuple(one for one in bundle.blocks if one.header.height != height)).listed()
        told = refusal(less, scene.both)
        assert told.where in (f"block {height}", f"block {height - 1}"), height


def test_the_operator_s_key_signs_nothing_of_the_consortium_s(scene: Scene) -> None:
    bundle = scene.bundle(scene.late)
    alone = comet.ValidatorSet.of([comet.Validator(bytes(NODE_KEY.verify_key), 1)])
    blocks = []
    for block in bundle.blocks:
        header = replace(block.header, validators_hash=alone.hash(), next_validators_hash=alone.hash())
        blocks.append(signed(header))
    forged = replace(bundle, blocks=tuple(blocks), validators=(alone,)).listed()
    assert refusal(forged, scene.both).check == "validators"


def test_the_operator_s_key_signs_nothing_after_the_last_header_either(scene: Scene) -> None:
    bundle = scene.bundle(scene.receivable)
    alone = bundle.validators[0].hash()
    forged = resigned(bundle, scene.last + 1, validators_hash=alone, next_validators_hash=alone)
    told = refusal(forged, scene.both)
    assert (told.check, told.where) == ("validators", f"block {scene.last + 1}")


def test_the_consortium_s_validators_sign_nothing_of_the_closed_chain(scene: Scene) -> None:
    bundle = scene.bundle(scene.receivable)
    consortium = bundle.validators[1]
    first = next(block for block in bundle.blocks if block.header.height == 1)
    header = replace(first.header, validators_hash=consortium.hash())
    forged = replace(bundle, blocks=(replace(first, header=header), *bundle.blocks[1:])).listed()
    assert refusal(forged, scene.both).check in ("validators", "commits")


@pytest.mark.parametrize("field", ["genesis", "height", "block", "state_root", "receipts_root"])
def test_another_link_is_another_chain(scene: Scene, field: str) -> None:
    """Whoever gives a genesis that says something else of its predecessor can't have a bundle proven by it."""
    value = json.loads(scene.new_file)
    before = value["predecessor"]
    before[field] = before[field] + 1 if field == "height" else "00" * 32
    raw = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    other = Genesis.from_bytes(raw)
    bundle = replace(scene.bundle(scene.receivable), genesis=other.hash)
    with pytest.raises(NotProven) as refused:
        verify(bundle.to_bytes(), Succession.of(scene.former_genesis, other))
    assert refused.value.check in ("genesis", "headers")


def test_two_files_that_do_not_belong_together_are_refused(scene: Scene) -> None:
    for former, present in ((scene.former_genesis, scene.former_genesis), (scene.genesis, scene.genesis)):
        with pytest.raises(NotProven, match="predecessor"):
            Succession.of(former, present)


def test_a_genesis_with_a_broken_link_is_not_read(scene: Scene) -> None:
    value = json.loads(scene.new_file)
    for change in ({"block": "x"}, {"height": "7"}, {"genesis": "00"}, {"chain_id": 1}, {"more": 1}):
        spoilt = copy.deepcopy(value)
        spoilt["predecessor"].update(change)
        with pytest.raises(DecodeError, match="predecessor"):
            Genesis.from_bytes(json.dumps(spoilt, sort_keys=True, separators=(",", ":")).encode())


# Changes of the validators


def test_every_change_of_the_validators_between_is_in_the_bundle(tmp_path: Path) -> None:
    home = Former(tmp_path / "former")
    m = market(chain=home.chain)
    home.close()
    genesis = home.successor(tmp_path / "snapshot")
    grown = Grown(tmp_path / "grown", genesis, tmp_path / "snapshot", home.ledger)
    chain = GrownChain(grown, home.genesis, home.chain.names, home.chain.keys)
    governor = chain.member(GOVERNOR, Role.GOVERNOR)
    issued(chain, m.trade.buyer, m.client, 1_000, m.trade.auditor)
    for number in (5, 6, 7):
        key = public(key_of(f"member {number}"))
        chain.do(AddValidator(key=key, validator=f"member {number}"), by=governor)
    for number in (1, 2):
        chain.do(RemoveValidator(key=public(key_of(f"member {number}"))), by=governor)
    grown.block()
    grown.block()
    late = issued(chain, m.trade.buyer, m.client, 2_000, m.trade.auditor)
    bundle = bundle_about(grown, codec.encode(genesis), late)
    grown.close()
    assert len(bundle.validators) > 2
    report = verify(bundle.to_bytes(), Genesis.from_bytes(codec.encode(genesis)))
    assert report.verdict.exit_code == 0
    first = genesis.initial_height
    changes = [height for height in grown.validator_changes() if height > first]
    assert len(changes) == 5
    for height in changes:
        less = replace(bundle, blocks=tuple(one for one in bundle.blocks if one.header.height != height)).listed()
        with pytest.raises(NotProven):
            verify(less.to_bytes(), Genesis.from_bytes(codec.encode(genesis)))


# The command


def run(scene: Scene, tmp_path: Path, bundle: Bundle, *words: str) -> tuple[int, str]:
    for name, content in (("bundle", bundle.to_bytes()), ("old", scene.old_file), ("new", scene.new_file)):
        (tmp_path / name).write_bytes(content)
    out = io.StringIO()
    named = [str(tmp_path / word) if word in ("old", "new") else word for word in words]
    return main([str(tmp_path / "bundle"), *named], out), out.getvalue()


def test_the_command_takes_both_files(scene: Scene, tmp_path: Path) -> None:
    story = scene.bundle(scene.receivable)
    code, said = run(scene, tmp_path, story, "--genesis", "new", "--predecessor", "old")
    assert code == 0, said
    assert f"Up to height {scene.last}" in " ".join(said.split())
    assert run(scene, tmp_path, scene.old_bundle, "--genesis", "old", "--successor", "new")[0] == 0
    code, said = run(scene, tmp_path, story, "--genesis", "new", "--predecessor", "old", "--json")
    assert json.loads(said)["predecessor"] == {"chain_id": CHAIN_ID, "height": scene.last, "is_known": True}
    code, said = run(scene, tmp_path, story, "--genesis", "new")
    assert code == 1
    assert CHAIN_ID in said
    assert run(scene, tmp_path, story, "--genesis", "old", "--predecessor", "new")[0] == 1
    assert run(scene, tmp_path, story, "--trusted-header", "old", "--successor", "new")[0] == 2


def test_tally_verify_takes_both_files(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in (("bundle", scene.bundle(scene.receivable).to_bytes()), ("old", scene.old_file)):
        (tmp_path / name).write_bytes(content)
    new = tmp_path / "new"
    new.write_bytes(scene.new_file)
    tally_verify(tmp_path / "bundle", genesis=new, predecessor=tmp_path / "old")
    assert "PROVEN" in capsys.readouterr().out
    with pytest.raises(DecodeError, match="either"):
        tally_verify(tmp_path / "bundle", genesis=new, predecessor=new, successor=new)
