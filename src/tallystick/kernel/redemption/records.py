"""The row of a redemption: what is set aside, held, paid through a bank or still unpaid of one receivable."""

import datetime

from tallystick.kernel.core.fields import Anchor, AnyId, Currency, Interval, MemberId, Position, Struct
from tallystick.kernel.core.record import Queue, Record
from tallystick.wire.instants import Instant


class HeldShare(Struct):
    """Money for redeemed units that waits in the receivable's hold account at `custodian`, one minor unit per unit.

    It is `holder`'s unless decided otherwise: by the financing `by`, where named, or by the authority whose freeze
    covers the units.
    """

    interval: Interval
    holder: MemberId
    custodian: MemberId
    by: AnyId | None = None


class BankPayment(Struct):
    """A payment through a bank: its receipt, and the units for which their holders have not answered yet."""

    receipt: Anchor
    since: Position
    deadline: Instant
    waiting: tuple[Interval, ...]


class Redemption(Record):
    """What there is to know about a receivable's payment beyond its parcels. Its id is the receivable's.

    `earmarked_at` is the custodian that keeps money set aside. `unpaid` says that the debt fell due and was not all
    paid: it is tried again on each funding, and whenever another amount of it is to be paid. `disputed` are units said
    to be paid through a bank whose holder denied it or was silent: owed and paid like all others, but their holder may
    still say that the money came. `dishonoured_at` begins the recourse.
    """

    table = "redemption"

    debtor: MemberId
    currency: Currency
    due_on: datetime.date
    earmarked_at: MemberId | None = None
    unpaid: bool = False
    held: tuple[HeldShare, ...] = ()
    bank: BankPayment | None = None
    disputed: tuple[Interval, ...] = ()
    dishonoured_at: Instant | None = None
    waited: bool = False  # being overdue was put off for a bank payment, which happens once

    @property
    def awaited(self) -> tuple[Interval, ...]:
        """Units whose holders still have time to answer for a bank payment."""
        return () if self.bank is None else self.bank.waiting

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        return () if self.bank is None else ((Queue.EXPIRE, self.bank.deadline.plus(1)),)

    def live_for(self) -> tuple[str, ...]:
        pending = self.unpaid or self.earmarked_at is not None or self.bank is not None
        debtor = (self.debtor,) if pending else ()
        return tuple(dict.fromkeys((*debtor, *(share.holder for share in self.held))))

    def labels(self) -> tuple[str, ...]:
        if not self.unpaid:
            return ()
        return (f"unpaid/{self.debtor}/{self.currency}/{self.due_on.isoformat()}",)
