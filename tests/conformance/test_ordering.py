"""What `submit` promises: places, finality, idempotence for ever, all or nothing."""

import hashlib
import threading
import time
from functools import partial

from tallystick.kernel.documents.anchors import AnchorDocument, Document
from tallystick.kernel.governance.operations import AdvanceClock
from tallystick.kernel.membership.keys import AddKey
from tallystick.kernel.membership.records import KeyRole
from tallystick.ledger.engine import Committed, Outcome, RefusedAtDoor, Unknown
from tallystick.wire import envelope
from tallystick.wire.instants import DAY_MS, MINUTE_MS
from tallystick.wire.status import Status
from tests.conformance.chain import check_chain
from tests.conformance.engines import OnCometBFT, Running
from tests.support.members import anchor, key_of, offer


def body_hash(raw: bytes) -> bytes:
    return envelope.parse(raw).body_hash


def committed(outcome: Outcome) -> Committed:
    assert isinstance(outcome, Committed), outcome
    return outcome


def accepted(outcome: Outcome) -> Committed:
    assert committed(outcome).status is Status.OK, outcome
    return committed(outcome)


def test_an_accepted_transaction_is_committed_at_its_place(running: Running) -> None:
    first = accepted(running.engine.submit(running.consortium.anchoring("one", name="first")))
    second = accepted(running.engine.submit(running.consortium.anchoring("two")))
    assert first.height >= 1
    assert (second.height, second.index) > (first.height, first.index)
    document = running.engine.query(f"document/{running.consortium.document_id('first')}").record
    assert isinstance(document, Document)
    assert document.anchor == anchor("note", "one")


def test_outcomes_come_in_the_order_given(running: Running) -> None:
    raws = [running.consortium.anchoring(f"paper {number}") for number in range(1_200)]
    places = [(done.height, done.index) for done in map(accepted, running.engine.submit_many(raws))]
    assert places == sorted(set(places))
    for height in sorted({height for height, _ in places}):
        ordered = running.engine.transactions(height)
        assert ordered == [raw for raw, place in zip(raws, places, strict=True) if place[0] == height]


def test_the_same_bytes_again_return_the_first_receipt(running: Running) -> None:
    raw = running.consortium.anchoring("once")
    first = running.engine.submit(raw)
    assert running.engine.submit(raw) == first
    assert running.engine.submit_many([raw, raw]) == [first, first]
    height = running.engine.health().height
    running.close()
    running.open()
    assert running.engine.submit(raw) == first
    assert running.engine.transactions(committed(first).height) == [raw]
    assert running.engine.health().height <= height + 1, "a repetition was ordered again"


def test_the_same_bytes_twice_in_one_block_are_ordered_once(running: Running) -> None:
    raw = running.consortium.anchoring("twice")
    first, second = running.engine.submit_many([raw, raw])
    assert accepted(first) == second
    assert running.engine.transactions(accepted(first).height) == [raw]


def test_a_receipt_is_returned_long_after_not_after(running: Running) -> None:
    raw = running.consortium.anchoring("old")
    first = running.engine.submit(raw)
    later = running.consortium.now.plus(30 * DAY_MS)
    accepted(running.engine.submit(running.consortium.sign(AdvanceClock(to=later), by="governor")))
    fresh = running.consortium.anchoring("expired", not_after=running.consortium.now.plus(DAY_MS))
    refused = running.engine.submit(fresh)
    assert isinstance(refused, RefusedAtDoor)
    assert refused.status is Status.EXPIRED
    assert running.engine.submit(raw) == first


def test_one_id_stands_for_one_content(running: Running) -> None:
    first = running.engine.submit(running.consortium.anchoring("this", name="mine"))
    other = running.engine.submit(running.consortium.anchoring("that", name="mine"))
    assert isinstance(other, RefusedAtDoor)
    assert other.status is Status.DUPLICATE_ID_OTHER_CONTENT
    assert other.facts == {"height": accepted(first).height, "index": accepted(first).index}
    theirs = running.engine.submit(running.consortium.anchoring("that", name="mine", by="works"))
    assert accepted(theirs).height > accepted(first).height, "ids are each actor's own"


