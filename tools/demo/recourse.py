"""A debtor falls short. Recourse runs back over the hops until somebody pays; what stays is paid late or given up.

Only organisations that do not exist take part.
"""

from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.recourse.claims import ClaimRecourse, PayRecourse, WriteOff
from tallystick.kernel.recourse.records import Recourse
from tallystick.kernel.redemption.late import LATE_CLAIM
from tallystick.kernel.redemption.redeem import Redeem
from tallystick.wire.amounts import Units
from tools.demo.issuing import book
from tools.demo.joining import BUYER, SUPPLIER
from tools.demo.stage import Stage, StoryFault

LATE_DAYS = 14
LATE_PAYMENT = 15_000_00


def run(stage: Stage, receivable: str) -> None:
    """Unpaid, overdue, two claims, a late part payment, the rest written off."""
    row = stage.get(Receivable, receivable)
    if row.moved_due_on is None:
        raise StoryFault(f"{receivable} never became valid")
    with stage.telling.step("Falls short") as step:
        stage.advance_to(stage.morning_of(row.moved_due_on))
        small = [one for one in _debts(stage) if one.state is ReceivableState.REDEEMED]
        paid = stage.money(sum(one.face for one in small))
        stage.advance_days(1)
        overdue = stage.get(Receivable, receivable)
        if overdue.state is not ReceivableState.OVERDUE:
            raise StoryFault(f"{receivable} is {overdue.state.value}")
        step.say(
            f"{BUYER} pays {len(small)} debts ({paid}) and can't pay the third: {stage.money(overdue.outstanding)} are "
            f"unpaid on {row.moved_due_on} and overdue the day after. {_late_claim(stage, receivable)}"
        )
    with stage.telling.step("Recourse") as step:
        for claim in _claim_back(stage, receivable):
            payer, payee = stage.name(claim.liable), stage.name(claim.claimant)
            step.say(f"{payee} claims {stage.money(claim.units)} from {payer}, which pays and holds instead")
    with stage.telling.step("Paid late, given up") as step:
        stage.advance_days(LATE_DAYS)
        late = _pay_late(stage, receivable)
        given_up = _write_off(stage, receivable)
        state = stage.get(Receivable, receivable).state.value.replace("_", " ")
        step.say(
            f"{LATE_DAYS} days later {BUYER} pays {stage.money(late)}; {SUPPLIER} gives up the other "
            f"{stage.money(given_up)}, and the receivable is {state}"
        )


def _late_claim(stage: Stage, receivable: str) -> str:
    """What may be claimed for lateness, from the ledger's own event."""
    for placed in stage.events():
        event = placed.event
        if event.kind == LATE_CLAIM.name and event.record == receivable:
            amount = stage.money(int(event.facts["amount"]), str(event.facts["currency"]))
            return f"{amount} may be claimed besides ({event.facts['clause']})"
    raise StoryFault(f"nothing may be claimed for the lateness of {receivable}")


def _debts(stage: Stage) -> list[Receivable]:
    buyer = stage.id(BUYER)
    return [row for row in stage.rows(Receivable) if row.debtor == buyer]


def _claim_back(stage: Stage, receivable: str) -> list[Recourse]:
    """From the last holder back to the first creditor: each hop with recourse is claimed and paid."""
    paid: list[Recourse] = []
    creditor = stage.get(Receivable, receivable).creditor
    while True:
        row = stage.get(Receivable, receivable)
        parcel = next((one for one in row.parcels if one.holder != creditor), None)
        if parcel is None:
            return paid
        holder = stage.name(parcel.holder)
        claimed = stage.do(ClaimRecourse(receivable=receivable, parcel=parcel.interval), by=holder).records[0]
        claim = stage.get(Recourse, claimed)
        pays = PayRecourse(recourse=claim.id, currency=claim.currency, units=claim.units)
        stage.do(pays, by=stage.name(claim.liable))
        paid.append(stage.get(Recourse, claimed))


def _pay_late(stage: Stage, receivable: str) -> int:
    before = stage.get(Receivable, receivable).redeemed
    book(stage, BUYER, LATE_PAYMENT)
    stage.do(Redeem(receivable=receivable, currency="GBP", units=Units(LATE_PAYMENT)), by=BUYER)
    return stage.get(Receivable, receivable).redeemed - before


def _write_off(stage: Stage, receivable: str) -> int:
    creditor = stage.get(Receivable, receivable).creditor
    for parcel in stage.get(Receivable, receivable).parcels:
        if parcel.holder == creditor:
            stage.do(WriteOff(receivable=receivable, parcel=parcel.interval), by=SUPPLIER)
    return int(stage.get(Receivable, receivable).cancelled)
