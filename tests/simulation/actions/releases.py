"""Evidence, answers, releases, objections, disputes, settlements and rulings."""

from typing import Any

from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.plans.answering import AcceptEvidence, SendBackEvidence
from tallystick.kernel.plans.cases import Dispute, DisputeState, Evidence
from tallystick.kernel.plans.conditions import VerifiersAccept, leaves, persons_of, sources_of
from tallystick.kernel.plans.disputes import ObjectToRelease, OfferSettlement, OpenDispute, disputable
from tallystick.kernel.plans.escrow import amount_of, missing, missing_in
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.funding import FundPlan
from tallystick.kernel.plans.records import Phase, Plan, TrancheState, TrancheTerms
from tallystick.kernel.plans.releasing import ReleaseTranche
from tallystick.kernel.plans.rulings import AcceptOffer, RuleOnDispute
from tallystick.kernel.plans.sums import sums_of
from tallystick.kernel.wages.records import WageSheet
from tallystick.wire.amounts import Units
from tests.simulation.actions.plans import KINDS, STATEMENTS, confirmed, version_in_force
from tests.simulation.actions.proposals import Proposal, action, admitted, pick, propose
from tests.simulation.founding import paper
from tests.simulation.town import Town

Found = tuple[Plan, int, TrancheState, TrancheTerms]


def tranches(town: Town, *phases: Phase) -> list[Found]:
    """Tranches of active plans in these phases."""
    return [
        (plan, number, tranche, terms)
        for plan in confirmed(town)
        for number, (tranche, terms) in enumerate(
            zip(plan.tranches, version_in_force(town, plan).tranches, strict=True), 1
        )
        if tranche.phase in phases
    ]


def _verifiable(town: Town) -> list[Found]:
    found = tranches(town, Phase.WAITING, Phase.EVIDENCE_IN)
    return found if town.rng.random() < 0.04 else [one for one in found if not missing_in(one[2], one[3])]


def _round(town: Town, tranche: TrancheState) -> Evidence | None:
    row: Evidence | None = None if tranche.evidence is None else town.find(Evidence, tranche.evidence)
    return row if tranche.phase is Phase.EVIDENCE_IN else None


def _anchors(town: Town, terms: TrancheTerms) -> tuple[Anchor, ...]:
    made = tuple(paper(each.kind, "" if each.hash else town.height) for each in terms.materials)
    return made if town.rng.random() < 0.96 else made[1:]


def _claim(town: Town, plan: Plan, number: int, tranche: TrancheState, terms: TrancheTerms) -> int:
    whole = max(int(amount_of(tranche, terms)), 1)
    if terms.wages:
        sheet: Any = town.find(WageSheet, f"{plan.id}/{number}")
        return whole if sheet is None else int(sheet.units)
    return town.rng.randint(1, whole) if terms.up_to and town.rng.random() < 0.7 else whole


@action(70)
def submit_evidence(town: Town) -> Proposal | None:
    found = pick(town.rng, _verifiable(town))
    if found is None:
        return None
    plan, number, tranche, terms = found
    claim = Units(_claim(town, plan, number, tranche, terms))
    asked = SubmitEvidence(
        plan=plan.id, tranche=number, materials=_anchors(town, terms), currency=plan.currency, units=claim
    )
    return propose(plan.payee, asked)


@action(35)
def state_data(town: Town) -> Proposal | None:
    wanting = [one for one in _verifiable(town) if sources_of(one[3].condition)]
    found = pick(town.rng, wanting)
    if found is None:
        return None
    plan, number, _, terms = found
    source, kind = town.rng.choice(sources_of(terms.condition))
    kind = kind if town.rng.random() < 0.95 else town.rng.choice(STATEMENTS)
    stated = SubmitEvidence(plan=plan.id, tranche=number, statement=paper(kind, town.height))
    return propose(source, stated)


@action(8)
def submit_as_verifier(town: Town) -> Proposal | None:
    found = pick(town.rng, _verifiable(town))
    if found is None:
        return None
    plan, number, _, terms = found
    named = [name for leaf in leaves(terms.condition) if isinstance(leaf, VerifiersAccept) for name in leaf.verifiers]
    by = pick(town.rng, named)
    if by is None or not terms.materials:
        return None
    kind = town.rng.choice(terms.kinds) if town.rng.random() < 0.95 else town.rng.choice(KINDS)
    return propose(by, SubmitEvidence(plan=plan.id, tranche=number, materials=(paper(kind, town.height),)))


@action(110)
def accept_evidence(town: Town) -> Proposal | None:
    found = pick(town.rng, _verifiable(town))
    if found is None:
        return None
    plan, number, tranche, terms = found
    by = pick(town.rng, list(persons_of(terms.condition, plan.payer, plan.platform)))
    if by is None:
        return None
    evidence = _round(town, tranche)
    claimed = _claim(town, plan, number, tranche, terms)
    if evidence is not None and evidence.claimed is not None:
        claimed = int(evidence.claimed)
        if terms.up_to and not terms.wages and town.rng.random() < 0.4:
            claimed = town.rng.randint(1, claimed)
    asked = AcceptEvidence(
        plan=plan.id,
        tranche=number,
        currency=plan.currency,
        units=Units(claimed),
        evidence=None if evidence is None else evidence.id,
        version=plan.version if town.rng.random() < 0.97 else plan.version + 1,
    )
    return propose(by, asked)


