"""Claims outside the face: late interest and fixed sums. Shown and demanded, never added to a balance.

The packs that held on the day after the due date, when interest begins to run, give them.
"""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from tallystick.kernel.arithmetic import PERCENT, half_up
from tallystick.kernel.calendar.days import Readable
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.law.facts import LateFacts
from tallystick.kernel.law.rates import rate_on
from tallystick.kernel.law.records import LawBook, LawPack, Matter, Rule
from tallystick.kernel.membership.records import Member
from tallystick.wire.amounts import MAX_UNITS, Rate, Units
from tallystick.wire.errors import InvariantViolation

_DAY = datetime.timedelta(days=1)
_YEAR_DAYS = 365


@dataclass(frozen=True, slots=True)
class Claim:
    """An amount that a rule gives for lateness; `days` and `rate` (percent a year of 365 days) where it is interest.

    `capped`: the sum would exceed what an amount can hold.
    """

    pack: str
    rule: str
    clause: str
    amount: Units
    days: int = 0
    rate: Rate | None = None
    capped: bool = False


def late_interest(state: Readable, facts: LateFacts) -> tuple[Claim, ...] | Refusal:
    """Simple interest from the day after the due date up to and with `until_on`; or reference_rate_missing."""
    days = (facts.until_on - facts.due_on).days
    if days <= 0:
        return ()
    claims = []
    for pack, rule in _rules(state, facts, Matter.LATE_INTEREST):
        rate = _late_rate(state, rule, facts)
        if isinstance(rate, Refusal):
            return rate
        interest = half_up(facts.unpaid * rate * days, PERCENT * _YEAR_DAYS)
        claims.append(
            Claim(
                pack,
                rule.name,
                rule.clause,
                Units(min(interest, MAX_UNITS)),
                days,
                rate,
                capped=interest > MAX_UNITS,
            )
        )
    return tuple(claims)


def fixed_sum(state: Readable, facts: LateFacts) -> tuple[Claim, ...]:
    """The sum due once for a late debt, by its size: `facts.unpaid` is the whole debt as it fell due."""
    if facts.until_on <= facts.due_on:
        return ()
    claims = []
    for pack, rule in _rules(state, facts, Matter.FIXED_SUM):
        figures = rule.figures
        if facts.unpaid < figures["medium_from"]:
            units = figures["small"]
        elif facts.unpaid < figures["large_from"]:
            units = figures["medium"]
        else:
            units = figures["large"]
        claims.append(Claim(pack, rule.name, rule.clause, Units(units)))
    return tuple(claims)


def _rules(state: Readable, facts: LateFacts, matter: Matter) -> Iterator[tuple[str, Rule]]:
    """The rules about `matter` that hold on the day when interest begins to run and are about parties like these."""
    day = facts.due_on + _DAY
    book = state.find("law/chain")
    if not isinstance(book, LawBook):
        return
    for adoption in book.on(day, facts.currency):
        pack = state.find(f"law_pack/{adoption.version}")
        if not isinstance(pack, LawPack):
            raise InvariantViolation(f"the law book names {adoption.version}, which is missing")
        for rule in pack.rules:
            if rule.matter is matter and rule.effect_on(day) is not None and _about(state, rule, facts):
                yield adoption.version, rule


def _about(state: Readable, rule: Rule, facts: LateFacts) -> bool:
    """Whether buyer and seller are of the sizes that the rule is about; no size named: of any."""
    for named, organisation in (("buyers", facts.debtor), ("sellers", facts.creditor)):
        sizes = rule.kinds.get(named)
        if sizes is None:
            continue
        member = state.find(f"member/{organisation}")
        if not isinstance(member, Member) or member.size_class.value not in sizes:
            return False
    return True


def _late_rate(state: Readable, rule: Rule, facts: LateFacts) -> Rate | Refusal:
    """The yearly rate of late interest.

    Without an agreed rate: `without_agreement`, or `over_reference` above the reference rate in force on the last day
    of the half-year before interest begins to run, which then stays (SI 2002/1675 art. 4). An agreed rate stands, but
    not below the `least_agreed` reference rate on the day of the contract (令802号 art. 17).
    """
    if facts.agreed_rate is not None:
        least = rule.kinds.get("least_agreed", ())
        floor = rate_on(state, least[0], facts.contract_on) if least else Rate(0)
        return floor if isinstance(floor, Refusal) else max(facts.agreed_rate, floor)
    if "without_agreement" in rule.figures:
        return Rate(rule.figures["without_agreement"])
    reference = rate_on(state, rule.kinds["reference"][0], _half_year_before(facts.due_on + _DAY))
    return reference if isinstance(reference, Refusal) else Rate(reference + rule.figures["over_reference"])


def _half_year_before(day: datetime.date) -> datetime.date:
    """The 30 June or 31 December before `day`'s half-year."""
    return datetime.date(day.year, 6, 30) if day.month > 6 else datetime.date(day.year - 1, 12, 31)
