"""Scenes of disputes, set by running real operations: an amount of a funded plan is disputed, offered on, ruled on."""

import datetime
from typing import Any

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.cases import Dispute
from tallystick.kernel.plans.conditions import VerifiersAccept
from tallystick.kernel.plans.disputes import ObjectToRelease, OfferSettlement, OpenDispute
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.records import Phase, TrancheTerms
from tallystick.kernel.plans.rulings import AcceptOffer, RuleOnDispute
from tallystick.wire.amounts import Units
from tallystick.wire.instants import Instant
from tests.support.plans import PART, confirmed, funded, plan_of, state_of, tranche
from tests.support.products import Cast
from tests.support.receivables import anchor

TODAY = datetime.date(2026, 3, 2)


def paid_in(c: Cast, *tranches: TrancheTerms, units: int | None = None, **product_fields: Any) -> str:
    """A confirmed plan with all its money in escrow, or the first `units` of it. Returns its id."""
    return funded(c.world, confirmed(c.world, c, *tranches, **product_fields), units)


def objection_of(plan_id: str, units: int, **fields: Any) -> ObjectToRelease:
    """An objection to an amount of a plan's first tranche."""
    said: dict[str, Any] = {"plan": plan_id, "tranche": 1, "currency": "CNY", "reason": "work_incomplete", **fields}
    return ObjectToRelease(units=Units(units), **said)


def dispute_of(plan_id: str, units: int, **fields: Any) -> OpenDispute:
    """A dispute about an amount of a plan's first tranche."""
    said: dict[str, Any] = {"plan": plan_id, "tranche": 1, "currency": "CNY", "reason": "work_incomplete", **fields}
    return OpenDispute(units=Units(units), **said)


def opened_by(c: Cast, operation: Operation, by: str) -> str:
    """The id of the dispute that an operation opened."""
    events = c.world.do(operation, by=by).events
    return next(event.record for event in events if event.kind == "dispute.opened")


def disputed(c: Cast, plan_id: str, units: int, by: str = "", number: int = 1) -> str:
    """A dispute that the payer opened, unless said otherwise. Returns its id."""
    return opened_by(c, dispute_of(plan_id, units, tranche=number), by or c.payer)


def row_of(c: Cast, dispute_id: str) -> Dispute:
    """The committed row of a dispute."""
    found: Dispute = c.world.row(Dispute, dispute_id)
    return found


def offer_of(dispute_id: str, to_payee: int, **fields: Any) -> OfferSettlement:
    """An offer of `to_payee` for the payee."""
    return OfferSettlement(**{"dispute": dispute_id, "currency": "CNY", "to_payee": Units(to_payee), **fields})


def acceptance_of(dispute_id: str, to_payee: int, **fields: Any) -> AcceptOffer:
    """The other side's acceptance."""
    return AcceptOffer(**{"dispute": dispute_id, "currency": "CNY", "to_payee": Units(to_payee), **fields})


def ruling_of(c: Cast, dispute_id: str, to_payee: int, **fields: Any) -> RuleOnDispute:
    """The arbitrator's ruling; what does not go to the payee goes back, unless said otherwise."""
    dispute = row_of(c, dispute_id)
    said: dict[str, Any] = {"currency": "CNY", "to_payer": Units(max(int(dispute.units) - to_payee, 0)), **fields}
    return RuleOnDispute(dispute=dispute_id, to_payee=Units(to_payee), ruling=anchor("ruling", dispute_id), **said)


def last_of_negotiation(c: Cast, dispute_id: str) -> Instant:
    """The last instant at which the sides alone may end a dispute."""
    until = row_of(c, dispute_id).negotiate_until
    assert until is not None
    return until


def in_arbitration(c: Cast, plan_id: str, units: int, by: str = "") -> str:
    """A dispute that the sides did not settle in time. Returns its id."""
    dispute_id = disputed(c, plan_id, units, by)
    c.world.wait(until=last_of_negotiation(c, dispute_id).plus(1))
    return dispute_id


def last_of_long_stop(c: Cast, plan_id: str) -> Instant:
    """The last instant of a plan's long-stop date."""
    until = plan_of(c.world, plan_id).long_stop_at
    assert until is not None
    return until


def verifiable(c: Cast, units: int = PART, **fields: Any) -> TrancheTerms:
    """A step that two of three verifiers certify, released as soon as the objection window of three days is over."""
    said: dict[str, Any] = {
        "fund_by_on": TODAY,
        "release_from_on": TODAY,
        "condition": VerifiersAccept(needed=2, verifiers=c.verifiers),
        **fields,
    }
    return tranche(units, **said)


def claimed(c: Cast, plan_id: str, units: int, number: int = 1) -> str:
    """The payee's claim. Returns the round's id."""
    claim = SubmitEvidence(plan=plan_id, tranche=number, currency="CNY", units=Units(units))
    c.world.do(claim, by=c.payee)
    found = state_of(c.world, plan_id, number).evidence
    assert found is not None
    return found


def certify(c: Cast, plan_id: str, units: int, number: int = 1, by: tuple[str, ...] = ()) -> None:
    """The first two verifiers accept the open round, or the tranche where nothing was submitted."""
    first = state_of(c.world, plan_id, number)
    evidence = first.evidence if first.phase is Phase.EVIDENCE_IN else None
    for name in by or c.verifiers[:2]:
        named: dict[str, Any] = {"evidence": evidence, "version": plan_of(c.world, plan_id).version}
        said = AcceptEvidence(plan=plan_id, tranche=number, currency="CNY", units=Units(units), **named)
        c.world.do(said, by=name)


def verified_plan(c: Cast, certified: int = PART, claim: int = PART, **fields: Any) -> str:
    """A funded plan of one step, verified, with its objection window open. Returns its id."""
    product_fields = {name: fields.pop(name) for name in ("default_split", "fee", "objection_days") if name in fields}
    plan_id = paid_in(c, verifiable(c, up_to=certified != PART or claim != PART, **fields), **product_fields)
    claimed(c, plan_id, claim)
    certify(c, plan_id, certified)
    return plan_id


def last_of_objections(c: Cast, plan_id: str, number: int = 1) -> Instant:
    """The last instant of a tranche's objection window."""
    until = state_of(c.world, plan_id, number).object_until
    assert until is not None
    return until


def settle(c: Cast, dispute_id: str, to_payee: int) -> None:
    """The payer offers, the payee accepts."""
    c.world.do(offer_of(dispute_id, to_payee), by=c.payer)
    c.world.do(acceptance_of(dispute_id, to_payee), by=c.payee)
