"""What waits for an organisation: what it may or must do next, until when, and the command that does it.

Found in the index rows of what is live for the organisation and of the reviews that its roles decide; no table is read
through. What ends by itself without anybody's doing is not listed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tallystick.kernel.accounts.deposits import Deposit, DepositState
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.step import Step
from tallystick.kernel.financing.records import Financing, FinancingState
from tallystick.kernel.membership.records import Member
from tallystick.kernel.membership.rules import present_party
from tallystick.kernel.plans.cases import Dispute, DisputeState, Refund, RefundState
from tallystick.kernel.plans.conditions import persons_of, sources_of
from tallystick.kernel.plans.escrow import missing_in
from tallystick.kernel.plans.evidence import missing_kind
from tallystick.kernel.plans.records import Phase, Plan, PlanState, PlanVersion, TrancheState, TrancheTerms
from tallystick.kernel.plans.rounds import known_of, open_round, unanswered
from tallystick.kernel.products.contracts import signatories
from tallystick.kernel.products.records import Product, ProductState
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.recourse.records import Recourse, RecourseState
from tallystick.kernel.reviews.records import Review
from tallystick.kernel.reviews.subjects import check_seat
from tallystick.kernel.transfers.records import Transfer, TransferState
from tallystick.kernel.wages.records import LineState, WageSheet
from tallystick.kernel.wages.releasing import sheet_claim
from tallystick.ledger.engine import Engine
from tallystick.node.plan_life import failing_text
from tallystick.node.session import Session
from tallystick.wire.amounts import Units
from tallystick.wire.instants import Instant

MOST_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Waits:
    """One thing that waits: for which record, what is to be done, with which amount, until when, by which command."""

    record: str
    what: str
    command: str
    until: Instant | None = None
    units: Units | None = None
    currency: str = ""


def waiting_for(session: Session, member: Member) -> list[Waits]:
    """What waits for `member`, what ends soonest first."""
    step = session.reading_step()
    found = list(_reviews(session.engine, step, member))
    for row in _live(session.engine, step, member.id):
        found.extend(_of(step, row, member.id))
    return sorted(found, key=lambda one: (one.until is None, one.until or Instant(0), one.record, one.command))


def _live(engine: Engine, step: Step, member: str) -> Iterator[Record]:
    for key in engine.labelled(f"live/{member}", MOST_ROWS):
        row = step.at(key)
        if row is not None:
            yield row


def _reviews(engine: Engine, step: Step, member: Member) -> Iterator[Waits]:
    """Reviews that the member may still vote in: not its own cause nor its client's, and not voted in yet."""
    for role in dict.fromkeys(grant.role for grant in member.roles if grant.until is None):
        for key in engine.labelled(f"review_by/{role.value}", MOST_ROWS):
            review = step.at(key)
            if not isinstance(review, Review) or any(vote.reviewer == member.id for vote in review.decisions):
                continue
            apart = (*review.parties, *(present_party(step, name) for name in review.recused))
            if member.id not in apart and check_seat(step, review, member.id, role) is None:
                what = f"decide the review of {review.subject_kind} {review.subject}"
                yield Waits(review.id, what, f"review decide {review.id} --result approve", review.deadline)


def _of(step: Step, row: Record, member: str) -> Iterator[Waits]:
    match row:
        case Product():
            yield from _product(row, member)
        case Plan():
            yield from _plan(step, row, member)
        case Dispute():
            yield from _dispute(step, row, member)
        case Deposit() if row.state is DepositState.IN_SUSPENSE and member == row.custodian:
            command = f"deposit assign {row.id} --account ACCOUNT --with OWNER"
            yield Waits(row.id, "assign what is in suspense, or return it", command, None, row.units, row.currency)
        case Refund() if row.state is RefundState.REQUESTED and member == row.payee:
            command = f"refund consent {row.id}"
            yield Waits(row.id, "consent to the refund, or decline", command, row.deadline, row.units, row.currency)
        case WageSheet():
            yield from _wages(row, member)
        case Receivable():
            yield from _receivable(row, member)
        case Transfer() if row.state is TransferState.REQUESTED and member == row.receiver:
            command = f"transfer accept {row.id} --handling FILE"
            what = "accept the transfer, or decline"
            yield Waits(row.id, what, command, row.deadline, row.interval.length, row.currency)
        case Recourse() if row.state is RecourseState.CLAIMED and member == row.liable:
            command = f"recourse pay {row.id}"
            yield Waits(row.id, "pay the recourse claim, or refuse", command, row.pay_by, row.units, row.currency)
        case Financing():
            yield from _financing(row, member)
        case _:
            return


