"""Signed business steps for the benchmark: a consortium in a genesis, and stories that run through it stage by stage.

A story is a receivable: requested by its supplier, confirmed by its debtor, reviewed; half of it transferred (request,
acceptance, review); one in `FINANCED` also financed to the end (request, evaluation, quote, award, two contract
signatures, review, registration, settlement in ledger money). All stories pass a stage before the next begins, so that
the ledger is at work on many records at once. All debtors and some funders keep four eyes: their steps, a fifth of all,
carry two signatures.
"""

import datetime
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from nacl.signing import SigningKey

from tallystick import seeds
from tallystick.kernel.accounts.deposits import BookDeposit
from tallystick.kernel.accounts.opening import ApplyForAccount
from tallystick.kernel.arithmetic import DayCount
from tallystick.kernel.calendar.adopt import PublishedYear
from tallystick.kernel.core.fields import Anchor, Interval
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.step import ID_STRIDE
from tallystick.kernel.financing.award import AwardFinancing
from tallystick.kernel.financing.contract import SignFinancingContract
from tallystick.kernel.financing.quotes import EvaluateFinancing, QuoteFinancing
from tallystick.kernel.financing.records import QuoteTerms, Settlement
from tallystick.kernel.financing.registration import RegisterFinancing
from tallystick.kernel.financing.request import RequestFinancing
from tallystick.kernel.financing.settlement import SettleFinancing
from tallystick.kernel.genesis import (
    Genesis,
    GenesisCurrency,
    GenesisMember,
    GenesisPack,
    GenesisYear,
    GenesisZone,
    member_id,
)
from tallystick.kernel.governance.operations import AdvanceClock
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.governance.records import Engine, Validator
from tallystick.kernel.membership.records import (
    KeyOffer,
    KeyRole,
    Permission,
    Permitted,
    Role,
    SigningRule,
    SizeClass,
)
from tallystick.kernel.receivables.issue import ConfirmReceivable, RequestReceivable
from tallystick.kernel.receivables.records import InvoiceUse
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ReviewResult
from tallystick.kernel.transaction import body_bytes
from tallystick.kernel.transfers.agreed import AcceptTransfer, RequestTransfer
from tallystick.ledger.engine import Committed, Outcome
from tallystick.wire import envelope
from tallystick.wire.amounts import MAX_UNITS, Rate, Units
from tallystick.wire.ids import record_id
from tallystick.wire.instants import DAY_MS, MINUTE_MS, Instant
from tallystick.wire.keys import to_base64
from tallystick.wire.status import Status

CHAIN_ID = "tallystick-bench"
DEBTORS, SUPPLIERS, FUNDERS = 20, 60, 8
FINANCED = 4
FACE = Units(1_000_000)
SHARE = Units(500_000)
CURRENCY = "GBP"
PAPER = Anchor(hash="ab" * 32, kind="contract", size=100_000)
NODE_KEY = SigningKey(hashlib.sha256(b"bench node").digest())
FOUR_EYES = {*(f"debtor {n}" for n in range(DEBTORS)), *(f"funder {n}" for n in range(0, FUNDERS, 4))}
_MAKER_AND_CHECKER = (SigningRule(pattern="*", makers=1, checkers=1),)
WHOLE, _LOWER = Interval(Units(1), FACE), Interval(Units(1), SHARE)
_UPPER = Interval(Units(SHARE + 1), FACE)


@dataclass(frozen=True)
class Organisation:
    """A member with the keys that must sign for it."""

    id: str
    keys: tuple[SigningKey, ...]


@dataclass
class Story:
    """One receivable on its way; ids are known before they are on the ledger."""

    number: int
    debtor: Organisation
    supplier: Organisation
    receiver: Organisation
    funder: Organisation
    receivable: str = ""
    parcel: Interval = WHOLE
    transfer: str = ""
    financing: str = ""
    quote: str = ""
    review: str = ""


Named: TypeAlias = tuple[str, Callable[[Story], bytes]]
"""A stage by the kind of its step, and the signing of that step of a story."""


