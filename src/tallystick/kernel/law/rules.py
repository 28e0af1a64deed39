"""How each matter is looked at: whether the facts of a step break a rule, given the rule's figures and kinds.

A predicate returns None, or the facts of the breach; what follows from it is the rule's effect (`law/judge.py`).
Clauses stand in the packs, not here. Source: DOMAIN section 6.
"""

import datetime
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from tallystick.kernel.calendar.days import add_months
from tallystick.kernel.core.step import Step
from tallystick.kernel.law.facts import (
    AccountFacts,
    FinancingFacts,
    FundsFacts,
    IssueFacts,
    RegistrationFacts,
    TransferFacts,
    WageFacts,
)
from tallystick.kernel.law.flags import DebtorFlags
from tallystick.kernel.law.records import Matter, Rule
from tallystick.kernel.membership.records import Member, Role
from tallystick.wire.status import Status

Breach: TypeAlias = dict[str, object] | None
F = TypeVar("F")
Predicates: TypeAlias = Mapping[Matter, Callable[[Step, F, Rule], Breach]]

STATUSES: dict[Matter, tuple[Status, Status]] = {
    Matter.TENOR: (Status.TENOR_OVER_CAP, Status.TENOR_REASON_MISSING),
    Matter.SCRUTINY: (Status.SCRUTINY_MISSING, Status.SCRUTINY_MISSING),
    Matter.PLATFORM: (Status.PLATFORM_UNLICENSED, Status.PLATFORM_UNLICENSED),
    Matter.DEBTORS_PROMISE: (Status.NOT_THE_DEBTORS_PROMISE, Status.NOT_THE_DEBTORS_PROMISE),
    Matter.SEARCH: (Status.SEARCH_MISSING, Status.SEARCH_MISSING),
    Matter.REGISTRATION: (Status.REGISTRATION_MISSING, Status.REGISTRATION_MISSING),
    Matter.CANCELLATION: (Status.REGISTRATION_NOT_CANCELLED, Status.REGISTRATION_NOT_CANCELLED),
    Matter.FUNDS: (Status.FUNDS_OUTSIDE_BANKS, Status.FUNDS_OUTSIDE_BANKS),
    Matter.ARREARS: (Status.DEBTOR_IN_ARREARS, Status.DEBTOR_IN_ARREARS),
    Matter.PAY_WHEN_PAID: (Status.PAY_WHEN_PAID, Status.PAY_WHEN_PAID),
    Matter.PAYMENT_TERM: (Status.PAYMENT_TERM_TOO_LONG, Status.PAYMENT_TERM_REASON_MISSING),
    Matter.WAGE_ACCOUNT: (Status.WAGE_ACCOUNT_MISUSED, Status.WAGE_ACCOUNT_MISUSED),
    Matter.LAYERS: (Status.SPLIT_TOO_DEEP, Status.SPLIT_TOO_DEEP),
}
"""For each matter the refusal where its rule refuses, and where the stated reason that it asks for is missing."""


def _runs_longer(issued_on: datetime.date, due_on: datetime.date, rule: Rule) -> Breach:
    """Tenor in calendar months from issue, held at the month's end (DOMAIN section 4)."""
    last = add_months(issued_on, rule.figures["months"])
    return {"due_on": due_on, "last_day": last} if due_on > last else None


def _tenor(step: Step, facts: IssueFacts, rule: Rule) -> Breach:
    return _runs_longer(facts.issue_on, facts.due_on, rule)


def _scrutiny(step: Step, facts: FinancingFacts, rule: Rule) -> Breach:
    return _runs_longer(facts.issue_on, facts.due_on, rule) if facts.funder else None


def _holds_licence(step: Step, member: Member, rule: Rule, activity: str) -> bool:
    lifting = rule.kinds.get(activity, ())
    return any(
        licence.kind in lifting and (licence.until_on is None or licence.until_on >= step.today)
        for licence in member.licences
    )


def _unlicensed(step: Step, rule: Rule, organisation: str, activity: str) -> Breach:
    """Whether `organisation` is a platform without a licence for `activity`; a platform informs, it does not deal."""
    member = step.get(Member, organisation)
    if not member.has_role(Role.PLATFORM) or _holds_licence(step, member, rule, activity):
        return None
    return {"organisation": organisation, "activity": activity}


def _platform_issues(step: Step, facts: IssueFacts, rule: Rule) -> Breach:
    return _unlicensed(step, rule, facts.debtor, "payer") or _unlicensed(step, rule, facts.creditor, "payee")


def _platform_receives(step: Step, facts: TransferFacts, rule: Rule) -> Breach:
    return _unlicensed(step, rule, facts.receiver, "payee")


def _platform_finances(step: Step, facts: FinancingFacts, rule: Rule) -> Breach:
    return _unlicensed(step, rule, facts.funder, "funder") if facts.funder else None


def _platform_pays(step: Step, facts: FundsFacts, rule: Rule) -> Breach:
    return _unlicensed(step, rule, facts.payer, "payer") or _unlicensed(step, rule, facts.payee, "payee")


def _platform_holds(step: Step, facts: AccountFacts, rule: Rule) -> Breach:
    return _unlicensed(step, rule, facts.member, "money")


