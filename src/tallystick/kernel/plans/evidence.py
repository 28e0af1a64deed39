"""Evidence: what a release needs is submitted, in bounded rounds; `answering` says what is answered.

The payee brings its materials and states what it claims; a named verifier may bring materials of its own, a data source
its signed statement. Whatever comes may be what verifies the tranche. Source: DOMAIN section 3, "Tranche".
"""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Currency, PlanId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.plans.cases import Evidence, EvidenceState, Submitted
from tallystick.kernel.plans.conditions import (
    VerifiersAccept,
    leaves,
    sources_of,
)
from tallystick.kernel.plans.escrow import amount_of, missing_in, with_tranche
from tallystick.kernel.plans.lookup import check_tranche, parties_of, version_of
from tallystick.kernel.plans.records import (
    MAX_MATERIALS,
    MAX_SUBMITTED,
    Phase,
    Plan,
    PlanVersion,
    TrancheNumber,
    TrancheState,
    TrancheTerms,
)
from tallystick.kernel.plans.releasing import look
from tallystick.kernel.plans.rounds import open_round, round_of
from tallystick.kernel.wages.releasing import check_certified
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status

SUBMITTED = EventKind(
    "evidence.submitted", "{by} submitted {materials} materials for tranche {tranche} of {plan} ({record})."
)
CLAIMED = EventKind(
    "evidence.claimed",
    "{units} {currency} are claimed for tranche {tranche} of {plan}; answer {record} by {answer_by}.",
)
STATED = EventKind("evidence.stated", "{by} stated {kind} about tranche {tranche} of {plan} ({record}).")


class AboutEvidence(Operation):
    """What every step on evidence shares: it is about one tranche of an active plan."""

    while_suspended = True

    plan: PlanId
    tranche: TrancheNumber

    def _named(self, plan: Plan, terms: TrancheTerms) -> tuple[str, ...]:
        """Who may sign: any of these."""
        raise NotImplementedError(self.name)

    def authority(self, step: Step) -> Signers | Refusal:
        plan = step.find(Plan, self.plan)
        if plan is None:
            return refuse(Status.NOT_FOUND, plan=self.plan)
        refusal = check_tranche(plan, self.tranche)
        if refusal is not None:
            return refusal
        named = self._named(plan, version_of(step, plan).tranches[self.tranche - 1])
        return Signers.one(*named) if named else refuse(Status.NOT_A_PARTY, tranche=self.tranche)

    def _signing(self, step: Step, plan: Plan, terms: TrancheTerms) -> tuple[str, ...]:
        """Those who may and do sign; each of them says it."""
        named = self._named(plan, terms)
        return tuple(name for name in step.organisations if name in named)


def check_not_payee(plan: Plan, signing: tuple[str, ...]) -> Refusal | None:
    """must_recuse for a payee that came to an office in its own cause, as by a succession."""
    return refuse(Status.MUST_RECUSE, organisation=plan.payee) if plan.payee in signing else None


def check_round(step: Step, plan: Plan, version: PlanVersion, number: int) -> Refusal | None:
    """Whether evidence can come or be answered: not over, in the window, in bounded rounds, begun with all its money.

    A deposit that is reversed after that stops no answer: else a payer could bring about a silence, and so take back
    what the payee had earned.
    """
    tranche, terms = plan.tranches[number - 1], version.tranches[number - 1]
    if tranche.phase is Phase.RELEASED:
        return refuse(Status.ALREADY_RELEASED, plan=plan.id, tranche=number)
    if tranche.phase not in (Phase.WAITING, Phase.EVIDENCE_IN):
        return refuse(Status.WRONG_STATE, tranche=number, phase=tranche.phase.value)
    missing = missing_in(tranche, terms)
    if missing and tranche.phase is Phase.WAITING:
        return refuse(Status.NOT_FUNDED, tranche=number, missing=missing)
    if tranche.unmet_at is not None and step.now > tranche.unmet_at:
        return refuse(Status.DEADLINE_PASSED, tranche=number, unmet_at=tranche.unmet_at)
    if tranche.phase is Phase.WAITING and tranche.rounds >= version.terms.evidence_rounds:
        return refuse(Status.TOO_MANY, tranche=number, rounds=tranche.rounds)
    return None


def missing_kind(evidence: Evidence | None, terms: TrancheTerms, coming: tuple[Anchor, ...] = ()) -> str | None:
    """The first of the tranche's materials that is neither in the round nor `coming`."""
    there = (*coming, *(() if evidence is None else (each.anchor for each in evidence.materials)))
    return next((kind for kind in terms.kinds if all(each.kind != kind for each in there)), None)


