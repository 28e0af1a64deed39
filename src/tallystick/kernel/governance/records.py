"""Rows of the chain's own rules: the version of the protocol and the validators. Each has one row, id `chain`."""

from enum import Enum
from typing import Annotated

from msgspec import Meta

from tallystick.kernel.core.fields import Count, Key, Name, Struct
from tallystick.kernel.core.record import Record


class ProtocolVersion(Struct):
    """A version of the rules, from a height on. A node that does not know it stops before that height."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    from_height: Count


class Protocol(Record):
    """The versions of the rules, in order."""

    table = "protocol"

    versions: tuple[ProtocolVersion, ...]


class Engine(Enum):
    """What orders the chain: one process, or a consortium of validators."""

    EMBEDDED = "embedded"
    CONSORTIUM = "consortium"


class Validator(Struct):
    """A node that signs blocks: its public key and whose it is. All have the same power."""

    key: Key
    name: Name


class ValidatorSet(Record):
    """The validators, with what was changed last: a change takes effect two heights later (DESIGN section 6)."""

    table = "validators"

    engine: Engine
    validators: tuple[Validator, ...]
    changed_height: Count = 0
    changes: Count = 0  # made at `changed_height`
    size_before: Count = 0  # of the set before them
