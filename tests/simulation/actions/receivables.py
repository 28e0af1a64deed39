"""Issuing, voiding, freezes, judgments, flags; transfers over several hops."""

import datetime
import hashlib
from typing import Any

from tallystick.kernel.core.fields import Interval
from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.freezes import FreezeParcel, UnfreezeParcel
from tallystick.kernel.receivables.invoices import FlagInvoice, UnflagInvoice
from tallystick.kernel.receivables.issue import (
    ConfirmReceivable,
    DeclineReceivable,
    RequestReceivable,
    WithdrawReceivable,
)
from tallystick.kernel.receivables.judgments import AssignByJudgment, CancelByJudgment
from tallystick.kernel.receivables.records import Invoice, InvoiceUse, Parcel, ParcelRow, Receivable, ReceivableState
from tallystick.kernel.receivables.void import VoidReceivable
from tallystick.kernel.transfers.agreed import AcceptTransfer, DeclineTransfer, RequestTransfer, WithdrawTransfer
from tallystick.kernel.transfers.records import Transfer, TransferState
from tallystick.wire.amounts import MAX_UNITS, Units
from tests.simulation.actions.proposals import Proposal, action, admitted, holder_of, pick, propose, today, traders
from tests.simulation.founding import paper
from tests.simulation.town import Town

DAYS = datetime.timedelta


def fingerprint(invoice: str) -> str:
    return hashlib.sha256(f"consortium key:{invoice}".encode()).hexdigest()


def parcels(town: Town, receivable: Receivable) -> list[Parcel]:
    """The live parcels as committed."""
    if not receivable.in_rows:
        return list(receivable.parcels)
    rows = [row.parcel for row in town.rows(ParcelRow) if row.receivable == receivable.id]
    return sorted(rows, key=lambda parcel: parcel.interval.first)


def in_state(town: Town, *states: ReceivableState) -> list[Receivable]:
    return [row for row in town.rows(Receivable) if row.state in states]


@action(22)
def request_receivable(town: Town) -> Proposal | None:
    debtors = town.role_holders(Role.CORE_ENTERPRISE)
    names = traders(town)
    if not debtors or len(names) < 3 or len([row for row in town.rows(Receivable) if row.is_owed]) > 40:
        return None
    debtor = town.rng.choice(debtors)
    creditor = town.rng.choice([name for name in names if name != debtor])
    requests = tuple(_request(town, debtor, creditor) for _ in range(town.rng.choice((1, 1, 1, 2))))
    return propose(town.rng.choice((debtor, creditor)), *requests)


