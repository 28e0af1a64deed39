"""Adopting a version of a law pack: from a day that has not begun, and complete enough to be applied."""

import datetime
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Currency, Note
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.quorum import governors
from tallystick.kernel.law.records import Adoption, Effect, Jurisdiction, LawBook, LawPack, Matter, Rule, Version
from tallystick.wire.amounts import MAX_RATE
from tallystick.wire.status import Status

ADOPTED = EventKind("law.adopted", "The law pack {record} judges from {from_on}.")

MAX_RULES = 100
_CLAIMS = frozenset({Matter.LATE_INTEREST, Matter.FIXED_SUM})
_FIGURES: dict[Matter, tuple[str, ...]] = {
    Matter.TENOR: ("months",),
    Matter.SCRUTINY: ("months",),
    Matter.PAYMENT_TERM: ("days",),
    Matter.LAYERS: ("layers",),
    Matter.WAGE_ACCOUNT: ("closure_notice_days",),
    Matter.FIXED_SUM: ("medium_from", "large_from", "small", "medium", "large"),
}
_LARGEST = {"months": 1_200, "days": 36_600, "without_agreement": MAX_RATE - 1, "over_reference": MAX_RATE // 2}


class AdoptLaw(Operation, tag="law.adopt"):
    """Adopt a version of a jurisdiction's law pack, in place of the one before, from a day that has not begun.

    Signed by the governors, m of n. Decisions taken before keep the version that judged them; what is pending is judged
    by the version in force when it is decided. Source: DOMAIN section 6.
    """

    jurisdiction: Jurisdiction
    version: Version
    from_on: datetime.date
    rules: Annotated[tuple[Rule, ...], Meta(max_length=MAX_RULES)]
    source: Note
    currencies: Annotated[tuple[Currency, ...], Meta(max_length=50)] = ()
    anchor: Anchor | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return governors(step)

    def check(self, step: Step) -> Refusal | None:
        if not self.version.startswith(self.jurisdiction + "-"):
            return refuse(Status.BAD_VALUE, version=self.version, jurisdiction=self.jurisdiction)
        if self.from_on <= step.today:
            return refuse(Status.RETROACTIVE, from_on=self.from_on, today=step.today)
        if step.find(LawPack, self.version) is not None:
            return refuse(Status.RECORD_EXISTS, version=self.version)
        for adoption in _book(step).adoptions:
            if adoption.jurisdiction == self.jurisdiction and adoption.from_on >= self.from_on:
                return refuse(Status.BAD_DATES, from_on=self.from_on, adopted_from=adoption.from_on)
        return check_rules(self.rules)

    def apply(self, step: Step) -> Iterator[Event]:
        step.put(LawPack(id=self.version, rules=self.rules, source=self.source, anchor=self.anchor))
        adoption = Adoption(
            jurisdiction=self.jurisdiction,
            version=self.version,
            from_on=self.from_on,
            currencies=self.currencies,
        )
        step.put(LawBook(id="chain", adoptions=(*_book(step).adoptions, adoption)))
        yield ADOPTED(self.version, step.organisations, from_on=self.from_on)


def check_rules(rules: tuple[Rule, ...]) -> Refusal | None:
    """Whether each rule has a name of its own, dates in order, and the figures that its matter is looked at with."""
    names = [rule.name for rule in rules]
    for rule in rules:
        if names.count(rule.name) > 1:
            return refuse(Status.BAD_VALUE, rule=rule.name, reason="two rules have this name")
        dates = [rule.from_on, rule.transition_until_on, rule.until_on]
        given = [day for day in dates if day is not None]
        if given != sorted(set(given)):
            return refuse(Status.BAD_DATES, rule=rule.name)
        if rule.transition_effect is not None and rule.transition_until_on is None:
            return refuse(Status.BAD_VALUE, rule=rule.name, reason="a transition without its end")
        effects = (rule.effect, rule.transition_effect or rule.effect)
        if any((effect is Effect.CLAIM) is not (rule.matter in _CLAIMS) for effect in effects):
            return refuse(Status.BAD_VALUE, rule=rule.name, reason="only late interest and fixed sums give claims")
        fault = _figure_fault(rule)
        if fault:
            return refuse(Status.BAD_VALUE, rule=rule.name, reason=fault)
    return None


def _figure_fault(rule: Rule) -> str:
    for figure in _FIGURES.get(rule.matter, ()):
        if figure not in rule.figures:
            return f"the figure {figure} is missing"
    for figure, largest in _LARGEST.items():
        if rule.figures.get(figure, 0) > largest:
            return f"the figure {figure} is above {largest}"
    if rule.matter is not Matter.LATE_INTEREST or "without_agreement" in rule.figures:
        return ""
    if "over_reference" in rule.figures and rule.kinds.get("reference"):
        return ""
    return "neither without_agreement nor over_reference with its reference is given"


def _book(step: Step) -> LawBook:
    return step.find(LawBook, "chain") or LawBook(id="chain")
