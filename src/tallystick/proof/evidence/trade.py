"""Who must have taken each step of the trade: the rule book of what a record may claim.

A record names the places at which its steps were taken. For each kind of record, here is which step that must have
been, by whom, and what it must have said. So an operator that writes a review nobody gave, or a holder nobody made one,
is refuted although it signs its own blocks: it has no member's key. Rules are named as `kind.step`.
"""

from collections.abc import Iterator

from tallystick.proof.evidence.bundle import Json
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.lineage import check_parcels
from tallystick.proof.evidence.members import key, member, recovery
from tallystick.proof.evidence.plans import (
    certificate,
    check_certificate,
    check_plan,
    dispute,
    evidence,
    plan,
    plan_version,
    refund,
)
from tallystick.proof.evidence.products import product
from tallystick.proof.evidence.reviews import approved, check_review, review
from tallystick.proof.evidence.rows import Row
from tallystick.proof.evidence.story import Act, Check, Claim, Claims, Either, Story, Told, pick
from tallystick.proof.evidence.wages import check_wages, wage_sheet


def prove_trade(story: Story) -> None:
    """Hold every record of the story to its rules. Raises NotProven at the first that is broken."""
    for table, claims in CLAIMS.items():
        for row in story.rows(table):
            for claim in claims(row, story):
                claim.look(story).settle(story, claim.rule, row.where)
    for table, check in CHECKS.items():
        for row in story.rows(table):
            check(row, story)


# Receivables: two parties and a reviewer make one valid; its holders pass it on.


def receivable(row: Row, story: Story) -> Iterator[Claim]:
    """Asked for by one side, confirmed by the other, valid by its review; then it ends as its state says."""
    debtor, creditor, requester = row.text("debtor"), row.text("creditor"), row.text("requester")
    other = creditor if story.is_same(requester, debtor) else debtor
    terms = pick(
        row,
        *("debtor", "creditor", "currency", "face", "issue_on", "due_on", "delivered_on", "invoiced_on"),
        *("convention", "moved_days_accrue", "reason", "pay_when_paid", "splittable", "invoices", "contracts"),
    )
    requested = row.needed_place("requested")
    yield Act("receivable.requested", requested, ("receivable.request",), (requester,), terms, row.id)
    said = {"receivable": row.id, **pick(row, "currency", "face")}
    yield Act("receivable.confirmed", row.place("confirmed"), ("receivable.confirm",), (other,), said)
    if row.place("valid") is not None:
        if row.place("confirmed") is None:
            raise NotProven("receivable.confirmed", "it is valid and nobody confirmed it", row.where)
        approved("receivable.valid", row.place("valid"), row.text("review"), row.id, story, row.where)
    elif row.text("state") not in UNDECIDED:
        raise NotProven("receivable.valid", f"it is {row.text('state')} and never became valid", row.where)
    yield Told("receivable.ended", row.place("ended"), ENDS.get(row.text("state"), ()), row.id)
    if row.text("state") == "overdue" and not any(story.told("receivable.overdue", row.id)):
        story.miss(row.where, "receivable.overdue", "what made it overdue is not in the bundle")


UNDECIDED = ("requested", "under_review", "declined", "refused", "withdrawn", "expired")
ENDS = {
    "redeemed": ("receivable.redeemed",),
    "closed": ("receivable.closed",),
    "written_off": ("receivable.written_off",),
    "void": ("receivable.voided",),
    "declined": ("receivable.declined",),
    "refused": ("receivable.refused",),
    "withdrawn": ("receivable.withdrawn",),
    "expired": ("receivable.expired",),
}


def transfer(row: Row, story: Story) -> Iterator[Claim]:
    """Offered by the holder, accepted by the receiver, done by its review; or done by what it follows from."""
    kind, state, ended = row.text("kind"), row.text("state"), row.place("ended")
    sender, receiver, first_last = row.text("sender"), row.text("receiver"), row.interval("interval")
    units = str(first_last[1] - first_last[0] + 1)
    if kind in FOLLOWS and row.place("accepted") is None and state == "done":
        yield from FOLLOWS[kind](row, story)
    else:
        terms = pick(row, "receivable", "currency", "receiver", "recourse", "consideration", "background")
        said = {**terms, "units": units, "as_set_off": True if kind == "set_off" else None}
        yield Act("transfer.requested", row.place("requested"), ("transfer.request",), (sender,), said, row.id)
        said = {"transfer": row.id, "units": units, **pick(row, "currency")}
        yield Act("transfer.accepted", row.place("accepted"), ("transfer.accept",), (receiver,), said)
        if state == "done":
            if row.place("accepted") is None or ended is None:
                raise NotProven("transfer.accepted", "it is done and nobody accepted it", row.where)
            approved("transfer.done", ended, row.text("review"), row.id, story, row.where)
    if ended is not None:
        yield Told("transfer.ended", ended, (f"transfer.{state}",), row.id)