def test_an_id_is_used_up_for_ever(running: Running) -> None:
    """Record ids follow from (actor, id): the same id with other content would overwrite what it made before."""
    old = running.consortium.anchoring("this", name="mine")
    first = running.engine.submit(old)
    later = running.consortium.now.plus(30 * DAY_MS)
    accepted(running.engine.submit(running.consortium.sign(AdvanceClock(to=later), by="governor")))
    running.consortium.now = later
    anew = running.engine.submit(running.consortium.anchoring("that", name="mine"))
    assert isinstance(anew, RefusedAtDoor)
    assert anew.status is Status.DUPLICATE_ID_OTHER_CONTENT
    assert running.engine.submit(old) == first


def test_a_refusal_at_the_door_is_not_final(running: Running) -> None:
    new_key = key_of("mill's second key")
    body = envelope.parse(running.consortium.anchoring("early", name="early")).body
    raw = envelope.sign(body, new_key).to_bytes()
    early = running.engine.submit(raw)
    assert isinstance(early, RefusedAtDoor)
    assert early.status is Status.KEY_UNKNOWN
    assert running.engine.result(body_hash(raw)) is None
    added = offer("mill's second key", KeyRole.MAKER)
    adding = running.consortium.sign(AddKey(key=added.key, role=added.role), keys=(new_key,))
    accepted(running.engine.submit(adding))
    accepted(running.engine.submit(raw))


def test_bytes_that_are_no_transaction_are_refused_at_the_door(running: Running) -> None:
    good = running.consortium.anchoring("good")
    spoilt = [b"", b"\xff\x00", b"{}", good[:-1], good + b" ", good.replace(b'"signature":"', b'"signature":"AA')]
    height = running.engine.health().height
    outcomes = running.engine.submit_many(spoilt)
    assert [type(outcome) for outcome in outcomes] == [RefusedAtDoor] * len(spoilt)
    forged = good.replace(b'"note"', b'"vote"')
    refused = running.engine.submit(forged)
    assert isinstance(refused, RefusedAtDoor)
    assert refused.status is Status.BAD_SIGNATURE
    assert running.engine.health().height <= height + 1, "what is refused at the door makes no block"


def test_a_refused_transaction_is_final(running: Running) -> None:
    """It must not take effect later, when what it lacked is there."""
    consortium = running.consortium
    missing = consortium.document_id("v1")
    raw = consortium.anchoring("later version", earlier=missing)
    first = committed(running.engine.submit(raw))
    assert (first.status, first.facts) == (Status.NOT_FOUND, {"document": missing})
    accepted(running.engine.submit(consortium.anchoring("earlier version", name="v1")))
    assert running.engine.submit(raw) == first
    assert running.engine.result(body_hash(raw)) == first
    accepted(running.engine.submit(consortium.anchoring("later version", earlier=missing)))


def test_operations_are_done_all_or_none(running: Running) -> None:
    consortium = running.consortium
    good = AnchorDocument(anchor=anchor("note", "good"))
    bad = AnchorDocument(anchor=anchor("note", "bad"), earlier=consortium.document_id("nothing"))
    outcome = committed(running.engine.submit(consortium.sign(good, bad, name="both")))
    assert outcome.status is Status.NOT_FOUND
    assert outcome.facts["operation"] == 1
    assert running.engine.query(f"document/{consortium.document_id('both')}").record is None
    assert running.engine.scan("document") == []


def test_results_survive_a_restart(running: Running) -> None:
    raws = [running.consortium.anchoring("kept"), running.consortium.anchoring("x", earlier="doc_0000000000000000")]
    outcomes = running.engine.submit_many(raws)
    running.close()
    running.open()
    assert [running.engine.result(body_hash(raw)) for raw in raws] == outcomes
    assert running.engine.result(bytes(32)) is None