def _product(row: Product, member: str) -> Iterator[Waits]:
    payer, payee, platform = row.parties
    contract = "--document FILE --contract @contract.toml"
    whose: dict[ProductState, tuple[tuple[str, ...], str, str]] = {
        ProductState.APPLIED: ((payer,), "give your copy of the contract", f"product counter-contract {{}} {contract}"),
        ProductState.DIFFERS: ((payer, payee), "correct your copy, if it erred", f"product correct {{}} {contract}"),
        ProductState.AUTHORISATION_REQUESTED: ((payer,), "authorise the product, or decline", "product authorise {}"),
        ProductState.AUTHORISED: ((platform,), "draw up the three contracts", "product contracts {} --hand-in"),
    }
    who, what, command = whose.get(row.state, ((), "", ""))
    if member in who:
        yield Waits(row.id, what, command.format(row.id), row.deadline, row.terms.cap, row.terms.currency)
    if row.state is not ProductState.CONTRACTS:
        return
    for contract_row in row.contracts:
        signed = {signature.member for signature in contract_row.signatures}
        if member in signatories(row, contract_row.kind) and member not in signed:
            kind = contract_row.kind.value
            command = f"product sign-contract {row.id} --kind {kind}"
            yield Waits(row.id, f"sign the contract {kind}", command, row.deadline, row.terms.cap, row.terms.currency)


def _plan(step: Step, row: Plan, member: str) -> Iterator[Waits]:
    whose = {
        PlanState.PROPOSED: (row.platform, "check the plan against its product", f"plan check {row.id} --result send"),
        PlanState.SENT_BACK: (
            row.payer,
            "propose the plan again: " + failing_text(row.failing),
            f"plan propose {row.product} --plan {row.id} --tranches @plan.toml",
        ),
        PlanState.SENT: (row.payee, "confirm the plan, or decline", f"plan confirm {row.id}"),
    }
    if row.state in whose:
        who, what, command = whose[row.state]
        if member == who:
            total = Units(sum(terms.units for terms in row.draft))
            yield Waits(row.id, what, command, row.deadline, total, row.currency)
    if row.amendment is not None and member == row.payee:
        command = f"plan confirm-amendment {row.id}"
        yield Waits(row.id, "confirm the amendment, or decline", command, row.amendment.deadline)
    version = step.find(PlanVersion, f"{row.id}/{row.version}")
    if row.state is not PlanState.ACTIVE or version is None:
        return
    yield from _deposits(row, version, member)
    for number, (tranche, terms) in enumerate(zip(row.tranches, version.tranches, strict=True), 1):
        if not tranche.is_over and not missing_in(tranche, terms):
            yield from _tranche(step, row, version, number, member)


def _deposits(row: Plan, version: PlanVersion, member: str) -> Iterator[Waits]:
    """For the payer the deposit that is due next and all that are overdue; for the payee what it may call off."""
    is_first = True
    for number, (tranche, terms) in enumerate(zip(row.tranches, version.tranches, strict=True), 1):
        missing = missing_in(tranche, terms)
        if not missing:
            continue
        if member == row.payer and (is_first or tranche.overdue):
            due = ", overdue" if tranche.overdue else f", due {terms.fund_by_on}, then grace"
            what = f"deposit for tranche {number}{due}"
            command = f"plan fund {row.id}"
            yield Waits(row.id, what, command, tranche.fund_until, missing, row.currency)
        if member == row.payee and tranche.overdue and is_first:
            what = f"tranche {number} is not funded: you may cancel what is not"
            command = f"plan cancel-unfunded {row.id} --tranche {number}"
            yield Waits(row.id, what, command, None, missing, row.currency)
        is_first = False


def _tranche(step: Step, row: Plan, version: PlanVersion, number: int, member: str) -> Iterator[Waits]:
    """What waits at a tranche that has its money: evidence, a statement, an answer, an objection."""
    tranche, terms = row.tranches[number - 1], version.tranches[number - 1]
    at = f"{row.id} --tranche {number}"
    if tranche.phase is Phase.VERIFIED:
        if member == row.payer and tranche.object_until is not None and step.now <= tranche.object_until:
            command = f"tranche object {at} --amount AMOUNT --reason CODE"
            what = f"tranche {number} is verified: object, if you must"
            yield Waits(row.id, what, command, tranche.object_until, tranche.certified, row.currency)
        return
    if terms.wages and member == row.payer and sheet_claim(step, row.id, number) is None:
        what = f"upload the wage lines of tranche {number}"
        yield Waits(row.id, what, f"wage lines {row.id} {number} FILE", tranche.unmet_at, terms.units, row.currency)
    evidence = open_round(step, tranche)
    missing = missing_kind(evidence, terms)
    claim = sheet_claim(step, row.id, number) if terms.wages else None if evidence is None else evidence.claimed
    claims = terms.up_to and not terms.wages
    if member == row.payee and (missing is not None or (claims and claim is None)):
        materials = "".join(f" --materials {kind}:FILE" for kind in terms.kinds)
        amount = " --amount AMOUNT" if claims else ""
        yield Waits(
            row.id, f"evidence for tranche {number}", f"evidence submit {at}{materials}{amount}", tranche.unmet_at
        )
    known = known_of(step, row, version, number, step.now)
    for source, kind in sources_of(terms.condition):
        if member == source and (source, kind) not in known.stated:
            what = f"state {kind} about tranche {number}, once it is so"
            yield Waits(row.id, what, f"evidence submit {at} --statement {kind}:FILE", tranche.unmet_at)
    if (
        missing is None
        and (claim is not None or not (terms.up_to or terms.wages))
        and _may_answer(step, row, tranche, terms, member, known.accepted)
    ):
        amount = " --amount AMOUNT" if claims else ""  # a sheet's sum is certified whole
        until = tranche.answer_by or tranche.unmet_at
        what = f"answer the evidence for tranche {number}"
        yield Waits(row.id, what, f"evidence accept {at}{amount}", until, claim, row.currency)


