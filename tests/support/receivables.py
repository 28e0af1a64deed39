"""Scenes of receivables and transfers, set by running real operations."""

import datetime
import hashlib
from dataclasses import dataclass
from typing import Any

from tallystick.kernel.calendar.records import CalendarYear, YearVersion
from tallystick.kernel.core.fields import Anchor, Interval
from tallystick.kernel.law.records import Adoption, Effect, LawBook, LawPack, Matter, Rule
from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.issue import ConfirmReceivable, RequestReceivable
from tallystick.kernel.receivables.records import InvoiceUse, ParcelRow, Receivable
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ChecklistItem, Finding, ReviewResult
from tallystick.kernel.transfers.agreed import AcceptTransfer, RequestTransfer
from tallystick.kernel.transfers.records import Transfer
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.world import World

PASSED = (ChecklistItem(item="trade_background", finding=Finding.PASSED),)
ISSUE_ON = datetime.date(2026, 3, 2)
DUE_ON = datetime.date(2026, 6, 30)


def anchor(kind: str = "contract", of: str = "") -> Anchor:
    """The salted hash of some paper kept off the ledger."""
    return Anchor(hash=hashlib.sha256(f"{kind}:{of}".encode()).hexdigest(), kind=kind)


def fingerprint(invoice: str) -> str:
    """What the auditors' key makes of an invoice's identity."""
    return hashlib.sha256(f"consortium key:{invoice}".encode()).hexdigest()


def use(invoice: str, amount: int, total: int | None = None) -> InvoiceUse:
    """An amount used of an invoice (all of it, if its total is not said)."""
    total_units = Units(amount if total is None else total)
    return InvoiceUse(fingerprint=fingerprint(invoice), amount=Units(amount), total=total_units)


def publish_calendar(world: World, *years: int) -> None:
    """Years without holidays: every weekday is a business day."""
    always = datetime.date(2000, 1, 1)
    for year in years:
        version = YearVersion(from_on=always, days_off=(), source="a year without holidays")
        world.put(CalendarYear(id=str(year), versions=(version,)))


def adopt_layers_cap(world: World, most: int) -> None:
    """A law pack with one rule: a parcel passes through at most so many hands."""
    always = datetime.date(2000, 1, 1)
    rule = Rule(
        name="layers",
        matter=Matter.LAYERS,
        clause="test",
        effect=Effect.REFUSE,
        from_on=always,
        figures={"layers": most},
    )
    world.put(LawPack(id="all-test", rules=(rule,), source="test"))
    world.put(LawBook(id="chain", adoptions=(Adoption(jurisdiction="all", version="all-test", from_on=always),)))


@dataclass(frozen=True)
class Trade:
    """A world with a buyer that owes, a supplier that is owed, its own supplier, a funder and two auditors."""

    world: World
    buyer: str
    supplier: str
    maker: str
    funder: str
    auditor: str
    second_auditor: str


def trade(chain: Any = None, **world_fields: Any) -> Trade:
    """A consortium before any business was done, with calendars published for 2026 and 2027.

    It stands in a world of its own, or on a `chain` (tests/support/chain.py) that was founded with all this.
    """
    world = chain or World(**world_fields)
    if chain is None:
        publish_calendar(world, 2026, 2027)
    return Trade(
        world,
        buyer=world.member("Buyer", Role.CLIENT, Role.CORE_ENTERPRISE),
        supplier=world.member("Supplier", Role.CLIENT),
        maker=world.member("Maker", Role.CLIENT),
        funder=world.member("Funder", Role.FUNDER),
        auditor=world.member("Auditor", Role.AUDITOR),
        second_auditor=world.member("Second auditor", Role.AUDITOR),
    )


def request_of(debtor: str, creditor: str, face: int, **fields: Any) -> RequestReceivable:
    """The request for a receivable of `face`, backed by one invoice of its own unless `invoices` are given."""
    backing = fields.pop("invoices", (use(f"{debtor} {creditor} {face}", face),))
    asked: dict[str, Any] = {"currency": "CNY", "issue_on": ISSUE_ON, "due_on": DUE_ON, **fields}
    return RequestReceivable(debtor=debtor, creditor=creditor, face=Units(face), invoices=backing, **asked)


def requested(world: World, debtor: str, creditor: str, face: int, *, by: str = "", **fields: Any) -> str:
    """Ask for a receivable, the debtor if not said otherwise. Returns its id."""
    result = world.do(request_of(debtor, creditor, face, **fields), by=by or debtor)
    return result.events[0].record


def confirm_of(world: World, receivable_id: str, **fields: Any) -> ConfirmReceivable:
    """The confirmation of a requested receivable."""
    row = world.row(Receivable, receivable_id)
    said: dict[str, Any] = {"currency": row.currency, "face": row.face, "consent_to_notices": True, **fields}
    return ConfirmReceivable(receivable=receivable_id, handling=anchor("handling", receivable_id), **said)


