"""Packets: their form, what of them a mempool lets in, and that a block holds what was in them, each by itself."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.transaction import wake_bytes
from tallystick.ledger.abci.protos import abci_pb2 as abci
from tallystick.ledger.comet import application, mempool
from tallystick.ledger.comet.application import NO_PACKET, NOTHING_LEFT, NOTHING_NEW
from tallystick.ledger.comet.decided import MAX_BLOCK_TRANSACTIONS
from tallystick.ledger.comet.mempool import Mempool
from tallystick.ledger.comet.packets import (
    MAX_PACKET_BYTES,
    MAX_PACKET_TRANSACTIONS,
    divided,
    is_packet,
    pack,
    unpack,
)
from tallystick.ledger.comet.rpc import Entry
from tallystick.ledger.engine import Committed, RefusedAtDoor
from tallystick.ledger.engines import cometbft
from tallystick.wire import envelope
from tallystick.wire.envelope import NOT_AFTER_LIMIT_MS
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import MINUTE_MS
from tallystick.wire.status import Status
from tests.ledger.test_comet_handing_in import Node
from tests.support.ledger import START
from tests.support.members import key_of

AT_THE_LIMIT = START.plus(NOT_AFTER_LIMIT_MS + 1_500)

enveloped = some.binary(max_size=300).map(lambda content: b"{" + content)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    one = Node(tmp_path / "ledger")
    yield one
    one.engine.close()


def papers(node: Node, count: int, name: str = "paper") -> list[bytes]:
    return [node.consortium.anchoring(f"{name} {number}") for number in range(count)]


def strangers(node: Node, count: int) -> list[bytes]:
    """Well formed and well signed, by a key that the chain does not know."""
    return [envelope.sign(envelope.parse(raw).body, key_of("nobody")).to_bytes() for raw in papers(node, count, "x")]


def check(node: Node, raw: bytes, kind: abci.CheckTxType = abci.CheckTxType.NEW) -> int:
    assert node.comet.application is not None
    return node.comet.application.check_tx(abci.RequestCheckTx(tx=raw, type=kind)).code


def proposal(node: Node, *raws: bytes) -> list[bytes]:
    assert node.comet.application is not None
    request = abci.RequestPrepareProposal(txs=raws)
    request.time.FromMilliseconds(node._clock())
    return list(node.comet.application.prepare_proposal(request).txs)


def passed_on(node: Node, raws: list[bytes], parts: int = 1) -> list[list[bytes]]:
    """Hand all in before any is passed on; what then came to CometBFT, a list a packet."""
    before = len(node.comet.came)
    node.comet.is_there = False
    first = node.hand_in(raws[0])
    node.until(lambda: node.engine.health().problem != "")
    answers = [first, *(node.hand_in(raw) for raw in raws[1:])]
    node.comet.is_there = True
    node.until(lambda: len(node.comet.in_order()) + sum(bool(each.told) for each in answers) >= len(raws))
    return [list(unpack(raw)) if is_packet(raw) else [raw] for raw in node.comet.came[before:]]


# Form


@given(some.lists(enveloped, min_size=2, max_size=20, unique=True))
def test_a_packet_gives_back_what_was_packed(raws: list[bytes]) -> None:
    packet = pack(raws)
    assert is_packet(packet)
    assert list(unpack(packet)) == raws


@given(some.lists(some.integers(1, 200_000), min_size=1, max_size=5))
def test_what_is_opened_takes_no_more_room_in_a_block(sizes: list[int]) -> None:
    """As CometBFT counts it: types.ComputeProtoSizeForTxs, the size of protobuf's `Data`."""
    raws = [b"{" + bytes(size - 1) for size in sizes]
    assert len(abci.RequestPrepareProposal(txs=raws).SerializeToString()) <= len(pack(raws))


@given(some.lists(enveloped, min_size=3, max_size=6, unique=True), some.data())
def test_a_packet_cut_short_is_none(raws: list[bytes], data: some.DataObject) -> None:
    whole = {len(pack(raws[:count])): raws[:count] for count in range(2, len(raws))}
    length = data.draw(some.integers(len(pack([])), len(pack(raws)) - 1) | some.sampled_from(sorted(whole)))
    cut = pack(raws)[:length]
    if length in whole:
        assert list(unpack(cut)) == whole[length]
        return
    with pytest.raises(DecodeError):
        unpack(cut)


