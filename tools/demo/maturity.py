"""The due date: every holder of every published receivable is paid at once, out of the council's deposit."""

from collections import Counter

from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tools.demo.joining import BUYER
from tools.demo.passing import largest
from tools.demo.stage import Stage


def redeem(stage: Stage) -> None:
    """Time passes to the morning of the due date; the ledger does the rest."""
    with stage.telling.step("Maturity") as step:
        owed = [row for row in stage.rows(Receivable) if row.is_owed and row.debtor != stage.id(BUYER)]
        holders = {one.holder for row in owed for one in row.parcels}
        parcels = sum(row.parcel_count for row in owed)
        last_due = max(row.moved_due_on for row in owed if row.moved_due_on is not None)
        example = largest(stage, 0).id
        hands = len({one.holder for one in stage.get(Receivable, example).parcels})
        stage.advance_to(stage.morning_of(last_due))
        after = [stage.get(Receivable, row.id) for row in owed]
        states = Counter(row.state for row in after)
        paid = stage.money(sum(row.redeemed for row in after))
        step.say(
            f"On the morning of {last_due} {states[ReceivableState.REDEEMED]} of {len(owed)} receivables are redeemed: "
            f"{paid} for {parcels} parcels to {len(holders)} holders, the largest receivable to {hands} of them in one "
            "step"
        )
