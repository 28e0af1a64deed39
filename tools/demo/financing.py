"""Financing: two funders compete with sealed quotes and the best pays on the ledger; another pays through a bank."""

import secrets
from collections.abc import Mapping

from msgspec.structs import replace

from tallystick.kernel.arithmetic import DayCount
from tallystick.kernel.financing.award import AwardFinancing
from tallystick.kernel.financing.contract import SignFinancingContract
from tallystick.kernel.financing.lifecycle import awarded_terms, price_on, ranking
from tallystick.kernel.financing.quotes import EvaluateFinancing, QuoteFinancing, RevealQuote
from tallystick.kernel.financing.records import Financing, QuoteTerms, Settlement
from tallystick.kernel.financing.registration import RegisterFinancing
from tallystick.kernel.financing.request import RequestFinancing
from tallystick.kernel.financing.sealed import commitment_of
from tallystick.kernel.financing.settlement import ConfirmFinancingReceipt, SettleFinancing
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.instants import DAY_MS, HOUR_MS, Instant
from tallystick.wire.status import Status
from tools.demo.joining import FUNDER_EAST, FUNDER_NORTH, FUNDER_SOUTH, FUNDERS
from tools.demo.passing import largest, parcel_of
from tools.demo.stage import ARBITRATOR, Stage, StoryFault

OPEN_DAYS = 2
VALID_DAYS = 10
LEFT_OPEN = Units(400_000_00)
LEFT_OPEN_DAYS = 7


def two_ways(stage: Stage) -> None:
    """Both are asked for on the same day, close on the same day, and are paid on that day."""
    closes_at = stage.session.now().plus(OPEN_DAYS * DAY_MS)
    with stage.telling.step("Sealed quotes") as step:
        sealed = _ask(stage, largest(stage, 1), closes_at, Settlement.LEDGER)
        nonces = _seal(stage, sealed, _competing(closes_at))
        by_bank = _ask(stage, largest(stage, 2), closes_at, Settlement.BANK)
        _quote_openly(stage, by_bank, FUNDER_EAST, _terms("5.2", DayCount.ACT_365F, closes_at))
        stage.advance_to(closes_at.plus(HOUR_MS))
        _reveal(stage, sealed, _competing(closes_at), nonces)
        row = stage.get(Financing, sealed)
        step.say(f"Two funders compete for {stage.money(row.face)} of {stage.name(row.client)}; revealed and ranked:")
        for line in _ranked(stage, row):
            step.say(line)
        step.say("The lower rate costs more, as its year has 360 days")
    with stage.telling.step("Paid on the ledger") as step:
        _award_and_sign(stage, sealed)
        row = stage.get(Financing, sealed)
        net = _settle(stage, row)
        row = stage.get(Financing, sealed)
        step.say(
            f"Awarded, contract signed by both, reviewed, registered as {row.registrations[-1].number}; then in one "
            f"step {stage.money(net)} go to {stage.name(row.client)} and the parcel to {stage.name(row.funder)}"
        )
    with stage.telling.step("Paid through a bank") as step:
        _award_and_sign(stage, by_bank)
        row = stage.get(Financing, by_bank)
        net = _settle(stage, row)
        stage.do(ConfirmFinancingReceipt(financing=by_bank, currency="GBP", net=net), by=stage.name(row.client))
        step.say(
            f"For {stage.money(row.face)} {stage.name(row.funder)} anchors a bank receipt of {stage.money(net)}; when "
            f"{stage.name(row.client)} confirms it, the parcel passes"
        )


def leave_open(stage: Stage, receivable: str) -> None:
    """A last request stays on the board, with open quotes, for whoever looks after the story has ended."""
    with stage.telling.step("Left on the board") as step:
        row = stage.get(Receivable, receivable)
        closes_at = stage.session.now().plus(LEFT_OPEN_DAYS * DAY_MS)
        asked = _ask(stage, row, closes_at, Settlement.BANK, LEFT_OPEN)
        stage.refused(
            _evaluation(stage, asked, FUNDER_NORTH, accepts=True),
            by=FUNDER_NORTH,
            status=Status.SCRUTINY_MISSING,
            why="a funder's yes to a tenor over six months, without scrutiny",
        )
        for funder, terms in _competing(closes_at).items():
            _quote_openly(stage, asked, funder, terms)
        step.say(
            f"{stage.name(row.creditor)} asks for money for {stage.money(LEFT_OPEN, row.currency)} of "
            "its first receivable. A funder's yes without its scrutiny of so long a tenor is refused "
            f"({Status.SCRUTINY_MISSING.label}); with it, two funders quote openly"
        )


def _terms(rate: str, day_count: DayCount, closes_at: Instant) -> QuoteTerms:
    return QuoteTerms(
        rate=Rate.parse(rate),
        day_count=day_count,
        fee_rate=Rate(0),
        minimum_fee=ZERO,
        valid_until=closes_at.plus(VALID_DAYS * DAY_MS),
        with_recourse=False,
    )


def _competing(closes_at: Instant) -> dict[str, QuoteTerms]:
    return {
        FUNDER_NORTH: _terms("5", DayCount.ACT_360, closes_at),
        FUNDER_SOUTH: _terms("5.05", DayCount.ACT_365F, closes_at),
    }


