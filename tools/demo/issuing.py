"""From published invoices to receivables: issued, confirmed with the invoice's document, reviewed, valid."""

import datetime
from collections import defaultdict
from collections.abc import Sequence

from tallystick.kernel.accounts.deposits import AnnounceDeposit, BookDeposit, Deposit
from tallystick.kernel.accounts.records import Account
from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.receivables.issue import ConfirmReceivable
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.reviews.records import Review
from tallystick.node.importing import InvoiceImport
from tallystick.node.tables import Row
from tallystick.wire.amounts import Units
from tools.demo.joining import BUYER, FUNDERS, HAULIER, SUPPLIER, WORKSHOP
from tools.demo.papers import Invoice
from tools.demo.published import Published, document_of, mapping_due
from tools.demo.stage import BANK, BATCH, Job, Stage, StoryFault, Vote
from tools.demo.telling import Step

DUE_AFTER_DAYS = 30
"""What the demo derives due dates by, counted from its own issue day: the term by law for public authorities."""

BY_CREDITOR = 12
STARTING_MONEY = {
    **dict.fromkeys(FUNDERS, 1_000_000_00),
    SUPPLIER: 60_000_00,
    WORKSHOP: 60_000_00,
    HAULIER: 10_000_00,
    BUYER: 25_000_00,
}


def issue_published(stage: Stage, published: Published) -> None:
    """The council issues to its suppliers; some suppliers issue themselves and the council confirms."""
    with stage.telling.step("Receivables") as step:
        due_on = stage.today() + datetime.timedelta(days=DUE_AFTER_DAYS)
        by_creditor = [one for one in published.suppliers() if len(one.rows) == 1][:BY_CREDITOR]
        theirs = {one.rows[0].line for one in by_creditor}
        _import(stage, published.payer, [row for row in published.invoices if row.line not in theirs], due_on, step)
        for supplier in by_creditor:
            _import(stage, supplier.name, supplier.rows, due_on, step)
        _confirm(stage, published, step)
        _review(stage, step)
        rows = [row for row in stage.rows(Receivable) if row.state is ReceivableState.VALID]
        by_debtor = sum(1 for row in rows if row.requester == row.debtor)
        step.say(
            f"{len(rows)} published invoices became receivables of {stage.money(sum(row.face for row in rows))}, "
            f"{by_debtor} issued by the debtor, {len(rows) - by_debtor} by the creditor; each confirmed by the other "
            f"side, reviewed by 2 auditors, valid. Due on {due_on} (derived: issue day + {DUE_AFTER_DAYS} days)"
        )
        if published.set_aside:
            step.say(f"Set aside: {len(published.set_aside)} line with the reference of another; why is not published")


def _import(stage: Stage, actor: str, rows: Sequence[Row], due_on: datetime.date, step: Step) -> None:
    """What `tally import invoices` does."""
    if len(rows) > 1:
        step.expect(len(rows))
    with stage.working(actor) as session:
        work = InvoiceImport(session, stage.id(actor), mapping_due(str(due_on)), stage.papers.fingerprint_key)
        done = work.run(rows, step.advance if len(rows) > 1 else lambda _: None)
    if done.imported != len(rows):
        raise StoryFault(f"{actor}: {done.imported} of {len(rows)} invoices went in; {done.rejected[:1]}")


def _confirm(stage: Stage, published: Published, step: Step) -> None:
    """Whoever did not ask confirms, with the document of the invoice as handling information."""
    documents = {}
    for row in published.invoices:
        document = document_of(row)
        seen = Invoice(row.cells["supplier_name"], row.cells["payer"], row.cells["reference"])
        documents[stage.papers.fingerprint(seen)] = document
    answers: dict[str, list[ConfirmReceivable]] = defaultdict(list)
    for receivable in stage.rows(Receivable):
        other = receivable.creditor if receivable.requester == receivable.debtor else receivable.debtor
        document = documents[receivable.invoices[0].fingerprint]
        answers[other].append(confirmation(receivable, stage.papers.anchored("invoice", document)))
    jobs: list[Job] = []
    for member, given in answers.items():
        name = stage.name(member)
        jobs.extend(stage.job(given[start : start + BATCH], name) for start in range(0, len(given), BATCH))
    stage.do_all(jobs, step)


def _review(stage: Stage, step: Step) -> None:
    """The auditors recompute each fingerprint from the anchored document, and approve with it."""
    votes = []
    for receivable in stage.rows(Receivable):
        review = stage.get(Review, receivable.review or "")
        if review.handling is None:
            raise StoryFault(f"{review.id} came without the invoice's document")
        votes.append(Vote(review.id, (stage.papers.recomputed(review.handling),)))
    stage.approve(votes, step)


def confirmation(receivable: Receivable, handling: Anchor) -> ConfirmReceivable:
    """The counterparty's confirmation, stating what it confirms."""
    return ConfirmReceivable(
        receivable=receivable.id,
        currency=receivable.currency,
        face=receivable.face,
        handling=handling,
        consent_to_notices=True,
    )


def deposit(stage: Stage, published: Published) -> None:
    """The council announces what it will owe and pays it in; the others' money is booked to their accounts."""
    with stage.telling.step("Deposits") as step:
        owed = sum(row.outstanding for row in stage.rows(Receivable) if row.is_owed)
        account = account_of(stage, published.payer)
        announced = stage.do(
            AnnounceDeposit(account=account.id, currency="GBP", units=Units(owed)), by=published.payer
        ).records[0]
        code = stage.get(Deposit, announced).code
        book(stage, published.payer, owed, code)
        for name, units in STARTING_MONEY.items():
            book(stage, name, units)
        booked = list(stage.rows(Deposit))
        money = stage.money(sum(row.units for row in booked))
        step.say(f"{len(booked)} deposits of {money} are booked by {BANK}, each signed by its maker and its checker")


def account_of(stage: Stage, name: str, currency: str = "GBP", project: str | None = None) -> Account:
    """A member's account, or its special account for a project's wages."""
    owner = stage.id(name)
    mine = (row for row in stage.rows(Account) if (row.owner, row.currency) == (owner, currency))
    return next(row for row in mine if row.project == project)


def book(
    stage: Stage,
    name: str,
    units: int,
    code: str | None = None,
    *,
    currency: str = "GBP",
    project: str | None = None,
) -> BookDeposit:
    """The bank books money that came in a member's own name, by remittance code or to its account."""
    booking = booking_of(stage, name, units, code, currency, project)
    stage.do(booking, by=BANK)
    return booking


def booking_of(
    stage: Stage, name: str, units: int, code: str | None = None, currency: str = "GBP", project: str | None = None
) -> BookDeposit:
    """The bank's booking, under a reference of its own."""
    return BookDeposit(
        bank_reference=f"DEMO-{stage.next_id()}",
        currency=currency,
        units=Units(units),
        remitter=stage.id(name),
        code=code,
        account=None if code is not None else account_of(stage, name, currency, project).id,
    )
