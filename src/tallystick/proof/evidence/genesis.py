"""What the verifier takes from the genesis that its user pins. Format: docs/spec/genesis.md."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

from tallystick.proof.comet import Validator, ValidatorSet
from tallystick.proof.evidence.reading import fields, hexadecimal, number, text
from tallystick.proof.state_proof import MAX_DEPTH, MIN_DEPTH
from tallystick.wire import canonical
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import KEY_BYTES, from_base64

MAX_BYTES = 64 << 20
USUAL_DEPTH = 5


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The closed chain that another goes on from: its genesis's hash, its last height and the hash of that header.

    The roots are those of the state that the later chain begins with.
    """

    chain_id: str
    genesis: bytes
    height: int
    block: bytes
    state_root: bytes
    receipts_root: bytes


@dataclass(frozen=True, slots=True)
class Genesis:
    """A chain's beginning: what all evidence on it is checked against. `said` is the whole file's value."""

    hash: bytes
    chain_id: str
    engine: str
    is_sandbox: bool
    tree_depth: int
    validators: ValidatorSet
    said: dict[str, Any]
    predecessor: Predecessor | None = None

    @property
    def first_height(self) -> int:
        """The height of the chain's first header."""
        return 1 if self.predecessor is None else self.predecessor.height + 1

    @classmethod
    def from_bytes(cls, raw: bytes, where: str = "genesis") -> Self:
        """Read a genesis file. Raises DecodeError."""
        if len(raw) > MAX_BYTES:
            raise DecodeError(f"larger than {MAX_BYTES} bytes", where)
        value = canonical.parse(raw, where)
        if not isinstance(value, dict):
            raise DecodeError("not an object", where)
        chain_id, engine, listed = value.get("chain_id"), value.get("engine"), value.get("validators")
        depth = value.get("tree_depth", USUAL_DEPTH)
        if not isinstance(chain_id, str) or not isinstance(engine, str) or not isinstance(listed, list) or not listed:
            raise DecodeError("no chain id, engine and validators", where)
        if type(depth) is not int or not MIN_DEPTH <= depth <= MAX_DEPTH:
            raise DecodeError("not a depth of the state tree", f"{where}: tree_depth")
        keys = (_key(one, f"{where}: validators[{n}]") for n, one in enumerate(listed))
        return cls(
            hash=sha256(raw).digest(),
            chain_id=chain_id,
            engine=engine,
            is_sandbox=value.get("sandbox") is True,
            tree_depth=depth,
            validators=ValidatorSet.of(Validator(key, 1) for key in keys),
            said=value,
            predecessor=_predecessor(value["predecessor"], f"{where}: predecessor") if "predecessor" in value else None,
        )


def _predecessor(value: object, where: str) -> Predecessor:
    names = ("chain_id", "genesis", "height", "block", "app_hash", "snapshot", "state_root", "receipts_root")
    found = fields(value, where, names)
    return Predecessor(
        chain_id=text(found["chain_id"], f"{where}.chain_id"),
        genesis=hexadecimal(found["genesis"], f"{where}.genesis"),
        height=number(found["height"], f"{where}.height"),
        block=hexadecimal(found["block"], f"{where}.block"),
        state_root=hexadecimal(found["state_root"], f"{where}.state_root"),
        receipts_root=hexadecimal(found["receipts_root"], f"{where}.receipts_root"),
    )


def _key(value: object, where: str) -> bytes:
    key = value.get("key") if isinstance(value, dict) else None
    return from_base64(key, KEY_BYTES, where)