def _by_financing(row: Row, story: Story) -> Iterator[Claim]:
    """The parcel of a financing passes in the step that settles it."""
    ended = row.needed_place("ended")
    for one in story.rows("financing"):
        if one.place("ended") == ended and one.get("receivable") == row.get("receivable"):
            first, last = row.interval("interval")
            start, end = one.interval("interval")
            funder = _funder(one)
            parties = story.is_same(one.get("client"), row.get("sender")) and story.is_same(funder, row.get("receiver"))
            if parties and start <= first and last <= end and one.text("state") == "settled":
                yield Told("transfer.by_financing", ended, ("financing.settled",), one.id)
                return
    happened = story.at(ended)
    if happened.is_all and all(event.text("kind") != "financing.settled" for event in happened.events):
        raise NotProven("transfer.by_financing", "no financing was settled by that step", row.where)
    story.miss(row.where, "transfer.by_financing", "the financing that it follows from is not in the bundle")


def _by_judgment(row: Row, _story: Story) -> Iterator[Claim]:
    said = {**pick(row, "receivable"), "to": row.get("receiver"), "judgment": row.get("background")}
    asks = ("parcel.assign_by_judgment",)
    yield Act("transfer.by_judgment", row.place("ended"), asks, says=said, holding="auditor")


def _by_recourse(row: Row, story: Story) -> Iterator[Claim]:
    """Whoever answered for the debtor paid, and holds the units instead."""
    said: dict[str, Json] = {}
    claim = next((one for one in story.rows("recourse") if row.id in one.texts("stepped_in")), None)
    if claim is None:
        story.miss(row.where, "transfer.by_recourse", "the claim that was paid is not in the bundle")
    else:
        said = {"recourse": claim.id}
    yield Act("transfer.by_recourse", row.needed_place("ended"), ("recourse.pay",), (row.text("receiver"),), said)


FOLLOWS: dict[str, Claims] = {
    "financing": _by_financing,
    "set_off": _by_financing,
    "judgment": _by_judgment,
    "recourse": _by_recourse,
}
"""Transfers that nobody offers: what else they follow from."""


# Financing: the client asks and chooses, the funder answers for itself, both sign, the settlement passes the parcel.


def financing(row: Row, story: Story) -> Iterator[Claim]:
    """Every evaluation, quote and signature by whom it names; settled in the step that passed the parcel."""
    client, funder, about = row.text("client"), _funder(row), {"financing": row.id}
    first, last = row.interval("interval")
    stated = {**about, "currency": row.get("currency"), "units": str(last - first + 1)}
    asked = pick(row, "receivable", "currency", "settlement", "closes_at", "invited", "purpose")
    terms = {**asked, "units": stated["units"], "sealed": row.get("sealed") or None}
    yield Act("financing.requested", row.place("requested"), ("financing.request",), (client,), terms, row.id)
    for one in row.rows("evaluations"):
        said = {**about, **pick(one, "accepts", "assessment", "scrutiny")}
        yield Act("financing.evaluated", one.place("at"), ("financing.evaluate",), (one.text("funder"),), said)
    for one in row.rows("quotes"):
        by = (one.text("funder"),)
        quoted = {**stated, **(pick(one, "commitment") if one.has("commitment") else pick(one, "terms"))}
        yield Act("financing.quoted", one.place("at"), ("financing.quote",), by, quoted, one.id)
        said = {**stated, **pick(one, "terms")}
        yield Act("financing.revealed", one.place("revealed"), ("financing.reveal",), by, said)
    award = row.row("award")
    if award is not None:
        said = {**stated, **pick(award, "quote")}
        yield Act("financing.awarded", award.place("at"), ("financing.award",), (client,), said)
        _check_quoted(row, award, funder)
    contract = row.row("contract")
    if contract is not None:
        agreed = {**stated, **pick(contract, "document", "arbitrator", "without_ruling")}
        asks, at = ("financing.sign_contract",), contract.place("funder_signed")
        yield Act("financing.client_signed", contract.place("client_signed"), asks, (client,), agreed)
        yield Act("financing.funder_signed", at, asks, (funder,), {**agreed, **pick(contract, "handling")})
    for one in row.rows("registrations"):
        said = {**about, **pick(one, "search", "number")}
        if not one.has("number"):
            del said["number"]
        yield Act("financing.registered", one.place("at"), ("financing.register",), (one.text("funder"),), said)
    yield Act("financing.consented", row.place("consent"), ("financing.consent",), says=about, holding="auditor")
    yield from _settlement(row, story, funder)
    kind = f"financing.{row.text('state')}"
    yield Told("financing.ended", row.place("ended"), (kind, "financing.lapsed"), row.id)


