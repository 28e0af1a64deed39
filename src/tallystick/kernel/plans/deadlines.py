"""What a plan's windows bring about when they end (due work), and in which order.

One row of the queue stands for all windows of a plan. When it comes up, every window that has passed is carried out in
the order of the instants; at the same instant offers end first, then silence, releases, release windows, overdue
funding, and last the long stop (DOMAIN section 2). A release that the block would only come to later in its own queue
is looked at here in its place, or a window that ended after it would take back what it had earned.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple, assert_never

from tallystick.kernel.core.events import Event
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.step import Step
from tallystick.kernel.plans import releasing
from tallystick.kernel.plans.amending import lapse_amendment
from tallystick.kernel.plans.answering import end_answer_window
from tallystick.kernel.plans.funding import mark_overdue
from tallystick.kernel.plans.lookup import version_of
from tallystick.kernel.plans.proposing import expire_proposal
from tallystick.kernel.plans.records import PENDING_PLANS, Phase, Plan, TrancheState
from tallystick.kernel.plans.rulings import long_stop
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import Instant


class Outcome(IntEnum):
    """What the end of a window brings about, in the order in which those of one instant are carried out."""

    AMENDMENT_LAPSES = 1
    SILENCE = 2
    RELEASE = 3
    UNMET = 4
    OVERDUE = 5
    LONG_STOP = 6


class Passed(NamedTuple):
    """An outcome that is due since `at`, for a tranche (0: the plan)."""

    at: Instant
    outcome: Outcome
    number: int


def pass_plan_deadline(step: Step, record: Record) -> Iterator[Event]:
    """Carry out every window of a plan that has passed, oldest first."""
    plan = step.get(Plan, record.id)
    if plan.state in PENDING_PLANS:
        yield from expire_proposal(step, plan)
        return
    carried_out: set[Passed] = set()
    open_windows = _Windows()
    while (passed := _first_passed(open_windows.of(plan), step.now, carried_out)) is not None:
        carried_out.add(passed)
        yield from _carry_out(step, plan, passed)
        plan = step.get(Plan, plan.id)
    if any(each in carried_out for each in open_windows.of(plan) if each.outcome is not Outcome.RELEASE):
        raise InvariantViolation(f"a window of {plan.id} is still open after its end")


def _first_passed(windows: Iterable[Passed], now: Instant, carried_out: set[Passed]) -> Passed | None:
    """The first window that has passed and was not carried out yet; a release that waits for money is not retried."""
    return min((each for each in windows if each.at <= now and each not in carried_out), default=None)


class _Windows:
    """The windows of a plan while one after another ends: a tranche that has not changed is not looked at again."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[TrancheState, tuple[Passed, ...]]] = {}

    def of(self, plan: Plan) -> Iterator[Passed]:
        """All that waits for an instant. A window is open at its end, so its outcome is due from the next one on."""
        if not plan.is_live:
            return
        if plan.amendment is not None:
            yield Passed(plan.amendment.deadline.plus(1), Outcome.AMENDMENT_LAPSES, 0)
        if plan.long_stop_at is not None:
            yield Passed(plan.long_stop_at.plus(1), Outcome.LONG_STOP, 0)
        for number, tranche in enumerate(plan.tranches, 1):
            known = self._known.get(number)
            if known is None or known[0] is not tranche:
                known = self._known[number] = (tranche, tuple(_windows_of(number, tranche)))
            yield from known[1]


def _windows_of(number: int, tranche: TrancheState) -> Iterator[Passed]:
    if tranche.fund_until is not None and not tranche.overdue:
        yield Passed(tranche.fund_until.plus(1), Outcome.OVERDUE, number)
    if tranche.phase is Phase.EVIDENCE_IN and tranche.answer_by is not None:
        yield Passed(tranche.answer_by.plus(1), Outcome.SILENCE, number)
    if tranche.wake_at is not None:
        yield Passed(tranche.wake_at, Outcome.RELEASE, number)
    if not tranche.is_over and tranche.phase is not Phase.VERIFIED and tranche.unmet_at is not None:
        yield Passed(tranche.unmet_at.plus(1), Outcome.UNMET, number)


def _carry_out(step: Step, plan: Plan, passed: Passed) -> Iterator[Event]:
    version = version_of(step, plan)
    match passed.outcome:
        case Outcome.AMENDMENT_LAPSES:
            yield from lapse_amendment(step, plan)
        case Outcome.SILENCE:
            yield from end_answer_window(step, plan, version, passed.number)
        case Outcome.RELEASE:
            if step.written <= releasing.WRITES:  # else it is left to its own queue, and the long stop waits for it
                yield from releasing.look(step, plan, version, passed.number)
        case Outcome.UNMET:
            yield from releasing.end_release_window(step, plan, version, passed.number)
        case Outcome.OVERDUE:
            yield from mark_overdue(step, plan, version, passed.number)
        case Outcome.LONG_STOP:
            yield from long_stop(step, plan, version)
        case _:
            assert_never(passed.outcome)
