"""Which steps and records belong to a thing, for its evidence bundle, found by following the ledger's events once.

An event belongs to it that names one of its records; the records that such an event names belong to it as well, as far
as their kind is part of the thing's own story (`STORIES`): a receivable's transfers, but not the other receivables of
its holder. Every step is then shown whole, with the organisations and keys that signed it.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from tallystick.documents.store import DocumentStore
from tallystick.kernel.core import codec
from tallystick.kernel.core.events import Event
from tallystick.kernel.plans.records import Plan
from tallystick.ledger.engine import Cursor, Engine
from tallystick.ledger.evidence import BLOCK_START, Place, collect
from tallystick.node.anchoring import anchors
from tallystick.node.home import Home
from tallystick.node.lookup import ID_TABLES
from tallystick.proof.evidence.bundle import Bundle, Document
from tallystick.proof.evidence.documents import anchors_in
from tallystick.wire import envelope
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import to_base64

STORIES: dict[str, frozenset[str]] = {
    "mbr": frozenset({"rev"}),
    "rev": frozenset(),
    "rcv": frozenset({"rev", "trf", "fin", "rec", "rdm", "frz"}),
    "trf": frozenset({"rev", "rcv"}),
    "fin": frozenset({"rev", "trf", "qte"}),
    "rec": frozenset({"rcv"}),
    "acc": frozenset({"rev"}),
    "dep": frozenset(),
    "doc": frozenset(),
    "prd": frozenset({"rev", "doc"}),
    "pln": frozenset({"evd", "crt", "dsp", "rfd", "dep"}),
}
"""Which kinds of record are part of the story of each kind of thing."""

SUBJECTS = {"rev": "subject", "fin": "receivable", "trf": "receivable", "pln": "product", "evd": "plan", "crt": "plan"}
"""The record that a thing cannot be told without, by the field that names it; only the record, not its story."""

PAGE = 10_000
_ID = re.compile(r"[a-z]{3}_[0-9a-hjkmnp-tv-z]{16}", re.ASCII)


def bundle_about(
    engine: Engine,
    genesis_file: bytes,
    record_id: str,
    documents: tuple[Document, ...] = (),
    told: Callable[[int], None] = lambda _: None,
) -> Bundle:
    """The evidence about one record: its story's steps, its records, who signed. `told` takes heights passed.

    Raises `DecodeError` for what is no such record, `NotYet` while the present state is not attested.
    """
    prefix = record_id[:3]
    if not can_be_about(record_id) or engine.query(_key(record_id)).record is None:
        raise DecodeError("no record that evidence can be given about", record_id[:40])
    ids, places = _follow(engine, record_id, STORIES[prefix], told)
    steps = _envelopes(engine, places)
    members = {name for step in steps for name in _organisations(step)}
    keys = {_key(one) for one in ids}
    keys |= {f"key/{to_base64(signature.key)}" for step in steps for signature in step.signatures}
    keys |= {f"member/{name}" for name in members | _members_in(engine, keys)}
    keys |= {f"currency/{code}" for code in _currencies(engine)}
    keys |= {row.key for row in engine.scan("revision")} | {"closed/chain"}
    keys |= {key for one in ids for key in (*_versions(engine, one), *_parcel_rows(engine, one))}
    return collect(engine, _key(record_id), hashlib.sha256(genesis_file).digest(), keys, places, documents)


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
    return f"{ID_TABLES[record_id[:3]]}/{record_id}"


def _follow(
    engine: Engine, record_id: str, kinds: frozenset[str], told: Callable[[int], None]
) -> tuple[set[str], set[Place]]:
    """The records of the thing's story and the places of its steps, in one pass over all events."""
    ids, places = {record_id}, set[Place]()
    after = Cursor()
    while batch := engine.events(after, PAGE):
        for placed in batch:
            named = set(_ids_in(placed.event))
            if named & ids:
                places.add((placed.cursor.height, placed.cursor.index - 1))
                ids |= {one for one in named if one[:3] in kinds}
        told(batch[-1].cursor.height - after.height)
        after = batch[-1].cursor
    subject = SUBJECTS.get(record_id[:3])
    if subject is not None:
        named_there = getattr(engine.query(_key(record_id)).record, subject, None)
        if isinstance(named_there, str) and named_there[:3] in ID_TABLES:
            ids.add(named_there)
    # Quotes, freezes and redemptions stand inside other records, not in rows of their own.
    return {one for one in ids if one == record_id or _is_row(engine, one)}, places


def _is_row(engine: Engine, record_id: str) -> bool:
    return record_id[:3] in ID_TABLES and engine.query(_key(record_id)).record is not None


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
