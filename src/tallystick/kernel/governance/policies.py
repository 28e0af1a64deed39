"""The consortium's policies: deadlines, quorums and limits that its governors set, each version from a date on.

One row holds all versions, so that a step reads one row and a later reader sees what held on any day. A version is
never retroactive (OPERATIONS, "Documents, time, rules"). Days are of 24 hours unless a comment says otherwise.
"""

import datetime
from enum import Enum
from typing import Annotated, TypeAlias

from msgspec import Meta

from tallystick.kernel.core.fields import Code, Days, Struct
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.step import Step
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation

Quorum: TypeAlias = Annotated[int, Meta(ge=1, le=15)]  # an envelope carries at most 16 signatures
Window: TypeAlias = Annotated[int, Meta(ge=1, le=3_660)]


class Shortfall(Enum):
    """What a debtor's account that cannot pay all parcels pays at maturity (DOMAIN, "Redemption")."""

    NONE = "none"
    PRO_RATA = "pro_rata"


class Policies(Struct):
    """The values in force together. Defaults are DOMAIN's, or what a careful consortium would start with."""

    # who decides
    auditors_needed: Quorum = 1
    governors_needed: Quorum = 1
    platform_reviews_accounts: bool = False
    # membership
    identifier_kinds: tuple[Code, ...] = ("uscc", "lei")
    bank_account_cooling_days: Days = 3
    recovery_waiting_days: Window = 7
    # windows
    review_deadline_days: Window = 10
    confirm_deadline_days: Window = 10
    transfer_accept_days: Window = 5
    quote_days: Window = 14
    reveal_days: Window = 1
    award_days: Window = 5
    contract_days: Window = 5
    settle_days: Window = 5
    receipt_days: Window = 3
    ruling_days: Window = 30
    cancel_registration_days: Window = 5
    redemption_receipt_days: Window = 3
    recourse_claim_days: Window = 30
    recourse_pay_days: Window = 10
    announcement_days: Window = 30
    # products and plans
    payee_copy_suffices: bool = False  # a product may go to review without the payer's copy of the contract
    counter_contract_days: Window = 30
    correction_days: Window = 30
    authorise_days: Window = 15
    draft_contracts_days: Window = 15
    sign_contracts_days: Window = 30
    plan_check_days: Window = 10
    plan_confirm_days: Window = 10
    repropose_days: Window = 30
    amendment_days: Window = 10
    funding_grace_days: Days = 5
    evidence_rounds: Annotated[int, Meta(ge=1, le=16)] = 3
    extensions: Annotated[int, Meta(ge=0, le=16)] = 3  # of a release window whose condition was not met
    negotiation_days: Window = 10
    refund_consent_days: Window = 10
    wage_repair_days: Window = 10  # after the last word on a wage sheet, until what is still open is told
    max_tranches: Annotated[int, Meta(ge=1, le=100)] = 100
    # receivables
    cutoff_days: Days = 3  # business days before the due date
    grace_days: Days = 0
    min_tenor_days: Days = 0
    max_tenor_months: Annotated[int, Meta(ge=1, le=120)] = 12
    max_hops: Annotated[int, Meta(ge=1, le=100)] = 10
    min_split: Units = Units(1)
    max_invoices: Annotated[int, Meta(ge=1, le=500)] = 100
    shortfall: Shortfall = Shortfall.NONE
    # financing
    publish_by_policy: bool = True
    max_quotes: Annotated[int, Meta(ge=1, le=500)] = 100


class PolicyVersion(Struct):
    """The policies that hold from a day on."""

    from_on: datetime.date
    values: Policies


class PolicyBook(Record):
    """All versions of the policies, oldest first. Id `chain`."""

    table = "policies"
    is_rule = True

    versions: tuple[PolicyVersion, ...]

    def on(self, day: datetime.date) -> Policies:
        """The policies in force on `day`."""
        for version in reversed(self.versions):
            if version.from_on <= day:
                return version.values
        raise InvariantViolation(f"no policies are in force on {day}")


def policies_on(step: Step, day: datetime.date) -> Policies:
    """The policies that were in force on `day`, for a window that opened then."""
    return step.get(PolicyBook, "chain").on(day)


def coming_policies(step: Step) -> tuple[Policies, ...]:
    """The policies that are set for later days."""
    versions = step.get(PolicyBook, "chain").versions
    return tuple(version.values for version in versions if version.from_on > step.today)


def policies(step: Step) -> Policies:
    """The policies in force today."""
    return step.recall(("policies",), lambda: step.get(PolicyBook, "chain").on(step.today))
