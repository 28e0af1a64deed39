"""Which steps and records belong to a thing, for its evidence bundle, found by following the ledger's events once.

An event belongs to it that names one of its records; the records that such an event names belong to it as well, as far
as their kind is part of the thing's own story (`STORIES`): a receivable's transfers, but not the other receivables of
its holder. To a member belongs what tells of its membership, keys and rules, and of whose place it took, not all that
it took part in. Every step is then shown whole, with the organisations and keys that signed it.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from tallystick.documents.store import DocumentStore
from tallystick.kernel.core import codec
from tallystick.kernel.core.events import Event
from tallystick.kernel.documents.anchors import Document as AnchoredDocument
from tallystick.kernel.financing.records import Financing
from tallystick.kernel.plans.records import Plan
from tallystick.kernel.products.records import Product
from tallystick.kernel.recourse.records import Recourse
from tallystick.kernel.transfers.records import Transfer
from tallystick.kernel.wages.records import WageSheet, chunk_id
from tallystick.ledger.engine import Engine, NotYet
from tallystick.ledger.evidence import BLOCK_START, Place, collect
from tallystick.node.anchoring import anchors
from tallystick.node.home import Home
from tallystick.node.lookup import ID_TABLES
from tallystick.node.reading import first_kept
from tallystick.proof.evidence.bundle import Bundle, Document, Roots
from tallystick.proof.evidence.documents import anchors_in
from tallystick.proof.evidence.genesis import Genesis
from tallystick.wire import envelope
from tallystick.wire.errors import DecodeError
from tallystick.wire.ids import record_id as made_id
from tallystick.wire.keys import to_base64

STORIES: dict[str, frozenset[str]] = {
    "mbr": frozenset({"rev", "kyr"}),
    "rev": frozenset(),
    "rcv": frozenset({"rev", "trf", "fin", "rec", "rdm", "frz"}),
    "trf": frozenset({"rev"}),
    "fin": frozenset({"rev", "qte"}),
    "rec": frozenset({"rev"}),
    "acc": frozenset({"rev"}),
    "dep": frozenset(),
    "doc": frozenset({"rev"}),
    "prd": frozenset({"rev", "doc"}),
    "pln": frozenset({"evd", "crt", "dsp", "rfd", "dep"}),
}
"""Which kinds of record are part of the story of each kind of thing."""

SUBJECTS = {"rev": "subject", "fin": "receivable", "pln": "product", "evd": "plan", "crt": "plan", "doc": "subject"}
"""The record that a thing cannot be told without, by the field that names it; only the record, not its story."""

TABLES_BY_PREFIX = {**ID_TABLES, "kyr": "recovery"}
OF_MEMBERSHIP = ("member.", "key.", "signing_policy.")
"""Kinds of event that tell a member's own story; its business is told by that business's records."""

PAGE = 10_000
PROOF_SECONDS = 10.0
_ID = re.compile(r"[a-z]{3}_[0-9a-hjkmnp-tv-z]{16}", re.ASCII)


def bundle_about(
    engine: Engine,
    genesis_file: bytes,
    record_id: str,
    documents: tuple[Document, ...] = (),
    told: Callable[[int], None] = lambda _: None,
    *,
    with_members: bool = False,
) -> Bundle:
    """The evidence about one record: its story's steps, its records, who signed. `told` takes heights passed.

    `with_members`: also how each of those who signed became a member, got its keys and its rules of signature; and
    those who signed that, back to the founders. Raises `DecodeError` for what is no such record, `NotYet` while the
    present state is not attested: the block that proves the last one takes a moment, and is waited for.
    """
    prefix = record_id[:3]
    if not can_be_about(record_id) or engine.query(_key(record_id)).record is None:
        raise DecodeError("no record that evidence can be given about", record_id[:40])
    _await_proof(engine)
    ids, places = _follow(engine, {record_id, *_grounds(engine, record_id)}, STORIES[prefix], told)
    steps = _envelopes(engine, places)
    members = {name for step in steps for name in (*_organisations(step), *_succeeded(step))}
    told_of = {one for one in ids if one.startswith("mbr_")}
    while with_members and members - told_of:
        more, further = _follow(engine, members - told_of, STORIES["mbr"], lambda _: None)
        told_of |= members
        ids, places = ids | more, places | further
        steps = _envelopes(engine, places)
        members |= {name for step in steps for name in (*_organisations(step), *_succeeded(step))}
    ids |= _subjects(engine, record_id)
    # Quotes, freezes and redemptions stand inside other records, not in rows of their own.
    ids = {one for one in ids if one == record_id or _is_row(engine, one)}
    keys = {_key(one) for one in ids}
    keys |= {f"key/{key}" for step in steps for key in (*_signing(step), *_of_members(step, told_of))}
    keys |= {f"member/{name}" for name in members | _members_in(engine, keys)}
    keys |= {f"currency/{code}" for code in _currencies(engine)}
    keys |= {row.key for row in engine.scan("revision")} | {"closed/chain"}
    keys |= {key for one in ids for key in (*_versions(engine, one), *_parcel_rows(engine, one), *_wages(engine, one))}
    before = Genesis.from_bytes(genesis_file).predecessor
    roots = None if before is None else Roots(before.state_root, before.receipts_root)
    genesis = hashlib.sha256(genesis_file).digest()
    return collect(engine, _key(record_id), genesis, keys, places, documents, first_roots=roots)


def _await_proof(engine: Engine) -> None:
    until = time.monotonic() + PROOF_SECONDS
    while time.monotonic() < until and not engine.health().problem:
        with suppress(NotYet):
            engine.prove("protocol/chain")
            break
        time.sleep(0.1)


def _grounds(engine: Engine, record_id: str) -> set[str]:
    """What a thing rests on, whose own steps its story begins with: a transfer and a recourse on the receivable and
    the hands that it went through before; a product's contract on the product.
    """
    record = engine.query(_key(record_id)).record
    found: set[str] = set()
    if isinstance(record, AnchoredDocument) and record.subject is not None and record.subject.startswith("prd_"):
        product = engine.query(_key(record.subject)).record
        contracts = product.contracts if isinstance(product, Product) else ()
        if any(one.document == record.anchor for one in contracts):
            found.add(record.subject)
    hops = [record_id]
    if isinstance(record, Recourse):
        hops = [record.hop, *record.stepped_in]
    for hop in hops:
        passed = engine.query(_key(hop)).record
        while isinstance(passed, Transfer) and passed.id not in found:
            found |= {passed.id, passed.receivable}
            passed = engine.query(_key(passed.prior)).record
    return found


def _subjects(engine: Engine, record_id: str) -> set[str]:
    named = SUBJECTS.get(record_id[:3])
    found = getattr(engine.query(_key(record_id)).record, named, None) if named is not None else None
    return {found} if isinstance(found, str) and found[:3] in TABLES_BY_PREFIX else set()


def _signing(step: envelope.Envelope) -> set[str]:
    """The keys that signed for organisations; those that the step introduces signed for themselves."""
    return {to_base64(signature.key) for signature in step.signatures} - {key for _, key in _introduced(step)}


def _of_members(step: envelope.Envelope, members: set[str]) -> Iterator[str]:
    """The keys that a step introduces or revokes, where they are those of `members`."""
    body: dict[str, Any] = json.loads(step.body)
    yield from (key for member, key in _introduced(step) if member in members)
    yield from (one["key"] for one in body["operations"] if one["op"] == "key.revoke" and body["actor"] in members)


def _introduced(step: envelope.Envelope) -> Iterator[tuple[str, str]]:
    """The keys that a step introduces, each with the organisation that it is for."""
    body: dict[str, Any] = json.loads(step.body)
    for number, operation in enumerate(body["operations"]):
        match operation["op"]:
            case "member.apply":
                made = made_id("mbr", body["chain"], body["actor"], body["id"], number)
                yield from ((made, one["key"]) for one in operation["keys"])
            case "key.add":
                yield body["actor"], operation["key"]
            case "key.recover":
                yield operation["member"], operation["key"]


def _wages(engine: Engine, record_id: str) -> Iterator[str]:
    """The keys of a plan's wage sheets and their chunks: commitments, amounts and states, no names."""
    if not record_id.startswith("pln_"):
        return
    for key in engine.labelled(f"wages_of/{record_id}"):
        sheet = engine.query(key).record
        if isinstance(sheet, WageSheet):
            yield sheet.key
            yield from (f"wage_chunk/{chunk_id(sheet.plan, sheet.tranche, n + 1)}" for n in range(len(sheet.chunks)))


