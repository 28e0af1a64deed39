"""Handing on (转单): a part of a receivable goes from hand to hand, each time accepted and reviewed."""

from tallystick.kernel.core.fields import Interval
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.transfers.agreed import AcceptTransfer, RequestTransfer
from tallystick.kernel.transfers.records import Transfer
from tallystick.wire.amounts import Units
from tools.demo.joining import BUYER, FUNDER_NORTH, HAULIER, SUPPLIER, WORKSHOP
from tools.demo.stage import Stage, StoryFault

HOPS = (
    (WORKSHOP, 300_000_00, False),
    (HAULIER, 120_000_00, True),
    (FUNDER_NORTH, 50_000_00, True),
)
"""Receiver, amount, with recourse or without: each hop a part of the one before."""

DEMO_PART = 30_000_00


def largest(stage: Stage, place: int) -> Receivable:
    """The published receivable that is the largest of its creditor's, and so many places down the list of creditors."""
    found: dict[str, Receivable] = {}
    for row in stage.rows(Receivable):
        if row.requester == row.debtor and (row.creditor not in found or row.face > found[row.creditor].face):
            found[row.creditor] = row
    return sorted(found.values(), key=lambda row: (-int(row.face), row.id))[place]


def three_hops(stage: Stage) -> None:
    """Part of the largest receivable goes through three hands; at maturity four are paid."""
    with stage.telling.step("Three hops") as step:
        receivable = largest(stage, 0)
        sender = stage.name(receivable.creditor)
        for receiver, units, recourse in HOPS:
            hand_on(stage, receivable.id, sender, receiver, units, recourse=recourse)
            sender = receiver
        now = stage.get(Receivable, receivable.id)
        step.say(f"{stage.money(now.face)} of {stage.name(now.creditor)} are split and handed on:")
        for transfer in transfers_of(stage, receivable.id):
            how = "with" if transfer.recourse else "without"
            amount = stage.money(transfer.interval.length)
            step.say(f"  {transfer.hop}. {amount:>14} to {stage.name(transfer.receiver)}, {how} recourse")
        step.say(f"{now.parcel_count} parcels in {len({one.holder for one in now.parcels})} hands add up to the face")


def transfers_of(stage: Stage, receivable: str) -> list[Transfer]:
    """Its transfers, in the order of their hops."""
    found = [row for row in stage.rows(Transfer) if row.receivable == receivable]
    return sorted(found, key=lambda row: row.hop)


def hand_on_demo_debt(stage: Stage, receivable: str) -> None:
    """The demo debt goes two hops with recourse, which will matter when its debtor does not pay."""
    with stage.telling.step("With recourse") as step:
        hand_on(stage, receivable, SUPPLIER, WORKSHOP, DEMO_PART, recourse=True)
        hand_on(stage, receivable, WORKSHOP, FUNDER_NORTH, DEMO_PART, recourse=True)
        face = stage.get(Receivable, receivable).face
        step.say(
            f"{stage.money(DEMO_PART)} of {BUYER}'s debt of {stage.money(face)} go from {SUPPLIER} to {WORKSHOP} "
            f"to {FUNDER_NORTH}, each hop with recourse"
        )


def hand_on(stage: Stage, receivable: str, sender: str, receiver: str, units: int, *, recourse: bool) -> str:
    """Offer, accept, review. Returns the transfer."""
    papers = stage.papers
    offered = stage.do(
        RequestTransfer(
            receivable=receivable,
            parcel=parcel_of(stage, receivable, sender),
            currency="GBP",
            units=Units(units),
            receiver=stage.id(receiver),
            background=papers.stand_in("trade_background", f"{sender} to {receiver}"),
            recourse=recourse,
        ),
        by=sender,
    ).records[0]
    handling = papers.stand_in("handling", offered)
    stage.do(AcceptTransfer(transfer=offered, currency="GBP", units=Units(units), handling=handling), by=receiver)
    stage.approve_now(stage.get(Transfer, offered).review)
    return offered


def parcel_of(stage: Stage, receivable: str, holder: str) -> Interval:
    """The one parcel that an organisation holds of a receivable."""
    member = stage.id(holder)
    held = [one.interval for one in stage.get(Receivable, receivable).parcels if one.holder == member]
    if len(held) != 1:
        raise StoryFault(f"{holder} holds {len(held)} parcels of {receivable}")
    return held[0]