def confirmed(world: World, debtor: str, creditor: str, face: int, *, by: str = "", **fields: Any) -> str:
    """A receivable that both sides want, whose review is asked for. Returns its id."""
    receivable_id = requested(world, debtor, creditor, face, by=by, **fields)
    asker = world.row(Receivable, receivable_id).requester
    world.do(confirm_of(world, receivable_id), by=creditor if asker == debtor else debtor)
    return receivable_id


def approval_of(world: World, receivable_id: str, **fields: Any) -> DecideReview:
    """An auditor's approval, carrying the fingerprints as the parties stated them."""
    row = world.row(Receivable, receivable_id)
    said = {"fingerprints": tuple(each.fingerprint for each in row.invoices), "checklist": PASSED, **fields}
    return DecideReview(review=row.review, result=ReviewResult.APPROVE, **said)


def issued(world: World, debtor: str, creditor: str, face: int, auditor: str, *, by: str = "", **fields: Any) -> str:
    """A valid receivable in its creditor's hands. Returns its id."""
    receivable_id = confirmed(world, debtor, creditor, face, by=by, **fields)
    world.do(approval_of(world, receivable_id), by=auditor)
    return receivable_id


def span(first: int, last: int) -> Interval:
    """Units `first` to `last`."""
    return Interval(Units(first), Units(last))


def offer_of(world: World, receivable_id: str, parcel: Interval, units: int, to: str, **fields: Any) -> RequestTransfer:
    """The request to hand `units` of `parcel` on to `to`."""
    said: dict[str, Any] = {"currency": world.row(Receivable, receivable_id).currency, **fields}
    return RequestTransfer(
        receivable=receivable_id,
        parcel=parcel,
        units=Units(units),
        receiver=to,
        background=anchor("trade_background", receivable_id),
        **said,
    )


def offered(world: World, receivable_id: str, parcel: Interval, units: int, by: str, to: str, **fields: Any) -> str:
    """A transfer that its receiver has not answered. Returns its id."""
    result = world.do(offer_of(world, receivable_id, parcel, units, to, **fields), by=by)
    return result.events[0].record


def acceptance_of(world: World, transfer_id: str, **fields: Any) -> AcceptTransfer:
    """The receiver's acceptance."""
    row = world.row(Transfer, transfer_id)
    said: dict[str, Any] = {"currency": row.currency, "units": row.interval.length, **fields}
    return AcceptTransfer(transfer=transfer_id, handling=anchor("handling", transfer_id), **said)


def accepted(world: World, receivable_id: str, parcel: Interval, units: int, by: str, to: str, **fields: Any) -> str:
    """A transfer whose review is asked for. Returns its id."""
    transfer_id = offered(world, receivable_id, parcel, units, by, to, **fields)
    world.do(acceptance_of(world, transfer_id), by=to)
    return transfer_id


def passing_of(world: World, transfer_id: str) -> DecideReview:
    """An auditor's approval of a transfer."""
    row = world.row(Transfer, transfer_id)
    return DecideReview(review=row.review, result=ReviewResult.APPROVE, checklist=PASSED)


def refusal_of(record: Receivable | Transfer, reason: str = "papers_missing") -> DecideReview:
    """An auditor's refusal of a receivable or a transfer."""
    review = record.review
    assert review is not None
    return DecideReview(review=review, result=ReviewResult.REFUSE, reason=reason)


def transferred(
    world: World, receivable_id: str, parcel: Interval, units: int, by: str, to: str, auditor: str, **fields: Any
) -> str:
    """Units handed on, reviewed and done. Returns the transfer's id."""
    transfer_id = accepted(world, receivable_id, parcel, units, by, to, **fields)
    world.do(passing_of(world, transfer_id), by=auditor)
    return transfer_id


def holdings(world: World, receivable_id: str) -> list[tuple[str, int, int]]:
    """Who holds which units, ascending, however the parcels are stored."""
    row = world.row(Receivable, receivable_id)
    parcels = row.parcels
    if row.in_rows:
        rows = [each for each in world.state.rows.values() if isinstance(each, ParcelRow)]
        mine = (each.parcel for each in rows if each.receivable == receivable_id)
        parcels = tuple(sorted(mine, key=lambda parcel: parcel.interval.first))
    return [(parcel.holder, int(parcel.interval.first), int(parcel.interval.last)) for parcel in parcels]


def status_of(world: World, *operations: Any, by: str, **fields: Any) -> Status:
    """The status of a step, whatever it is."""
    return world.submit(world.sign(*operations, by=by, **fields)).status
