"""What can be read: records at the present height, events from a cursor, proofs, blocks, health, and `seen`."""

import dataclasses
import itertools
import threading
import time
from contextlib import suppress

import pytest

from tallystick.kernel.documents.anchors import Document
from tallystick.kernel.transaction import Seen
from tallystick.ledger import opening
from tallystick.ledger.engine import Committed, Cursor, HeightUnavailable, NotYet, PlacedEvent, RefusedAtDoor
from tallystick.proof import comet
from tallystick.proof.multiproof import MultiProof
from tallystick.proof.state_proof import app_hash, key_hash, proof_holds, value_hash
from tallystick.wire.status import Status
from tests.conformance.chain import check_chain, check_proof, idle_height, until_proven
from tests.conformance.engines import Running
from tests.support.ledger import genesis

DEPTH = genesis().tree_depth


def fill(running: Running, count: int, blocks: int = 1) -> None:
    for _ in range(blocks):
        running.engine.submit_many([running.consortium.anchoring("paper") for _ in range(count)])


def test_a_query_waits_for_its_height(running: Running) -> None:
    height = idle_height(running.engine)
    raw = running.consortium.anchoring("awaited", name="awaited")
    later = threading.Timer(0.3, running.another_client().submit, [raw])
    later.start()
    read = running.engine.query(f"document/{running.consortium.document_id('awaited')}", min_height=height + 1)
    later.join()
    assert read.height > height
    assert isinstance(read.record, Document)


def test_a_query_gives_up_in_time(running: Running) -> None:
    height = idle_height(running.engine)
    with pytest.raises(TimeoutError):
        running.engine.query("protocol/chain", min_height=height + 50, timeout_seconds=0.2)


def test_the_state_is_kept_at_the_present_height_only(running: Running) -> None:
    fill(running, 1, blocks=3)
    height = idle_height(running.engine)
    assert running.engine.query("protocol/chain", at_height=height).height == height
    with pytest.raises(HeightUnavailable) as refused:
        running.engine.query("protocol/chain", at_height=height - 1)
    assert refused.value.present == height


def test_a_table_is_read_in_parts_and_labels_are_found(running: Running) -> None:
    fill(running, 30)
    whole = [row.id for row in running.engine.scan("document")]
    assert whole == sorted(whole)
    assert len(whole) == 30
    parts: list[str] = []
    while part := running.engine.scan("document", after=parts[-1] if parts else "", limit=7):
        parts.extend(row.id for row in part)
    assert parts == whole
    assert running.engine.labelled("role/auditor") == [f"member/{running.consortium.ids['auditor']}"]
    assert running.engine.labelled("role/funder") == []


def test_events_come_in_order_and_can_be_resumed_anywhere(running: Running) -> None:
    fill(running, 5, blocks=4)
    whole = running.engine.events(Cursor())
    assert [placed.event.kind for placed in whole] == ["document.anchored"] * 20
    assert [placed.cursor for placed in whole] == sorted({placed.cursor for placed in whole})
    for number, placed in enumerate(whole, 1):
        assert running.engine.events(placed.cursor) == whole[number:]
    resumed: list[PlacedEvent] = []
    while part := running.engine.events(resumed[-1].cursor if resumed else Cursor(), limit=3):
        assert len(part) <= 3
        resumed.extend(part)
    assert resumed == whole
    running.close()
    running.open()
    assert running.engine.events(Cursor()) == whole


def test_followers_are_told_of_what_comes(running: Running) -> None:
    fill(running, 3)
    told: list[PlacedEvent] = []
    enough = threading.Event()

    def follow() -> None:
        for placed in running.another_client().follow(Cursor(), enough.is_set):
            told.append(placed)
            if len(told) == 9:
                enough.set()

    thread = threading.Thread(target=follow)
    thread.start()
    for _ in range(6):
        fill(running, 1)
    assert enough.wait(20), f"{len(told)} of 9 events came"
    thread.join(20)
    assert not thread.is_alive()
    assert told == running.engine.events(Cursor())


def test_following_ends_when_told_to(running: Running) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=lambda: list(running.another_client().follow(Cursor(), stop.is_set)))
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_row_is_proven_once_a_header_covers_it(running: Running) -> None:
    key = f"document/{running.consortium.document_id('proven')}"
    running.engine.submit(running.consortium.anchoring("proven", name="proven"))
    refused = 0
    for _ in range(5):  # this process may be slow to ask
        running.engine.submit(running.consortium.anchoring("the state moves on"))
        with suppress(NotYet):
            running.engine.prove(key)
            continue
        refused += 1
    assert refused, "a state was proven that no header covers"
    proof = until_proven(running.engine, key)
    assert proof.value is not None
    check_proof(running.engine, proof, DEPTH)
    altered = dataclasses.replace(proof, value=proof.value.replace(b"note", b"vote"))
    assert altered.value is not None
    assert not proof_holds(
        altered.proof,
        state_root=altered.state_root,
        depth=DEPTH,
        key_digest=key_hash(key),
        value_digest=value_hash(altered.blind, altered.value),
    )


