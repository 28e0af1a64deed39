"""Changing a member's details: name, papers, size class and bank account, by a reviewed update.

A new bank account holds only after a cooling time, of which the member is told, so that it can stop a thief's account.
"""

from collections.abc import Iterator

import msgspec

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.membership.records import Details, Member, Role
from tallystick.kernel.reviews.records import Decision, Review
from tallystick.kernel.reviews.subjects import close_review, open_review, register
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status

ASKED = EventKind("member.update_asked", "{record} asks to change its details.")
UPDATED = EventKind("member.updated", "The details of {record} are changed.")
UPDATE_ENDED = EventKind("member.update_ended", "The details of {record} stay as they are: {reason}.")
ACCOUNT_COMING = EventKind("member.bank_account_coming", "{record} has a new bank account from {at}.")
ACCOUNT_CHANGED = EventKind("member.bank_account_changed", "The new bank account of {record} is in use.")


class UpdateMember(Operation, tag="member.update"):
    """Ask for a change of the organisation's details; opens the auditors' review.

    Signed by the member's admin key. Source: DOMAIN section 3, "Member".
    """

    needs_admin = True

    details: Details

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        if self.details == Details():
            return refuse(Status.BAD_VALUE, field="details", reason="nothing would change")
        member = step.get(Member, step.actor)
        if member.coming_details is not None:
            return refuse(Status.RECORD_EXISTS, review=member.review or "")
        until_on = self.details.papers_until_on
        if until_on is not None and until_on < step.today:
            return refuse(Status.BAD_DATES, papers_until_on=until_on)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        member = step.get(Member, step.actor)
        review, event = open_review(step, "member_update", member.id, (member.id,))
        step.put(msgspec.structs.replace(member, coming_details=self.details, review=review.id))
        yield ASKED(member.id, (member.id,))
        yield event


class WithdrawUpdate(Operation, tag="member.withdraw_update"):
    """Take back an update under review, and a new bank account whose cooling time has not passed.

    Signed by the member's admin key.
    """

    needs_admin = True
    while_suspended = True

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        member = step.get(Member, step.actor)
        if member.coming_details is None and member.coming_bank_account is None:
            return refuse(Status.NOT_FOUND, member=member.id)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        member = step.get(Member, step.actor)
        if member.coming_details is not None and member.review is not None:
            yield from close_review(step, member.review)
        step.put(
            msgspec.structs.replace(member, coming_details=None, coming_bank_account=None, coming_bank_account_at=None)
        )
        yield UPDATE_ENDED(member.id, (member.id,), reason="withdrawn")


class _Update:
    """The review of an update."""

    reviewer_role = Role.AUDITOR

    def check_approval(self, step: Step, review: Review, decision: Decision) -> Refusal | None:
        return None

    def approved(self, step: Step, review: Review, decision: Decision) -> Iterator[Event]:
        member = step.get(Member, review.subject)
        asked = _coming(member)
        changes = {
            name: value
            for name in ("legal_name", "size_class", "licences", "papers", "papers_until_on")
            if (value := getattr(asked, name)) is not None
        }
        member = msgspec.structs.replace(member, coming_details=None, **changes)
        yield UPDATED(member.id, (member.id,))
        if asked.bank_account is not None:
            at = step.now.plus(policies(step).bank_account_cooling_days * DAY_MS)
            member = msgspec.structs.replace(member, coming_bank_account=asked.bank_account, coming_bank_account_at=at)
            yield ACCOUNT_COMING(member.id, (member.id,), at=at)
        step.put(member)

    def refused(self, step: Step, review: Review, reason: str) -> Iterator[Event]:
        yield from _ended(step, review, reason)

    def expired(self, step: Step, review: Review) -> Iterator[Event]:
        yield from _ended(step, review, "expired")


def _coming(member: Member) -> Details:
    if member.coming_details is None:
        raise InvariantViolation(f"{member.id} asks for no update")
    return member.coming_details


def _ended(step: Step, review: Review, reason: str) -> Iterator[Event]:
    member = step.get(Member, review.subject)
    step.put(msgspec.structs.replace(member, coming_details=None))
    yield UPDATE_ENDED(member.id, (member.id,), reason=reason)


def use_bank_account(step: Step, record: Record) -> Iterator[Event]:
    """The cooling time has passed: the new bank account is in use (due work)."""
    if not isinstance(record, Member):
        raise InvariantViolation(f"{record.key} is not a member")
    step.put(
        msgspec.structs.replace(
            record,
            bank_account=record.coming_bank_account,
            coming_bank_account=None,
            coming_bank_account_at=None,
        )
    )
    yield ACCOUNT_CHANGED(record.id, (record.id,))


register("member_update", _Update())