@dataclass
class Consortium:
    """The genesis of the benchmark and the signing of its steps."""

    now: Instant
    today: datetime.date
    signed: int = 0
    signatures: int = 0
    organisations: dict[str, Organisation] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)  # by owner

    def genesis(self) -> Genesis:
        """One member for each office, and the trading members with every permission."""
        named: list[tuple[str, tuple[Role, ...]]] = [
            (office.value, (office,))
            for office in (Role.GOVERNOR, Role.AUDITOR, Role.CUSTODIAN, Role.PLATFORM, Role.ARBITRATOR)
        ]
        named += [(f"debtor {n}", (Role.CLIENT, Role.CORE_ENTERPRISE)) for n in range(DEBTORS)]
        named += [(f"supplier {n}", (Role.CLIENT,)) for n in range(SUPPLIERS)]
        named += [(f"funder {n}", (Role.FUNDER,)) for n in range(FUNDERS)]
        members = tuple(self._member(name, roles) for name, roles in named)
        zone = seeds.zone("Europe/London")
        pack, adoption = seeds.law_pack("gb")
        years = (
            GenesisYear(
                published=PublishedYear(year=int(year.id), days_off=year.versions[-1].days_off),
                source=year.versions[-1].source,
            )
            for year in seeds.calendar("gb")
        )
        return Genesis(
            format=1,
            chain_id=CHAIN_ID,
            time=self.now,
            engine=Engine.EMBEDDED,
            validators=(Validator(key=to_base64(bytes(NODE_KEY.verify_key)), name="bench"),),
            zone=GenesisZone(name=zone.name, transitions=zone.transitions),
            currencies=(GenesisCurrency(currency=CURRENCY, minor_digits=2),),
            members=members,
            sandbox=True,
            policies=Policies(identifier_kinds=("bench",)),
            calendars=tuple(years),
            packs=(
                GenesisPack(
                    jurisdiction="gb",
                    version=pack.id,
                    from_on=adoption.from_on,
                    rules=pack.rules,
                    source=pack.source,
                    currencies=adoption.currencies,
                ),
            ),
        )

    def _member(self, name: str, roles: tuple[Role, ...]) -> GenesisMember:
        four_eyes = name in FOUR_EYES
        parts = (KeyRole.MAKER, KeyRole.CHECKER) if four_eyes else (KeyRole.MAKER,)
        keys = tuple(SigningKey(hashlib.sha256(f"{name} {part.value}".encode()).digest()) for part in parts)
        admin = SigningKey(hashlib.sha256(f"{name} admin".encode()).digest())
        offers = tuple(
            KeyOffer(key=to_base64(bytes(key.verify_key)), role=part)
            for key, part in zip((*keys, admin), (*parts, KeyRole.ADMIN), strict=True)
        )
        member = GenesisMember(
            legal_name=name,
            identifier=name,
            identifier_kind="bench",
            size_class=SizeClass.LARGE,
            keys=offers,
            roles=roles,
            permissions=tuple(Permission(may=may, currency=CURRENCY, ceiling=Units(MAX_UNITS)) for may in Permitted),
            signing_policy=_MAKER_AND_CHECKER if four_eyes else (),
        )
        self.organisations[name] = Organisation(member_id(CHAIN_ID, member), keys)
        return member

    def sign(self, by: Organisation, *operations: Operation) -> tuple[bytes, str]:
        """Raw bytes of a step and its transaction id."""
        self.signed += 1
        self.signatures += len(by.keys)
        name = f"step-{self.signed}"
        body = body_bytes(CHAIN_ID, by.id, name, self.now.plus(3 * DAY_MS), operations)
        return envelope.sign(body, *by.keys).to_bytes(), name

    def opening(self) -> Iterator[bytes]:
        """Accounts for all who pay or are paid, and money for the funders and the debtors."""
        custodian = self.organisations["custodian"]
        for name, owner in self.organisations.items():
            if not name.startswith(("supplier", "funder", "debtor")):
                continue
            raw, made = self.sign(owner, ApplyForAccount(currency=CURRENCY, custodian=custodian.id, papers=(PAPER,)))
            yield raw
            yield self.decide(custodian, self.made("rev", owner, made, nth=1))
            account = self.accounts[owner.id] = self.made("acc", owner, made)
            if name.startswith(("funder", "debtor")):
                yield self.sign(
                    custodian,
                    BookDeposit(
                        bank_reference=f"opening-{name.replace(' ', '-')}",
                        currency=CURRENCY,
                        units=Units(10**15),
                        remitter=owner.id,
                        account=account,
                    ),
                )[0]

    @staticmethod
    def made(prefix: str, by: Organisation, name: str, nth: int = 0) -> str:
        """The id of the `nth` record that a step of one operation makes."""
        return record_id(prefix, CHAIN_ID, by.id, name, nth * ID_STRIDE)

    def decide(self, by: Organisation, review: str, fingerprints: tuple[str, ...] = ()) -> bytes:
        decision = DecideReview(review=review, result=ReviewResult.APPROVE, fingerprints=fingerprints)
        return self.sign(by, decision)[0]

    def stories(self, first: int, count: int) -> list[Story]:
        """New stories, numbered from `first`."""
        who = self.organisations
        return [
            Story(
                n,
                who[f"debtor {n % DEBTORS}"],
                who[f"supplier {n % SUPPLIERS}"],
                who[f"supplier {(n + 1) % SUPPLIERS}"],
                who[f"funder {n // FINANCED % FUNDERS}"],
            )
            for n in range(first, first + count)
        ]

    def issue_stages(self) -> tuple[Named, ...]:
        """Request, confirmation, review."""
        return (
            ("receivable.request", self._request),
            ("receivable.confirm", self._confirm),
            ("review.decide, receivable", self._valid),
        )

    def transfer_stages(self) -> tuple[Named, ...]:
        """Request, acceptance, review."""
        return (
            ("transfer.request", self._hand_on),
            ("transfer.accept", self._accept),
            ("review.decide, transfer", self._passed),
        )

    def quoting_stages(self) -> tuple[Named, ...]:
        """Financing up to its quote."""
        return (
            ("financing.request", self._finance),
            ("financing.evaluate", self._evaluate),
            ("financing.quote", self._quote),
        )

    def settling_stages(self) -> tuple[Named, ...]:
        """Financing from the award on, after the closing time."""
        return (
            ("financing.award", self._award),
            ("financing.sign_contract, client", self._client_signs),
            ("financing.sign_contract, funder", self._funder_signs),
            ("review.decide, financing", self._financing_passed),
            ("financing.register", self._register),
            ("financing.settle", self._settle),
        )

    def _fingerprint(self, story: Story) -> str:
        return hashlib.sha256(b"invoice %d" % story.number).hexdigest()

    def _request(self, story: Story) -> bytes:
        raw, made = self.sign(
            story.supplier,
            RequestReceivable(
                debtor=story.debtor.id,
                creditor=story.supplier.id,
                currency=CURRENCY,
                face=FACE,
                issue_on=self.today,
                due_on=self.today + datetime.timedelta(days=90),
                delivered_on=self.today,
                invoices=(InvoiceUse(fingerprint=self._fingerprint(story), amount=FACE, total=FACE),),
            ),
        )
        story.receivable = self.made("rcv", story.supplier, made)
        return raw

    def _confirm(self, story: Story) -> bytes:
        raw, made = self.sign(
            story.debtor,
            ConfirmReceivable(
                receivable=story.receivable, currency=CURRENCY, face=FACE, handling=PAPER, consent_to_notices=True
            ),
        )
        story.review = self.made("rev", story.debtor, made)
        return raw

    def _valid(self, story: Story) -> bytes:
        return self.decide(self.organisations["auditor"], story.review, (self._fingerprint(story),))

    def _hand_on(self, story: Story) -> bytes:
        raw, made = self.sign(
            story.supplier,
            RequestTransfer(
                receivable=story.receivable,
                parcel=story.parcel,
                currency=CURRENCY,
                units=SHARE,
                receiver=story.receiver.id,
                recourse=True,
                background=PAPER,
            ),
        )
        story.transfer = self.made("trf", story.supplier, made)
        return raw

    def _accept(self, story: Story) -> bytes:
        raw, made = self.sign(
            story.receiver,
            AcceptTransfer(transfer=story.transfer, currency=CURRENCY, units=SHARE, handling=PAPER),
        )
        story.review = self.made("rev", story.receiver, made)
        return raw

    def _passed(self, story: Story) -> bytes:
        return self.decide(self.organisations["auditor"], story.review)

    def _finance(self, story: Story) -> bytes:
        raw, made = self.sign(
            story.supplier,
            RequestFinancing(
                receivable=story.receivable,
                parcel=_UPPER,
                currency=CURRENCY,
                units=SHARE,
                settlement=Settlement.LEDGER,
                closes_at=self.now.plus(DAY_MS),
                invited=(story.funder.id,),
            ),
        )
        story.financing = self.made("fin", story.supplier, made)
        return raw

    def _evaluate(self, story: Story) -> bytes:
        return self.sign(story.funder, EvaluateFinancing(financing=story.financing, accepts=True, assessment=PAPER))[0]

    def _quote(self, story: Story) -> bytes:
        terms = QuoteTerms(
            rate=Rate.parse("5.5"),
            day_count=DayCount.ACT_365F,
            fee_rate=Rate(0),
            minimum_fee=Units(0),
            valid_until=self.now.plus(10 * DAY_MS),
            with_recourse=False,
        )
        raw, made = self.sign(
            story.funder, QuoteFinancing(financing=story.financing, currency=CURRENCY, units=SHARE, terms=terms)
        )
        story.quote = self.made("qte", story.funder, made)
        return raw

    def after_closing(self) -> bytes:
        """Move the sandbox's clock past the closing time of the quotes."""
        raw, _ = self.sign(self.organisations["governor"], AdvanceClock(to=self.now.plus(DAY_MS + MINUTE_MS)))
        return raw

    def _award(self, story: Story) -> bytes:
        return self.sign(
            story.supplier,
            AwardFinancing(financing=story.financing, quote=story.quote, currency=CURRENCY, units=SHARE),
        )[0]

    def _contract(self, story: Story, handling: Anchor | None) -> SignFinancingContract:
        return SignFinancingContract(
            financing=story.financing, currency=CURRENCY, units=SHARE, document=PAPER, handling=handling
        )

    def _client_signs(self, story: Story) -> bytes:
        return self.sign(story.supplier, self._contract(story, None))[0]

    def _funder_signs(self, story: Story) -> bytes:
        raw, made = self.sign(story.funder, self._contract(story, PAPER))
        story.review = self.made("rev", story.funder, made)
        return raw

    def _financing_passed(self, story: Story) -> bytes:
        return self.decide(self.organisations["auditor"], story.review)

    def _register(self, story: Story) -> bytes:
        number = f"R-{story.number}"
        return self.sign(story.funder, RegisterFinancing(financing=story.financing, search=number, number=number))[0]

    def _settle(self, story: Story) -> bytes:
        return self.sign(story.funder, SettleFinancing(financing=story.financing, currency=CURRENCY, net=self.net))[0]

    @property
    def net(self) -> Units:
        """What a funder pays for `SHARE` at 5.5 % from tomorrow, the value date, to the due date."""
        days = 89
        discount = (2 * SHARE * 5_500_000 * days + 365 * 10**8) // (2 * 365 * 10**8)
        return Units(SHARE - discount)


def committed(outcomes: list[Outcome]) -> None:
    """Whatever is not measured must be done. Raises RuntimeError."""
    for outcome in outcomes:
        if not isinstance(outcome, Committed) or outcome.status is not Status.OK:
            raise RuntimeError(f"a step that sets the scene was refused: {outcome}")
