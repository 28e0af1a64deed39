"""Anchoring a document (OPERATIONS, "Documents, time, rules"): a later version names the earlier one."""

from collections.abc import Iterator

import msgspec

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, AnyId, DocumentId, MemberId, Position
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.wire.status import Status

ANCHORED = EventKind("document.anchored", "{owner} anchors a document of kind {kind}.")

SUBJECT_TABLES = {
    "mbr": "member",
    "rev": "review",
    "rcv": "receivable",
    "trf": "transfer",
    "fin": "financing",
    "acc": "account",
    "doc": "document",
    "prd": "product",
    "pln": "plan",
    "evd": "evidence",
    "crt": "certificate",
    "dsp": "dispute",
    "rfd": "refund",
}
"""What a document can be about: the kinds of record by their id's prefix."""


class Document(Record):
    """An anchored document. `earlier` and `later` chain its versions, which all have one owner, kind and subject."""

    table = "document"

    owner: MemberId
    anchor: Anchor
    anchored: Position
    subject: AnyId | None = None
    earlier: DocumentId | None = None
    later: DocumentId | None = None


class AnchorDocument(Operation, tag="document.anchor"):
    """Anchor a document by its salted hash, with its kind and what it is about; a later version names the earlier.

    Signed by any member, who is its owner.
    """

    anchor: Anchor
    subject: AnyId | None = None
    earlier: DocumentId | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        if self.subject is not None:
            table = SUBJECT_TABLES.get(self.subject[:3])
            if table is None or step.at(f"{table}/{self.subject}") is None:
                return refuse(Status.NOT_FOUND, subject=self.subject)
        if self.earlier is None:
            return None
        earlier = step.find(Document, self.earlier)
        if earlier is None:
            return refuse(Status.NOT_FOUND, document=self.earlier)
        if earlier.owner != step.actor:
            return refuse(Status.NOT_A_PARTY, missing=earlier.owner)
        if earlier.later is not None:
            return refuse(Status.SUPERSEDED, document=earlier.id, later=earlier.later)
        if (earlier.anchor.kind, earlier.subject) != (self.anchor.kind, self.subject):
            return refuse(Status.BAD_VALUE, field="earlier", kind=earlier.anchor.kind, subject=earlier.subject or "")
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        document = Document(
            id=step.new_id("doc"),
            owner=step.actor,
            anchor=self.anchor,
            anchored=step.position,
            subject=self.subject,
            earlier=self.earlier,
        )
        step.put(document)
        if self.earlier is not None:
            step.put(msgspec.structs.replace(step.get(Document, self.earlier), later=document.id))
        yield ANCHORED(document.id, (document.owner,), owner=document.owner, kind=self.anchor.kind)
