"""What the law is asked about: the facts of each judged step, filled in by the module whose step it is.

Members are named by id; the law itself looks up their roles, size classes, licences and bank accounts.
"""

import datetime
from dataclasses import dataclass

from tallystick.wire.amounts import Rate, Units


@dataclass(frozen=True, slots=True)
class IssueFacts:
    """A receivable as it is requested, and again in the block that marks it valid.

    `debtor_confirmed`: the debtor itself requested or confirmed it (looked at only by `judge_validity`).
    `reason_stated`: it carries the business reason that a pack may ask for, be it for a long tenor or for a payment
    term agreed within the custom of the trade. `pay_when_paid`: payment depends on a third party's. The payment term
    counts from the latest of `delivered_on` (delivery or acceptance) and `invoiced_on`, else from `issue_on`.
    """

    debtor: str
    creditor: str
    currency: str
    face: Units
    issue_on: datetime.date
    due_on: datetime.date
    delivered_on: datetime.date | None = None
    invoiced_on: datetime.date | None = None
    reason_stated: bool = False
    pay_when_paid: bool = False
    debtor_confirmed: bool = False


@dataclass(frozen=True, slots=True)
class TransferFacts:
    """A parcel handed on. `layers`: hops it will have had since issue, this one included."""

    holder: str
    receiver: str
    currency: str
    layers: int


@dataclass(frozen=True, slots=True)
class FinancingFacts:
    """A parcel financed. `funder` is empty until one is known; `layers` as in `TransferFacts`, 0 until settled.

    `scrutinised`: the funder anchored its assessment of term and trade background.
    """

    requester: str
    currency: str
    issue_on: datetime.date
    due_on: datetime.date
    funder: str = ""
    scrutinised: bool = False
    layers: int = 0


@dataclass(frozen=True, slots=True)
class RegistrationFacts:
    """What stands on the ledger about the central registry when money is about to be paid for an assignment.

    `uncancelled`: an earlier failed settlement of the same parcel still has a registration without a cancellation.
    """

    currency: str
    searched: bool
    registered: bool
    uncancelled: bool = False


@dataclass(frozen=True, slots=True)
class FundsFacts:
    """A payment for a receivable. `custodian` keeps the ledger money it moves in; empty: paid from bank to bank.

    `receipt`: the bank's receipt is anchored (asked for only where no custodian books it).
    """

    payer: str
    payee: str
    currency: str
    custodian: str = ""
    receipt: bool = False


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """An account in which `member` would hold money."""

    member: str
    currency: str


@dataclass(frozen=True, slots=True)
class WageFacts:
    """A wage plan's step: which of the wage account's rules it would meet."""

    currency: str
    special_account: bool
    tri_party_agreement: bool
    to_workers_own_accounts: bool
    frozen_for_other_reasons: bool = False
    set_off: bool = False
    closure_notice_days: int | None = None


@dataclass(frozen=True, slots=True)
class LateFacts:
    """An unpaid amount and how late it is.

    Interest runs from the day after `due_on`; `until_on` is the day of payment, or the day of asking. `agreed_rate` is
    the rate that the contract of `contract_on` names for late payment, if any.
    """

    debtor: str
    creditor: str
    currency: str
    unpaid: Units
    due_on: datetime.date
    until_on: datetime.date
    contract_on: datetime.date
    agreed_rate: Rate | None = None
