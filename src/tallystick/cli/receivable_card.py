"""A receivable with its lineage: parcels as a bar over the face, transfers, reviews, financings, redemptions."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tallystick.cli.cards import fields_card, interval_text, structs_table, text_of
from tallystick.cli.context import Desk
from tallystick.cli.output import pairs, table
from tallystick.kernel.core.fields import Interval
from tallystick.kernel.financing.records import Financing
from tallystick.kernel.receivables.records import LockKind, Parcel, Receivable
from tallystick.kernel.reviews.records import Review
from tallystick.kernel.transfers.records import Transfer

if TYPE_CHECKING:
    from rich.console import RenderableType

COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_red", "bright_green", "bright_cyan")
LEAST_BAR = 24


def receivable_card(at: Desk, receivable: Receivable) -> "Iterator[RenderableType]":
    """The parts of the card, from the terms to the last redemption."""
    from tallystick.node.holdings import live_parcels

    money = at.money(receivable.face, receivable.currency)
    rows: list[tuple[str, RenderableType]] = [
        ("receivable", receivable.id),
        ("state", f"[bold]{receivable.state.value}[/]"),
        ("face", f"[bold]{money}[/]"),
        ("debtor", at.name(receivable.debtor)),
        ("creditor", at.name(receivable.creditor)),
        ("requested by", at.name(receivable.requester)),
        ("issued on", str(receivable.issue_on)),
        ("due on", _due(receivable)),
        ("outstanding", at.money(receivable.outstanding, receivable.currency) if receivable.is_owed else "-"),
        ("redeemed", at.money(receivable.redeemed, receivable.currency)),
    ]
    if receivable.cancelled:
        rows.append(("cancelled", at.money(receivable.cancelled, receivable.currency)))
    yield pairs(rows)
    parcels = live_parcels(at.session.state, receivable)
    if parcels:
        yield from _parcels(at, receivable, parcels)
    yield from _invoices(at, receivable)
    if receivable.freezes:
        yield structs_table(at, "freezes, in the order of their queue", receivable.freezes, receivable.currency)
    if receivable.judged is not None and receivable.judged.findings:
        yield structs_table(at, f"law, judged on {receivable.judged.on}", receivable.judged.findings, "")
    yield from _lineage(at, receivable)


def _due(receivable: Receivable) -> str:
    if receivable.moved_due_on not in (None, receivable.due_on):
        return f"{receivable.due_on}, a day off: moved to {receivable.moved_due_on}"
    return str(receivable.due_on)


def _parcels(at: Desk, receivable: Receivable, parcels: tuple[Parcel, ...]) -> "Iterator[RenderableType]":
    from rich.text import Text

    holders = list(dict.fromkeys(parcel.holder for parcel in parcels))
    colour = {holder: COLOURS[number % len(COLOURS)] for number, holder in enumerate(holders)}
    width = max(LEAST_BAR, min(at.output.console.width - 4, 96))
    yield Text("\nparcels", style="bold")
    yield _bar(int(receivable.face), width, [(parcel.interval, colour[parcel.holder]) for parcel in parcels])
    rows = table("", "units", "amount", "holder", "hops", "held by", right=("amount", "hops"), keep=("units",))
    for parcel in parcels:
        rows.add_row(
            Text("█", style=colour[parcel.holder]),
            interval_text(parcel.interval),
            at.money(parcel.interval.length, receivable.currency),
            at.name(parcel.holder),
            str(parcel.hops),
            "\n".join(_lock(at, receivable, held) for held in parcel.locks) or "-",
        )
    yield rows


def _lock(at: Desk, receivable: Receivable, held: Any) -> str:
    word = "offered" if held.kind is LockKind.TRANSFER else "pledged"
    return f"{word}: {at.money(held.interval.length, receivable.currency)} by {held.by}"


def _bar(face: int, width: int, parts: list[tuple[Interval, str]]) -> "RenderableType":
    """The face as a bar of `width` cells; what is neither live nor coloured is redeemed or cancelled."""
    from rich.text import Text

    bar = Text(" ")
    for cell in range(width):
        middle = (2 * cell + 1) * face // (2 * width) + 1
        colour = next((one for interval, one in parts if interval.first <= middle <= interval.last), "")
        bar.append("█" if colour else "░", style=colour or "dim")
    return bar


def _invoices(at: Desk, receivable: Receivable) -> "Iterator[RenderableType]":
    if not receivable.invoices:
        return
    rows = table("invoice fingerprint", "used", "of", right=("used", "of"), title="invoices")
    for use in receivable.invoices:
        flag = " [red]flagged[/]" if use.fingerprint in receivable.flagged else ""
        rows.add_row(
            f"{use.fingerprint[:16]}...{flag}",
            at.money(use.amount, receivable.currency),
            at.money(use.total, receivable.currency),
        )
    yield rows


def _lineage(at: Desk, receivable: Receivable) -> "Iterator[RenderableType]":
    """What happened to it, as the records that its events name: reviews, transfers, financings, the rest."""
    from rich.text import Text

    related = related_records(at, receivable)
    transfers = [one for one in related if isinstance(one, Transfer)]
    if transfers:
        yield _transfers(at, transfers)
    reviews = [one for one in related if isinstance(one, Review)]
    if reviews:
        yield _reviews(at, reviews)
    for financing in (one for one in related if isinstance(one, Financing)):
        yield _financing(at, financing)
    for one in related:
        if not isinstance(one, Transfer | Review | Financing):
            yield Text(f"\n{one.table}", style="bold")
            yield fields_card(at, one)


def _transfers(at: Desk, transfers: list[Transfer]) -> "RenderableType":
    rows = table(
        "hop", "transfer", "from, to", "amount", "how", right=("hop", "amount"), title="transfers",
        keep=("hop", "transfer", "amount"),
    )  # fmt: skip
    for one in sorted(transfers, key=lambda transfer: (transfer.requested, transfer.id)):
        recourse = f"recourse up to {at.amount(one.basis, one.currency)}" if one.recourse else "without recourse"
        rows.add_row(
            str(one.hop),
            one.id,
            f"{at.name(one.sender)}\n{at.name(one.receiver)}",
            at.money(one.interval.length, one.currency),
            f"{one.kind.value}, {one.state.value}\n{recourse}",
        )
    return rows


def _reviews(at: Desk, reviews: list[Review]) -> "RenderableType":
    rows = table("review", "of", "state", "decided by", title="reviews", keep=("review", "of", "state"))
    for one in sorted(reviews, key=lambda review: (review.requested, review.id)):
        votes = "\n".join(f"{at.name(vote.reviewer)}: {vote.result.value}" for vote in one.decisions)
        reason = f"\n{one.reason}" if one.reason else ""
        rows.add_row(one.id, one.subject, one.state.value, f"{votes}{reason}".strip() or "-")
    return rows


def _financing(at: Desk, one: Financing) -> "RenderableType":
    shown: list[tuple[str, RenderableType]] = [
        ("\nfinancing", f"\n{one.id}"),
        ("state", one.state.value),
        ("units", f"{interval_text(one.interval)}, {at.money(one.face, one.currency)}"),
        ("client", at.name(one.client)),
        ("funder", at.name(one.funder) if one.funder else "-"),
        ("settlement", one.settlement.value),
    ]
    if one.payment is not None:
        shown.append(("paid", text_of(at, one.payment, one.currency)))
    return pairs(shown)


def related_records(at: Desk, receivable: Receivable) -> list[Any]:
    """The records that belong to a receivable's life, in the order in which its events first name them."""
    from tallystick.node.lineage import related_to

    return related_to(at.session.engine, at.session.state, receivable)
