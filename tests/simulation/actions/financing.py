"""Financing: open and sealed, several funders, on the ledger and through a bank, paid, denied and silent."""

import hashlib
from typing import Any

from tallystick.kernel.arithmetic import DayCount, price_of
from tallystick.kernel.financing.award import AwardFinancing
from tallystick.kernel.financing.contract import ConsentToSettlement, SignFinancingContract
from tallystick.kernel.financing.quotes import EvaluateFinancing, QuoteFinancing, RevealQuote
from tallystick.kernel.financing.records import (
    Financing,
    FinancingState,
    QuoteState,
    QuoteTerms,
    Settlement,
    Verdict,
)
from tallystick.kernel.financing.registration import CancelRegistration, RegisterFinancing
from tallystick.kernel.financing.request import PublishFinancing, RequestFinancing, WithdrawFinancing
from tallystick.kernel.financing.sealed import commitment_of
from tallystick.kernel.financing.settlement import (
    ConfirmFinancingReceipt,
    DisputeFinancingReceipt,
    RuleOnFinancing,
    SettleFinancing,
)
from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.records import ReceivableState
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import DAY_MS, HOUR_MS, Instant
from tests.simulation.actions.money import open_accounts
from tests.simulation.actions.proposals import Proposal, action, holder_of, pick, policies, propose, today
from tests.simulation.actions.receivables import in_state, parcels
from tests.simulation.founding import paper
from tests.simulation.town import Town


def in_financing(town: Town, *states: FinancingState) -> list[Financing]:
    return [row for row in town.rows(Financing) if row.state in states]


def _settlement(town: Town, client: str, currency: str) -> Settlement:
    """Mostly what can work: on the ledger for a client with an account."""
    has_account = bool(open_accounts(town, client, currency))
    return Settlement.LEDGER if has_account is (town.rng.random() < 0.8) else Settlement.BANK


@action(12)
def request_financing(town: Town) -> Proposal | None:
    rng = town.rng
    row = pick(rng, in_state(town, ReceivableState.VALID))
    parcel = None if row is None else pick(rng, parcels(town, row))
    if row is None or parcel is None or row.cutoff_at is None:
        return None
    closes = min(town.now.plus(rng.choice((6 * HOUR_MS, DAY_MS, 3 * DAY_MS))), row.cutoff_at)
    invited = sorted(town.role_holders(Role.FUNDER))[:2] if rng.random() < 0.3 else []
    units = (
        parcel.interval.length
        if not row.splittable or rng.random() < 0.5
        else rng.randint(1, int(parcel.interval.length))
    )
    asked = RequestFinancing(
        receivable=row.id,
        parcel=parcel.interval,
        currency=row.currency,
        units=Units(units),
        settlement=_settlement(town, parcel.holder, row.currency),
        closes_at=Instant(closes),
        sealed=rng.random() < 0.4,
        accrues_moved_days=rng.random() < 0.3,
        invited=tuple(name for name in invited if name not in (parcel.holder, row.debtor)),
    )
    return propose(parcel.holder, asked)


@action(40)
def publish_financing(town: Town) -> Proposal | None:
    row = pick(town.rng, in_financing(town, FinancingState.REQUESTED))
    by = holder_of(town, town.rng.choice((Role.PLATFORM, Role.FUNDER)))
    return None if row is None or by is None else propose(by, PublishFinancing(financing=row.id))


@action(70)
def evaluate_financing(town: Town) -> Proposal | None:
    row = pick(town.rng, in_financing(town, FinancingState.PUBLISHED))
    if row is None:
        return None
    done = {entry.funder for entry in row.evaluations}
    funder = pick(town.rng, [n for n in row.invited or town.role_holders(Role.FUNDER) if n not in (*done, row.client)])
    if funder is None:
        return None
    assessment = paper("assessment", row.id)
    return propose(funder, EvaluateFinancing(financing=row.id, accepts=town.rng.random() < 0.9, assessment=assessment))


def _terms(town: Town, row: Financing, funder: str) -> QuoteTerms:
    """Terms that follow from who quotes for what, so that a sealed quote can be revealed later."""
    digest = hashlib.sha256(f"{row.id}{funder}".encode()).digest()
    return QuoteTerms(
        rate=Rate(5_000_000 + digest[0] * 2_000),
        day_count=list(DayCount)[digest[1] % 3],
        fee_rate=Rate(digest[2] % 3 * 50_000),
        minimum_fee=Units(digest[3] % 2 * 3),
        valid_until=row.closes_at.plus(DAY_MS * (1 + digest[4] % 9)),
        with_recourse=digest[5] % 2 == 0,
    )


def _nonce(row: Financing, funder: str) -> str:
    return hashlib.sha256(f"nonce {row.id}{funder}".encode()).hexdigest()


@action(70)
def quote_financing(town: Town) -> Proposal | None:
    open_rows = in_financing(town, FinancingState.PUBLISHED)
    wanted = [
        (row, entry.funder)
        for row in open_rows
        for entry in row.evaluations
        if entry.accepts and row.quote_of(entry.funder) is None
    ]
    found = pick(town.rng, wanted)
    if found is None:
        return None
    row, funder = found
    terms = _terms(town, row, funder)
    fields: dict[str, Any] = {"terms": terms}
    if row.sealed:
        fields = {"commitment": commitment_of(town.chain.chain_id, row.id, funder, terms, _nonce(row, funder))}
    return propose(funder, QuoteFinancing(financing=row.id, currency=row.currency, units=row.face, **fields))


