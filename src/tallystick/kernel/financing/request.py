"""Asking for financing: the request that locks units, its publication, its withdrawal."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, NamedTuple

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Currency, FinancingId, Interval, MemberId, ReceivableId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.financing.lifecycle import check_window, end, in_days
from tallystick.kernel.financing.records import Financing, FinancingState, Settlement
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.law.facts import FinancingFacts
from tallystick.kernel.law.judge import judge_financing
from tallystick.kernel.law.records import Judgement
from tallystick.kernel.membership.records import Permitted, Role
from tallystick.kernel.membership.rules import check_permission, check_role, has_role
from tallystick.kernel.receivables import parcels
from tallystick.kernel.receivables.negotiable import check_cut, check_negotiable
from tallystick.kernel.receivables.records import Lock, LockKind, Parcel, Receivable
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status

MAX_INVITED = 64

REQUESTED = EventKind("financing.requested", "Financing {record} of {units} {currency} is asked for.")
PUBLISHED = EventKind(
    "financing.published", "Financing {record} of {units} {currency} is open for quotes until {closes_at}."
)


class RequestFinancing(Operation, tag="financing.request"):
    """Ask for money for a parcel, or for an amount of it (融资申请); its units are locked until the outcome.

    Signed by the parcel's holder, with the permission finance. `interval` names the exact units; else the lowest
    free ones are taken. The discount runs to the due date or, where `accrues_moved_days` says so, to the day that it
    moves to. Where nobody is named in `invited`, every funder is.
    """

    receivable: ReceivableId
    parcel: Interval
    currency: Currency
    units: Units
    settlement: Settlement
    closes_at: Instant
    interval: Interval | None = None
    sealed: bool = False
    accrues_moved_days: bool = False
    invited: Annotated[tuple[MemberId, ...], Meta(max_length=MAX_INVITED)] = ()
    purpose: Anchor | None = None

    def amount(self) -> tuple[str, Units]:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        receivable = step.find(Receivable, self.receivable)
        if receivable is None:
            return refuse(Status.NOT_FOUND, receivable=self.receivable)
        parcel = parcels.find_parcel(step, receivable, self.parcel)
        if parcel is None or parcel.holder not in step.organisations:
            return refuse(Status.RECEIVABLE_NOT_HELD, first=self.parcel.first, last=self.parcel.last)
        return Signers.all(parcel.holder)

    def check(self, step: Step) -> Refusal | None:
        grounds = step.once("grounds", lambda: self._grounds(step))
        return grounds if isinstance(grounds, Refusal) else None

    def _grounds(self, step: Step) -> "_Grounds | Refusal":
        receivable = step.get(Receivable, self.receivable)
        parcel = parcels.find_parcel(step, receivable, self.parcel)
        if parcel is None:
            raise InvariantViolation(f"{self.receivable} lost the parcel that its holder signed for")
        refusal = (
            check_permission(step, parcel.holder, Permitted.FINANCE, self.currency, self.units)
            or check_negotiable(step, receivable)
            or self._check_terms(step, receivable, parcel.holder)
        )
        if refusal is not None:
            return refusal
        interval = self._chosen(step, receivable, parcel)
        if isinstance(interval, Refusal):
            return interval
        refusal = check_cut(step, receivable, parcel, interval)
        if refusal is not None:
            return refusal
        judgement = judge_financing(
            step,
            FinancingFacts(
                requester=parcel.holder,
                currency=receivable.currency,
                issue_on=receivable.issue_on,
                due_on=receivable.due_on,
            ),
        )
        if isinstance(judgement, Refusal):
            return judgement
        return _Grounds(receivable, parcel, interval, judgement)

    def _check_terms(self, step: Step, receivable: Receivable, client: str) -> Refusal | None:
        if self.currency != receivable.currency:
            return refuse(Status.CURRENCY_MISMATCH, currency=receivable.currency)
        latest = in_days(step, policies(step).quote_days)
        if receivable.cutoff_at is not None:
            latest = min(latest, receivable.cutoff_at)
        if client == receivable.debtor:
            return refuse(Status.SAME_PARTY, organisation=client)
        if not step.now < self.closes_at <= latest:
            return refuse(Status.BAD_DATES, closes_at=self.closes_at, latest=latest)
        if list(self.invited) != sorted(set(self.invited)):
            return refuse(Status.BAD_VALUE, field="invited", reason="not sorted and unique")
        for name in self.invited:
            if name in (client, receivable.debtor):
                return refuse(Status.SAME_PARTY, organisation=name)
            refusal = check_role(step, name, Role.FUNDER)
            if refusal is not None:
                return refusal
        return None

    def _chosen(self, step: Step, receivable: Receivable, parcel: Parcel) -> Interval | Refusal:
        frozen = parcels.frozen_units(receivable, step.now)
        if self.interval is None:
            return parcels.choose_units(parcel, frozen, self.units)
        refusal = parcels.check_units(parcel, frozen, self.interval)
        if refusal is not None:
            return refusal
        if self.interval.length != self.units:
            return refuse(Status.AMOUNT_DIFFERS, units=self.interval.length)
        return self.interval

    def apply(self, step: Step) -> Iterator[Event]:
        grounds = step.once("grounds", lambda: self._grounds(step))
        if isinstance(grounds, Refusal):
            raise InvariantViolation(f"applied although {grounds.status.label}")
        receivable, parcel, interval, judgement = grounds
        if receivable.cutoff_at is None or receivable.moved_due_on is None:
            raise InvariantViolation(f"{receivable.id} is valid without a due day")
        financing = Financing(
            id=step.new_id("fin"),
            client=parcel.holder,
            debtor=receivable.debtor,
            receivable=receivable.id,
            interval=interval,
            currency=self.currency,
            settlement=self.settlement,
            sealed=self.sealed,
            state=FinancingState.REQUESTED,
            requested=step.position,
            closes_at=self.closes_at,
            last_at=receivable.cutoff_at,
            discount_until_on=receivable.moved_due_on if self.accrues_moved_days else receivable.due_on,
            deadline=self.closes_at,
            invited=self.invited,
            purpose=self.purpose,
            judged=judgement,
        )
        held = Lock(interval=interval, by=financing.id, kind=LockKind.FINANCING)
        step.put(parcels.lock(step, receivable, parcel, held))
        yield REQUESTED(
            financing.id,
            (financing.client,),
            receivable=receivable.id,
            first=interval.first,
            last=interval.last,
            units=financing.face,
            currency=financing.currency,
            settlement=financing.settlement.value,
            sealed=financing.sealed,
        )
        if policies(step).publish_by_policy:
            yield publish(step, financing)
        else:
            step.put(financing)


class _Grounds(NamedTuple):
    """What a request rests on, once nothing speaks against it."""

    receivable: Receivable
    parcel: Parcel
    interval: Interval
    judgement: Judgement


def publish(step: Step, financing: Financing) -> Event:
    """Show the request to those invited (公示). Of an open invitation, the first funders of the chain are told."""
    step.put(replace(financing, state=FinancingState.PUBLISHED))
    told = financing.invited or tuple(
        row.rpartition("/")[2] for row in islice(step.index_range(f"role/{Role.FUNDER.value}/"), MAX_INVITED)
    )
    return PUBLISHED(
        financing.id,
        (financing.client, *told),
        receivable=financing.receivable,
        debtor=financing.debtor,
        units=financing.face,
        currency=financing.currency,
        settlement=financing.settlement.value,
        sealed=financing.sealed,
        closes_at=financing.closes_at,
        discount_until_on=financing.discount_until_on,
    )


class PublishFinancing(Operation, tag="financing.publish"):
    """Publish a request for financing to those it invites (公示).

    Signed by a funder that is invited, or by the platform. Where the policies say so, a request is published at once.
    """

    financing: FinancingId

    def authority(self, step: Step) -> Signers | Refusal:
        financing = step.find(Financing, self.financing)
        if financing is None:
            return refuse(Status.NOT_FOUND, financing=self.financing)
        if has_role(step, step.actor, Role.PLATFORM):
            return Signers.all(step.actor)
        refusal = check_role(step, step.actor, Role.FUNDER)
        if refusal is not None:
            return refusal
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        financing = step.get(Financing, self.financing)
        refusal = check_window(step, financing, FinancingState.REQUESTED)
        if refusal is not None or has_role(step, step.actor, Role.PLATFORM):
            return refusal
        return check_invited(financing, step.actor)

    def apply(self, step: Step) -> Iterator[Event]:
        yield publish(step, step.get(Financing, self.financing))


def check_invited(financing: Financing, funder: str) -> Refusal | None:
    """Whether the request is meant for `funder`: not_invited, or same_party for its client and its debtor."""
    if financing.invited and funder not in financing.invited:
        return refuse(Status.NOT_INVITED, organisation=funder)
    if funder in (financing.client, financing.debtor):
        return refuse(Status.SAME_PARTY, organisation=funder)
    return None


class WithdrawFinancing(Operation, tag="financing.withdraw"):
    """Take a request for financing back before a quote is awarded; its units are free again.

    Signed by the client that asked.
    """

    financing: FinancingId
    while_suspended = True

    def authority(self, step: Step) -> Signers | Refusal:
        financing = step.find(Financing, self.financing)
        if financing is None:
            return refuse(Status.NOT_FOUND, financing=self.financing)
        return Signers.all(financing.client)

    def check(self, step: Step) -> Refusal | None:
        return check_window(
            step,
            step.get(Financing, self.financing),
            FinancingState.REQUESTED,
            FinancingState.PUBLISHED,
            FinancingState.REVEALING,
            FinancingState.QUOTED,
        )

    def apply(self, step: Step) -> Iterator[Event]:
        yield from end(step, step.get(Financing, self.financing), FinancingState.WITHDRAWN, "withdrawn")