def _versions(engine: Engine, record_id: str) -> Iterator[str]:
    """The keys of a plan's confirmed versions, on which its releases rest."""
    record = engine.query(_key(record_id)).record if record_id.startswith("pln_") else None
    if isinstance(record, Plan):
        yield from (f"plan_version/{record_id}/{number}" for number in range(1, record.version + 1))


def _parcel_rows(engine: Engine, record_id: str) -> Iterator[str]:
    """The keys of a receivable's parcels where they stand in rows of their own."""
    if record_id.startswith("rcv_"):
        yield from (f"parcel/{key.rpartition('parcel/')[2]}" for key in engine.labelled(f"parcel_of/{record_id}"))


def can_be_about(record_id: str) -> bool:
    """Whether evidence is given about records of this kind."""
    return record_id[:3] in STORIES


def documents_of(home: Home, bundle: Bundle) -> tuple[Document, ...]:
    """The documents kept on this machine that the bundle's records and steps anchor, with their salts."""
    steps = ((one.where, one.envelope) for one in bundle.transactions)
    wanted = anchors_in((*((one.key, one.value) for one in bundle.records), *steps))
    store = DocumentStore(home.documents)
    return tuple(
        Document(bytes.fromhex(known.hash), bytes.fromhex(known.salt), store.get(known.content))
        for known in anchors(home)
        if known.hash in wanted and known.content and store.has(known.content)
    )