@action(60)
def reveal_quote(town: Town) -> Proposal | None:
    wanted = [
        (row, quote.funder)
        for row in in_financing(town, FinancingState.REVEALING)
        for quote in row.quotes
        if quote.state is QuoteState.SEALED
    ]
    found = pick(town.rng, wanted)
    if found is None or town.rng.random() < 0.2:
        return None
    row, funder = found
    terms, nonce = _terms(town, row, funder), _nonce(row, funder)
    if town.rng.random() < 0.05:
        nonce = _nonce(row, "another")
    return propose(
        funder, RevealQuote(financing=row.id, currency=row.currency, units=row.face, terms=terms, nonce=nonce)
    )


@action(60)
def award_financing(town: Town) -> Proposal | None:
    rows = in_financing(town, FinancingState.QUOTED, FinancingState.SETTLEMENT_FAILED)
    row = pick(town.rng, [row for row in rows if row.deadline is not None])
    quote = None if row is None else pick(town.rng, list(row.quotes))
    if row is None or quote is None:
        return None
    return propose(row.client, AwardFinancing(financing=row.id, quote=quote.id, currency=row.currency, units=row.face))


@action(80)
def sign_contract(town: Town) -> Proposal | None:
    row = pick(town.rng, in_financing(town, FinancingState.AWARDED, FinancingState.CLIENT_SIGNED))
    if row is None:
        return None
    fields: dict[str, Any] = {
        "financing": row.id,
        "currency": row.currency,
        "units": row.face,
        "document": paper("contract", row.id),
    }
    if row.state is FinancingState.CLIENT_SIGNED and row.contract is not None:
        second = SignFinancingContract(
            arbitrator=row.contract.arbitrator,
            without_ruling=row.contract.without_ruling,
            handling=paper("handling", row.id),
            **fields,
        )
        return propose(row.funder, second)
    arbitrator = holder_of(town, Role.ARBITRATOR) if row.settlement is Settlement.BANK else None
    first = SignFinancingContract(arbitrator=arbitrator, without_ruling=town.rng.choice(list(Verdict)), **fields)
    return propose(row.client, first)


@action(10)
def consent_to_settlement(town: Town) -> Proposal | None:
    row = pick(town.rng, in_financing(town, FinancingState.APPROVED, FinancingState.REGISTERED))
    auditors = town.role_holders(Role.AUDITOR)
    needed = policies(town).auditors_needed
    if row is None or len(auditors) < needed:
        return None
    signers = town.rng.sample(auditors, needed)
    consent = ConsentToSettlement(financing=row.id, findings=paper("findings", row.id))
    return propose(signers[0], consent, also=tuple(signers[1:]))


@action(60)
def register_financing(town: Town) -> Proposal | None:
    row = pick(town.rng, in_financing(town, FinancingState.APPROVED))
    if row is None:
        return None
    number = f"{row.id[4:]}-{len(row.registrations)}"
    return propose(row.funder, RegisterFinancing(financing=row.id, search=f"S{number}", number=f"R{number}"))


@action(20)
def cancel_registration(town: Town) -> Proposal | None:
    wanted = [
        (row, entry)
        for row in town.rows(Financing)
        for entry in row.registrations
        if entry.cancelled is None and row.state is not FinancingState.SETTLED
    ]
    found = pick(town.rng, wanted)
    if found is None:
        return None
    row, entry = found
    cancelled = CancelRegistration(financing=row.id, number=entry.number, cancellation=f"C{entry.number}")
    return propose(entry.funder, cancelled)


@action(70)
def settle_financing(town: Town) -> Proposal | None:
    row = pick(town.rng, in_financing(town, FinancingState.APPROVED, FinancingState.REGISTERED))
    if row is None or row.award is None:
        return None
    quote = next(one for one in row.quotes if one.id == row.award.quote)
    price = None if quote.terms is None else price_of(row.face, quote.terms, today(town), row.discount_until_on)
    if price is None:
        return None
    through_bank = row.settlement is Settlement.BANK
    settled = SettleFinancing(
        financing=row.id,
        currency=row.currency,
        net=price.net,
        receipt=paper("receipt", row.id) if through_bank else None,
        paid_on=today(town) if through_bank else None,
    )
    return propose(row.funder, settled)


def _net(row: Financing) -> Units:
    assert row.payment is not None
    return row.payment.price.net


@action(30)
def confirm_receipt(town: Town) -> Proposal | None:
    row = pick(town.rng, in_financing(town, FinancingState.PAID, FinancingState.DISPUTED))
    if row is None or (row.state is FinancingState.DISPUTED and town.rng.random() < 0.8):
        return None
    return propose(row.client, ConfirmFinancingReceipt(financing=row.id, currency=row.currency, net=_net(row)))


@action(35)
def dispute_receipt(town: Town) -> Proposal | None:
    row = pick(town.rng, in_financing(town, FinancingState.PAID))
    if row is None:
        return None
    return propose(row.client, DisputeFinancingReceipt(financing=row.id, statement=paper("statement", row.id)))


@action(40)
def rule_on_financing(town: Town) -> Proposal | None:
    row = pick(town.rng, in_financing(town, FinancingState.DISPUTED))
    if row is None or row.contract is None or row.contract.arbitrator is None:
        return None
    verdict = town.rng.choice(list(Verdict))
    ruling = RuleOnFinancing(
        financing=row.id,
        verdict=verdict,
        ruling=paper("ruling", row.id),
        returned=paper("returned", row.id) if verdict is Verdict.UNLOCK else None,
    )
    return propose(row.contract.arbitrator, ruling)


@action(2)
def withdraw_financing(town: Town) -> Proposal | None:
    states = (FinancingState.REQUESTED, FinancingState.PUBLISHED, FinancingState.REVEALING, FinancingState.QUOTED)
    row = pick(town.rng, in_financing(town, *states))
    return None if row is None else propose(row.client, WithdrawFinancing(financing=row.id))
