"""Flags on a debtor from outside the ledger: a bond default, persistent arrears published by an authority.

What is overdue on this ledger needs no flag: the receivable's own index row `overdue/<debtor>` says it.
"""

import datetime
from collections.abc import Iterator

import msgspec

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Code, MemberId, Position, Struct
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.quorum import governors
from tallystick.kernel.membership.records import Member
from tallystick.wire.status import Status

FLAGGED = EventKind("debtor.flagged", "Debtor {record} is flagged for {kind} from {from_on}.")
CLEARED = EventKind("debtor.cleared", "The flag {kind} on debtor {record} is cleared from {from_on}.")


class Flag(Struct):
    """An external finding about a debtor, standing from `from_on` up to but not including `cleared_on`."""

    kind: Code
    from_on: datetime.date
    evidence: Anchor
    since: Position
    cleared_on: datetime.date | None = None

    def stands_on(self, day: datetime.date) -> bool:
        """Whether it stands on `day`."""
        return self.from_on <= day and (self.cleared_on is None or day < self.cleared_on)


class DebtorFlags(Record):
    """All flags ever put on a debtor, oldest first. Its id is the member's."""

    table = "debtor_flags"

    flags: tuple[Flag, ...]


class FlagDebtor(Operation, tag="debtor.flag"):
    """Put an external flag (bond default, persistent arrears) on a debtor from a day on, or clear it from a day on.

    Signed by the governors, m of n. While it stands, a law pack that asks for it bars the debtor from issuing. A flag
    is never retroactive: it may hold from today at the earliest. Source: DOMAIN section 6, 银发〔2025〕77号 art. 15.
    """

    debtor: MemberId
    kind: Code
    from_on: datetime.date
    evidence: Anchor
    clears: bool = False

    def authority(self, step: Step) -> Signers | Refusal:
        return governors(step)

    def check(self, step: Step) -> Refusal | None:
        member = step.find(Member, self.debtor)
        if member is None or not member.is_member:
            return refuse(Status.NOT_A_MEMBER, organisation=self.debtor)
        if self.from_on < step.today:
            return refuse(Status.RETROACTIVE, from_on=self.from_on, today=step.today)
        standing = self._standing(step)
        if self.clears and standing is None:
            return refuse(Status.NOT_FOUND, organisation=self.debtor, kind=self.kind)
        if self.clears and standing is not None and self.from_on < standing.from_on:
            return refuse(Status.BAD_DATES, from_on=self.from_on, flagged_from=standing.from_on)
        if not self.clears and standing is not None:
            return refuse(Status.RECORD_EXISTS, organisation=self.debtor, kind=self.kind, from_on=standing.from_on)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        row = step.find(DebtorFlags, self.debtor)
        flags = row.flags if row is not None else ()
        if self.clears:
            changed = tuple(
                msgspec.structs.replace(flag, cleared_on=self.from_on)
                if flag.kind == self.kind and flag.cleared_on is None
                else flag
                for flag in flags
            )
        else:
            flag = Flag(kind=self.kind, from_on=self.from_on, evidence=self.evidence, since=step.position)
            changed = (*flags, flag)
        step.put(DebtorFlags(id=self.debtor, flags=changed))
        event = CLEARED if self.clears else FLAGGED
        yield event(self.debtor, (self.debtor, *step.organisations), kind=self.kind, from_on=self.from_on)

    def _standing(self, step: Step) -> Flag | None:
        """The flag of this kind that nobody has cleared, if any."""
        row = step.find(DebtorFlags, self.debtor)
        for flag in row.flags if row is not None else ():
            if flag.kind == self.kind and flag.cleared_on is None:
                return flag
        return None