def _check_materials(terms: TrancheTerms, coming: tuple[Anchor, ...]) -> Refusal | None:
    """material_differs for a kind that was not asked for, or a hash other than the one stated for its kind."""
    wanted = {material.kind: material.hash for material in terms.materials}
    for each in coming:
        if each.kind not in wanted:
            return refuse(Status.MATERIAL_DIFFERS, unknown=each.kind)
        if wanted[each.kind] not in (None, each.hash):
            return refuse(Status.MATERIAL_DIFFERS, kind=each.kind, hash=each.hash)
    return None


def check_claim(step: Step, plan: Plan, version: PlanVersion, number: int, units: Units) -> Refusal | None:
    """Whether `units` may be claimed for a tranche now: exactly its amount, or up to it where the terms say so."""
    refusal = check_round(step, plan, version, number)
    if refusal is not None:
        return refusal
    tranche, terms = plan.tranches[number - 1], version.tranches[number - 1]
    evidence = open_round(step, tranche)
    if evidence is not None and evidence.claimed is not None:
        return refuse(Status.WRONG_STATE, evidence=evidence.id, claimed=evidence.claimed)
    return check_amount(tranche, terms, amount_of(tranche, terms), units)


def check_amount(tranche: TrancheState, terms: TrancheTerms, most: Units, units: Units) -> Refusal | None:
    if not units:
        return refuse(Status.AMOUNT_ZERO)
    if units > most:
        return refuse(Status.OVER_AVAILABLE, available=most, asked=units)
    whole = amount_of(tranche, terms)
    if not terms.up_to and units != whole:
        return refuse(Status.AMOUNT_DIFFERS, computed=whole, stated=units)
    return None


def claim_by_sheet(step: Step, plan: Plan, version: PlanVersion, number: int, units: Units) -> Iterator[Event]:
    """A wage tranche's sheet is complete: it claims its sum, in the open round or in a new one."""
    yield from carry_on(step, plan, version, replace(present_round(step, plan, version, number), claimed=units))


def present_round(step: Step, plan: Plan, version: PlanVersion, number: int) -> Evidence:
    """The open round of a tranche, or a new one, with the statements of the one that was sent back."""
    tranche = plan.tranches[number - 1]
    asked = sources_of(version.tranches[number - 1].condition)
    found = open_round(step, tranche)
    if found is not None:
        return found
    before = round_of(step, tranche)
    return Evidence(
        id=step.new_id("evd"),
        plan=plan.id,
        version=version.version,
        tranche=number,
        round=tranche.rounds + 1,
        state=EvidenceState.OPEN,
        opened=step.position,
        statements=tuple(
            each for each in (() if before is None else before.statements) if (each.by, each.anchor.kind) in asked
        ),
    )


def _is_answerable(evidence: Evidence | None, terms: TrancheTerms) -> bool:
    """Whether there is something to answer: all materials with the claim, or somebody's answer where none are asked."""
    if evidence is None or missing_kind(evidence, terms) is not None:
        return False
    return evidence.claimed is not None or bool(evidence.answers)


def carry_on(step: Step, plan: Plan, version: PlanVersion, evidence: Evidence) -> Iterator[Event]:
    """Write the round and see what it brings about. From when it can be answered, and from the claim, the time runs.

    What came within the release window is answered in its own time, should the window end before.
    """
    number = evidence.tranche
    tranche, terms = plan.tranches[number - 1], version.tranches[number - 1]
    before = open_round(step, tranche)
    claimed = evidence.claimed is not None and (before is None or before.claimed is None)
    changed = replace(tranche, phase=Phase.EVIDENCE_IN, evidence=evidence.id)
    if _is_answerable(evidence, terms) and (claimed or not _is_answerable(before, terms)):
        until = step.now.plus(version.terms.answer_days * DAY_MS)
        unmet_at = None if tranche.unmet_at is None else max(tranche.unmet_at, until)
        changed = replace(changed, answer_by=until, unmet_at=unmet_at)
    step.put(evidence)
    plan = with_tranche(plan, number, changed)
    step.put(plan)
    if claimed:
        yield CLAIMED(
            evidence.id,
            audience_of(plan),
            plan=plan.id,
            tranche=number,
            units=evidence.claimed,
            currency=plan.currency,
            answer_by=changed.answer_by or "complete",
        )
    yield from look(step, plan, version, number)


def audience_of(plan: Plan) -> tuple[str, ...]:
    """Who is told of evidence: the parties, and who is named to confirm or to state something."""
    return (*parties_of(plan), *plan.named)


