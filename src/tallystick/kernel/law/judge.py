"""Judging: each step is held to every rule of every pack that holds on the block's day.

A `Refusal` names the first rule broken, in the order of the packs and within a pack in the order of its rules, with
pack, rule and clause in the facts. Else a `Judgement`, to be stored in the judged record.
"""

from typing import assert_never

from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.law import rules
from tallystick.kernel.law.facts import (
    AccountFacts,
    FinancingFacts,
    FundsFacts,
    IssueFacts,
    RegistrationFacts,
    TransferFacts,
    WageFacts,
)
from tallystick.kernel.law.records import Effect, Finding, Judgement, LawBook, LawPack, Outcome, Rule
from tallystick.wire.status import Status


def judge_issue(step: Step, facts: IssueFacts) -> Judgement | Refusal:
    """The early judgement, at the request; `judge_validity` governs."""
    return _judge(step, facts.currency, facts, rules.ISSUE, reasoned=facts.reason_stated)


def judge_validity(step: Step, facts: IssueFacts) -> Judgement | Refusal:
    """The judgement that governs, in the block that marks the receivable valid."""
    return _judge(step, facts.currency, facts, rules.VALIDITY, reasoned=facts.reason_stated)


def judge_transfer(step: Step, facts: TransferFacts) -> Judgement | Refusal:
    """A transfer: at the request, and again in the block that does it."""
    return _judge(step, facts.currency, facts, rules.TRANSFER)


def judge_financing(step: Step, facts: FinancingFacts) -> Judgement | Refusal:
    """A financing: at the request (without funder), at the contract, and in the block that settles it."""
    return _judge(step, facts.currency, facts, rules.FINANCING, reasoned=facts.scrutinised)


def judge_registration(step: Step, facts: RegistrationFacts) -> Judgement | Refusal:
    """What must be registered before money is paid for an assignment."""
    return _judge(step, facts.currency, facts, rules.REGISTRATION)


def judge_funds(step: Step, facts: FundsFacts) -> Judgement | Refusal:
    """A payment of money for a receivable or a financing."""
    return _judge(step, facts.currency, facts, rules.FUNDS)


def judge_account(step: Step, facts: AccountFacts) -> Judgement | Refusal:
    """Whether a member may hold money on the ledger."""
    return _judge(step, facts.currency, facts, rules.ACCOUNT)


def judge_wages(step: Step, facts: WageFacts) -> Judgement | Refusal:
    """A step of a wage plan."""
    return _judge(step, facts.currency, facts, rules.WAGES)


def _judge(
    step: Step, currency: str, facts: rules.F, predicates: rules.Predicates[rules.F], *, reasoned: bool = False
) -> Judgement | Refusal:
    book = step.find(LawBook, "chain")
    if book is None:
        return Judgement(on=step.today)
    packs: list[str] = []
    findings: list[Finding] = []
    for adoption in book.on(step.today, currency):
        packs.append(adoption.version)
        for rule in step.get(LawPack, adoption.version).rules:
            predicate = predicates.get(rule.matter)
            effect = rule.effect_on(step.today) if predicate is not None else None
            if predicate is None or effect is None or effect is Effect.CLAIM:
                continue
            breach = predicate(step, facts, rule)
            if breach is None:
                continue
            outcome = _outcome(effect, rule, reasoned)
            if isinstance(outcome, Status):
                return refuse(outcome, pack=adoption.version, rule=rule.name, clause=rule.clause, **breach)
            findings.append(Finding(rule=rule.name, clause=rule.clause, outcome=outcome, mark=rule.mark))
    return Judgement(on=step.today, packs=tuple(packs), findings=tuple(findings))


def _outcome(effect: Effect, rule: Rule, reasoned: bool) -> Outcome | Status:
    """What follows from a breach: a finding, or the status that refuses the step."""
    match effect:
        case Effect.REFUSE:
            return rules.STATUSES[rule.matter][0]
        case Effect.REASON:
            return Outcome.REASONED if reasoned else rules.STATUSES[rule.matter][1]
        case Effect.WARN | Effect.CLAIM:
            return Outcome.WARNED
        case _:
            assert_never(effect)