def _settlement(row: Row, story: Story, funder: str) -> Iterator[Claim]:
    payment, contract = row.row("payment"), row.row("contract")
    if payment is None:
        if row.text("state") == "settled":
            raise NotProven("financing.settled", "it is settled and nothing was paid", row.where)
        return
    if contract is None or contract.place("funder_signed") is None:
        raise NotProven("financing.contract", "it was paid and its contract is not signed by both", row.where)
    price = payment.row("price") or payment
    said = {"financing": row.id, "net": price.get("net"), **pick(row, "currency"), **pick(payment, "receipt")}
    yield Act("financing.paid", payment.place("at"), ("financing.settle",), (funder,), said)
    approved("financing.reviewed", None, row.text("review"), row.id, story, row.where)
    if row.text("state") == "settled" and row.text("settlement") == "ledger":
        at, paid = payment.place("at"), {"units": price.text("net")}
        if row.place("ended") != at:
            raise NotProven("financing.delivery", "money and parcel did not pass in one step", row.where)
        yield Told("financing.delivery", at, ("account.posted",), row.id, paid, by_step=True)


def _funder(row: Row) -> str:
    award = row.row("award")
    return award.text("funder") if award is not None else ""


def _check_quoted(row: Row, award: Row, funder: str) -> None:
    if all(one.get("id") != award.get("quote") or one.get("funder") != funder for one in row.rows("quotes")):
        raise NotProven("financing.awarded", "the quote that it was awarded to is not the funder's", row.where)


# Accounts and documents.


def account(row: Row, story: Story) -> Iterator[Claim]:
    """Asked for by its owner, opened by the review of the custodian that keeps it."""
    opened = story.row(f"review/{row.text('review')}")
    said = pick(row, "currency", "custodian", "papers", "project")
    at = opened.place("requested") if opened is not None else None
    yield Act("account.applied", at, ("account.apply",), (row.text("owner"),), said, row.id)
    if row.text("state") in ("open", "closed"):
        approved("account.opened", None, row.text("review"), row.id, story, row.where)
        for decision in opened.rows("decisions") if opened is not None else ():
            is_its_own = story.is_same(decision.get("reviewer"), row.get("custodian"))
            if decision.text("role") == "custodian" and not is_its_own:
                raise NotProven("account.opened", "another custodian than its own decided its review", row.where)


def deposit(row: Row, _story: Story) -> Iterator[Claim]:
    """Booked by its custodian, under the code of its announcement if it had one; then it ends as its state says."""
    custodian, state, ended = (row.text("custodian"),), row.text("state"), row.place("ended")
    if row.has("booked"):
        said = pick(row, "bank_reference", "currency", "units", "remitter")
        made = row.id
        if row.has("announced"):
            made, said["code"] = "", row.id.partition("_")[2].upper()
        yield Act("deposit.booked", row.place("booked"), ("deposit.book",), custodian, said, made)
    elif state not in ("announced", "lapsed"):
        raise NotProven("deposit.booked", f"it is {state} and nobody booked it", row.where)
    undone = {"deposit": row.id, **pick(row, "currency", "units")}
    if state in ("returned", "reversed"):
        asks = ("deposit.return" if state == "returned" else "deposit.reverse",)
        yield Act(f"deposit.{state}", ended, asks, custodian, undone)
    else:
        yield Told("deposit.ended", ended, ("deposit.lapsed",), row.id)


