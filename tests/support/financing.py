"""Scenes of financing, set by running real operations: from the request to whatever stage a test is about."""

import datetime
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tallystick.kernel.accounts.records import AccountsOf
from tallystick.kernel.arithmetic import DayCount
from tallystick.kernel.core.fields import Interval
from tallystick.kernel.financing.award import AwardFinancing
from tallystick.kernel.financing.contract import SignFinancingContract
from tallystick.kernel.financing.quotes import EvaluateFinancing, QuoteFinancing, RevealQuote
from tallystick.kernel.financing.records import Financing, QuoteTerms, Settlement
from tallystick.kernel.financing.registration import RegisterFinancing
from tallystick.kernel.financing.request import RequestFinancing
from tallystick.kernel.financing.sealed import commitment_of
from tallystick.kernel.financing.settlement import SettleFinancing
from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.freezes import FreezeParcel
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ReviewResult
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.instants import DAY_MS, Instant
from tests.support.accounts import opened
from tests.support.receivables import PASSED, Trade, anchor, issued, trade
from tests.support.world import CHAIN_ID, World

MILLION = 100_000_000
NONCE = hashlib.sha256(b"thirty-two random bytes").hexdigest()
CLOSES_AFTER_MS = 2 * DAY_MS


@dataclass(frozen=True)
class Market:
    """A trade with funders, a platform, an arbitrator, a custodian, and the supplier's receivable of a million."""

    trade: Trade
    rival: str
    platform: str
    arbitrator: str
    custodian: str
    receivable: str

    @property
    def world(self) -> World:
        return self.trade.world

    @property
    def client(self) -> str:
        return self.trade.supplier

    @property
    def funder(self) -> str:
        return self.trade.funder

    def account_of(self, owner: str) -> str:
        """The id of a member's first account."""
        listed: AccountsOf = self.world.row(AccountsOf, f"{owner}/CNY")
        return listed.accounts[0].account

    @property
    def whole(self) -> Interval:
        """The parcel 1..F."""
        return Interval(Units(1), self.world.row(Receivable, self.receivable).face)

    def financing(self, financing_id: str) -> Financing:
        found: Financing = self.world.row(Financing, financing_id)
        return found


def market(face: int = MILLION, *, funds: int = 10 * MILLION, **fields: Any) -> Market:
    """The scene before anybody asked for money: the funder has `funds` on the ledger, the client an empty account.

    In a world of its own, or on a `chain`.
    """
    world_fields = {name: fields.pop(name) for name in ("chain", "policies", "max_parcels") if name in fields}
    before = trade(**world_fields)
    world = before.world
    custodian = world.member("Bank", Role.CUSTODIAN)
    receivable = issued(world, before.buyer, before.supplier, face, before.auditor, **fields)
    made = Market(
        before,
        rival=world.member("Rival funder", Role.FUNDER),
        platform=world.member("Platform", Role.PLATFORM),
        arbitrator=world.member("Arbitrator", Role.ARBITRATOR),
        custodian=custodian,
        receivable=receivable,
    )
    opened(world, made.client, custodian)
    opened(world, made.funder, custodian, units=funds)
    return made


def request_of(m: Market, units: int | None = None, **fields: Any) -> RequestFinancing:
    """The client's request for the whole parcel, or for `units` of it."""
    asked: dict[str, Any] = {
        "receivable": m.receivable,
        "parcel": m.whole,
        "currency": m.world.row(Receivable, m.receivable).currency,
        "units": m.whole.length if units is None else Units(units),
        "settlement": Settlement.LEDGER,
        "closes_at": m.world.now.plus(CLOSES_AFTER_MS),
        **fields,
    }
    return RequestFinancing(**asked)


def asked(m: Market, units: int | None = None, **fields: Any) -> str:
    """A request for financing. Returns its id."""
    return m.world.do(request_of(m, units, **fields), by=m.client).events[0].record


def evaluation_of(financing_id: str, accepts: bool = True) -> EvaluateFinancing:
    """A funder's evaluation."""
    return EvaluateFinancing(financing=financing_id, accepts=accepts, assessment=anchor("assessment", financing_id))


def terms_of(m: Market, rate: str = "5.5", **fields: Any) -> QuoteTerms:
    """A quote's terms, without fee and recourse unless said, valid for 30 days."""
    said: dict[str, Any] = {
        "day_count": DayCount.ACT_360,
        "fee_rate": Rate(0),
        "minimum_fee": ZERO,
        "with_recourse": False,
        "valid_until": m.world.now.plus(30 * DAY_MS),
        **fields,
    }
    return QuoteTerms(rate=Rate.parse(rate), **said)


def stated(m: Market, financing_id: str) -> dict[str, Any]:
    """What each signer says the financing is about."""
    row = m.financing(financing_id)
    return {"financing": financing_id, "currency": row.currency, "units": row.face}


def quote_of(m: Market, financing_id: str, rate: str = "5.5", **fields: Any) -> QuoteFinancing:
    """An open quote."""
    return QuoteFinancing(**stated(m, financing_id), terms=terms_of(m, rate, **fields))


def quoted(m: Market, financing_id: str, funder: str, rate: str = "5.5", **fields: Any) -> str:
    """An accepting evaluation and an open quote. Returns the quote's id."""
    m.world.do(evaluation_of(financing_id), by=funder)
    m.world.do(quote_of(m, financing_id, rate, **fields), by=funder)
    quote = m.financing(financing_id).quote_of(funder)
    assert quote is not None
    return quote.id


