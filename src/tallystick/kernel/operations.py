"""The ledger's vocabulary: every operation, and what each due queue does to each kind of record."""

from collections.abc import Callable, Iterator

from tallystick.kernel.calendar.adopt import AdoptCalendar
from tallystick.kernel.core.events import Event
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.record import Queue, Record
from tallystick.kernel.core.step import Step
from tallystick.kernel.law.adopt import AdoptLaw
from tallystick.kernel.law.flags import FlagDebtor
from tallystick.kernel.law.rates import AdoptReferenceRate

OPERATIONS: tuple[type[Operation], ...] = (
    # documents, time, rules
    AdoptLaw,
    AdoptCalendar,
    AdoptReferenceRate,
    FlagDebtor,
)

DUE_WORK: dict[tuple[Queue, str], Callable[[Step, Record], Iterator[Event]]] = {}
