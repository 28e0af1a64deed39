"""The steps that every release plan takes: proposed, checked, confirmed, funded; its evidence, its sums."""

import datetime
from collections.abc import Sequence
from typing import Any

from tallystick.kernel.accounts.deposits import AnnounceDeposit, Deposit
from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.plans.amending import AmendPlan, ConfirmAmendment
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.proposing import CheckPlan, CheckResult, ConfirmPlan, ProposePlan, terms_hash, total_of
from tallystick.kernel.plans.records import Phase, Plan, PlanVersion, Tranches, TrancheState, TrancheTerms
from tallystick.wire.amounts import Units
from tallystick.wire.instants import HOUR_MS
from tools.demo.issuing import book
from tools.demo.stage import PLAN_PLATFORM, Stage, StoryFault


def days(count: int) -> datetime.timedelta:
    """So many days."""
    return datetime.timedelta(days=count)


def tranche(title: str, units: int, today: datetime.date, release_on: int, until: int, **fields: Any) -> TrancheTerms:
    """One step of a plan, its days counted from `today`; its money is due by the first of them."""
    said: dict[str, Any] = {
        "title": title,
        "fund_by_on": today + days(min(release_on, 5)),
        "fund_units": Units(units),
        "units": Units(units),
        "release_from_on": today + days(release_on),
        "release_until_on": today + days(until),
        **fields,
    }
    return TrancheTerms(**said)


def propose(stage: Stage, payer: str, product: str, currency: str, tranches: Tranches, again: str | None = None) -> str:
    """The payer proposes a plan, or a better one for that which was sent back. Returns its id."""
    proposed = ProposePlan(product=product, currency=currency, total=total_of(tranches), tranches=tranches, plan=again)
    return stage.do(proposed, by=payer).records[0]


def check(stage: Stage, plan: str, result: CheckResult = CheckResult.SEND) -> None:
    """The platform holds the plan against its product, and sends it on or back."""
    draft = stage.get(Plan, plan).draft
    stage.do(CheckPlan(plan=plan, terms=terms_hash(draft), result=result), by=PLAN_PLATFORM)


def confirm(stage: Stage, plan: str) -> PlanVersion:
    """The payee confirms; the plan is on the ledger from here on."""
    row = stage.get(Plan, plan)
    confirmed = ConfirmPlan(plan=plan, currency=row.currency, total=total_of(row.draft), terms=terms_hash(row.draft))
    stage.do(confirmed, by=stage.name(row.payee))
    return version_of(stage, plan)


def agree(stage: Stage, payer: str, product: str, currency: str, tranches: Tranches) -> str:
    """Proposed, sent, confirmed. Returns the plan's id."""
    plan = propose(stage, payer, product, currency, tranches)
    check(stage, plan)
    confirm(stage, plan)
    return plan


def amend(stage: Stage, plan: str, tranches: Tranches) -> PlanVersion:
    """The payer proposes a new version and the payee confirms it."""
    row = stage.get(Plan, plan)
    total = total_of(tranches)
    stage.do(AmendPlan(plan=plan, currency=row.currency, total=total, tranches=tranches), by=stage.name(row.payer))
    consent = ConfirmAmendment(plan=plan, currency=row.currency, total=total, terms=terms_hash(tranches))
    stage.do(consent, by=stage.name(row.payee))
    return version_of(stage, plan)


def version_of(stage: Stage, plan: str) -> PlanVersion:
    """The version in force."""
    return stage.get(PlanVersion, f"{plan}/{stage.get(Plan, plan).version}")


def announce(stage: Stage, plan: str, units: Units) -> str:
    """The payer announces money for the plan. Returns the remittance code."""
    row = stage.get(Plan, plan)
    announced = AnnounceDeposit(plan=plan, currency=row.currency, units=units)
    deposit = stage.do(announced, by=stage.name(row.payer)).records[0]
    return stage.get(Deposit, deposit).code


def pay_in(stage: Stage, plan: str, units: int, code: str) -> None:
    """The bank books what came from the payer under the code."""
    row = stage.get(Plan, plan)
    book(stage, stage.name(row.payer), units, code, currency=row.currency)


def fund_whole(stage: Stage, plan: str) -> Units:
    """The payer announces all that the plan takes, and it comes. Returns it."""
    wanted = Units(sum(terms.fund_units for terms in version_of(stage, plan).tranches))
    pay_in(stage, plan, wanted, announce(stage, plan, wanted))
    return wanted


def state_of(stage: Stage, plan: str, number: int) -> TrancheState:
    """A tranche as it stands."""
    return stage.get(Plan, plan).tranches[number - 1]


def must_be(stage: Stage, plan: str, number: int, phase: Phase) -> TrancheState:
    """A tranche as it stands, which must be in this phase."""
    found = state_of(stage, plan, number)
    if found.phase is not phase:
        raise StoryFault(f"tranche {number} of {plan} is {found.phase.value}, not {phase.value}")
    return found


def pass_objections(stage: Stage, plan: str, number: int) -> TrancheState:
    """Wait until nobody may object to a verified tranche any more; it is then released. Returns it."""
    found = must_be(stage, plan, number, Phase.VERIFIED)
    if found.object_until is None:
        raise StoryFault(f"nobody may object to tranche {number} of {plan}")
    stage.advance_to(max(found.object_until, found.release_at or found.object_until).plus(HOUR_MS))
    return must_be(stage, plan, number, Phase.RELEASED)


def claim(stage: Stage, plan: str, number: int, units: int, materials: Sequence[Anchor]) -> SubmitEvidence:
    """The payee's evidence with what it claims."""
    currency = stage.get(Plan, plan).currency
    return SubmitEvidence(plan=plan, tranche=number, materials=tuple(materials), currency=currency, units=Units(units))


def acceptance(stage: Stage, plan: str, number: int, units: int) -> AcceptEvidence:
    """An acceptance under the version in force, of the evidence that is there, certifying an amount."""
    row = stage.get(Plan, plan)
    return AcceptEvidence(
        plan=plan,
        tranche=number,
        currency=row.currency,
        units=Units(units),
        evidence=row.tranches[number - 1].evidence,
        version=row.version,
    )