def _core_enterprise(step: Step, facts: IssueFacts, rule: Rule) -> Breach:
    if step.get(Member, facts.debtor).has_role(Role.CORE_ENTERPRISE):
        return None
    return {"organisation": facts.debtor, "reason": "not_a_core_enterprise"}


def _promised(step: Step, facts: IssueFacts, rule: Rule) -> Breach:
    if not facts.debtor_confirmed:
        return {"organisation": facts.debtor, "reason": "not_confirmed"}
    return _core_enterprise(step, facts, rule)


def _arrears(step: Step, facts: IssueFacts, rule: Rule) -> Breach:
    flags = step.find(DebtorFlags, facts.debtor)
    if flags is not None:
        for flag in flags.flags:
            if flag.stands_on(step.today):
                return {"organisation": facts.debtor, "flag": flag.kind}
    for row in step.index_range(f"overdue/{facts.debtor}/"):
        return {"organisation": facts.debtor, "overdue": row.rpartition("/")[2]}
    return None


def _between_sizes(step: Step, facts: IssueFacts, rule: Rule) -> bool:
    """Whether buyer and seller are of the sizes that the rule is about; no size named: of any."""
    buyers, sellers = rule.kinds.get("buyers"), rule.kinds.get("sellers")
    if buyers is not None and step.get(Member, facts.debtor).size_class.value not in buyers:
        return False
    return sellers is None or step.get(Member, facts.creditor).size_class.value in sellers


def _pay_when_paid(step: Step, facts: IssueFacts, rule: Rule) -> Breach:
    return {} if facts.pay_when_paid and _between_sizes(step, facts, rule) else None


def _payment_term(step: Step, facts: IssueFacts, rule: Rule) -> Breach:
    starts = [day for day in (facts.delivered_on, facts.invoiced_on) if day is not None]
    last = max(starts, default=facts.issue_on) + datetime.timedelta(days=rule.figures["days"])
    if facts.due_on <= last or not _between_sizes(step, facts, rule):
        return None
    return {"due_on": facts.due_on, "last_day": last}


def _layers(step: Step, facts: TransferFacts | FinancingFacts, rule: Rule) -> Breach:
    limit = rule.figures["layers"]
    return {"layers": facts.layers, "limit": limit} if facts.layers > limit else None


def _search(step: Step, facts: RegistrationFacts, rule: Rule) -> Breach:
    return None if facts.searched else {}


def _registration(step: Step, facts: RegistrationFacts, rule: Rule) -> Breach:
    return None if facts.registered else {}


def _cancellation(step: Step, facts: RegistrationFacts, rule: Rule) -> Breach:
    return {} if facts.uncancelled else None


def _funds(step: Step, facts: FundsFacts, rule: Rule) -> Breach:
    """Ledger money counts where its custodian is a licensed bank; else both bank accounts and a receipt are named."""
    if facts.custodian:
        if _holds_licence(step, step.get(Member, facts.custodian), rule, "custodian"):
            return None
        return {"reason": "custodian_unlicensed", "organisation": facts.custodian}
    for organisation in (facts.payer, facts.payee):
        if step.get(Member, organisation).bank_account is None:
            return {"reason": "bank_account_missing", "organisation": organisation}
    return None if facts.receipt else {"reason": "receipt_missing"}


NOTICE_RUNS = "closed_before_notice_ran"


def _wages(step: Step, facts: WageFacts, rule: Rule) -> Breach:
    closing = facts.closure_notice_days
    if not facts.special_account:
        return {"reason": "not_the_special_account"}
    if not facts.tri_party_agreement:
        return {"reason": "no_tri_party_agreement"}
    if not facts.to_workers_own_accounts:
        return {"reason": "not_a_workers_own_account"}
    if facts.frozen_for_other_reasons:
        return {"reason": "frozen_for_other_reasons"}
    if facts.set_off:
        return {"reason": "set_off"}
    if closing is not None and closing < rule.figures["closure_notice_days"]:
        return {"reason": NOTICE_RUNS, "days": closing}
    return None


ISSUE: Predicates[IssueFacts] = {
    Matter.TENOR: _tenor,
    Matter.PLATFORM: _platform_issues,
    Matter.DEBTORS_PROMISE: _core_enterprise,
    Matter.ARREARS: _arrears,
    Matter.PAY_WHEN_PAID: _pay_when_paid,
    Matter.PAYMENT_TERM: _payment_term,
}
VALIDITY: Predicates[IssueFacts] = {**ISSUE, Matter.DEBTORS_PROMISE: _promised}
TRANSFER: Predicates[TransferFacts] = {Matter.PLATFORM: _platform_receives, Matter.LAYERS: _layers}
FINANCING: Predicates[FinancingFacts] = {
    Matter.SCRUTINY: _scrutiny,
    Matter.PLATFORM: _platform_finances,
    Matter.LAYERS: _layers,
}
REGISTRATION: Predicates[RegistrationFacts] = {
    Matter.SEARCH: _search,
    Matter.REGISTRATION: _registration,
    Matter.CANCELLATION: _cancellation,
}
FUNDS: Predicates[FundsFacts] = {Matter.PLATFORM: _platform_pays, Matter.FUNDS: _funds}
ACCOUNT: Predicates[AccountFacts] = {Matter.PLATFORM: _platform_holds}
WAGES: Predicates[WageFacts] = {Matter.WAGE_ACCOUNT: _wages}
