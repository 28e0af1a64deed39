"""The days of a plan as instants: when a deposit is late, when a release may begin, when its window ends.

Days of deposit, release and retention move to the next business day, as due dates do (DOMAIN section 2), and so do the
days that a condition waits for: money never goes out by date on a holiday. All of it is worked out by the calendar in
force when the version is agreed and stored with it, so that a release reads no calendar. A day that no published
calendar covers is refused (`calendar_missing`), when it is proposed and again when it is confirmed.
"""

import datetime
from collections.abc import Iterable

from msgspec.structs import replace

from tallystick.kernel.calendar.days import end_of, moved, start_of
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.plans.conditions import OnDate, days_of, leaves
from tallystick.kernel.plans.escrow import missing_in
from tallystick.kernel.plans.records import DayOpens, PlanVersion, TrancheState, TrancheTerms
from tallystick.wire.instants import Instant


def _business_day(step: Step, day: datetime.date) -> datetime.date | Refusal:
    """`day`, or the first business day after it; or calendar_missing for it or for where it would move to."""
    return step.recall(("business_day", day), lambda: moved(step.overlay, day))


def _opening(step: Step, day: datetime.date) -> Instant:
    """The first instant of `day`."""
    return step.recall(("opening", day), lambda: start_of(step.overlay, day))


def _ending(step: Step, day: datetime.date) -> Instant:
    """The last instant of `day`."""
    return step.recall(("ending", day), lambda: end_of(step.overlay, day))


def _business_days(step: Step, *days: datetime.date) -> tuple[datetime.date, ...] | Refusal:
    """Each of `days`, moved; or the refusal of the first that cannot be."""
    found = []
    for day in days:
        business_day = _business_day(step, day)
        if isinstance(business_day, Refusal):
            return business_day
        found.append(business_day)
    return tuple(found)


def long_stop_of(step: Step, long_stop_on: datetime.date) -> Instant:
    """The last instant of the long-stop date, which does not move."""
    return _ending(step, long_stop_on)


def opened_days(
    step: Step, tranches: Iterable[TrancheTerms], known: tuple[DayOpens, ...] = ()
) -> tuple[DayOpens, ...] | Refusal:
    """When each day opens that the tranches' conditions wait for, ascending; or calendar_missing.

    A day of `known`, from the version before, keeps its instant: what was agreed on it does not shift.
    """
    at = {each.on: each.at for each in known}
    wanted = sorted({day for terms in tranches for day in days_of(terms.condition)})
    opened = []
    for on in wanted:
        opens = at.get(on)
        if opens is None:
            day = _business_day(step, on)
            if isinstance(day, Refusal):
                return day
            opens = _opening(step, day)
        opened.append(DayOpens(on=on, at=opens))
    return tuple(opened)


def opens_of(version: PlanVersion) -> dict[datetime.date, Instant]:
    """When each day opens that the version's conditions wait for."""
    return {each.on: each.at for each in version.opens}


def next_wake(
    terms: TrancheTerms, opens: dict[datetime.date, Instant], release_at: Instant, after: Instant | None = None
) -> Instant | None:
    """The earliest instant, later than `after`, at which time alone may bring about a release; None if there is none.

    That is the opening of the release window, and within it of each day that the condition waits for. Where it waits
    for nothing but days, the first of these.
    """
    asked = leaves(terms.condition)
    wakes = {max(release_at, opens[leaf.on]) for leaf in asked if isinstance(leaf, OnDate)}
    if not all(isinstance(leaf, OnDate) for leaf in asked):
        wakes.add(release_at)
    return min((at for at in wakes if after is None or at > after), default=None)


def fresh(step: Step, number: int, terms: TrancheTerms) -> TrancheState | Refusal:
    """Tranche `number` of what is proposed, before anything has come for it; `check` and `apply` work it out once."""
    return step.once(f"fresh tranche {number}", lambda: instants_for(step, terms, TrancheState()))


def instants_for(
    step: Step, terms: TrancheTerms, tranche: TrancheState, grace_days: int | None = None
) -> TrancheState | Refusal:
    """`tranche` with the instants that follow from its terms' days, or calendar_missing.

    A deposit is overdue after the end of its day and the grace that the plan gives (before it is confirmed: today's
    policies), a release possible from the opening of its
    first day, unmet after the end of its last. A tranche that misses no money waits for none.
    """
    kept_until_on = terms.release_until_on if terms.retention is None else terms.retention.until_on
    moved_days = _business_days(step, terms.fund_by_on, terms.release_from_on, terms.release_until_on, kept_until_on)
    if isinstance(moved_days, Refusal):
        return moved_days
    days = opened_days(step, (terms,))
    if isinstance(days, Refusal):
        return days
    fund_by, release_from, release_until, kept_until = moved_days
    release_at = _opening(step, release_from)
    grace = datetime.timedelta(days=policies(step).funding_grace_days if grace_days is None else grace_days)
    return replace(
        tranche,
        fund_until=_ending(step, fund_by + grace) if missing_in(tranche, terms) else None,
        release_at=release_at,
        unmet_at=_ending(step, release_until),
        wake_at=next_wake(terms, {each.on: each.at for each in days}, release_at),
        retained_until=None if terms.retention is None else _opening(step, kept_until),
    )