def sealed(m: Market, financing_id: str, funder: str, terms: QuoteTerms, nonce: str = NONCE) -> str:
    """An accepting evaluation and a sealed quote. Returns the quote's id."""
    m.world.do(evaluation_of(financing_id), by=funder)
    commitment = commitment_of(CHAIN_ID, financing_id, funder, terms, nonce)
    m.world.do(QuoteFinancing(**stated(m, financing_id), commitment=commitment), by=funder)
    quote = m.financing(financing_id).quote_of(funder)
    assert quote is not None
    return quote.id


def reveal_of(m: Market, financing_id: str, terms: QuoteTerms, nonce: str = NONCE) -> RevealQuote:
    """The opening of a sealed quote."""
    return RevealQuote(**stated(m, financing_id), terms=terms, nonce=nonce)


def deadline_of(m: Market, financing_id: str) -> Instant:
    """The last instant of the present state's window."""
    deadline = m.financing(financing_id).deadline
    assert deadline is not None
    return deadline


def pass_deadline(m: Market, financing_id: str) -> None:
    """Wait until a millisecond after the present state's window."""
    m.world.wait(until=deadline_of(m, financing_id).plus(1))


def award_of(m: Market, financing_id: str, funder: str) -> AwardFinancing:
    """The award to `funder`'s quote."""
    quote = m.financing(financing_id).quote_of(funder)
    assert quote is not None
    return AwardFinancing(**stated(m, financing_id), quote=quote.id)


def awarded(m: Market, units: int | None = None, rates: Iterable[tuple[str, str]] = (), **fields: Any) -> str:
    """Asked, quoted by the funder (or by those in `rates`), closed, and awarded to the first. Returns its id."""
    financing_id = asked(m, units, **fields)
    quotes = tuple(rates) or ((m.funder, "5.5"),)
    for funder, rate in quotes:
        quoted(m, financing_id, funder, rate)
    pass_deadline(m, financing_id)
    m.world.do(award_of(m, financing_id, quotes[0][0]), by=m.client)
    return financing_id


def contract_of(m: Market, financing_id: str, **fields: Any) -> SignFinancingContract:
    """The contract as the client signs it; the funder adds `handling`."""
    said: dict[str, Any] = {
        **stated(m, financing_id),
        "document": anchor("financing_contract", financing_id),
        "arbitrator": m.arbitrator,
        **fields,
    }
    return SignFinancingContract(**said)


def signed(m: Market, units: int | None = None, contract: dict[str, Any] | None = None, **fields: Any) -> str:
    """Awarded and signed by both sides; its review is asked for. Returns its id."""
    financing_id = awarded(m, units, **fields)
    said = contract or {}
    m.world.do(contract_of(m, financing_id, **said), by=m.client)
    handling = anchor("handling", financing_id)
    m.world.do(contract_of(m, financing_id, handling=handling, **said), by=m.funder)
    return financing_id


def decision_of(m: Market, financing_id: str, result: ReviewResult = ReviewResult.APPROVE) -> DecideReview:
    """An auditor's vote on the contract."""
    review = m.financing(financing_id).review
    assert review is not None
    if result is ReviewResult.REFUSE:
        return DecideReview(review=review, result=result, reason="papers_missing")
    return DecideReview(review=review, result=result, checklist=PASSED)


def approved(m: Market, units: int | None = None, **fields: Any) -> str:
    """Signed and approved by the auditor. Returns its id."""
    financing_id = signed(m, units, **fields)
    m.world.do(decision_of(m, financing_id), by=m.trade.auditor)
    return financing_id


def registration_of(financing_id: str, number: str = "R-2026-0001") -> RegisterFinancing:
    """The search and registration of the assignment."""
    return RegisterFinancing(financing=financing_id, search="S-2026-0001", number=number)


def registered(m: Market, units: int | None = None, **fields: Any) -> str:
    """Approved and registered. Returns its id."""
    financing_id = approved(m, units, **fields)
    m.world.do(registration_of(financing_id), by=m.financing(financing_id).funder)
    return financing_id


def settlement_of(m: Market, financing_id: str, net: int, **fields: Any) -> SettleFinancing:
    """The funder's payment of `net`; through a bank with its receipt of today."""
    row = m.financing(financing_id)
    said: dict[str, Any] = {"financing": financing_id, "currency": row.currency, "net": Units(net)}
    if row.settlement is Settlement.BANK:
        said |= {"receipt": anchor("bank_receipt", financing_id), "paid_on": m.world.today()}
    return SettleFinancing(**{**said, **fields})


def freeze_of(m: Market, interval: Interval, days: int = 60) -> FreezeParcel:
    """A court's freeze of units for some days."""
    until_on = m.world.today() + datetime.timedelta(days=days)
    order = anchor("court_order")
    return FreezeParcel(receivable=m.receivable, interval=interval, until_on=until_on, authority_order=order)


def net_on(face: int, rate_percent: str, value_on: datetime.date, until_on: datetime.date) -> int:
    """What a quote on ACT/360 without fee leaves, worked out on its own: face less interest, half up."""
    millionths = int(Rate.parse(rate_percent))
    interest = face * millionths * (until_on - value_on).days
    return face - (2 * interest + 36_000_000_000) // 72_000_000_000
