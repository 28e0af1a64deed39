"""What governors decide, documents, and the sandbox's clock."""

import datetime
from typing import Any

from tallystick import seeds
from tallystick.kernel.calendar.adopt import AdoptCalendar, PublishedYear
from tallystick.kernel.calendar.records import CalendarYear
from tallystick.kernel.documents.anchors import AnchorDocument, Document
from tallystick.kernel.governance.operations import (
    AddCurrency,
    AddValidator,
    AdoptProtocol,
    AdvanceClock,
    RemoveValidator,
    SetPolicy,
)
from tallystick.kernel.law.adopt import AdoptLaw
from tallystick.kernel.law.flags import DebtorFlags, FlagDebtor
from tallystick.kernel.law.rates import AdoptReferenceRate, RateValue, ReferenceRate
from tallystick.kernel.law.records import LawPack
from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.amounts import Rate
from tallystick.wire.instants import HOUR_MS
from tests.simulation.actions.membership import new_key
from tests.simulation.actions.proposals import Proposal, action, admitted, governors, pick, propose, today
from tests.simulation.founding import paper
from tests.simulation.town import Town

DAY = datetime.timedelta(days=1)


def _together(town: Town, operation: Any) -> Proposal | None:
    signers = governors(town)
    return None if signers is None else propose(signers[0], operation, also=signers[1])


@action(2)
def set_policy(town: Town) -> Proposal | None:
    changes: dict[str, Any] = town.rng.choice(
        (
            {"shortfall": town.rng.choice(("none", "pro_rata"))},
            {"cutoff_days": town.rng.choice((0, 1, 4))},
            {"review_deadline_days": town.rng.choice((2, 8)), "grace_days": town.rng.choice((0, 1))},
            {"auditors_needed": town.rng.choice((1, 2))},
            {"settle_days": town.rng.choice((1, 6)), "contract_days": 2},
            {"publish_by_policy": town.rng.random() < 0.5},
            {"min_split": str(town.rng.choice((1, 50)))},
            {"funding_grace_days": town.rng.choice((0, 4)), "evidence_rounds": town.rng.choice((1, 3))},
            {"extensions": town.rng.choice((0, 3)), "negotiation_days": town.rng.choice((1, 6))},
            {"payee_copy_suffices": town.rng.random() < 0.3, "plan_confirm_days": town.rng.choice((1, 8))},
        )
    )
    return _together(town, SetPolicy(changes=changes, from_on=today(town) + DAY * town.rng.choice((1, 9))))


@action(1)
def add_currency(town: Town) -> Proposal | None:
    code = town.rng.choice(("USD", "EUR", "KWD"))
    return _together(town, AddCurrency(currency=code, minor_digits=2, from_on=today(town) + DAY))


@action(1)
def adopt_protocol(town: Town) -> Proposal | None:
    return _together(town, AdoptProtocol(version=town.rng.choice((2, 3, 4)), from_height=town.height + 10**6))


@action(1)
def adopt_law(town: Town) -> Proposal | None:
    pack = pick(town.rng, town.rows(LawPack))
    if pack is None:
        return None
    jurisdiction = pack.id.split("-")[0]
    adopted = AdoptLaw(
        jurisdiction=jurisdiction,
        version=f"{jurisdiction}-v{town.rng.randrange(10**6)}",
        from_on=today(town) + DAY * town.rng.choice((1, 30)),
        rules=tuple(rule for rule in pack.rules if town.rng.random() < 0.95),
        source="simulated amendment",
        currencies=() if jurisdiction == "all" else (("CNY",) if jurisdiction == "cn" else ("GBP",)),
    )
    return _together(town, adopted)


@action(2)
def adopt_calendar(town: Town) -> Proposal | None:
    year = max(int(row.id) for row in town.rows(CalendarYear)) + 1
    if year > today(town).year + 2:
        return None
    published = PublishedYear(year=year, days_off=(), days_on=())
    return _together(town, AdoptCalendar(from_on=today(town) + DAY, source="simulated", years=(published,)))


@action(1)
def adopt_reference_rate(town: Town) -> Proposal | None:
    row: Any = town.find(ReferenceRate, town.rng.choice(seeds.REFERENCE_RATES))
    begins = row.known_until_on + DAY
    adopted = AdoptReferenceRate(
        rate=row.id,
        known_until_on=begins + DAY * 90,
        source="simulated",
        values=(RateValue(from_on=begins, rate=Rate(3_500_000)),),
    )
    return _together(town, adopted)


@action(1)
def flag_debtor(town: Town) -> Proposal | None:
    standing = [(row.id, flag.kind) for row in town.rows(DebtorFlags) for flag in row.flags if flag.cleared_on is None]
    found = pick(town.rng, standing)
    if found is not None:
        cleared = FlagDebtor(
            debtor=found[0], kind=found[1], from_on=today(town) + DAY, evidence=paper("notice"), clears=True
        )
        return _together(town, cleared)
    debtor = pick(town.rng, town.role_holders(Role.CORE_ENTERPRISE))
    if debtor is None:
        return None
    return _together(
        town, FlagDebtor(debtor=debtor, kind="bond_default", from_on=today(town), evidence=paper("notice"))
    )


@action(1)
def advance_clock(town: Town) -> Proposal | None:
    return _together(town, AdvanceClock(to=town.now.plus(town.rng.choice((10**6, 30 * HOUR_MS)))))


@action(1)
def change_validators(town: Town) -> Proposal | None:
    _, public = new_key(town)
    if town.rng.random() < 0.5:
        return _together(town, AddValidator(key=public, validator="another"))
    return _together(town, RemoveValidator(key=public))


@action(3)
def anchor_document(town: Town) -> Proposal | None:
    earlier = pick(town.rng, [row for row in town.rows(Document) if row.later is None])
    if earlier is not None and town.rng.random() < 0.4:
        later = AnchorDocument(
            anchor=paper(earlier.anchor.kind, town.height), subject=earlier.subject, earlier=earlier.id
        )
        return propose(earlier.owner, later)
    by = pick(town.rng, admitted(town))
    about = pick(town.rng, town.rows(Receivable))
    if by is None:
        return None
    return propose(
        by, AnchorDocument(anchor=paper("contract", town.height), subject=None if about is None else about.id)
    )
