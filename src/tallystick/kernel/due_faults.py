"""Due work that failed by a fault of the kernel: marked, skipped, and told to the operator."""

from tallystick.kernel.core.events import EventKind
from tallystick.kernel.core.fields import Count
from tallystick.kernel.core.record import Record

due_failed = EventKind("chain.due_failed", "Due work {record} failed at height {height} and is set aside.")


class DueFault(Record):
    """Marks a due row as set aside. Its id is the row."""

    table = "due_fault"

    height: Count
