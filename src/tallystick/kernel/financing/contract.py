"""The contract of client and funder, its review by the auditor, and the auditor's fresh consent after a suspension."""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Currency, FinancingId, MemberId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.financing.lifecycle import (
    check_stated,
    check_undisturbed,
    check_window,
    end,
    in_days,
)
from tallystick.kernel.financing.records import Contract, Financing, FinancingState, Settlement, Verdict
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.law.facts import FinancingFacts
from tallystick.kernel.law.judge import judge_financing
from tallystick.kernel.law.records import Judgement
from tallystick.kernel.membership.limits import check_debtor_limit
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.rules import check_party, check_role, present_party
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.reviews.records import Decision, Review
from tallystick.kernel.reviews.subjects import open_review, register
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

OFFERED = EventKind("financing.contract_offered", "{client} signed the contract of {record}; {funder} signs next.")
SIGNED = EventKind("financing.contract_signed", "Client and funder signed the contract of {record}; review {review}.")
APPROVED = EventKind("financing.approved", "The review approves {record}; it is to be settled until {settle_by}.")
CONSENTED = EventKind("financing.consented", "The auditor consents to the settlement of {record} after a suspension.")


class SignFinancingContract(Operation, tag="financing.sign_contract"):
    """Sign the agreed contract: the client first, which is its consent to hand the parcel on, then the funder.

    Both state the same document, arbitrator and outcome without a ruling. A bank settlement needs an arbitrator. The
    funder's signature carries the handling information and opens the auditor's review (融资处理审核请求).
    """

    financing: FinancingId
    currency: Currency
    units: Units
    document: Anchor
    arbitrator: MemberId | None = None
    without_ruling: Verdict = Verdict.UNLOCK
    handling: Anchor | None = None

    def amount(self) -> tuple[str, Units]:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        financing = step.find(Financing, self.financing)
        if financing is None:
            return refuse(Status.NOT_FOUND, financing=self.financing)
        if financing.state is FinancingState.CLIENT_SIGNED:
            return Signers.all(financing.funder)
        return Signers.all(financing.client)

    def check(self, step: Step) -> Refusal | None:
        financing = step.get(Financing, self.financing)
        refusal = check_window(step, financing, FinancingState.AWARDED, FinancingState.CLIENT_SIGNED) or check_stated(
            financing, self.currency, self.units
        )
        if refusal is not None:
            return refusal
        signs_second = financing.state is FinancingState.CLIENT_SIGNED
        refusal = (
            check_party(step, financing.client if signs_second else financing.funder)
            or check_role(step, financing.funder, Role.FUNDER)
            or check_undisturbed(step, financing)
            or self._check_arbitrator(step, financing)
        )
        if refusal is not None:
            return refusal
        if (self.handling is None) is signs_second:
            return refuse(Status.BAD_VALUE, field="handling", reason="the funder's signature carries it, and only that")
        judgement = _judged(step, financing)
        if isinstance(judgement, Refusal) or not signs_second:
            return judgement if isinstance(judgement, Refusal) else None
        signed = _contract_of(financing)
        if (self.document, self.arbitrator, self.without_ruling) != (
            signed.document,
            signed.arbitrator,
            signed.without_ruling,
        ):
            return refuse(Status.CONTRACT_DIFFERS, document=signed.document.hash)
        return check_debtor_limit(step, financing.debtor, financing.currency, financing.face, financing.funder)

    def _check_arbitrator(self, step: Step, financing: Financing) -> Refusal | None:
        if self.arbitrator is None:
            if financing.settlement is Settlement.BANK:
                return refuse(Status.BAD_VALUE, field="arbitrator", reason="a bank settlement names one")
            return None
        if self.arbitrator in (financing.client, financing.funder, financing.debtor):
            return refuse(Status.SAME_PARTY, organisation=self.arbitrator)
        return check_role(step, self.arbitrator, Role.ARBITRATOR)

    def apply(self, step: Step) -> Iterator[Event]:
        financing = step.get(Financing, self.financing)
        if financing.state is FinancingState.AWARDED:
            contract = Contract(
                document=self.document,
                client_signed=step.position,
                arbitrator=self.arbitrator,
                without_ruling=self.without_ruling,
            )
            step.put(replace(financing, state=FinancingState.CLIENT_SIGNED, contract=contract))
            yield OFFERED(
                financing.id,
                (financing.client, financing.funder),
                client=financing.client,
                funder=financing.funder,
                document=self.document.hash,
            )
            return
        parties = (financing.client, financing.funder)
        review, asked = open_review(step, "financing", financing.id, parties, self.handling)
        contract = replace(_contract_of(financing), funder_signed=step.position, handling=self.handling)
        judgement = _judged(step, financing)
        if isinstance(judgement, Refusal):
            raise InvariantViolation(f"applied although {judgement.status.label}")
        step.put(
            replace(
                financing,
                state=FinancingState.UNDER_REVIEW,
                deadline=None,
                contract=contract,
                review=review.id,
                judged=judgement,
            )
        )
        yield SIGNED(financing.id, parties, document=self.document.hash, review=review.id)
        yield asked