def _wages(row: WageSheet, member: str) -> Iterator[Waits]:
    """For the custodian the lines whose result is not known; for the payer those that came back."""
    about = f"{row.plan} {row.tranche} FILE"
    moving, came_back = row.sum_of(LineState.IN_TRANSIT), row.sum_of(LineState.RETURNED)
    again = row.sum_of(LineState.CORRECTED)
    if member == row.custodian and moving.lines + again.lines:
        what = f"report the bank's results on {moving.lines + again.lines:,} wage lines"
        command = f"wage line-result {about} --bank-reference REFERENCE"
        yield Waits(row.plan, what, command, row.deadline, moving.units + again.units, row.currency)
    if member == row.payer and came_back.lines:
        what = f"correct {came_back.lines:,} wage lines that came back"
        yield Waits(row.plan, what, f"wage line-correct {about}", row.deadline, came_back.units, row.currency)


def _may_answer(
    step: Step, row: Plan, tranche: TrancheState, terms: TrancheTerms, member: str, accepted: dict[str, Instant]
) -> bool:
    """Whether the condition names the member and it has said nothing in this round."""
    evidence = open_round(step, tranche)
    if evidence is not None:
        return member in unanswered(step, row, terms, evidence)
    return member in persons_of(terms.condition, row.payer, row.platform) and member not in accepted


def _dispute(step: Step, row: Dispute, member: str) -> Iterator[Waits]:
    about = (row.units, row.currency)
    plan = step.find(Plan, row.plan)
    ends = row.negotiate_until if row.state is DisputeState.OPEN or plan is None else plan.long_stop_at
    if row.state is DisputeState.ARBITRATION and member == row.arbitrator:
        command = f"dispute rule {row.id} --to-payee AMOUNT --ruling FILE"
        yield Waits(row.id, "rule on the dispute", command, ends, *about)
    if member not in (row.payer, row.payee) or not row.is_open:
        return
    if row.offer is not None and row.offer.by != member:
        command = f"dispute accept-offer {row.id}"
        what = "accept the settlement that is offered, or offer another"
        yield Waits(row.id, what, command, ends, row.offer.to_payee, row.currency)
    elif row.offer is None and row.state is DisputeState.OPEN:
        yield Waits(row.id, "settle the dispute", f"dispute offer {row.id} --to-payee AMOUNT", ends, *about)


def _receivable(row: Receivable, member: str) -> Iterator[Waits]:
    about = (row.face, row.currency)
    other = {row.debtor: row.creditor, row.creditor: row.debtor}.get(row.requester)
    if row.state is ReceivableState.REQUESTED and member == other:
        command = f"receivable confirm {row.id} --handling FILE --consent-to-notices"
        yield Waits(row.id, "confirm the receivable, or decline", command, row.confirm_by, *about)
    if row.state is ReceivableState.OVERDUE and member == row.debtor:
        command = f"receivable redeem {row.id}"
        yield Waits(row.id, "pay the receivable, which is overdue", command, None, row.outstanding, row.currency)


def _financing(row: Financing, member: str) -> Iterator[Waits]:
    funder = row.funder
    whose = {
        FinancingState.QUOTED: (row.client, "choose a quote", f"financing award {row.id} --quote QUOTE"),
        FinancingState.AWARDED: (row.client, "sign the contract", f"financing sign-contract {row.id} --contract FILE"),
        FinancingState.CLIENT_SIGNED: (
            funder,
            "sign the contract",
            f"financing sign-contract {row.id} --contract FILE",
        ),
        FinancingState.APPROVED: (funder, "search and register it", f"financing register {row.id}"),
        FinancingState.REGISTERED: (funder, "pay it out", f"financing settle {row.id}"),
        FinancingState.PAID: (row.client, "confirm the receipt, or dispute it", f"financing confirm-receipt {row.id}"),
    }
    who, what, command = whose.get(row.state, ("", "", ""))
    if who and member == who:
        yield Waits(row.id, what, command, row.deadline, row.face, row.currency)