def test_absence_is_proven(running: Running) -> None:
    fill(running, 20)
    proof = until_proven(running.engine, "document/doc_0000000000000000")
    assert proof.value is None
    check_proof(running.engine, proof, DEPTH)


def test_rows_are_proven_together(running: Running) -> None:
    fill(running, 20)
    there = [f"document/{row.id}" for row in running.engine.scan("document", limit=5)]
    keys = ["document/doc_0000000000000000", *there]
    until_proven(running.engine, keys[0])
    proven = running.engine.prove_many(keys)
    assert [row.key for row in proven.rows] == keys
    assert [row.value is None for row in proven.rows] == [True, *[False] * 5]
    header = running.engine.light_block(proven.height + 1).header
    assert header.app_hash == app_hash(proven.state_root, proven.receipts_root)
    asked = {key_hash(row.key): None if row.value is None else value_hash(row.blind, row.value) for row in proven.rows}
    proof = MultiProof.from_bytes(proven.proof)
    assert proof.holds(state_root=proven.state_root, depth=DEPTH, asked=asked)


def test_a_blocks_results_are_those_that_its_headers_state(running: Running) -> None:
    fill(running, 3)
    running.engine.submit(running.consortium.anchoring("refused", earlier="doc_0000000000000000"))
    last = idle_height(running.engine)
    statuses = set()
    for height in range(1, last):
        results = running.engine.results(height)
        following = running.engine.light_block(height + 1).header
        assert following.last_results_hash == comet.results_hash(zip(results.codes, results.data, strict=True))
        assert following.app_hash == app_hash(results.state_root, results.receipts_root)
        assert len(results.events) == len(results.codes) == len(running.engine.transactions(height))
        statuses |= set(results.codes)
    assert statuses == {Status.OK.number, Status.NOT_FOUND.number}
    with pytest.raises(HeightUnavailable):
        running.engine.results(last + 1)


def test_the_genesis_state_is_proven_by_the_first_header(running: Running) -> None:
    proof = until_proven(running.engine, "protocol/chain")
    assert proof.height == 0
    check_proof(running.engine, proof, DEPTH)


def test_light_blocks_hold(running: Running) -> None:
    fill(running, 40, blocks=3)
    running.engine.submit(running.consortium.anchoring("refused", earlier="doc_0000000000000000"))
    running.close()
    running.open()
    fill(running, 1, blocks=2)
    last = check_chain(running.engine, founded=running.founded)
    with pytest.raises(HeightUnavailable):
        running.engine.light_block(last + 1)
    with pytest.raises(HeightUnavailable):
        running.engine.transactions(last + 1)


def test_health_tells_height_time_and_app_hash(running: Running) -> None:
    before = running.engine.health()
    done = running.engine.submit(running.consortium.anchoring("healthy"))
    assert isinstance(done, Committed)
    after = running.engine.health()
    assert after.height >= done.height > 0
    assert after.time > before.time
    assert after.app_hash != before.app_hash
    assert (after.problem, after.faults) == ("", ())
    assert after.attested_by


def test_signers_countersign_the_history_they_saw(running: Running) -> None:
    fill(running, 1)
    height = idle_height(running.engine)
    known = running.engine.light_block(height).header.hash().hex()
    right = running.consortium.anchoring("seen", seen=Seen(height=height, block=known))
    assert isinstance(running.engine.submit(right), Committed)
    for seen in (Seen(height=height, block="00" * 32), Seen(height=height + 100, block=known)):
        wrong = running.engine.submit(running.consortium.anchoring("unseen", seen=seen))
        assert isinstance(wrong, RefusedAtDoor)
        assert wrong.status is Status.SEEN_UNKNOWN


def test_the_window_of_seen_blocks_is_the_same_after_a_restart(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that knew one block more than the others would let a transaction in that they refuse."""
    window = 60  # the same edge as that of 1,024, in fewer synced writes
    monkeypatch.setattr(opening, "SEEN_WINDOW", window)
    for number in range(window + 5):
        running.engine.submit(running.consortium.anchoring(f"{number}"))
    height = idle_height(running.engine)
    oldest = height - window + 1
    hashes = {h: running.engine.light_block(h).header.hash().hex() for h in (oldest - 1, oldest, oldest + 5)}

    def is_known(h: int, name: str) -> bool:
        raw = running.consortium.anchoring("x", seen=Seen(height=h, block=hashes[h]), name=f"{name}-{h}")
        refused = running.engine.submit(raw)
        return not isinstance(refused, RefusedAtDoor)

    assert not is_known(oldest - 1, "before")
    running.close()
    running.open()
    assert not is_known(oldest - 1, "after")
    assert is_known(oldest, "after")
    # that block moved the window on
    assert not is_known(oldest, "late")
    assert is_known(oldest + 5, "late")


def test_block_times_ascend(running: Running) -> None:
    start = time.monotonic()
    fill(running, 1, blocks=20)
    height = idle_height(running.engine)
    times = [running.engine.light_block(h).header.time for h in range(1, height + 1)]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))
    assert times[-1] - times[0] < (time.monotonic() - start + 5) * 1_000_000_000
