"""A plan as the auditor counts it: plain integers by tranche, and the formulas of DOMAIN sections 3 and 4.

Nothing here reads a record of the ledger. Money that comes in fills the reserve for a paying payer's fee, then each
tranche in order; money that is taken back leaves the last tranche first, then the reserve.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from tests.support.audit.plans.conditions import Known, persons
from tests.support.audit.seen import Row
from tests.support.audit.trade import RATE_SCALE, half_up, millionths

COUNTED = (
    "deposited",
    "held",
    "released",
    "refunded",
    "fees",
    "reversed",
    "rolled",
    "disputed",
    "contested",
    "beyond",
    "retained",
    "recovered",
    "given_back",
    "consented",
)
"""The sums of a tranche that are compared with its record."""

INSTANTS = ("fund_until", "release_at", "unmet_at", "answer_by", "object_until", "retained_until")


def share(units: int, rate: str) -> int:
    """`rate` percent of `units`, rounded half up once."""
    return half_up(Fraction(units * millionths(rate), RATE_SCALE))


@dataclass
class Round:
    """One round of evidence. Answers are `(accept or send_back, when, certified)` by who gave them."""

    id: str
    claimed: int | None = None
    materials: list[tuple[str, str]] = field(default_factory=list)
    stated: dict[tuple[str, str], int] = field(default_factory=dict)
    answers: dict[str, tuple[str, int, int | None]] = field(default_factory=dict)
    silent_at: int | None = None

    @property
    def kinds(self) -> set[str]:
        return {kind for _, kind in self.materials}


@dataclass
class Part:
    """A tranche: its terms as they were signed, its money, where it stands."""

    terms: Row
    phase: str = "waiting"
    deposited: int = 0
    held: int = 0
    released: int = 0
    refunded: int = 0
    fees: int = 0
    reversed: int = 0
    rolled: int = 0
    disputed: int = 0
    contested: int = 0
    beyond: int = 0
    retained: int = 0
    recovered: int = 0
    given_back: int = 0
    consented: int = 0
    certified: int | None = None
    rounds: int = 0
    round: Round | None = None
    last: Round | None = None
    extended: int = 0
    overdue: bool = False
    fund_until: int | None = None
    release_at: int | None = None
    unmet_at: int | None = None
    answer_by: int | None = None
    object_until: int | None = None
    retained_until: int | None = None

    @property
    def units(self) -> int:
        return int(self.terms["units"])

    @property
    def wanted(self) -> int:
        return int(self.terms["fund_units"])

    @property
    def is_over(self) -> bool:
        return self.phase in ("released", "ended")

    @property
    def is_dropped(self) -> bool:
        return not self.units and not self.wanted

    @property
    def free(self) -> int:
        return self.held - self.disputed - self.retained

    @property
    def missing(self) -> int:
        """What is still to be deposited for it."""
        return 0 if self.is_over else max(0, self.wanted - (self.deposited - self.reversed - self.given_back))

    @property
    def amount(self) -> int:
        """The most that may be certified: what was agreed, less what the payee gave up of it."""
        return max(0, self.units - max(0, self.consented - max(0, self.wanted - self.units)))

    @property
    def at_stake(self) -> int:
        """What of its money may still become the payee's, and is not disputed."""
        return min(self.free, max(0, self.amount - self.contested))

    @property
    def counts_for(self) -> int:
        """What it takes of its product's cap."""
        return min(self.units, self.released + self.fees + self.held) if self.is_over else self.amount

    def close_windows(self) -> None:
        self.fund_until = self.answer_by = self.object_until = self.unmet_at = None
        self.overdue = False
        self.round = None


