"""What does not go through: a request that is declined, an invoice that is used twice, one that is disguised.

Only organisations that do not exist take part.
"""

import datetime
import hashlib
from dataclasses import dataclass

from tallystick.kernel.receivables.issue import DeclineReceivable, RequestReceivable
from tallystick.kernel.receivables.records import InvoiceUse, Receivable
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ReviewResult
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tools.demo.issuing import confirmation
from tools.demo.joining import BUYER, SUPPLIER
from tools.demo.papers import Invoice
from tools.demo.stage import AUDITORS, Stage

DEMO_DUE_AFTER_DAYS = 45
REFUSED_REASON = "invoice_used_already"


@dataclass(frozen=True, slots=True)
class DemoInvoice:
    """An invoice between the demo's own organisations, in pence."""

    number: str
    total: int

    @property
    def identity(self) -> Invoice:
        """What its fingerprint is made of."""
        return Invoice(SUPPLIER, BUYER, self.number)


LARGE = DemoInvoice("DEMO-48", 48_000_00)
SHARED = DemoInvoice("DEMO-20", 20_000_00)


def befall(stage: Stage) -> str:
    """Decline, reuse, disguise. Returns the receivable on the large demo invoice, which is valid in the end."""
    with stage.telling.step("Declined") as step:
        wrong = _ask(stage, LARGE, LARGE.total, delivered_days_ago=30)
        stage.do(DeclineReceivable(receivable=wrong, reason="wrong_delivery_date"), by=BUYER)
        large = _issue(stage, LARGE, LARGE.total)
        step.say(
            f"{BUYER} declines {stage.money(LARGE.total)}: the request names the wrong delivery date. The invoice "
            "amount is free again; asked anew with the right date, the receivable is valid"
        )
    with stage.telling.step("Invoice used twice") as step:
        _reuse(stage)
        _disguise(stage)
        step.say(
            f"Of an invoice of {stage.money(SHARED.total)}, 60 % back a receivable; 41 % more are refused by the "
            f"ledger ({Status.OVER_INVOICE.label}), 40 % pass. Disguised by a made-up fingerprint it gets as far as "
            "the review: the auditors recompute the fingerprint from the document, and refuse"
        )
    return large


def _reuse(stage: Stage) -> None:
    """60 % and 41 % of an invoice do not pass; 60 % and 40 % do."""
    _issue(stage, SHARED, SHARED.total * 60 // 100)
    stage.refused(
        _request(stage, SHARED, SHARED.total * 41 // 100),
        by=SUPPLIER,
        status=Status.OVER_INVOICE,
        why="41 % of an invoice of which 60 % are used",
    )
    _issue(stage, SHARED, SHARED.total * 40 // 100)


def _disguise(stage: Stage) -> None:
    """Two who collude state a fingerprint of nothing; the auditor has the document and the key."""
    random = hashlib.sha256(b"not the fingerprint of any invoice").hexdigest()
    asked = _ask(stage, SHARED, 5_000_00, fingerprint=random)
    _confirm(stage, SHARED, asked)
    review = stage.get(Receivable, asked).review or ""
    recomputed = stage.papers.fingerprint(SHARED.identity)
    stage.refused(
        DecideReview(review=review, result=ReviewResult.APPROVE, fingerprints=(recomputed,)),
        by=AUDITORS[0],
        status=Status.OVER_INVOICE,
        why="approval of a disguised invoice, its fingerprint recomputed",
    )
    stage.turn_down(review, REFUSED_REASON)


def _issue(stage: Stage, invoice: DemoInvoice, units: int) -> str:
    """Ask, confirm, review."""
    asked = _ask(stage, invoice, units)
    _confirm(stage, invoice, asked)
    stage.approve_now(stage.get(Receivable, asked).review, stage.papers.fingerprint(invoice.identity))
    return asked


def _ask(stage: Stage, invoice: DemoInvoice, units: int, *, delivered_days_ago: int = 1, fingerprint: str = "") -> str:
    asked = _request(stage, invoice, units, delivered_days_ago, fingerprint)
    return stage.do(asked, by=SUPPLIER).records[0]


def _request(
    stage: Stage, invoice: DemoInvoice, units: int, delivered_days_ago: int = 1, fingerprint: str = ""
) -> RequestReceivable:
    today = stage.today()
    use = InvoiceUse(
        fingerprint=fingerprint or stage.papers.fingerprint(invoice.identity),
        amount=Units(units),
        total=Units(invoice.total),
    )
    return RequestReceivable(
        debtor=stage.id(BUYER),
        creditor=stage.id(SUPPLIER),
        currency="GBP",
        face=Units(units),
        issue_on=today,
        due_on=today + datetime.timedelta(days=DEMO_DUE_AFTER_DAYS),
        delivered_on=today - datetime.timedelta(days=delivered_days_ago),
        invoices=(use,),
    )


def _confirm(stage: Stage, invoice: DemoInvoice, asked: str) -> None:
    said = {"document": "invoice", "seller": SUPPLIER, "buyer": BUYER, "number": invoice.number, "note": "made up"}
    anchor = stage.papers.anchored("invoice", said)
    stage.do(confirmation(stage.get(Receivable, asked), anchor), by=BUYER)