def test_what_no_packet_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    two = [b"{1", b"{2"]
    for raws in (
        [],
        two[:1],
        [*two, two[0]],
        [*two, wake_bytes(1)],
        [*two, pack(two)],
        [*two, b""],
        [b"{%d" % number for number in range(MAX_PACKET_TRANSACTIONS + 1)],
        [b"{" + bytes(MAX_PACKET_BYTES // 2), b"{2" + bytes(MAX_PACKET_BYTES // 2)],
    ):
        with pytest.raises(DecodeError):
            unpack(pack(raws))


@given(some.lists(some.integers(1, MAX_PACKET_BYTES * 2), max_size=12), some.integers(0, 600))
def test_transactions_are_divided_in_their_order(sizes: list[int], small: int) -> None:
    raws = [b"{%06d" % number + bytes(size) for number, size in enumerate([*sizes, *[1] * small])]
    parts = list(divided(raws))
    assert [raw for part in parts for raw in part] == raws
    for part in parts:
        assert len(part) == 1 or list(unpack(pack(part))) == part
    for part, after in pairwise(parts):
        more = pack([*part, after[0]])
        assert len(more) > MAX_PACKET_BYTES or len(part) == MAX_PACKET_TRANSACTIONS, "as few packets as there can be"


# From one member to a block


def test_what_waits_together_is_passed_on_in_one_packet_and_ordered_each_by_itself(node: Node) -> None:
    raws = papers(node, 5)
    passed_on(node, raws)
    assert node.comet.waiting == [raws[0], pack(raws[1:])] or node.comet.waiting == [pack(raws)]
    node.block()
    assert node.engine.transactions(1) == raws
    assert [node.engine.submit(raw) for raw in raws] == [Committed(1, n, Status.OK) for n in range(5)]
    assert node.comet.waiting == [], "the opened packet has left the mempool"


def test_what_the_door_refuses_in_a_packet_is_told_and_holds_nothing_up(node: Node) -> None:
    good, bad = papers(node, 4), strangers(node, 2)
    passed_on(node, [*good[:2], *bad, *good[2:]])
    node.block()
    assert node.engine.transactions(1) == good
    for raw in bad:
        refused = node.engine.submit(raw)
        assert isinstance(refused, RefusedAtDoor)
        assert refused.status is Status.KEY_UNKNOWN


def test_a_packet_with_more_refused_than_let_in_goes_again_without_those(node: Node) -> None:
    good, bad = papers(node, 3), strangers(node, 8)
    came = passed_on(node, [*bad[:4], *good, *bad[4:]])
    assert len(came) > 1
    node.until(lambda: set(good) <= set(node.comet.in_order()))
    node.block()
    assert node.engine.transactions(1) == good
    assert node.engine.health().waiting == 0


def test_a_transaction_in_two_members_packets_is_ordered_once(node: Node) -> None:
    shared, own, others = papers(node, 2, "shared"), papers(node, 3, "own"), papers(node, 3, "others")
    first, second = pack([*own, *shared]), pack([*shared, *others])
    assert check(node, first) == check(node, second) == 0
    assert proposal(node, first, second) == [*own, *shared, *others]
    node.block(*own, *shared)
    assert check(node, first, abci.CheckTxType.RECHECK) == NOTHING_LEFT
    assert check(node, second, abci.CheckTxType.RECHECK) == 0
    assert proposal(node, second) == others, "the rest of it is still to come"


def test_a_block_takes_no_more_than_it_may_and_the_rest_comes_with_the_next(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick.ledger.comet.application.MAX_BLOCK_TRANSACTIONS", 3)
    raws = papers(node, 5)
    packet = pack(raws)
    node.comet.waiting = [packet]
    assert check(node, packet) == 0
    node.block()
    assert node.comet.waiting == [packet]
    node.block()
    assert [node.engine.transactions(1), node.engine.transactions(2)] == [raws[:3], raws[3:]]
    assert node.comet.waiting == []
    assert MAX_BLOCK_TRANSACTIONS > 3


def test_a_packet_in_a_block_is_refused_before_the_vote(node: Node) -> None:
    assert not node.engine.may_be_decided([pack(papers(node, 2))])


# In the hands of whoever wants to fill the mempools


def test_what_waits_already_does_not_come_in_again_in_another_packet(node: Node) -> None:
    raws = papers(node, 6)
    assert check(node, pack(raws)) == 0
    assert check(node, pack(raws[::-1])) == NOTHING_NEW
    assert check(node, pack([*raws, *papers(node, 2, "new")])) == NOTHING_NEW
    assert check(node, pack([*raws[:2], *papers(node, 3, "newer")])) == 0


def test_what_waits_by_itself_does_not_come_in_again_in_a_packet(node: Node) -> None:
    raws = papers(node, 4)
    assert [check(node, raw) for raw in raws] == [0] * 4
    assert check(node, pack(raws)) == NOTHING_NEW
    node.block(*raws[:2])
    assert check(node, pack([*papers(node, 3, "new"), raws[3]])) == 0


def test_what_a_stranger_signs_does_not_come_in_with_little_of_a_members(node: Node) -> None:
    assert check(node, pack([*papers(node, 1), *strangers(node, 3)])) == NOTHING_NEW
    good = papers(node, 3)
    most = pack([*good, *strangers(node, 2)])
    assert check(node, most) == 0
    assert proposal(node, most) == good, "and nothing else of it comes into a block"


def test_what_is_no_packet_is_refused(node: Node) -> None:
    for raws in ([], papers(node, 1), [*papers(node, 2), wake_bytes(1)]):
        assert check(node, pack(raws)) == NO_PACKET


def test_what_a_packet_does_not_bring_into_a_block_goes_alone_the_next_time(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever packed the same transactions before may have had the packet refused elsewhere."""
    monkeypatch.setattr(cometbft, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(cometbft, "AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(cometbft, "IDLE_SECONDS", 0.05)
    raws = papers(node, 3)
    passed_on(node, raws)
    node.until(lambda: set(raws) <= set(node.comet.came))
    node.block()
    assert sorted(node.engine.transactions(1)) == sorted(raws)
    assert node.comet.waiting == []


def test_a_full_mempool_is_told_to_each_in_the_packet(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    raws = papers(node, 3)
    node.comet.says = dict.fromkeys((raws[0], pack(raws), pack(raws[1:])), Entry.FULL)
    node.comet.is_there = False
    answers = [node.hand_in(raw) for raw in raws]
    node.comet.is_there = True
    for answer in answers:
        refused = answer.outcome()
        assert isinstance(refused, RefusedAtDoor)
        assert refused.status is Status.BLOCK_FULL


def test_a_cometbft_started_anew_lets_the_same_packet_in(node: Node) -> None:
    packet = pack(papers(node, 3))
    assert check(node, packet) == 0
    node.comet.restart()
    assert check(node, packet) == 0


# What is known of them


def test_what_was_forgotten_for_want_of_room_is_opened_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = papers(node, 3, "first"), papers(node, 3, "second")
    monkeypatch.setattr(mempool, "HELD_BYTES", sum(map(len, first)) + 300)
    assert check(node, pack(first)) == check(node, pack(second)) == 0
    assert proposal(node, pack(first), pack(second)) == [*first, *second]
    node.block(*first, *second)
    assert [check(node, pack(raws), abci.CheckTxType.RECHECK) for raws in (first, second)] == [NOTHING_LEFT] * 2


def test_of_many_that_were_forgotten_few_are_opened_after_a_block(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """CometBFT rechecks all of them while it holds the mempool's lock."""
    monkeypatch.setattr(mempool, "HELD_BYTES", 300)
    packed = [pack(papers(node, 2, f"{number}")) for number in range(10)]
    for packet in packed:
        assert check(node, packet) == 0
    opened: list[bytes] = []
    look = node.engine.check

    def noted(raw: bytes) -> Refusal | None:
        opened.append(raw)
        return look(raw)

    monkeypatch.setattr(node.engine, "check", noted)
    for _ in range(2):
        opened.clear()
        node.block()
        assert [check(node, packet, abci.CheckTxType.RECHECK) for packet in packed] == [0] * 10
        assert len(opened) == application.OPENED_AGAIN * 2


def test_a_packet_that_is_checked_twice_is_held_once(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """CometBFT asks again for what it had no room for, or has forgotten; what is let in of it may have changed."""
    early, late = node.consortium.anchoring("early"), node.consortium.anchoring("late", not_after=AT_THE_LIMIT)
    packet = pack([early, late, *papers(node, 1)])
    assert check(node, packet) == 0
    node.block(*papers(node, 1, "other"))
    assert late not in proposal(node, packet)
    assert check(node, packet) == 0
    assert late in proposal(node, packet)
    node.block(early)
    assert early not in proposal(node, packet)
    node.block(*proposal(node, packet))
    assert check(node, packet, abci.CheckTxType.RECHECK) == NOTHING_LEFT


def test_who_asks_where_the_ledger_stands_has_started_nothing(node: Node) -> None:
    """Anybody may ask CometBFT's RPC (`/abci_info`), which hands it on."""
    packet = pack(papers(node, 3))
    assert check(node, packet) == 0
    assert node.comet.application is not None
    node.comet.application.info(abci.RequestInfo())
    assert check(node, pack(unpack(packet)[::-1])) == NOTHING_NEW


@given(some.lists(some.tuples(some.integers(0, 3), some.integers(0, 6)), max_size=40), some.integers(200, 700))
def test_no_more_is_known_than_there_is_room_for(steps: list[tuple[int, int]], room: int) -> None:
    held = Mempool()
    names = [pack([b"{%d %d" % (packet, number) for number in range(6)]) for packet in range(4)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mempool, "HELD_BYTES", room)
        for packet, number in steps:
            raws = unpack(names[packet])
            if number == 6:
                held.put(names[packet], raws)
            else:
                held.ordered([raws[number]])
            kept = [raw for name in names for raw in held.left(name) or ()]
            assert held._bytes == sum(map(len, kept)) + 200 * len(held._left) <= room
            assert all(held.holds(raw) == (raw in kept) for name in names for raw in unpack(name))
        for name in names:
            held.forget(name)
    assert held._bytes == 0
    assert not held._packet_of
    assert not held._left


def test_what_cometbft_asks_after_is_the_last_to_be_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had no room for, and did not say so, goes first."""
    monkeypatch.setattr(mempool, "HELD_BYTES", 650)
    monkeypatch.setattr(mempool, "HELD_ALONE", 3)
    held = Mempool()
    names = [pack([b"{%d" % number, b"{other %d" % number]) for number in range(4)]
    for name in names[:3]:
        held.put(name, unpack(name))
        held.add(name)
    held.still_waits(names[0])
    held.put(names[3], unpack(names[3]))
    held.add(names[3])
    assert [held.left(name) is not None for name in names] == [True, False, True, True]
    assert [name in [*held._alone] for name in map(mempool._digest, names)] == [True, False, True, True]


# What is told


def test_a_transaction_that_waits_is_not_refused_by_a_second_look(node: Node) -> None:
    """By itself it is checked by this machine's clock; the packet that it waits in may still bring it into a block."""
    raws = [node.consortium.anchoring(f"late {number}", not_after=START.plus(MINUTE_MS)) for number in range(2)]
    answer = node.hand_in(raws[0])
    assert check(node, pack(raws)) == 0
    node.ahead_ms = 10 * MINUTE_MS
    assert check(node, raws[0]) == Status.EXPIRED.number
    assert answer.told == []
    node.ahead_ms = 0
    node.block(*raws)
    assert answer.outcome() == Committed(1, 0, Status.OK)


def test_a_full_mempool_after_a_lost_answer_is_no_refusal(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """CometBFT may have taken it before it hung up."""
    raw = node.consortium.anchoring("paper")
    node.comet.is_there = False
    answer = node.hand_in(raw)
    node.until(lambda: node.engine.health().problem != "")
    node.comet.says[raw] = Entry.FULL
    node.comet.is_there = True
    node.until(lambda: raw in node.comet.came)
    assert answer.told == []
    node.block(raw)
    assert answer.outcome() == Committed(1, 0, Status.OK)


def test_whoever_hands_in_what_waits_in_a_packet_has_it_sent_alone(node: Node) -> None:
    """The others may have refused that packet, and callers do not always wait until it is passed on again."""
    raws = papers(node, 3)
    assert check(node, pack(raws[::-1])) == 0
    passed_on(node, raws)
    node.until(lambda: set(raws) <= set(node.comet.came))
