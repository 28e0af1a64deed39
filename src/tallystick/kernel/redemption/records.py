"""The row of a redemption: what is set aside, held, paid through a bank or still unpaid of one receivable."""

import datetime

from tallystick.kernel.core.fields import AnyId, Anchor, Currency, Interval, MemberId, Position, Struct
from tallystick.kernel.core.record import Queue, Record
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.instants import Instant


class HeldShare(Struct):
    """Money for redeemed units that waits in the receivable's hold account at `custodian`, one minor unit per unit.

    It is `holder`'s unless it is decided otherwise: by the financing `by`, where named, or by the authority whose freeze
    covers the units.
    """

    interval: Interval
    holder: MemberId
    custodian: MemberId
    by: AnyId | None = None


class BankPart(Struct):
    """Units that a debtor says it paid to `holder` through a bank."""

    interval: Interval
    holder: MemberId


class BankPayment(Struct):
    """A payment through a bank: its receipt, and the parts that their holders have not answered for."""

    receipt: Anchor
    since: Position
    deadline: Instant
    waiting: tuple[BankPart, ...]


class Redemption(Record):
    """What there is to know about a receivable's payment beyond its parcels. Its id is the receivable's.

    `earmarked_at` is the custodian that keeps money set aside. `unpaid` says that the debtor fell due and its accounts
    are tried again on each funding. `disputed` are parts that a holder denied, or was silent about: they stay owed,
    and no account is debited for them unless the debtor says so.
    """

    table = "redemption"

    debtor: MemberId
    currency: Currency
    due_on: datetime.date
    earmarked_at: MemberId | None = None
    unpaid: bool = False
    held: tuple[HeldShare, ...] = ()
    bank: BankPayment | None = None
    disputed: tuple[BankPart, ...] = ()
    dishonoured_at: Instant | None = None
    written_off: Units = ZERO

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        return () if self.bank is None else ((Queue.EXPIRE, self.bank.deadline.plus(1)),)

    def live_for(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(share.holder for share in self.held))

    def labels(self) -> tuple[str, ...]:
        if not self.unpaid:
            return ()
        return (f"unpaid/{self.debtor}/{self.currency}/{self.due_on.isoformat()}",)


class Arrears(Record):
    """How many receivables of a debtor are overdue and not settled. Its id is the debtor's; no row means none.

    A debtor in arrears may not issue (law pack, cn art. 15) until each of them is paid or given up by its holders.
    """

    table = "arrears"

    overdue: int
    since: Position