def test_several_clients_at_once(running: Running) -> None:
    outcomes: dict[str, list[Outcome]] = {}
    papers = {
        name: [running.consortium.anchoring(f"{name} {number}", by=name) for number in range(150)]
        for name in ("mill", "works", "auditor", "governor")
    }

    def work(name: str) -> None:
        engine = running.another_client()
        outcomes[name] = [engine.submit(raw) for raw in papers[name][:30]] + engine.submit_many(papers[name][30:])

    threads = [threading.Thread(target=work, args=(name,)) for name in papers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    places = {name: [(done.height, done.index) for done in map(accepted, outcomes[name])] for name in papers}
    assert all(own == sorted(own) for own in places.values()), "each client's transactions stand in its order"
    assert len({place for own in places.values() for place in own}) == 600


def test_outcomes_can_be_called_back(running: Running) -> None:
    told: list[Outcome] = []
    all_told = threading.Event()

    def done(outcome: Outcome) -> None:
        told.append(outcome)
        if len(told) == 50:
            all_told.set()

    for number in range(50):
        running.engine.submit_later(running.consortium.anchoring(f"later {number}"), done)
    assert all_told.wait(30)
    assert len({(accepted(one).height, accepted(one).index) for one in told}) == 50


def test_what_waits_outlives_a_cometbft_that_is_killed(member: OnCometBFT) -> None:
    """With it goes its mempool. Whoever handed in has an outcome all the same, without asking again, and one place."""
    raws = [member.consortium.anchoring(f"while it is killed {number}") for number in range(600)]
    told: dict[bytes, Outcome] = {}
    for number, raw in enumerate(raws):
        member.engine.submit_later(raw, partial(told.__setitem__, raw))
        if number % 200 == 150:
            time.sleep(0.03)  # some wait in the mempool by now, and perhaps some stand in a block
            member.kill_cometbft()
    until = time.monotonic() + 40
    while len(told) < len(raws):
        assert time.monotonic() < until, f"{len(raws) - len(told)} transactions have no outcome"
        time.sleep(0.02)
    places = [accepted(told[raw]) for raw in raws]
    assert [member.engine.result(body_hash(raw)) for raw in raws] == places
    assert len({(place.height, place.index) for place in places}) == len(raws)
    check_chain(member.engine, founded=member.founded)


def test_a_closed_engine_answers_unknown(running: Running) -> None:
    raw = running.consortium.anchoring("too late")
    engine = running.engine
    running.close()
    assert isinstance(engine.submit(raw), Unknown)
    assert [type(outcome) for outcome in engine.submit_many([raw, raw])] == [Unknown, Unknown]
    told: list[Outcome] = []
    engine.submit_later(raw, told.append)
    assert [type(outcome) for outcome in told] == [Unknown]
    running.open()
    assert running.engine.result(body_hash(raw)) is None
    accepted(running.engine.submit(raw))


def test_wrong_chain_and_too_distant_not_after(running: Running) -> None:
    foreign = running.consortium.anchoring("foreign").replace(b"tallystick-engine-test", b"tallystick-other-tests")
    assert isinstance(running.engine.submit(foreign), RefusedAtDoor)
    distant = running.consortium.anchoring("distant", not_after=running.consortium.now.plus(7 * DAY_MS + MINUTE_MS * 9))
    refused = running.engine.submit(distant)
    assert isinstance(refused, RefusedAtDoor)
    assert refused.status is Status.NOT_AFTER_TOO_FAR
    a_day_on = AdvanceClock(to=running.consortium.now.plus(DAY_MS))
    accepted(running.engine.submit(running.consortium.sign(a_day_on, by="governor")))
    accepted(running.engine.submit(distant))


def test_a_body_hash_is_the_transaction_id(running: Running) -> None:
    raw = running.consortium.anchoring("named")
    outcome = running.engine.submit(raw)
    digest = hashlib.sha256(envelope.parse(raw).body).digest()
    assert running.engine.result(digest) == outcome