@dataclass
class Deal:
    """A plan: parties, the product's terms that it took over, what came in and went out, its tranches."""

    id: str
    product: str
    payer: str
    payee: str
    platform: str
    custodian: str
    arbitrator: str
    currency: str
    draft: list[Row]
    state: str = "proposed"
    terms: Row = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    version: int = 0
    parts: list[Part] = field(default_factory=list)
    amendment: list[Row] | None = None
    opens: dict[str, int] = field(default_factory=dict)
    long_stop_at: int | None = None
    reserve: int = 0
    deposited: int = 0
    released: int = 0
    refunded: int = 0
    fees: int = 0
    reversed: int = 0
    disputes: set[str] = field(default_factory=set)
    refunds: set[str] = field(default_factory=set)
    ended: bool = False

    @property
    def escrow(self) -> str:
        return f"escrow/{self.custodian}/{self.currency}/{self.id}"

    @property
    def held(self) -> int:
        return self.reserve + sum(part.held for part in self.parts)

    @property
    def is_live(self) -> bool:
        return self.version > 0 and not self.ended

    @property
    def payer_bears(self) -> bool:
        return bool(self.terms["fee"]["paid_by"] == "payer")

    def fee_on(self, gross: int) -> int:
        fee = self.terms["fee"]
        return max(share(gross, fee["rate"]), int(fee["minimum"])) if gross else 0

    def fee_for(self, slice_: int) -> int:
        """The fee on what goes to the payee now: on all that did, less what was charged, out of where it may come."""
        before = self.released + (0 if self.payer_bears else self.fees)
        owed = max(0, self.fee_on(before + slice_) - self.fees)
        return min(owed, self.reserve if self.payer_bears else slice_)

    @property
    def missing_reserve(self) -> int:
        if not self.payer_bears or all(part.is_over for part in self.parts):
            return 0
        return max(0, self.fee_on(sum(part.units for part in self.parts)) - self.reserve - self.fees)

    @property
    def missing(self) -> int:
        return self.missing_reserve + sum(part.missing for part in self.parts)

    def fill(self, units: int) -> int:
        """Put `units` where they belong; what found no place is returned."""
        self.deposited += units
        taken = min(units, self.missing_reserve)
        self.reserve += taken
        left = units - taken
        for part in self.parts:
            taken = min(left, part.missing)
            if taken:
                part.deposited += taken
                part.held += taken
                left -= taken
                if not part.missing:
                    part.fund_until, part.overdue = None, False
        return left

    def drain(self, units: int) -> int:
        """Take `units` back; what could not be taken is returned."""
        left = units
        for part in reversed(self.parts):
            taken = min(left, part.free)
            part.held -= taken
            part.reversed += taken
            left -= taken
        taken = min(left, self.reserve)
        self.reserve -= taken
        self.reversed += units - left + taken
        return left - taken

    def roll_on(self, number: int) -> int:
        """Move the free money of tranche `number` to those after it that lack some; how much found a place."""
        giver, moved_ = self.parts[number - 1], 0
        for part in self.parts[number:]:
            taken = min(giver.free, part.missing)
            if taken:
                part.deposited += taken
                part.held += taken
                giver.held -= taken
                giver.rolled += taken
                moved_ += taken
                if not part.missing:
                    part.fund_until, part.overdue = None, False
        return moved_

    @property
    def advances_out(self) -> int:
        """What of the advances the payee got, its fee included, and nothing has recovered yet."""
        got = sum(part.released + part.fees for part in self.parts if part.terms.get("advance"))
        return max(0, got - sum(part.recovered for part in self.parts))

    def sums(self, number: int, now: int) -> dict[str, int]:
        """How a release now would divide what was certified (DOMAIN: certified less recovery less retention)."""
        part = self.parts[number - 1]
        certified = part.certified or 0
        contested = min(part.contested, certified)
        left = certified - contested
        recovered = retained = 0
        if "recovery" in part.terms:
            recovered = min(share(certified, part.terms["recovery"]), self.advances_out, left)
        left -= recovered
        if "retention" in part.terms and part.retained_until is not None and now < part.retained_until:
            retained = min(share(certified, part.terms["retention"]["rate"]), left)
        left -= retained
        return {
            "certified": certified,
            "contested": contested,
            "recovered": recovered,
            "retained": retained,
            "paid": left,
        }

    def known(self, number: int, now: int, present: dict[str, str], members: set[str]) -> Known:
        """What is known of a tranche. `present` says who stands in whose place, `members` who is still there."""
        part = self.parts[number - 1]
        kinds = tuple(each["kind"] for each in part.terms.get("materials", ()))
        found = Known(now, self.payer, self.platform, kinds, self.opens)
        last = part.round or part.last
        if last is not None:
            found.stated = {key for key in last.stated if key[0] != self.payee}
        if part.round is None:
            return found
        found.came = part.round.kinds
        named = self.named(number, found)
        for by, (answer, at, _) in part.round.answers.items():
            who = by if by in named else present.get(by, by)
            if who in named and answer == "accept":
                found.yes[who] = at
            elif who in named:
                found.no.add(who)
        if part.round.silent_at is not None:
            silent = (named & members) - found.yes.keys() - found.no
            found.yes.update(dict.fromkeys(silent, part.round.silent_at))
        return found

    def named(self, number: int, known: Known) -> set[str]:
        """Who is asked to confirm, and may: never the payee for itself."""
        return persons(self.parts[number - 1].terms["condition"], known) - {self.payee}