def _ask(
    stage: Stage, receivable: Receivable, closes_at: Instant, settlement: Settlement, units: Units | None = None
) -> str:
    client = stage.name(receivable.creditor)
    return stage.do(
        RequestFinancing(
            receivable=receivable.id,
            parcel=parcel_of(stage, receivable.id, client),
            currency=receivable.currency,
            units=receivable.face if units is None else units,
            settlement=settlement,
            closes_at=closes_at,
            sealed=settlement is Settlement.LEDGER,
            invited=tuple(sorted(stage.id(name) for name in FUNDERS)),
        ),
        by=client,
    ).records[0]


def _evaluate(stage: Stage, financing: str, funder: str, *, accepts: bool) -> None:
    evaluation = _evaluation(stage, financing, funder, accepts=accepts)
    scrutiny = stage.papers.stand_in("scrutiny", f"{funder} on {financing}")
    stage.do(replace(evaluation, scrutiny=scrutiny if accepts else None), by=funder)


def _evaluation(stage: Stage, financing: str, funder: str, *, accepts: bool) -> EvaluateFinancing:
    assessment = stage.papers.stand_in("assessment", f"{funder} on {financing}")
    return EvaluateFinancing(financing=financing, accepts=accepts, assessment=assessment)


def _seal(stage: Stage, financing: str, quotes: Mapping[str, QuoteTerms]) -> dict[str, str]:
    """Each funder commits to its terms; who does not accept does not quote. The nonces stay with the funders."""
    row = stage.get(Financing, financing)
    nonces = {}
    for funder in FUNDERS:
        _evaluate(stage, financing, funder, accepts=funder in quotes)
    for funder, terms in quotes.items():
        nonces[funder] = secrets.token_hex(32)
        chain_id = stage.session.engine.chain_id
        commitment = commitment_of(chain_id, financing, stage.id(funder), terms, nonces[funder])
        stage.do(QuoteFinancing(financing=financing, currency="GBP", units=row.face, commitment=commitment), by=funder)
    return nonces


def _quote_openly(stage: Stage, financing: str, funder: str, terms: QuoteTerms) -> None:
    _evaluate(stage, financing, funder, accepts=True)
    row = stage.get(Financing, financing)
    stage.do(QuoteFinancing(financing=financing, currency=row.currency, units=row.face, terms=terms), by=funder)


def _reveal(stage: Stage, financing: str, quotes: Mapping[str, QuoteTerms], nonces: Mapping[str, str]) -> None:
    face = stage.get(Financing, financing).face
    for funder, terms in quotes.items():
        opened = RevealQuote(financing=financing, currency="GBP", units=face, terms=terms, nonce=nonces[funder])
        stage.do(opened, by=funder)


def _ranked(stage: Stage, row: Financing) -> list[str]:
    quotes = {quote.id: quote for quote in row.quotes}
    lines = []
    for place, entry in enumerate(ranking(stage.session.reading_step(), row), 1):
        quote = quotes[entry.quote]
        if quote.terms is None:
            raise StoryFault(f"{quote.id} is ranked without terms")
        price = f"{quote.terms.rate} % {quote.terms.day_count.value.upper():<8}"
        lines.append(f"  {place}. {stage.name(quote.funder):<18} {price:<16} costs {stage.money(entry.cost)}")
    return lines


def _award_and_sign(stage: Stage, financing: str) -> None:
    """The best quote is awarded; client and funder sign the contract; its review; search and registration."""
    row = stage.get(Financing, financing)
    client = stage.name(row.client)
    best = ranking(stage.session.reading_step(), row)[0]
    stage.do(AwardFinancing(financing=row.id, quote=best.quote, currency="GBP", units=row.face), by=client)
    funder = stage.name(stage.get(Financing, financing).funder)
    contract = SignFinancingContract(
        financing=row.id,
        currency="GBP",
        units=row.face,
        document=stage.papers.stand_in("financing_contract", row.id),
        arbitrator=stage.id(ARBITRATOR),
    )
    stage.do(contract, by=client)
    stage.do(replace(contract, handling=stage.papers.stand_in("handling", row.id)), by=funder)
    stage.approve_now(stage.get(Financing, financing).review)
    number = row.id.removeprefix("fin_")[:8].upper()
    stage.do(RegisterFinancing(financing=row.id, search=f"DEMO-S-{number}", number=f"DEMO-R-{number}"), by=funder)


def _settle(stage: Stage, row: Financing) -> Units:
    """The funder pays what the ledger computes from its terms and today's value date. Returns the net."""
    price = price_on(stage.session.reading_step(), row, awarded_terms(row))
    if price is None:
        raise StoryFault(f"nothing is to be paid out for {row.id}")
    settled = SettleFinancing(financing=row.id, currency=row.currency, net=price.net)
    if row.settlement is Settlement.BANK:
        settled = replace(settled, receipt=stage.papers.stand_in("bank_receipt", row.id), paid_on=stage.today())
    stage.do(settled, by=stage.name(row.funder))
    return price.net
