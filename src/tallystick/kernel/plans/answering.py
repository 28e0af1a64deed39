"""Answers to evidence: who is named accepts, certifying an amount, or sends back with a reason, each once in a round.

Silence to the end of the time to answer counts as the terms say. Source: DOMAIN section 3, "Tranche".
"""

from collections.abc import Iterator
from typing import Annotated, assert_never

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Code, Currency, EvidenceId
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.plans.cases import Answer, Answered, Evidence, EvidenceState
from tallystick.kernel.plans.conditions import could_still_be_met, only_facts_missing, persons_of
from tallystick.kernel.plans.escrow import amount_of, with_tranche
from tallystick.kernel.plans.evidence import (
    AboutEvidence,
    audience_of,
    carry_on,
    check_amount,
    check_not_payee,
    check_round,
    missing_kind,
    present_round,
)
from tallystick.kernel.plans.lookup import version_of
from tallystick.kernel.plans.records import Phase, Plan, PlanVersion, TrancheTerms
from tallystick.kernel.plans.releasing import give_up, look_or_leave, open_units
from tallystick.kernel.plans.rounds import answered, known_of, open_round, unanswered
from tallystick.kernel.products.records import Silence
from tallystick.kernel.wages.releasing import check_certified
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

ACCEPTED = EventKind(
    "evidence.accepted", "{by} accepts {record} for tranche {tranche} of {plan} and certifies {units} {currency}."
)
REJECTED = EventKind("evidence.rejected", "{by} sends {record} for tranche {tranche} of {plan} back ({reason}).")
SENT_BACK = EventKind(
    "evidence.sent_back", "Evidence {record} can't verify tranche {tranche} of {plan} any more; {left} rounds are left."
)
SILENT = EventKind(
    "evidence.silent",
    "The time to answer {record} for tranche {tranche} of {plan} is over: silence means {on_silence}.",
)


class _Answering(AboutEvidence):
    """What accepting and sending back have in common: one answer for each who is named, in the round that it names."""

    def _named(self, plan: Plan, terms: TrancheTerms) -> tuple[str, ...]:
        return persons_of(terms.condition, plan.payer, plan.platform)

    def _check_answer(self, step: Step, plan: Plan, version: PlanVersion, named: str | None) -> Refusal | None:
        """Whether the signers may answer the round `named` now."""
        refusal = check_round(step, plan, version, self.tranche)
        if refusal is not None:
            return refusal
        tranche, terms = plan.tranches[self.tranche - 1], version.tranches[self.tranche - 1]
        signing = self._signing(step, plan, terms)
        refusal = check_not_payee(plan, signing)
        if refusal is not None:
            return refusal
        evidence = open_round(step, tranche)
        if evidence is not None and (evidence.claimed is not None or evidence.materials or named is not None):
            if named != evidence.id:
                return refuse(Status.WRONG_STATE, evidence=evidence.id, stated=named or "none")
        elif named is not None:
            return refuse(Status.WRONG_STATE, tranche=self.tranche, stated=named)
        missing = missing_kind(evidence, terms)
        if missing is not None:
            return refuse(Status.MATERIAL_DIFFERS, missing=missing)
        if evidence is None:
            return None
        over = tranche.answer_by is not None and step.now > tranche.answer_by
        if over or evidence.silent_at is not None:
            return refuse(Status.DEADLINE_PASSED, evidence=evidence.id, answer_by=tranche.answer_by or "over")
        said = frozenset(who for each in Answer for who, _ in answered(step, plan, terms, evidence, each))
        for who in signing:
            if who in said:
                return refuse(Status.ALREADY_DECIDED, evidence=evidence.id, organisation=who)
        return None