def _request(town: Town, debtor: str, creditor: str) -> RequestReceivable:
    rng = town.rng
    face = rng.choice(
        (5, 997, 12_345, 1_000_000, 90_000_001, 10**11) if rng.random() < 0.97 else (MAX_UNITS, MAX_UNITS // 2)
    )
    issue_on = today(town) - DAYS(days=rng.choice((0, 0, 3)))
    invoices = _invoices(town, face)
    fields: dict[str, Any] = {
        "reason": "long production time" if rng.random() < 0.7 else None,
        "convention": rng.choice(("following", "modified_following", "preceding")),
        "moved_days_accrue": rng.random() < 0.3,
    }
    from tallystick.kernel.calendar.records import Convention

    fields["convention"] = Convention(fields["convention"])
    return RequestReceivable(
        debtor=debtor,
        creditor=creditor,
        currency=rng.choice(("CNY", "GBP", "CNY", "GBP", "JPY")),
        face=Units(face),
        issue_on=issue_on,
        due_on=today(town) + DAYS(days=rng.choice((8, 15, 20, 31, 45, 60, 90, 250))),
        delivered_on=issue_on if rng.random() < 0.5 else None,
        splittable=rng.random() < 0.9,
        invoices=invoices,
        contracts=() if invoices else (paper("contract", face),),
        **fields,
    )


def _invoices(town: Town, face: int) -> tuple[InvoiceUse, ...]:
    """None, one whole, two parts, or a part of one that stands on the ledger with room."""
    rng = town.rng
    kind = rng.random()
    number = rng.randrange(10**9)
    if kind < 0.2:
        return ()
    if kind < 0.3 and face > 1:
        first = face // 2
        return (
            InvoiceUse(fingerprint=fingerprint(f"{number}a"), amount=Units(first), total=Units(face)),
            InvoiceUse(fingerprint=fingerprint(f"{number}b"), amount=Units(face - first), total=Units(face)),
        )
    if kind < 0.45:
        known = [row for row in town.rows(Invoice) if row.total is not None]
        invoice = pick(rng, known)
        if invoice is not None:
            return (InvoiceUse(fingerprint=invoice.id, amount=Units(face), total=invoice.total),)
    return (
        InvoiceUse(
            fingerprint=fingerprint(str(number)),
            amount=Units(face),
            total=Units(min(face * rng.choice((1, 2)), MAX_UNITS)),
        ),
    )


def _counterparty(row: Receivable) -> str:
    return row.creditor if row.requester == row.debtor else row.debtor


@action(35)
def confirm_receivable(town: Town) -> Proposal | None:
    row = pick(town.rng, in_state(town, ReceivableState.REQUESTED))
    if row is None:
        return None
    confirmed = ConfirmReceivable(
        receivable=row.id,
        currency=row.currency,
        face=row.face,
        handling=paper("handling", row.id),
        consent_to_notices=True,
    )
    return propose(_counterparty(row), confirmed)


@action(2)
def decline_receivable(town: Town) -> Proposal | None:
    row = pick(town.rng, in_state(town, ReceivableState.REQUESTED))
    return None if row is None else propose(_counterparty(row), DeclineReceivable(receivable=row.id, reason="not_ours"))


@action(2)
def withdraw_receivable(town: Town) -> Proposal | None:
    row = pick(town.rng, in_state(town, ReceivableState.REQUESTED, ReceivableState.UNDER_REVIEW))
    return None if row is None else propose(row.requester, WithdrawReceivable(receivable=row.id))


@action(2)
def void_receivable(town: Town) -> Proposal | None:
    row = pick(town.rng, in_state(town, ReceivableState.VALID))
    auditor = holder_of(town, Role.AUDITOR)
    if row is None or auditor is None:
        return None
    signers = [row.debtor, row.creditor, auditor]
    town.rng.shuffle(signers)
    void = VoidReceivable(receivable=row.id, reason=paper("reason", row.id))
    return propose(signers[0], void, also=tuple(signers[1:]))


def _part_of(town: Town, parcel: Parcel, least: int = 1) -> Interval:
    """The parcel, or a part of it."""
    first, last = int(parcel.interval.first), int(parcel.interval.last)
    if town.rng.random() < 0.5 or last - first < least:
        return parcel.interval
    middle = town.rng.randrange(first, last)
    span = town.rng.choice(((first, middle), (middle + 1, last), (middle, middle + 1)))
    return Interval(Units(span[0]), Units(span[1]))


@action(5)
def freeze_parcel(town: Town) -> Proposal | None:
    row = pick(town.rng, [row for row in town.rows(Receivable) if row.is_owed])
    auditor = holder_of(town, Role.AUDITOR)
    if row is None or auditor is None:
        return None
    parcel = pick(town.rng, parcels(town, row))
    if parcel is None:
        return None
    frozen = FreezeParcel(
        receivable=row.id,
        interval=_part_of(town, parcel),
        until_on=today(town) + DAYS(days=town.rng.choice((0, 3, 20, 90))),
        authority_order=paper("order", row.id),
    )
    return propose(auditor, frozen)


@action(4)
def unfreeze_parcel(town: Town) -> Proposal | None:
    row = pick(town.rng, [row for row in town.rows(Receivable) if row.freezes])
    auditor = holder_of(town, Role.AUDITOR)
    if row is None or auditor is None:
        return None
    freeze = town.rng.choice(row.freezes)
    return propose(auditor, UnfreezeParcel(receivable=row.id, freeze=freeze.id, authority_order=paper("order", row.id)))


@action(3)
def judgment(town: Town) -> Proposal | None:
    frozen = [row for row in town.rows(Receivable) if row.freezes]
    owed = [row for row in town.rows(Receivable) if row.is_owed]
    row = pick(town.rng, frozen if frozen and town.rng.random() < 0.8 else owed)
    auditor = holder_of(town, Role.AUDITOR)
    if row is None or auditor is None:
        return None
    if row.freezes:
        first = row.freezes[0]
        interval, named = first.parts[0], first.id
    else:
        parcel = pick(town.rng, parcels(town, row))
        if parcel is None:
            return None
        interval, named = _part_of(town, parcel), None
    fields: dict[str, Any] = {
        "receivable": row.id,
        "interval": interval,
        "judgment": paper("judgment", row.id),
        "freeze": named,
    }
    if town.rng.random() < 0.5:
        return propose(auditor, CancelByJudgment(**fields))
    to = pick(town.rng, [name for name in admitted(town) if name != row.debtor])
    return None if to is None else propose(auditor, AssignByJudgment(to=to, **fields))


@action(2)
def flag_invoice(town: Town) -> Proposal | None:
    invoice = pick(town.rng, [row for row in town.rows(Invoice) if row.flag is None])
    by = holder_of(town, town.rng.choice((Role.AUDITOR, Role.DATA_SOURCE)))
    if invoice is None or by is None:
        return None
    flag = FlagInvoice(fingerprint=invoice.id, reason="red_letter", paper=paper("notice", invoice.id))
    return propose(by, flag)


@action(3)
def unflag_invoice(town: Town) -> Proposal | None:
    invoice = pick(town.rng, [row for row in town.rows(Invoice) if row.flag is not None])
    by = holder_of(town, Role.AUDITOR)
    if invoice is None or by is None:
        return None
    return propose(by, UnflagInvoice(fingerprint=invoice.id, paper=paper("notice", invoice.id)))


@action(30)
def request_transfer(town: Town) -> Proposal | None:
    row = pick(town.rng, in_state(town, ReceivableState.VALID))
    parcel = None if row is None else pick(town.rng, parcels(town, row))
    if row is None or parcel is None:
        return None
    rng = town.rng
    to_debtor = rng.random() < 0.06
    receiver = (
        row.debtor if to_debtor else pick(rng, [n for n in traders(town) if n not in (parcel.holder, row.debtor)])
    )
    if receiver is None:
        return None
    part = parcel.interval if not row.splittable else _part_of(town, parcel)
    asked = RequestTransfer(
        receivable=row.id,
        parcel=parcel.interval,
        currency=row.currency,
        units=part.length,
        interval=part if rng.random() < 0.5 else None,
        receiver=receiver,
        recourse=not to_debtor and rng.random() < 0.7,
        as_set_off=to_debtor,
        consideration=Units(rng.randint(0, int(part.length))) if rng.random() < 0.4 else None,
        background=paper("background", row.id),
    )
    return propose(parcel.holder, asked)


def _transfers(town: Town, *states: TransferState) -> list[Transfer]:
    return [row for row in town.rows(Transfer) if row.state in states]


@action(35)
def accept_transfer(town: Town) -> Proposal | None:
    row = pick(town.rng, _transfers(town, TransferState.REQUESTED))
    if row is None:
        return None
    accepted = AcceptTransfer(
        transfer=row.id, currency=row.currency, units=row.interval.length, handling=paper("handling", row.id)
    )
    return propose(row.receiver, accepted)


@action(2)
def decline_transfer(town: Town) -> Proposal | None:
    row = pick(town.rng, _transfers(town, TransferState.REQUESTED))
    return None if row is None else propose(row.receiver, DeclineTransfer(transfer=row.id, reason="not_agreed"))


@action(2)
def withdraw_transfer(town: Town) -> Proposal | None:
    row = pick(town.rng, _transfers(town, TransferState.REQUESTED, TransferState.UNDER_REVIEW))
    if row is None:
        return None
    also = (row.receiver,) if row.state is TransferState.UNDER_REVIEW else ()
    return propose(row.sender, WithdrawTransfer(transfer=row.id), also=also)
