"""The days of a receivable: what the calendar makes of its due date (DOMAIN section 2)."""

import datetime
from typing import NamedTuple

from tallystick.kernel.calendar.days import add_business_days, add_months, end_of, moved, start_of
from tallystick.kernel.calendar.records import Convention
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status


class Maturity(NamedTuple):
    """What follows from a due date: the day it moves to and the instants that count from that."""

    moved_due_on: datetime.date
    cutoff_at: Instant
    pay_at: Instant
    overdue_at: Instant


def check_days(
    step: Step, issue_on: datetime.date, due_on: datetime.date, *earlier: datetime.date | None
) -> Refusal | None:
    """Whether the dates make sense together and today, and the tenor lies within the policies' bounds.

    Issued at the latest today, due after today; `earlier` are days that can't lie after the due date. Tenor is counted
    in calendar months with end-of-month clamp, its minimum in days. Refused as bad_dates.
    """
    in_force = policies(step)
    if issue_on > step.today or due_on <= step.today:
        return refuse(Status.BAD_DATES, issue_on=issue_on, due_on=due_on, today=step.today)
    for day in earlier:
        if day is not None and day > due_on:
            return refuse(Status.BAD_DATES, day=day, due_on=due_on)
    latest = add_months(issue_on, in_force.max_tenor_months)
    if due_on > latest or (due_on - issue_on).days < in_force.min_tenor_days:
        return refuse(Status.BAD_DATES, due_on=due_on, latest=latest, least_days=in_force.min_tenor_days)
    return None


def check_maturity(step: Step, due_on: datetime.date, convention: Convention) -> Refusal | None:
    """Whether the due date can be worked out and lies ahead once it is moved: calendar_missing, bad_dates."""
    days = maturity(step, due_on, convention)
    if isinstance(days, Refusal):
        return days
    if days.moved_due_on <= step.today:
        return refuse(Status.BAD_DATES, due_on=due_on, moved_due_on=days.moved_due_on, today=step.today)
    return None


def maturity(step: Step, due_on: datetime.date, convention: Convention) -> Maturity | Refusal:
    """The moved due date, the cutoff before it and the end of grace after it; or calendar_missing."""
    return step.recall(("maturity", due_on, convention), lambda: _maturity(step, due_on, convention))


def _maturity(step: Step, due_on: datetime.date, convention: Convention) -> Maturity | Refusal:
    state = step.overlay
    in_force = policies(step)
    due = moved(state, due_on, convention)
    if isinstance(due, Refusal):
        return due
    cutoff = add_business_days(state, due, -in_force.cutoff_days)
    if isinstance(cutoff, Refusal):
        return cutoff
    grace_end = due + datetime.timedelta(days=in_force.grace_days)
    return Maturity(due, Instant(start_of(state, cutoff) - 1), start_of(state, due), end_of(state, grace_end))
