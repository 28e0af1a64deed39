"""Anchored documents and their versions."""

from tallystick.kernel.core.record import TABLES
from tallystick.kernel.documents.anchors import SUBJECT_TABLES, AnchorDocument, Document
from tallystick.kernel.membership.records import Role
from tallystick.kernel.operations import OPERATIONS
from tallystick.wire.status import Status
from tests.support.members import anchor
from tests.support.world import World

NOTHING = "doc_" + "0" * 16


def test_a_document_and_its_next_version() -> None:
    world = World()
    client = world.member("Client", Role.CLIENT)
    contract = AnchorDocument(anchor=anchor("contract", "first"), subject=client)
    first = world.do(contract, by=client, vector="document.anchor/anchored").events[0].record
    next_one = AnchorDocument(anchor=anchor("contract", "second"), subject=client, earlier=first)
    second = world.do(next_one, by=client, vector="document.anchor/later_version").events[0].record
    assert (world.row(Document, first).later, world.row(Document, second).earlier) == (second, first)
    world.do(next_one, by=client, expect=Status.SUPERSEDED, vector="document.anchor/superseded")


def test_what_a_version_cannot_name() -> None:
    world = World()
    client, other = world.member("Client", Role.CLIENT), world.member("Other", Role.CLIENT)
    contract = AnchorDocument(anchor=anchor("contract"), subject=client)
    first = world.do(contract, by=client).events[0].record
    later = AnchorDocument(anchor=anchor("contract"), subject=client, earlier=first)
    world.do(later, by=other, expect=Status.NOT_A_PARTY, vector="document.anchor/not_a_party")
    kind = AnchorDocument(anchor=anchor("invoice"), subject=client, earlier=first)
    world.do(kind, by=client, expect=Status.BAD_VALUE, vector="document.anchor/another_kind")
    missing = AnchorDocument(anchor=anchor(), earlier=NOTHING)
    world.do(missing, by=client, expect=Status.NOT_FOUND, vector="document.anchor/not_found")
    for subject in (NOTHING, "xyz_" + "0" * 16):
        world.do(AnchorDocument(anchor=anchor(), subject=subject), by=client, expect=Status.NOT_FOUND)


def test_each_kind_of_subject_is_a_table() -> None:
    assert OPERATIONS
    assert set(SUBJECT_TABLES.values()) <= TABLES.keys()
