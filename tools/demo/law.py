"""Chapter 2: the same terms under the law of three days, with three outcomes.

The second and third day are governed by an amended pack that the governors adopt: the six-month cap that was announced
without a date, with a transition that the demo makes up.
"""

import datetime
from dataclasses import dataclass

from msgspec.structs import replace

from tallystick import seeds
from tallystick.kernel.calendar.days import add_months
from tallystick.kernel.law.adopt import AdoptLaw
from tallystick.kernel.law.records import Effect, Judgement, Outcome
from tallystick.kernel.receivables.issue import RequestReceivable
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tools.demo.issuing import confirmation
from tools.demo.joining import CN_BUYER, CN_SUPPLIER
from tools.demo.stage import GOVERNORS, Stage, StoryFault

TENOR_MONTHS = 8
FACE = Units(1_000_000_00)
ANNOUNCED = "cn-tenor-six-months"
AMENDED = "cn-demo.2"
HOLDS_AFTER_DAYS = 10
TRANSITION_DAYS = 20
REASON = "Delivery of made-up machines in three lots; payment after acceptance of the last."


@dataclass(frozen=True, slots=True)
class Judged:
    """How the terms were judged on a day."""

    on: datetime.date
    pack: str
    rule: str
    clause: str
    outcome: str
    receivable: str


def three_dates(stage: Stage) -> list[Judged]:
    """Valid with a reason; valid with a warning, in the transition; refused."""
    with stage.telling.step("Three dates") as step:
        issue_on = stage.today()
        due_on = add_months(issue_on, TENOR_MONTHS)
        holds_from = _amend(stage)
        judged = [_issue(stage, issue_on, due_on, "first")]
        stage.advance_to(stage.morning_of(holds_from))
        judged.append(_issue(stage, issue_on, due_on, "second"))
        stage.advance_to(stage.morning_of(holds_from + datetime.timedelta(days=TRANSITION_DAYS)))
        judged.append(_refuse(stage, issue_on, due_on))
        step.say(
            f"{CN_SUPPLIER} asks {CN_BUYER} three times for {stage.money(FACE, 'CNY')} over {TENOR_MONTHS} months, "
            f"{issue_on} to {due_on}, with the same stated reason. Meanwhile the governors adopt {AMENDED}: the cap of "
            "six months announced in 2026-09, whose date and transition are made up here"
        )
    return judged


def _amend(stage: Stage) -> datetime.date:
    """The governors adopt the pack's next version. Returns the day from which it judges."""
    holds_from = stage.today() + datetime.timedelta(days=HOLDS_AFTER_DAYS)
    pack, adoption = seeds.law_pack("cn")
    cap = tuple(
        replace(
            rule,
            transition_until_on=holds_from + datetime.timedelta(days=TRANSITION_DAYS),
            transition_effect=Effect.WARN,
        )
        for rule in seeds.announced(ANNOUNCED, holds_from)
    )
    stage.do(
        AdoptLaw(
            jurisdiction="cn",
            version=AMENDED,
            from_on=holds_from,
            rules=seeds.amended(pack.rules, cap),
            source="the seed pack and the cap announced in 2026-09; its date and transition are made up for the demo",
            currencies=adoption.currencies,
        ),
        by=GOVERNORS[0],
        also=GOVERNORS[1:],
    )
    return holds_from


def _terms(stage: Stage, issue_on: datetime.date, due_on: datetime.date) -> RequestReceivable:
    return RequestReceivable(
        debtor=stage.id(CN_BUYER),
        creditor=stage.id(CN_SUPPLIER),
        currency="CNY",
        face=FACE,
        issue_on=issue_on,
        due_on=due_on,
        delivered_on=issue_on,
        reason=REASON,
        contracts=(stage.papers.stand_in("contract", f"{CN_SUPPLIER} and {CN_BUYER}"),),
    )


def _issue(stage: Stage, issue_on: datetime.date, due_on: datetime.date, which: str) -> Judged:
    """Ask, confirm, review: the judgement of the block that makes it valid governs."""
    asked = stage.do(_terms(stage, issue_on, due_on), by=CN_SUPPLIER).records[0]
    handling = stage.papers.stand_in("handling", f"the {which} request")
    stage.do(confirmation(stage.get(Receivable, asked), handling), by=CN_BUYER)
    stage.approve_now(stage.get(Receivable, asked).review)
    row = stage.get(Receivable, asked)
    if row.judged is None or not row.judged.findings:
        raise StoryFault(f"nothing was found about the tenor of {asked}")
    return _found(row.id, row.judged)


def _found(receivable: str, judged: Judgement) -> Judged:
    """The finding that weighs most."""
    weighs = [one for one in judged.findings if one.outcome is Outcome.WARNED] or list(judged.findings)
    finding = weighs[0]
    pack = next(version for version in judged.packs if version.startswith("cn-"))
    return Judged(judged.on, pack, finding.rule, finding.clause, f"valid, {finding.outcome.value}", receivable)


def _refuse(stage: Stage, issue_on: datetime.date, due_on: datetime.date) -> Judged:
    facts = stage.refused(
        _terms(stage, issue_on, due_on),
        by=CN_SUPPLIER,
        status=Status.TENOR_OVER_CAP,
        why=f"{TENOR_MONTHS} months where the pack allows six",
    )
    pack, rule, clause = (str(facts[name]) for name in ("pack", "rule", "clause"))
    return Judged(stage.today(), pack, rule, clause, f"refused: {Status.TENOR_OVER_CAP.label}", "")