def _key(record_id: str) -> str:
    return f"{TABLES_BY_PREFIX[record_id[:3]]}/{record_id}"


def _follow(
    engine: Engine, begun: set[str], kinds: frozenset[str], told: Callable[[int], None]
) -> tuple[set[str], set[Place]]:
    """The records of a story that begins with some, and the places of its steps.

    One pass over all events is enough, but where a record is found to be part of the story after its own first steps
    went by, as a deposit in suspense that is later assigned to a plan: then they are read once more.
    """
    ids = set(begun)
    while True:
        places, passed, again, height = set[Place](), set[str](), False, 0
        for place, events in _by_place(engine):
            told(max(0, place[0] - height))
            height = max(place[0], height)
            links = _links(engine, events)
            for event in events:
                named = {one for one in _ids_in(event) if not one.startswith("mbr_")}
                linked = {other for one in named for other in links.get(one, ())}
                if not (named & ids or linked & ids or _memberships(event) & ids):
                    passed |= {one for one in named if one[:3] in kinds}
                    continue
                places.add(place)
                new = {one for one in named if one[:3] in kinds} | (linked if named & ids else set())
                again = again or bool((new - ids) & passed)
                ids |= new
        if not again:
            return ids, places
        told = _say_nothing


def _say_nothing(_: int) -> None:
    """A second reading is not told."""


def _by_place(engine: Engine) -> Iterator[tuple[Place, list[Event]]]:
    """All events, those of one step or of one block's own work together."""
    place, events = (0, 0), list[Event]()
    after = first_kept(engine)
    while batch := engine.events(after, PAGE):
        for placed in batch:
            at = (placed.cursor.height, placed.cursor.index - 1)
            if at != place and events:
                yield place, events
                events = []
            place = at
            events.append(placed.event)
        after = batch[-1].cursor
    if events:
        yield place, events


def _links(engine: Engine, events: list[Event]) -> dict[str, set[str]]:
    """Which transfer follows from which financing or recourse in one step, both ways; the events don't name both."""
    found: dict[str, set[str]] = {}
    for passed in events:
        if passed.kind != "transfer.done" or passed.facts.get("reason") not in ("financing", "set_off", "recourse"):
            continue
        for cause in events:
            if cause.kind not in ("financing.settled", "recourse.paid"):
                continue
            record = engine.query(_key(cause.record)).record
            first, last = int(str(passed.facts["first"])), int(str(passed.facts["last"]))
            if (
                isinstance(record, Financing | Recourse)
                and record.receivable == passed.facts["receivable"]
                and record.interval.first <= first <= last <= record.interval.last
            ):
                found.setdefault(passed.record, set()).add(record.id)
                found.setdefault(record.id, set()).add(passed.record)
    return found


def _memberships(event: Event) -> set[str]:
    """The members whose own story an event tells: not that of whoever sponsors, votes, or takes part."""
    if event.kind.startswith("review."):
        named = [event.facts.get("subject")]
    elif event.kind.startswith(OF_MEMBERSHIP):
        named = [event.record, event.facts.get("organisation")]
        named += [event.facts.get("successor")] if event.kind == "member.succeeded" else []
    else:
        return set()
    return {one for one in named if isinstance(one, str) and one.startswith("mbr_")}


def _is_row(engine: Engine, record_id: str) -> bool:
    return record_id[:3] in TABLES_BY_PREFIX and engine.query(_key(record_id)).record is not None


def _ids_in(event: Event) -> Iterator[str]:
    yield event.record
    for fact in event.facts.values():
        yield from _ID.findall(str(fact))


def _envelopes(engine: Engine, places: set[Place]) -> list[envelope.Envelope]:
    found = []
    for height in sorted({height for height, _ in places}):
        raws = engine.transactions(height)
        found += [envelope.parse(raws[index]) for at, index in sorted(places) if at == height and index != BLOCK_START]
    return found


def _organisations(step: envelope.Envelope) -> list[str]:
    body: dict[str, Any] = json.loads(step.body)
    return [body["actor"], *body.get("cosigners", ())]


def _succeeded(step: envelope.Envelope) -> list[str]:
    """The members whose place others take by a step: their records say who."""
    body: dict[str, Any] = json.loads(step.body)
    return [one["member"] for one in body["operations"] if one["op"] == "member.succeed"]


def _members_in(engine: Engine, keys: set[str]) -> set[str]:
    """Members that the story's records name, so that a reader sees who they are."""
    found: set[str] = set()
    for key in sorted(keys):
        record = None if key.startswith("key/") else engine.query(key).record
        if record is not None:
            found.update(one for one in _ID.findall(codec.encode(record).decode()) if one.startswith("mbr_"))
    return found


def _currencies(engine: Engine) -> list[str]:
    return [row.id for row in engine.scan("currency")]
