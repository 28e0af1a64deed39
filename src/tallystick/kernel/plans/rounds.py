"""Rounds of evidence as the condition sees them: what came, who answered, and what amount that certifies.

One round at a time. One that is sent back keeps its statements for the next: what a data source signed stays true. The
answers and materials of a round count for that round alone.
"""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.records import Member
from tallystick.kernel.membership.rules import present_party
from tallystick.kernel.plans.cases import Answer, Answered, Evidence, EvidenceState
from tallystick.kernel.plans.conditions import Known, Met, evaluate, persons_of
from tallystick.kernel.plans.days import opens_of
from tallystick.kernel.plans.escrow import amount_of, missing_in
from tallystick.kernel.plans.records import Phase, Plan, PlanVersion, TrancheState, TrancheTerms
from tallystick.kernel.products.records import Method
from tallystick.kernel.wages.releasing import check_certified, sheet_claim
from tallystick.wire.amounts import Units
from tallystick.wire.instants import Instant

BY_PERSONS = (Method.PAYER, Method.PLATFORM, Method.VERIFIERS)


def round_of(step: Step, tranche: TrancheState) -> Evidence | None:
    """The last round of a tranche, in whatever state, or None before the first."""
    return None if tranche.evidence is None else step.get(Evidence, tranche.evidence)


def open_round(step: Step, tranche: TrancheState) -> Evidence | None:
    """The round under way, if any."""
    return round_of(step, tranche) if tranche.phase is Phase.EVIDENCE_IN else None


def close_round(step: Step, tranche: TrancheState) -> None:
    """The tranche ended otherwise: nobody needs to answer its open round any more. Others stay as they are."""
    evidence = round_of(step, tranche)
    if evidence is not None and evidence.state is EvidenceState.OPEN:
        step.put(replace(evidence, state=EvidenceState.CLOSED))


def certifiers(plan: Plan, terms: TrancheTerms) -> tuple[str, ...]:
    """Who is named to confirm, and may: the payee never confirms for itself, in whatever office."""
    return tuple(name for name in persons_of(terms.condition, plan.payer, plan.platform) if name != plan.payee)


def answered(
    step: Step, plan: Plan, terms: TrancheTerms, evidence: Evidence, answer: Answer
) -> Iterator[tuple[str, Answered]]:
    """Who gave this answer in the round, by the names of today, with what was said.

    The successor of a payer or platform stands where it stood; a verifier's office is its own and passes to nobody.
    """
    named = certifiers(plan, terms)
    for given in evidence.answers:
        who = given.by if given.by in named else present_party(step, given.by)
        if given.answer is answer and who in named:
            yield who, given


def unanswered(step: Step, plan: Plan, terms: TrancheTerms, evidence: Evidence) -> tuple[str, ...]:
    """Who is named, still on the chain, and said nothing in the round. Who is gone counts as not confirming."""
    said = frozenset(who for answer in Answer for who, _ in answered(step, plan, terms, evidence, answer))
    rows = (step.find(Member, name) for name in certifiers(plan, terms) if name not in said)
    return tuple(row.id for row in rows if row is not None and row.is_member)


def known_of(step: Step, plan: Plan, version: PlanVersion, number: int, now: Instant) -> Known:
    """What is known about a tranche at `now`, from the anchored version and its evidence alone."""
    terms = version.tranches[number - 1]
    evidence = round_of(step, plan.tranches[number - 1])
    counts = evidence is not None and evidence.state in (EvidenceState.OPEN, EvidenceState.MET)
    stated: dict[tuple[str, str], Instant] = {}
    submitted: dict[str, tuple[Instant, str]] = {}
    accepted: dict[str, Instant] = {}
    silent: tuple[str, ...] = ()
    sent_back: tuple[str, ...] = ()
    for each in () if evidence is None else evidence.statements:
        if each.by != plan.payee:
            stated.setdefault((each.by, each.anchor.kind), each.at)
    if evidence is not None and counts:
        for each in evidence.materials:
            submitted.setdefault(each.anchor.kind, (each.at, each.by))
        accepted = {who: given.at for who, given in answered(step, plan, terms, evidence, Answer.ACCEPT)}
        sent_back = tuple(who for who, _ in answered(step, plan, terms, evidence, Answer.SEND_BACK))
        if evidence.silent_at is not None:
            silent = unanswered(step, plan, terms, evidence)
            accepted.update(dict.fromkeys(silent, evidence.silent_at))
    return Known(
        now=now,
        payer=plan.payer,
        platform=plan.platform,
        opens=opens_of(version),
        materials=terms.kinds,
        accepted=accepted,
        silent=frozenset(silent),
        sent_back=frozenset(sent_back),
        submitted=submitted,
        stated=stated,
        evidence=None if evidence is None else evidence.id,
    )


class Verified(NamedTuple):
    """A condition that holds: by what, and the amount that this certifies."""

    met: tuple[Met, ...]
    certified: Units


def verified(step: Step, plan: Plan, version: PlanVersion, number: int, now: Instant) -> Verified | None:
    """Whether a tranche's condition held at `now`, and what that certifies; nothing before all its money has come.

    Evidence comes for a funded tranche alone; a deposit that is reversed then delays the release and not this.
    """
    tranche, terms = plan.tranches[number - 1], version.tranches[number - 1]
    if tranche.phase is Phase.WAITING and missing_in(tranche, terms):
        return None
    met = evaluate(terms.condition, known_of(step, plan, version, number, now))
    certified = None if met is None else _certified(step, plan, terms, number, met)
    return None if met is None or certified is None else Verified(met, certified)


def _certified(step: Step, plan: Plan, terms: TrancheTerms, number: int, met: tuple[Met, ...]) -> Units | None:
    """The fixed amount; or, up to it, the lowest of the acceptances that count, at most what is claimed.

    Wages are certified whole, as the sum of their lines. None where nobody has certified an amount yet.
    """
    tranche = plan.tranches[number - 1]
    whole = amount_of(tranche, terms)
    if terms.wages:
        claimed = sheet_claim(step, plan.id, number)
        if claimed is None or check_certified(step, plan.id, number, claimed) is not None:
            return None
        return claimed if claimed == whole or (terms.up_to and claimed < whole) else None
    if not terms.up_to:
        return whole
    evidence = round_of(step, tranche)
    if evidence is None:
        return None
    counted = frozenset(who for one in met if one.method in BY_PERSONS for who in one.by)
    amounts = [
        given.certified
        for who, given in answered(step, plan, terms, evidence, Answer.ACCEPT)
        if given.certified is not None and who in counted
    ]
    asked = whole if evidence.claimed is None else evidence.claimed
    silent = any(one.by_silence for one in met)
    return Units(min(whole, asked, *amounts)) if amounts or silent else None