class AcceptEvidence(_Answering, tag="evidence.accept"):
    """Confirm what a tranche's condition asks of the signer, and certify the amount; each once in a round.

    Signed by the payer, the platform or a verifier, as the condition names them. A fixed amount is certified whole, an
    amount up to the tranche's at most as claimed. `evidence` is the round that is answered; it may be left out only
    where nothing was submitted in it, and then `version` is the plan's that the signer has read (else plan_differs).
    Source: DOMAIN section 3, "Tranche".
    """

    currency: Currency
    units: Units
    evidence: EvidenceId | None = None
    version: Annotated[int, Meta(ge=1)] = 1
    findings: Anchor | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        version = version_of(step, plan)
        refusal = self._check_answer(step, plan, version, self.evidence)
        if refusal is not None:
            return refusal
        if self.evidence is None and self.version != plan.version:
            return refuse(Status.PLAN_DIFFERS, plan=plan.id, version=plan.version, stated=self.version)
        if self.currency != plan.currency:
            return refuse(Status.CURRENCY_MISMATCH, plan=plan.currency, stated=self.currency)
        tranche, terms = plan.tranches[self.tranche - 1], version.tranches[self.tranche - 1]
        refusal = check_certified(step, plan.id, self.tranche, self.units) if terms.wages else None
        if refusal is not None:
            return refusal
        evidence = open_round(step, tranche)
        claimed = None if evidence is None else evidence.claimed
        return check_amount(tranche, terms, amount_of(tranche, terms) if claimed is None else claimed, self.units)

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        version = version_of(step, plan)
        evidence = present_round(step, plan, version, self.tranche)
        for who in self._signing(step, plan, version.tranches[self.tranche - 1]):
            given = Answered(by=who, answer=Answer.ACCEPT, at=step.now, certified=self.units, findings=self.findings)
            evidence = replace(evidence, answers=(*evidence.answers, given))
            yield ACCEPTED(
                evidence.id,
                audience_of(plan),
                by=who,
                plan=plan.id,
                tranche=self.tranche,
                units=self.units,
                currency=plan.currency,
            )
        yield from carry_on(step, plan, version, evidence)


class SendBackEvidence(_Answering, tag="evidence.send_back"):
    """Answer a round of evidence with no, and why; each once in a round.

    Signed by the payer, the platform or a verifier, as the condition names them. The round ends as soon as the answers
    leave no way to satisfy the condition; the tranche then waits for the next, of which there are so many as the
    plan allows. Source: DOMAIN section 3, "Tranche".
    """

    evidence: EvidenceId
    reason: Code
    findings: Anchor | None = None

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        return self._check_answer(step, plan, version_of(step, plan), self.evidence)

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        version = version_of(step, plan)
        terms = version.tranches[self.tranche - 1]
        evidence = present_round(step, plan, version, self.tranche)
        for who in self._signing(step, plan, terms):
            given = Answered(by=who, answer=Answer.SEND_BACK, at=step.now, reason=self.reason, findings=self.findings)
            evidence = replace(evidence, answers=(*evidence.answers, given))
            yield REJECTED(
                evidence.id, audience_of(plan), by=who, plan=plan.id, tranche=self.tranche, reason=self.reason
            )
        step.put(evidence)
        if not could_still_be_met(terms.condition, known_of(step, plan, version, self.tranche, step.now)):
            yield from _end_round(step, plan, evidence)


def _end_round(step: Step, plan: Plan, evidence: Evidence) -> Iterator[Event]:
    """The answers left no way to satisfy the condition: the tranche waits for another round, if one is left."""
    tranche = plan.tranches[evidence.tranche - 1]
    step.put(replace(evidence, state=EvidenceState.SENT_BACK))
    waiting = replace(tranche, phase=Phase.WAITING, rounds=tranche.rounds + 1, answer_by=None)
    plan = with_tranche(plan, evidence.tranche, waiting)
    step.put(plan)
    yield SENT_BACK(
        evidence.id,
        audience_of(plan),
        plan=plan.id,
        tranche=evidence.tranche,
        left=max(version_of(step, plan).terms.evidence_rounds - waiting.rounds, 0),
    )


def end_answer_window(step: Step, plan: Plan, version: PlanVersion, number: int) -> Iterator[Event]:
    """Due work at the end of the time to answer: what the silence of those who are named means.

    Nobody is silent if only a day, a document or a data source's statement is missing, or who would have to answer is
    no longer there: then the release window goes on.
    """
    tranche, terms = plan.tranches[number - 1], version.tranches[number - 1]
    evidence = open_round(step, tranche)
    if evidence is None:
        raise InvariantViolation(f"tranche {number} of {plan.id} awaits no answer")
    plan = with_tranche(plan, number, replace(tranche, answer_by=None))
    step.put(plan)
    known = known_of(step, plan, version, number, step.now)
    if only_facts_missing(terms.condition, known) or not unanswered(step, plan, terms, evidence):
        return
    yield SILENT(evidence.id, audience_of(plan), plan=plan.id, tranche=number, on_silence=terms.on_silence.value)
    match terms.on_silence:
        case Silence.ACCEPT:
            step.put(replace(evidence, silent_at=tranche.answer_by))
            yield from look_or_leave(step, plan, version, number)
        case Silence.DISPUTE:
            at_stake = open_units(tranche, terms)
            asked = at_stake if evidence.claimed is None else Units(min(int(evidence.claimed), int(at_stake)))
            yield from give_up(step, plan, version, number, asked, "silence")
        case _:
            assert_never(terms.on_silence)
