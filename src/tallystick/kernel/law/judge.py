"""Judging: each step is held to every rule of every pack that holds on the block's day.

A `Refusal` names the first rule broken, in the order of the packs and within a pack in the order of its rules, with
pack, rule and clause in the facts. Else a `Judgement`, to be stored in the judged record.
"""

from typing import TypeAlias, assert_never

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
from tallystick.kernel.law.records import Effect, Finding, Judgement, LawBook, LawPack, Matter, Outcome, Rule
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status


def judge_issue(step: Step, facts: IssueFacts) -> Judgement | Refusal:
    """The early judgement, at the request; `judge_validity` governs."""
    return _judge(step, "issue", facts.currency, facts, rules.ISSUE, reasoned=facts.reason_stated)


def judge_validity(step: Step, facts: IssueFacts) -> Judgement | Refusal:
    """The judgement that governs, in the block that marks the receivable valid."""
    return _judge(step, "validity", facts.currency, facts, rules.VALIDITY, reasoned=facts.reason_stated)


def judge_transfer(step: Step, facts: TransferFacts) -> Judgement | Refusal:
    """A transfer: at the request, and again in the block that does it."""
    return _judge(step, "transfer", facts.currency, facts, rules.TRANSFER)


def judge_financing(step: Step, facts: FinancingFacts) -> Judgement | Refusal:
    """A financing: at the request (without funder), at the contract, and in the block that settles it."""
    return _judge(step, "financing", facts.currency, facts, rules.FINANCING, reasoned=facts.scrutinised)


def judge_registration(step: Step, facts: RegistrationFacts) -> Judgement | Refusal:
    """What must be registered before money is paid for an assignment."""
    return _judge(step, "registration", facts.currency, facts, rules.REGISTRATION)


def judge_funds(step: Step, facts: FundsFacts) -> Judgement | Refusal:
    """A payment of money for a receivable or a financing."""
    return _judge(step, "funds", facts.currency, facts, rules.FUNDS)


def judge_account(step: Step, member: str, currency: str) -> Judgement | Refusal:
    """Whether `member` may hold money on the ledger."""
    return _judge(step, "account", currency, AccountFacts(member, currency), rules.ACCOUNT)


def judge_wages(step: Step, facts: WageFacts) -> Judgement | Refusal:
    """A step of a wage plan."""
    return _judge(step, "wages", facts.currency, facts, rules.WAGES)


def _judge(
    step: Step,
    stage: str,
    currency: str,
    facts: rules.F,
    predicates: rules.Predicates[rules.F],
    *,
    reasoned: bool = False,
) -> Judgement | Refusal:
    packs = step.recall(("law", stage, currency), lambda: _in_force(step, currency, tuple(predicates)))
    findings: list[Finding] = []
    for version, dated in packs:
        for rule, effect in dated:
            breach = predicates[rule.matter](step, facts, rule)
            if breach is None:
                continue
            outcome = _outcome(effect, rule, reasoned)
            if isinstance(outcome, Status):
                return refuse(outcome, pack=version, rule=rule.name, clause=rule.clause, **breach)
            findings.append(Finding(rule=rule.name, clause=rule.clause, outcome=outcome, mark=rule.mark))
    return Judgement(on=step.today, packs=tuple(version for version, _ in packs), findings=tuple(findings))


_Dated: TypeAlias = tuple[tuple[Rule, Effect], ...]


def _in_force(step: Step, currency: str, matters: tuple[Matter, ...]) -> tuple[tuple[str, _Dated], ...]:
    """The packs that judge `currency` today, each with its rules on `matters` that have an effect."""
    book = step.find(LawBook, "chain")
    if book is None:
        return ()
    packs = []
    for adoption in book.on(step.today, currency):
        rules_of_pack = step.get(LawPack, adoption.version).rules
        on_matters = ((rule, rule.effect_on(step.today)) for rule in rules_of_pack if rule.matter in matters)
        packs.append((adoption.version, tuple((rule, effect) for rule, effect in on_matters if effect is not None)))
    return tuple(packs)


def _outcome(effect: Effect, rule: Rule, reasoned: bool) -> Outcome | Status:
    """What follows from a breach: a finding, or the status that refuses the step."""
    match effect:
        case Effect.REFUSE:
            return rules.STATUSES[rule.matter][0]
        case Effect.REASON:
            return Outcome.REASONED if reasoned else rules.STATUSES[rule.matter][1]
        case Effect.WARN:
            return Outcome.WARNED
        case Effect.CLAIM:
            raise InvariantViolation(f"rule {rule.name} gives a claim where a step is judged")
        case _:
            assert_never(effect)
