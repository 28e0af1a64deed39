"""Rows of the chain's own rules: the version of the protocol and the validators. Each has one row, id `chain`."""

from enum import Enum
from hashlib import sha256
from typing import Annotated

from msgspec import Meta

from tallystick.kernel.core.fields import Count, Key, Name, Struct
from tallystick.kernel.core.record import Record
from tallystick.wire.keys import KEY_BYTES, from_base64

MIN_VALIDATORS = 4  # three of four agree when one fails; of three, none may
MAX_VALIDATORS = 100
_ADDRESS_BYTES = 20


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
    since: Count = 0  # the block that added it; it signs from two heights later. 0: the chain began with it

    @property
    def address(self) -> str:
        """How CometBFT names it: the first 20 bytes of the key's SHA-256, upper-case hexadecimal."""
        return sha256(from_base64(self.key, KEY_BYTES)).digest()[:_ADDRESS_BYTES].hex().upper()


class ValidatorSet(Record):
    """The validators, with what was changed last: a change takes effect two heights later (DESIGN section 6)."""

    table = "validators"

    engine: Engine
    validators: tuple[Validator, ...]
    changed_height: Count = 0
    changes: Count = 0  # made at `changed_height`
    size_before: Count = 0  # of the set before them
