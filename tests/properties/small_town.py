"""A consortium as small as properties need, watched by the auditor: debtor, three holders, funder and the offices."""

import datetime
import random
from typing import Any

from nacl.signing import SigningKey as Ed25519

from tallystick import seeds
from tallystick.kernel.accounts.deposits import BookDeposit
from tallystick.kernel.accounts.opening import ApplyForAccount
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.genesis import (
    Genesis,
    GenesisCurrency,
    GenesisMember,
    GenesisZone,
    Limits,
    member_id,
)
from tallystick.kernel.governance.policies import Policies, Shortfall
from tallystick.kernel.governance.records import Engine, Validator
from tallystick.kernel.membership.records import KeyOffer, KeyRole, Permission, Permitted, Role, SizeClass
from tallystick.kernel.receivables.issue import ConfirmReceivable, RequestReceivable
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ReviewResult
from tallystick.wire.amounts import MAX_UNITS, Units
from tallystick.wire.keys import to_base64
from tests.simulation.founding import START, key_of, paper, year_of
from tests.simulation.town import Outcome, Town
from tests.support.members import lei

CAST = {
    "debtor": (Role.CLIENT, Role.CORE_ENTERPRISE),
    "first": (Role.CLIENT,),
    "second": (Role.CLIENT,),
    "third": (Role.CLIENT,),
    "funder": (Role.FUNDER,),
    "auditor": (Role.AUDITOR,),
    "bank": (Role.CUSTODIAN,),
    "other_bank": (Role.CUSTODIAN,),
    "governor": (Role.GOVERNOR,),
}
HOLDERS = ("first", "second", "third")


class SmallTown(Town):
    """A town whose members are called by name; `do` signs and runs one transaction in a block of its own."""

    def __init__(self, shortfall: Shortfall = Shortfall.NONE, max_parcels: int = 500) -> None:
        keys: dict[str, list[Ed25519]] = {name: [key_of(0, name, 0)] for name in CAST}
        members = tuple(_member(name, keys[name][0]) for name in CAST)
        genesis = Genesis(
            format=1,
            chain_id="small",
            time=START,
            engine=Engine.EMBEDDED,
            validators=(Validator(key=to_base64(key_of(0, "node", 0).verify_key.encode()), name="node"),),
            zone=GenesisZone(name="Asia/Shanghai", transitions=seeds.zone("Asia/Shanghai").transitions),
            currencies=(GenesisCurrency(currency="GBP", minor_digits=2),),
            members=members,
            sandbox=True,
            tree_depth=1,
            limits=Limits(max_parcels=max_parcels),
            policies=Policies(shortfall=shortfall, cutoff_days=1),
            calendars=tuple(year_of(row) for row in seeds.calendar("gb") if row.id in ("2025", "2026", "2027")),
        )
        super().__init__(genesis, keys, random.Random(0), sweep_every=1)
        self.named = {member.legal_name: member_id("small", member) for member in members}

    def do(self, *operations: Operation, by: str, also: tuple[str, ...] = ()) -> Outcome:
        """One transaction a second later, by names of the cast or by ids."""
        signers = tuple(self.named.get(name, name) for name in also)
        return self.block(1_000, [self.sign(operations, self.named.get(by, by), signers)])[0]

    def pass_time(self, milliseconds: int) -> None:
        """Let business time go on and its due work be done."""
        self.block(milliseconds, [])

    def approve(self, review: str | None, by: str, **fields: Any) -> Outcome:
        return self.do(DecideReview(review=review or "", result=ReviewResult.APPROVE, **fields), by=by)

    def issue(self, face: int, creditor: str, days: int = 60) -> str:
        """A valid receivable of the debtor in `creditor`'s hands, if time and standing allow. Returns its id."""
        debtor, holder = self.named["debtor"], self.named[creditor]
        today = datetime.datetime.fromtimestamp(int(self.now) / 1000 + 8 * 3600, datetime.UTC).date()
        asked = RequestReceivable(
            debtor=debtor,
            creditor=holder,
            currency="GBP",
            face=Units(face),
            issue_on=today,
            due_on=today + datetime.timedelta(days=days),
            contracts=(paper("contract", self.height),),
        )
        made = self.do(asked, by="debtor")
        if made.label != "ok":
            return ""
        receivable = str(made.events[0]["record"])
        confirmed = ConfirmReceivable(
            receivable=receivable,
            currency="GBP",
            face=Units(face),
            handling=paper("handling"),
            consent_to_notices=True,
        )
        self.do(confirmed, by=creditor)
        row = self.find(Receivable, receivable)
        return receivable if self.approve(row.review, "auditor").label == "ok" else ""

    def open_account(self, name: str, bank: str = "bank") -> str:
        """An account for `name`, opened by the custodian. Returns its id, or "" where that is refused."""
        asked = ApplyForAccount(currency="GBP", custodian=self.named[bank], papers=(paper("papers", name),))
        made = self.do(asked, by=name)
        if made.label != "ok":
            return ""
        account = str(made.events[0]["record"])
        return account if self.approve(made.events[0]["facts"]["review"], bank).label == "ok" else ""

    def deposit(self, account: str, units: int, owner: str, bank: str = "bank") -> Outcome:
        """Money that came in for an account from its owner."""
        booked = BookDeposit(
            bank_reference=f"R{self.height}",
            currency="GBP",
            units=Units(units),
            remitter=self.named[owner],
            account=account,
        )
        return self.do(booked, by=bank)


def _member(name: str, key: Ed25519) -> GenesisMember:
    permissions = tuple(
        Permission(may=may, currency="GBP", ceiling=Units(MAX_UNITS)) for may in Permitted if Role.CLIENT in CAST[name]
    )
    return GenesisMember(
        legal_name=name,
        identifier=lei(name),
        identifier_kind="lei",
        size_class=SizeClass.SMALL,
        keys=(KeyOffer(key=to_base64(key.verify_key.encode()), role=KeyRole.ADMIN),),
        roles=CAST[name],
        permissions=permissions,
    )