def _contract_of(financing: Financing) -> Contract:
    if financing.contract is None:
        raise InvariantViolation(f"{financing.id} has no contract")
    return financing.contract


def _judged(step: Step, financing: Financing) -> Judgement | Refusal:
    return step.once("judged", lambda: _judge(step, financing))


def _judge(step: Step, financing: Financing) -> Judgement | Refusal:
    receivable = step.get(Receivable, financing.receivable)
    return judge_financing(
        step,
        FinancingFacts(
            requester=financing.client,
            currency=financing.currency,
            issue_on=receivable.issue_on,
            due_on=receivable.due_on,
            funder=financing.funder,
            scrutinised=financing.is_scrutinised,
        ),
    )


class _FinancingReview:
    """What the auditor's review of a signed contract brings about."""

    reviewer_role = Role.AUDITOR

    def check_approval(self, step: Step, review: Review, decision: Decision) -> Refusal | None:
        return check_undisturbed(step, step.get(Financing, review.subject))

    def approved(self, step: Step, review: Review, decision: Decision) -> Iterator[Event]:
        financing = step.get(Financing, review.subject)
        until = in_days(step, policies(step).settle_days)
        step.put(replace(financing, state=FinancingState.APPROVED, approved_on=step.today, deadline=until))
        yield APPROVED(financing.id, (financing.client, financing.funder), review=review.id, settle_by=until)

    def refused(self, step: Step, review: Review, reason: str) -> Iterator[Event]:
        yield from end(step, step.get(Financing, review.subject), FinancingState.REFUSED, reason)

    def expired(self, step: Step, review: Review) -> Iterator[Event]:
        yield from end(step, step.get(Financing, review.subject), FinancingState.EXPIRED, "review_expired")


def _check_seat(step: Step, review: Review, reviewer: str, _role: Role) -> Refusal | None:
    """The debtor has no say in who becomes its creditor."""
    debtor = step.get(Financing, review.subject).debtor
    return refuse(Status.MUST_RECUSE, organisation=reviewer) if reviewer == present_party(step, debtor) else None


register("financing", _FinancingReview(), _check_seat)


class ConsentToSettlement(Operation, tag="financing.consent"):
    """Consent afresh that a fully signed contract be settled although a party to it is suspended.

    Signed by as many auditors as the policies ask for, none of them a party. It holds for suspensions up to then; a
    later one needs a consent of its own.
    """

    financing: FinancingId
    findings: Anchor

    def authority(self, step: Step) -> Signers | Refusal:
        if step.find(Financing, self.financing) is None:
            return refuse(Status.NOT_FOUND, financing=self.financing)
        return Signers.holding(Role.AUDITOR.value, policies(step).auditors_needed)

    def check(self, step: Step) -> Refusal | None:
        financing = step.get(Financing, self.financing)
        refusal = check_window(step, financing, FinancingState.APPROVED, FinancingState.REGISTERED)
        if refusal is not None:
            return refusal
        for name in step.organisations:
            if name in (financing.client, financing.funder, financing.debtor):
                return refuse(Status.MUST_RECUSE, organisation=name)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        financing = step.get(Financing, self.financing)
        step.put(replace(financing, consent=step.position))
        yield CONSENTED(financing.id, (financing.client, financing.funder), findings=self.findings.hash)