@action(14)
def send_back_evidence(town: Town) -> Proposal | None:
    found = pick(town.rng, tranches(town, Phase.EVIDENCE_IN))
    if found is None or found[2].evidence is None:
        return None
    plan, number, tranche, terms = found
    by = pick(town.rng, list(persons_of(terms.condition, plan.payer, plan.platform)))
    if by is None or tranche.evidence is None:
        return None
    return propose(by, SendBackEvidence(plan=plan.id, tranche=number, evidence=tranche.evidence, reason="incomplete"))


@action(14)
def release_tranche(town: Town) -> Proposal | None:
    """Somebody asks for a release: mostly of what is verified, now and then of what is not."""
    verified = tranches(town, Phase.VERIFIED)
    ready = [one for one in verified if one[2].object_until is None or one[2].object_until < town.now]
    kind = town.rng.random()
    found = pick(town.rng, ready if kind < 0.85 else verified if kind < 0.93 else tranches(town, *Phase))
    by = pick(town.rng, admitted(town))
    if found is None or by is None:
        return None
    plan, number, tranche, terms = found
    units = amount_of(tranche, terms)
    if tranche.certified is not None:
        units = sums_of(plan, version_in_force(town, plan), number, town.now).paid
    asked = ReleaseTranche(plan=plan.id, tranche=number, currency=plan.currency, units=units)
    return propose(plan.payer if terms.redeems and town.rng.random() < 0.5 else by, asked)


@action(80)
def fund_and_release(town: Town) -> Proposal | None:
    """The payer brings what was taken back from a verified tranche, and releases it in the same transaction."""
    short = [one for one in tranches(town, Phase.VERIFIED) if missing_in(one[2], one[3])]
    found = pick(town.rng, short)
    if found is None:
        return None
    plan, number, _, _ = found
    version = version_in_force(town, plan)
    funded = FundPlan(plan=plan.id, currency=plan.currency, units=missing(plan, version))
    paid = sums_of(plan, version, number, town.now).paid
    released = ReleaseTranche(plan=plan.id, tranche=number, currency=plan.currency, units=paid)
    return propose(plan.payer, funded, released)


def _part(town: Town, most: Units) -> Units:
    units = max(int(most), 1)
    return Units(town.rng.choice((units, town.rng.randint(1, units))) + (1 if town.rng.random() < 0.03 else 0))


@action(16)
def object_to_release(town: Town) -> Proposal | None:
    verified = tranches(town, Phase.VERIFIED)
    late = town.rng.random() < 0.1
    found = pick(town.rng, [one for one in verified if late or (one[2].object_until or 0) > town.now])
    if found is None:
        return None
    plan, number, tranche, terms = found
    by = town.rng.choice((plan.payer, plan.payee)) if not terms.up_to else plan.payee
    by = by if town.rng.random() < 0.5 else plan.payer
    asked = ObjectToRelease(
        plan=plan.id,
        tranche=number,
        currency=plan.currency,
        units=_part(town, disputable(plan, tranche, terms, by)),
        reason="wrong_amount",
    )
    return propose(by, asked)


@action(10)
def open_dispute(town: Town) -> Proposal | None:
    found = pick(town.rng, [one for one in tranches(town, *Phase) if int(one[2].held) or town.rng.random() < 0.1])
    if found is None:
        return None
    plan, number, tranche, terms = found
    by = town.rng.choice((plan.payer, plan.payee))
    asked = OpenDispute(
        plan=plan.id,
        tranche=number,
        currency=plan.currency,
        units=_part(town, disputable(plan, tranche, terms, by)),
        reason="not_as_agreed",
        statement=paper("statement", plan.id),
    )
    return propose(by, asked)


def _disputes(town: Town, *states: DisputeState) -> list[Dispute]:
    rows: list[Dispute] = town.rows(Dispute)
    return [row for row in rows if row.state in states or town.rng.random() < 0.01]


@action(25)
def offer_settlement(town: Town) -> Proposal | None:
    row = pick(town.rng, _disputes(town, DisputeState.OPEN, DisputeState.ARBITRATION))
    if row is None:
        return None
    units = Units(town.rng.choice((0, int(row.units), town.rng.randint(0, int(row.units)))))
    asked = OfferSettlement(dispute=row.id, currency=row.currency, to_payee=units)
    return propose(town.rng.choice((row.payer, row.payee)), asked)


@action(25)
def accept_offer(town: Town) -> Proposal | None:
    row = pick(town.rng, [one for one in _disputes(town, DisputeState.OPEN, DisputeState.ARBITRATION) if one.offer])
    if row is None or row.offer is None:
        return None
    other = row.payee if row.offer.by == row.payer else row.payer
    by = other if town.rng.random() < 0.95 else row.offer.by
    return propose(by, AcceptOffer(dispute=row.id, currency=row.currency, to_payee=row.offer.to_payee))


@action(25)
def rule_on_dispute(town: Town) -> Proposal | None:
    early = town.rng.random() < 0.1
    row = pick(town.rng, _disputes(town, DisputeState.OPEN if early else DisputeState.ARBITRATION))
    if row is None:
        return None
    to_payee = town.rng.choice((0, int(row.units), town.rng.randint(0, int(row.units))))
    to_payer = int(row.units) - to_payee - (1 if town.rng.random() < 0.02 and to_payee < int(row.units) else 0)
    ruled = RuleOnDispute(
        dispute=row.id,
        currency=row.currency,
        to_payee=Units(to_payee),
        to_payer=Units(to_payer),
        ruling=paper("ruling", row.id),
    )
    return propose(row.arbitrator, ruled)
