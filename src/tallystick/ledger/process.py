"""What a process that keeps a ledger has of its machine: the clock, and Python's collector left alone."""

import gc
import time

from tallystick.ledger.archive import NS_PER_MS


def wall_clock_ms() -> int:
    """Milliseconds since 1970 by this machine's clock."""
    return time.time_ns() // NS_PER_MS


def settle_collector() -> None:
    """Let Python's cyclic collector alone with what stays, for a process that is given over to an engine.

    With its usual thresholds it walks every cached record again and again: a fifth of a step (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)
