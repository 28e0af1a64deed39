"""Who signs which heights: the genesis's validators, and each later set two heights after the block that made it.

CometBFT puts a change that block H returns into force at H + 2; the header of H + 1 is the first that names it as next.
Nothing changes on the embedded engine. All validators have the same power.
"""

from bisect import bisect_right
from collections.abc import Iterable

from tallystick.kernel.core import codec
from tallystick.kernel.core.record import Record
from tallystick.kernel.genesis import Genesis
from tallystick.kernel.governance.records import Validator as NamedValidator
from tallystick.kernel.governance.records import ValidatorSet as ValidatorRow
from tallystick.ledger.store import Batch, Family, Store
from tallystick.proof.comet import Validator, ValidatorSet
from tallystick.wire.keys import KEY_BYTES, from_base64

ROW = "validators/chain"
IN_FORCE_AFTER = 2
PREFIX = b"validators/"
STOP = b"validators0"
POWER = 1


def set_of(validators: Iterable[NamedValidator], where: str = "validators") -> ValidatorSet:
    """The validators of a genesis or of the ledger's row as CometBFT orders and hashes them."""
    return ValidatorSet.of(Validator(from_base64(one.key, KEY_BYTES, where), POWER) for one in validators)


class ValidatorHistory:
    """The validator sets of a ledger, by the height from which each signs."""

    def __init__(self, first: ValidatorSet, changes: Iterable[tuple[int, ValidatorSet]] = ()) -> None:
        self._from = [0]
        self._sets = [first]
        for height, validators in changes:
            self.add(height, validators)

    @classmethod
    def load(cls, store: Store, genesis: Genesis) -> "ValidatorHistory":
        """As it stands in a store."""
        rows = store.range(Family.META, PREFIX, STOP)
        changes = (
            (int.from_bytes(key.removeprefix(PREFIX), "big"), set_of(codec.decode(ValidatorRow, raw, ROW).validators))
            for key, raw in rows
        )
        return cls(set_of(genesis.validators, "genesis: validators"), changes)

    def at(self, height: int) -> ValidatorSet:
        """Who signs the block of `height`."""
        return self._sets[bisect_right(self._from, height) - 1]

    def add(self, height: int, validators: ValidatorSet) -> None:
        """From `height` on, these sign."""
        self._from.append(height)
        self._sets.append(validators)

    @property
    def latest(self) -> ValidatorSet:
        """The set decided on last, in force or not yet."""
        return self._sets[-1]

    @property
    def naming_heights(self) -> list[int]:
        """Heights whose header is the first to name a new set as next."""
        return [height - 1 for height in self._from[1:]]


def put_changed_validators(batch: Batch, height: int, records: dict[str, Record | None]) -> None:
    """Let a block's batch note the set that it decided on, if it did."""
    row = records.get(ROW)
    if isinstance(row, ValidatorRow):
        batch.put(Family.META, PREFIX + (height + IN_FORCE_AFTER).to_bytes(8, "big"), codec.encode(row))


def changed_validators(records: dict[str, Record | None]) -> ValidatorSet | None:
    """The set that a block decided on, or None where it left it as it was."""
    row = records.get(ROW)
    return set_of(row.validators) if isinstance(row, ValidatorRow) else None