def check_deposit(row: Row, story: Story) -> None:
    """It was announced by its payer, and assigned by both where it was in suspense before. Raises NotProven."""
    payer, stated = (row.text("payer"),), pick(row, "currency")
    if row.has("announced"):
        said = {**stated, "units": row.get("announced")}
        announced = Act("deposit.announced", None, ("deposit.announce",), payer, said, row.id)
        story.miss_unless_asked(announced, row.where)
    booked = row.place("booked")
    in_suspense = Told("", booked, ("deposit.in_suspense",), row.id)
    if row.text("state") == "booked" and booked is not None and in_suspense.look(story).is_proven:
        said = {**stated, "deposit": row.id, **pick(row, "units")}
        both = (row.text("custodian"), *payer)
        story.miss_unless_asked(Act("deposit.assigned", None, ("deposit.assign",), both, said), row.where)


def document(row: Row, story: Story) -> Iterator[Claim]:
    """Anchored by its owner; a contract of a product by the last signature, which opens the product and names it."""
    rule, at = "document.anchored", row.needed_place("anchored")
    said, subject = pick(row, "anchor", "subject", "earlier"), row.text("subject")
    by_owner = Act(rule, at, ("document.anchor",), (row.text("owner"),), said, row.id)
    if not subject.startswith("prd_"):
        yield by_owner
        return
    anchor = row.row("anchor") or row
    opened = Told(rule, at, ("product.opened",), subject, naming=anchor.text("hash"), by_step=True)
    yield Either(rule, (by_owner, opened))
    if opened.look(story).is_proven and not by_owner.look(story).is_proven:
        facts = {"owner": row.text("owner"), "kind": anchor.text("kind")}
        yield Told(rule, at, ("document.anchored",), row.id, facts, by_step=True)


def recourse(row: Row, _story: Story) -> Iterator[Claim]:
    """Claimed by the holder of the parcel; paid or refused by who answers for it, or ended by the rules."""
    said = {**pick(row, "receivable"), "parcel": row.get("interval")}
    claimed, ended, state = row.needed_place("claimed"), row.place("ended"), row.text("state")
    yield Act("recourse.claimed", claimed, ("recourse.claim",), (row.text("claimant"),), said, row.id)
    liable, about = (row.text("liable"),), {"recourse": row.id}
    if state == "paid":
        paid = {**about, **pick(row, "currency", "units", "receipt")}
        yield Act("recourse.paid", ended, ("recourse.pay",), liable, paid)
    elif state == "refused":
        yield Act("recourse.refused", ended, ("recourse.refuse",), liable, {**about, **pick(row, "reason")})
    else:
        yield Told("recourse.ended", ended, ("recourse.settled", "recourse.lapsed"), row.id)


def check_recourse(row: Row, story: Story) -> None:
    """The hop that it rests on was with recourse, and its sender is who answers. Raises NotProven."""
    hop = story.row(f"transfer/{row.text('hop')}")
    if hop is None:
        story.miss(row.where, "recourse.hop", f"transfer {row.text('hop')}, for which it is, is not in the bundle")
        return
    is_it = hop.get("receivable") == row.get("receivable") and hop.get("recourse") is True
    if not is_it or not story.is_same(hop.get("sender"), row.get("liable")):
        raise NotProven("recourse.hop", f"{row.text('liable')} does not answer for transfer {hop.id}", row.where)


CLAIMS: dict[str, Claims] = {
    "member": member,
    "key": key,
    "recovery": recovery,
    "review": review,
    "receivable": receivable,
    "transfer": transfer,
    "financing": financing,
    "recourse": recourse,
    "account": account,
    "deposit": deposit,
    "document": document,
    "product": product,
    "plan": plan,
    "plan_version": plan_version,
    "evidence": evidence,
    "certificate": certificate,
    "dispute": dispute,
    "refund": refund,
    "wage_sheet": wage_sheet,
}
"""What the places in a record of each kind claim."""

CHECKS: dict[str, Check] = {
    "review": check_review,
    "receivable": check_parcels,
    "plan": check_plan,
    "certificate": check_certificate,
    "recourse": check_recourse,
    "deposit": check_deposit,
    "wage_sheet": check_wages,
}
"""What holds in a record of each kind besides: votes suffice, parcels partition the face, sums add up."""
