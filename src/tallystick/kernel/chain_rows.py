"""Rows about the chain itself: a sandbox's clock, the seed of due work's blinds, what came before it and after it."""

from tallystick.kernel.core.fields import ChainId, Count, Hash, Key
from tallystick.kernel.core.record import Record


class Clock(Record):
    """A sandbox chain's business time minus header time, in milliseconds. Id `chain`."""

    table = "clock"

    offset_ms: Count = 0
    advanced_height: Count = 0  # once a block: a second step would count from the same time


class Entropy(Record):
    """A running hash over all bodies, the seed for rows that no transaction wrote. Id `chain`; never published."""

    table = "entropy"

    value: Hash


class Closed(Record):
    """The chain was closed (chain.close). Id `chain`."""

    table = "closed"

    successor: str
    height: Count
    validators: tuple[Key, ...] = ()


class Revision(Record):
    """A restored ledger went on under a new chain id, which is this row's id (ADR 0003)."""

    table = "revision"

    predecessor: str
    fork_height: Count  # the last height of the predecessor's history that this chain shares


class Predecessor(Record):
    """The closed chain that this one goes on from, and its last block: that header is anchored here. Id `chain`.

    Written by the successor's genesis. Heights go on, so that places in records stay in order.
    """

    table = "predecessor"

    chain_id: ChainId
    height: Count
    block: Hash