class SubmitEvidence(AboutEvidence, tag="evidence.submit"):
    """Submit evidence for a funded tranche, within its release window; it opens a round or joins the open one.

    Signed by the payee with every material that the tranche asks for and the amount it claims (the tranche's amount, or
    less where it is paid up to it); by a verifier that the condition names, with materials of its own; or by a named
    data source with its statement of the named kind. Statements outlast a round that is sent back. Source: DOMAIN
    section 3, "Tranche".
    """

    materials: Annotated[tuple[Anchor, ...], Meta(max_length=MAX_MATERIALS)] = ()
    statement: Anchor | None = None
    currency: Currency | None = None
    units: Units | None = None

    def amount(self) -> tuple[str, Units] | None:
        return None if self.currency is None or self.units is None else (self.currency, self.units)

    def _named(self, plan: Plan, terms: TrancheTerms) -> tuple[str, ...]:
        if self.statement is not None:
            return tuple(source for source, _ in sources_of(terms.condition))
        if self.units is not None:
            return (plan.payee,)
        asked = (leaf for leaf in leaves(terms.condition) if isinstance(leaf, VerifiersAccept))
        return tuple(name for leaf in asked for name in leaf.verifiers)

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        version = version_of(step, plan)
        terms = version.tranches[self.tranche - 1]
        refusal = check_round(step, plan, version, self.tranche)
        if refusal is not None:
            return refusal
        evidence = open_round(step, plan.tranches[self.tranche - 1])
        if self.statement is not None:
            return self._check_statement(step, plan, terms, evidence, self.statement)
        if self.units is not None:
            return self._check_payee(step, plan, terms, evidence, self.units)
        return self._check_verifier(step, plan, terms, evidence)

    def _check_statement(
        self, step: Step, plan: Plan, terms: TrancheTerms, evidence: Evidence | None, statement: Anchor
    ) -> Refusal | None:
        signing = self._signing(step, plan, terms)
        refusal = check_not_payee(plan, signing)
        if refusal is not None:
            return refusal
        if self.materials or self.amount() is not None or self.currency is not None or self.units is not None:
            return refuse(Status.BAD_VALUE, field="statement")
        for who in signing:
            if (who, statement.kind) not in sources_of(terms.condition):
                return refuse(Status.MATERIAL_DIFFERS, unknown=statement.kind, organisation=who)
        before = evidence or round_of(step, plan.tranches[self.tranche - 1])
        stated = () if before is None else before.statements
        if any(each.by in signing and each.anchor.kind == statement.kind for each in stated):
            return refuse(Status.ALREADY_DECIDED, kind=statement.kind)
        return None

    def _check_payee(
        self, step: Step, plan: Plan, terms: TrancheTerms, evidence: Evidence | None, units: Units
    ) -> Refusal | None:
        missing = missing_kind(evidence, terms)
        if evidence is not None and evidence.claimed is not None and missing is None:
            return refuse(Status.WRONG_STATE, evidence=evidence.id, claimed=evidence.claimed)
        if self.currency != plan.currency:
            return refuse(Status.CURRENCY_MISMATCH, plan=plan.currency, stated=self.currency or "none")
        tranche = plan.tranches[self.tranche - 1]
        refusal = (
            (check_certified(step, plan.id, self.tranche, units) if terms.wages else None)
            or check_amount(tranche, terms, amount_of(tranche, terms), units)
            or _check_materials(terms, self.materials)
        )
        if refusal is not None:
            return refusal
        missing = missing_kind(evidence, terms, self.materials)
        return None if missing is None else refuse(Status.MATERIAL_DIFFERS, missing=missing)

    def _check_verifier(self, step: Step, plan: Plan, terms: TrancheTerms, evidence: Evidence | None) -> Refusal | None:
        refusal = check_not_payee(plan, self._signing(step, plan, terms))
        if refusal is not None:
            return refusal
        if not self.materials or self.currency is not None:
            return refuse(Status.BAD_VALUE, field="currency" if self.materials else "materials")
        there = 0 if evidence is None else len(evidence.materials)
        room = MAX_SUBMITTED - MAX_MATERIALS  # the payee's own always find a place
        if there + len(self.materials) * len(self._signing(step, plan, terms)) > room:
            return refuse(Status.TOO_MANY, tranche=self.tranche, limit=room)
        return _check_materials(terms, self.materials)

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        version = version_of(step, plan)
        terms = version.tranches[self.tranche - 1]
        evidence = present_round(step, plan, version, self.tranche)
        for who in self._signing(step, plan, terms):
            about = {"by": who, "plan": plan.id, "tranche": self.tranche}
            if self.statement is not None:
                stated = Submitted(by=who, anchor=self.statement, at=step.now)
                evidence = replace(evidence, statements=(*evidence.statements, stated))
                yield STATED(evidence.id, audience_of(plan), kind=self.statement.kind, **about)
            else:
                came = tuple(Submitted(by=who, anchor=anchor, at=step.now) for anchor in self.materials)
                evidence = replace(evidence, materials=(*evidence.materials, *came))
                yield SUBMITTED(evidence.id, audience_of(plan), materials=len(came), **about)
        if self.units is not None and evidence.claimed is None:
            evidence = replace(evidence, claimed=self.units)
        yield from carry_on(step, plan, version, evidence)
