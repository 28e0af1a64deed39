"""The rows of law: the book of packs, each adopted pack version, and the judgement that a decision stores."""

import datetime
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta

from tallystick.kernel.core.fields import Anchor, Code, Count, Currency, Note, Struct
from tallystick.kernel.core.record import Record

Jurisdiction = Annotated[str, Meta(pattern=r"\A[a-z]{2,8}\Z")]
Version = Annotated[str, Meta(pattern=r"\A[a-z]{2,8}-[a-z0-9][a-z0-9.-]{0,40}\Z")]  # jurisdiction, then its own name


class Mark(Enum):
    """Whether a rule is the law's, or the consortium's own and stricter."""

    LAW = "law"
    POLICY = "policy"


class Effect(Enum):
    """What a rule does to a step that breaks it."""

    REFUSE = "refuse"
    REASON = "reason"  # refused unless a stated reason (or scrutiny) stands beside it; then a finding
    WARN = "warn"  # a finding
    CLAIM = "claim"  # nothing at the step; it gives a claim outside the face when payment is late


class Matter(Enum):
    """What a rule is about; `law/rules.py` and `law/claims.py` say how each is looked at.

    A new rule is data; a new matter is code, and so a new version of the protocol.
    """

    TENOR = "tenor"
    SCRUTINY = "scrutiny"
    PLATFORM = "platform"
    DEBTORS_PROMISE = "debtors_promise"
    SEARCH = "search"
    REGISTRATION = "registration"
    CANCELLATION = "cancellation"
    FUNDS = "funds"
    ARREARS = "arrears"
    PAY_WHEN_PAID = "pay_when_paid"
    PAYMENT_TERM = "payment_term"
    WAGE_ACCOUNT = "wage_account"
    LAYERS = "layers"
    LATE_INTEREST = "late_interest"
    FIXED_SUM = "fixed_sum"


class Rule(Struct):
    """A rule as dated data: what it is about, its clause, effect and figures, and when it holds.

    It holds on the days from `from_on` up to but not including `until_on`; before `transition_until_on` with the
    milder `transition_effect` (none: not at all). Figures are whole numbers (days, months, minor units, rates in
    millionths of a percent); kinds are words (size classes, licence kinds, reference rates).
    """

    name: Code
    matter: Matter
    clause: Note
    effect: Effect
    from_on: datetime.date
    until_on: datetime.date | None = None
    transition_until_on: datetime.date | None = None
    transition_effect: Effect | None = None
    mark: Mark = Mark.LAW
    figures: dict[Code, Count] = msgspec.field(default_factory=dict)
    kinds: dict[Code, tuple[Code, ...]] = msgspec.field(default_factory=dict)

    def effect_on(self, day: datetime.date) -> Effect | None:
        """Its effect on `day`, or None where it does not hold."""
        if day < self.from_on or (self.until_on is not None and day >= self.until_on):
            return None
        if self.transition_until_on is not None and day < self.transition_until_on:
            return self.transition_effect
        return self.effect


class LawPack(Record):
    """One adopted version of a jurisdiction's rules, immutable. Its id is the version."""

    table = "law_pack"
    is_rule = True

    rules: tuple[Rule, ...]
    source: Note
    anchor: Anchor | None = None


class Adoption(Struct):
    """From `from_on` until the jurisdiction's next adoption, this version judges receivables in `currencies`.

    No currency named: in all.
    """

    jurisdiction: Jurisdiction
    version: Version
    from_on: datetime.date
    currencies: tuple[Currency, ...] = ()


class LawBook(Record):
    """Which pack versions judge from which day. Id `chain`; append-only, ascending within a jurisdiction."""

    table = "law"
    is_rule = True

    adoptions: tuple[Adoption, ...] = ()

    def on(self, day: datetime.date, currency: str) -> tuple[Adoption, ...]:
        """What judges a receivable in `currency` on `day`: the latest of each jurisdiction, in order of adoption."""
        latest: dict[str, Adoption] = {}
        for adoption in self.adoptions:
            if adoption.from_on <= day:
                latest[adoption.jurisdiction] = adoption
        return tuple(each for each in latest.values() if not each.currencies or currency in each.currencies)


class Outcome(Enum):
    """What a finding says: a warning, or a rule that was met by a stated reason or scrutiny."""

    WARNED = "warned"
    REASONED = "reasoned"


class Finding(Struct):
    """A rule that had something to say about a step that was let through."""

    rule: Code
    clause: Note
    outcome: Outcome
    mark: Mark = Mark.LAW


class Judgement(Struct):
    """Which pack versions judged a decision, on which day, and what they found. Stored in the judged record."""

    on: datetime.date
    packs: tuple[Version, ...] = ()
    findings: tuple[Finding, ...] = ()
