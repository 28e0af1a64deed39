"""Credit limits of debtors (授信额度) and what is drawn on them: one row for each debtor and currency.

The consortium's limit bounds all that is outstanding of a debtor; a funder's bounds what that funder financed, counted
from the day it set its limit. The row is kept from the first receivable on, so that a limit set later knows what is
out.
"""

import datetime
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import assert_never

import msgspec

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Currency, MemberId, Struct
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.currencies import check_currency
from tallystick.kernel.governance.quorum import governors
from tallystick.kernel.membership.business import SUCCEEDED_IN
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.rules import acting_as, check_party
from tallystick.wire.amounts import ZERO, Units, fits
from tallystick.wire.status import Status

LIMIT_SET = EventKind("limit.set", "The limit of {debtor} is {units} {currency} through {until_on}.")


class Limit(Struct):
    """An amount in minor units, valid through `until_on`."""

    units: Units
    until_on: datetime.date


class FunderLimit(Struct):
    """A funder's own limit and what it holds under it."""

    funder: MemberId
    limit: Limit
    drawn: Units = ZERO


class DebtorCredit(Record):
    """What is outstanding of a debtor in a currency, and the limits on it. Id `<debtor>.<currency>`.

    With a succession what is out passes at once to the row of `passed_to`; the receivables follow in batches.
    """

    table = "credit"

    outstanding: Units = ZERO
    limit: Limit | None = None
    funders: tuple[FunderLimit, ...] = ()
    passed_to: MemberId | None = None

    def live_for(self) -> tuple[str, ...]:
        return (self.id.partition(".")[0],) if self.outstanding else ()


def credit_of(step: Step, debtor: str, currency: str) -> DebtorCredit:
    """The row of a debtor, or of who succeeded to its debts, in a currency; empty where nothing was drawn yet."""
    row_id = f"{debtor}.{currency}"
    credit = step.find(DebtorCredit, row_id) or DebtorCredit(id=row_id)
    return credit if credit.passed_to is None else credit_of(step, credit.passed_to, currency)


def check_debtor_limit(
    step: Step, debtor: str, currency: str, units: Units, funder: str | None = None
) -> Refusal | None:
    """Whether `units` more stay within the limits of `debtor`: the consortium's, or that of `funder` where named.

    No limit set means none to exceed; one whose end date has passed lets nothing more through. Refuses with
    over_limit or amount_overflow.
    """
    credit = credit_of(step, debtor, currency)
    limit, drawn = credit.limit, credit.outstanding
    if funder is not None:
        own = next((entry for entry in credit.funders if entry.funder == funder), None)
        limit, drawn = (own.limit, own.drawn) if own is not None else (None, ZERO)
    if not fits(drawn, units):
        return refuse(Status.AMOUNT_OVERFLOW, debtor=debtor, currency=currency)
    if limit is None:
        return None
    room = max(int(limit.units) - int(drawn), 0) if step.today <= limit.until_on else 0
    if units > room:
        return refuse(Status.OVER_LIMIT, debtor=debtor, currency=currency, limit=limit.units, available=Units(room))
    return None


def draw(step: Step, debtor: str, currency: str, units: Units) -> None:
    """A receivable of `units` became valid."""
    credit = credit_of(step, debtor, currency)
    step.put(msgspec.structs.replace(credit, outstanding=credit.outstanding + units))


def draw_funder(step: Step, debtor: str, currency: str, units: Units, funder: str) -> None:
    """A funder financed `units`; nothing is written where it set no limit."""
    _change_funders(step, debtor, currency, ((funder, int(units)),))


def undraw(step: Step, debtor: str, currency: str, held: Iterable[tuple[str, Units]]) -> None:
    """Units of a receivable were redeemed or are void; `held` says by whom they were held."""
    parts = tuple((holder, -int(units)) for holder, units in held)
    credit = credit_of(step, debtor, currency)
    gone = Units(-sum(units for _, units in parts))
    step.put(msgspec.structs.replace(_with_funders(credit, parts), outstanding=credit.outstanding - gone))


def pass_funder(step: Step, debtor: str, currency: str, units: Units, holder: str) -> None:
    """A funder handed `units` on; nothing is written where it set no limit."""
    _change_funders(step, debtor, currency, ((holder, -int(units)),))


