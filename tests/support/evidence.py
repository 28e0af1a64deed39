"""Scenes of evidence and release, set by running real operations on plans of `tests/support/plans.py`."""

from typing import Any

from tallystick.kernel.plans.answering import AcceptEvidence, SendBackEvidence
from tallystick.kernel.plans.cases import Certificate, Evidence
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.records import Material
from tallystick.kernel.plans.releasing import ReleaseTranche
from tallystick.wire.amounts import Units
from tallystick.wire.instants import Instant
from tests.support.plans import plan_of, state_of, version_row
from tests.support.receivables import anchor
from tests.support.world import World

PHOTOS = Material(kind="photos")
INVOICE = Material(kind="invoice", hash=anchor("invoice").hash)


def round_of(world: World, plan_id: str, number: int = 1) -> Evidence:
    """The last round of a tranche."""
    name = state_of(world, plan_id, number).evidence
    assert name is not None
    found: Evidence = world.row(Evidence, name)
    return found


def claim_of(world: World, plan_id: str, units: int | None = None, number: int = 1, **fields: Any) -> SubmitEvidence:
    """The payee's submission: every material, and the amount that it claims (the tranche's, unless said otherwise)."""
    terms = version_row(world, plan_id).tranches[number - 1]
    said: dict[str, Any] = {
        "currency": plan_of(world, plan_id).currency,
        "materials": tuple(anchor(kind) for kind in terms.kinds),
        **fields,
    }
    return SubmitEvidence(plan=plan_id, tranche=number, units=terms.units if units is None else Units(units), **said)


def claimed(world: World, plan_id: str, units: int | None = None, number: int = 1) -> str:
    """A round that waits for answers. Returns its id."""
    world.do(claim_of(world, plan_id, units, number), by=plan_of(world, plan_id).payee)
    return round_of(world, plan_id, number).id


def statement_of(plan_id: str, kind: str, number: int = 1) -> SubmitEvidence:
    """A data source's statement."""
    return SubmitEvidence(plan=plan_id, tranche=number, statement=anchor(kind))


def acceptance_of(
    world: World, plan_id: str, units: int | None = None, number: int = 1, **fields: Any
) -> AcceptEvidence:
    """Somebody's acceptance of the open round, certifying the tranche's amount unless said otherwise."""
    terms, tranche = version_row(world, plan_id).tranches[number - 1], state_of(world, plan_id, number)
    open_now = tranche.evidence if tranche.phase.value == "evidence_in" else None
    plan = plan_of(world, plan_id)
    said: dict[str, Any] = {"currency": plan.currency, "evidence": open_now, "version": plan.version, **fields}
    return AcceptEvidence(plan=plan_id, tranche=number, units=terms.units if units is None else Units(units), **said)


def rejection_of(world: World, plan_id: str, number: int = 1, **fields: Any) -> SendBackEvidence:
    """Somebody's no to the open round."""
    said: dict[str, Any] = {"evidence": state_of(world, plan_id, number).evidence, "reason": "incomplete", **fields}
    return SendBackEvidence(plan=plan_id, tranche=number, **said)


def verified(world: World, plan_id: str, units: int | None = None, number: int = 1) -> str:
    """A tranche that its payer has accepted, whose objection window runs. Returns the plan's id."""
    world.do(acceptance_of(world, plan_id, units, number), by=plan_of(world, plan_id).payer)
    return plan_id


def release_of(world: World, plan_id: str, units: int, number: int = 1, **fields: Any) -> ReleaseTranche:
    """Anybody's request to release what is satisfied."""
    said: dict[str, Any] = {"currency": plan_of(world, plan_id).currency, **fields}
    return ReleaseTranche(plan=plan_id, tranche=number, units=Units(units), **said)


def past(world: World, at: Instant | None) -> None:
    """The first block after the window that ends at `at`."""
    assert at is not None
    world.wait(until=at.plus(1))


def released(world: World, plan_id: str, units: int | None = None, number: int = 1) -> str:
    """A tranche that its payer accepted and whose windows are over: its money is with the payee. Returns the plan."""
    verified(world, plan_id, units, number)
    tranche = state_of(world, plan_id, number)
    opens = [at for at in (tranche.release_at, tranche.object_until and tranche.object_until.plus(1)) if at]
    world.wait(until=max(*opens, world.now))
    return plan_id


def certificates(world: World, plan_id: str) -> list[Certificate]:
    """A plan's release certificates, each sum of which is what it should be, by tranche and in order."""
    names = [name for tranche in plan_of(world, plan_id).tranches for name in tranche.certificates]
    rows: list[Certificate] = [world.row(Certificate, name) for name in names]
    for row in rows:
        parts = row.recovered + row.retained + row.disputed + row.released + row.fees
        assert row.certified == parts, row
        assert row.redeemed <= row.released, row
    return rows