def _change_funders(step: Step, debtor: str, currency: str, parts: tuple[tuple[str, int], ...]) -> None:
    credit = credit_of(step, debtor, currency)
    changed = _with_funders(credit, parts)
    if changed is not credit:
        step.put(changed)


def _with_funders(credit: DebtorCredit, parts: tuple[tuple[str, int], ...]) -> DebtorCredit:
    """`credit` with each funder's drawn amount changed, not below 0: what it held before its limit was not counted."""
    if not credit.funders:
        return credit
    change: dict[str, int] = {}
    for name, units in parts:
        change[name] = change.get(name, 0) + units
    if not any(entry.funder in change for entry in credit.funders):
        return credit
    funders = tuple(
        msgspec.structs.replace(entry, drawn=Units(max(int(entry.drawn) + change.get(entry.funder, 0), 0)))
        for entry in credit.funders
    )
    return msgspec.structs.replace(credit, funders=funders)


class LimitScope(Enum):
    """Whose limit it is."""

    CONSORTIUM = "consortium"
    FUNDER = "funder"


class SetLimit(Operation, tag="limit.set"):
    """Set the credit limit of a debtor in a currency, through an end date (授信额度).

    Signed by m of n governors for the consortium's limit, by a funder for its own. What is out already stays out.
    Source: OPERATIONS, "Membership".
    """

    scope: LimitScope
    debtor: MemberId
    currency: Currency
    units: Units
    until_on: datetime.date

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        match self.scope:
            case LimitScope.CONSORTIUM:
                return governors(step)
            case LimitScope.FUNDER:
                return Signers.holding(Role.FUNDER.value)
            case _:
                assert_never(self.scope)

    def check(self, step: Step) -> Refusal | None:
        refusal = check_party(step, self.debtor) or check_currency(step, self.currency)
        if refusal is not None:
            return refusal
        if self.until_on < step.today:
            return refuse(Status.BAD_DATES, until_on=self.until_on)
        if self.scope is LimitScope.FUNDER and acting_as(step, Role.FUNDER) == self.debtor:
            return refuse(Status.SAME_PARTY, debtor=self.debtor)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        credit = credit_of(step, self.debtor, self.currency)
        limit = Limit(units=self.units, until_on=self.until_on)
        audience: tuple[str, ...] = (self.debtor,)
        if self.scope is LimitScope.CONSORTIUM:
            credit = msgspec.structs.replace(credit, limit=limit)
        else:
            funder = acting_as(step, Role.FUNDER)
            audience = (funder,)
            others = tuple(entry for entry in credit.funders if entry.funder != funder)
            drawn = next((entry.drawn for entry in credit.funders if entry.funder == funder), ZERO)
            entry = FunderLimit(funder=funder, limit=limit, drawn=drawn)
            credit = msgspec.structs.replace(credit, funders=(*others, entry))
        step.put(credit)
        yield LIMIT_SET(
            credit.id, audience, debtor=self.debtor, currency=self.currency, units=self.units, until_on=self.until_on
        )


def check_debts_fit(step: Step, member: str, successor: str) -> Refusal | None:
    """Whether what is out on both of them is an amount in every currency; or amount_overflow."""
    for currency, credit in _out_on(step, member):
        if not fits(credit.outstanding, credit_of(step, successor, currency).outstanding):
            return refuse(Status.AMOUNT_OVERFLOW, debtor=successor, currency=currency)
    return None


def pass_debts(step: Step, member: str, successor: str) -> Iterator[Event]:
    """What was out on a succeeded debtor is out on its successor, whose own limits hold."""
    for currency, credit in _out_on(step, member):
        theirs = credit_of(step, successor, currency)
        step.put(msgspec.structs.replace(theirs, outstanding=theirs.outstanding + credit.outstanding))
        step.put(msgspec.structs.replace(credit, outstanding=ZERO, passed_to=successor))
        yield SUCCEEDED_IN(credit.id, (member, successor), member=member, successor=successor)


def _out_on(step: Step, member: str) -> list[tuple[str, DebtorCredit]]:
    """The currencies in which something is out on `member`, with the rows."""
    rows = [step.at(row.split("/", 2)[2]) for row in step.index_range(f"live/{member}/credit/")]
    return [(row.id.partition(".")[2], row) for row in rows if isinstance(row, DebtorCredit)]
