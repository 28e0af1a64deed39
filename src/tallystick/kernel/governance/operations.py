"""What governors decide together: policies, currencies, the rules' version, validators, the chain's end, the clock.

Source: OPERATIONS, "Documents, time, rules". Every rule holds from a day, or a height, that has not begun.
"""

import datetime
from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from tallystick.kernel.chain_rows import Clock, Closed
from tallystick.kernel.core import codec
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import ChainId, Count, Currency, Key, Name
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.currencies import CurrencyTerms
from tallystick.kernel.governance.policies import Policies, PolicyBook, PolicyVersion
from tallystick.kernel.governance.quorum import active_holders, governors
from tallystick.kernel.governance.records import (
    MAX_VALIDATORS,
    MIN_VALIDATORS,
    Engine,
    Protocol,
    ProtocolVersion,
    Validator,
    ValidatorSet,
)
from tallystick.kernel.membership.records import Role
from tallystick.wire.errors import DecodeError, InvariantViolation
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.keys import KEY_BYTES, from_base64, is_sound_key
from tallystick.wire.status import Status

POLICY_SET = EventKind("policy.set", "The policies {names} are changed from {from_on}.")
CURRENCY_ADDED = EventKind("currency.added", "The chain knows {record} from {from_on}.")
PROTOCOL_ADOPTED = EventKind("protocol.adopted", "Version {version} of the rules holds from height {from_height}.")
VALIDATOR_ADDED = EventKind("validator.added", "{name} becomes a validator.")
VALIDATOR_REMOVED = EventKind("validator.removed", "{name} is a validator no longer.")
CLOSED = EventKind("chain.closed", "The chain is closed; {successor} goes on.")
CLOCK_ADVANCED = EventKind("clock.advanced", "The sandbox's clock is set forward to {to}.")

MAX_ADVANCE_MS = 3_660 * DAY_MS

_PolicyName: TypeAlias = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,63}\Z")]
_PolicyValue: TypeAlias = (
    bool | Count | Annotated[str, Meta(max_length=100)] | Annotated[tuple[str, ...], Meta(max_length=100)]
)


def changed_policies(values: Policies, changes: dict[str, Any]) -> Policies | str:
    """`values` with `changes` put in, or the name of the first change that no policy takes."""
    known = {name: codec.plain(getattr(values, name)) for name in Policies.__struct_fields__}
    for name in sorted(changes):
        if name not in known:
            return name
        try:
            values = codec.decoder(Policies).decode(codec.encode({**known, name: changes[name]}))
        except msgspec.ValidationError:
            return name
        known[name] = changes[name]
    return values


class SetPolicy(Operation, tag="policy.set"):
    """Change policies from a coming day on; the others stay as they will be then.

    Signed by m of n governors. Versions that begin later are changed alike, so that the change lasts. A quorum that the
    active holders of its role could not meet is refused.
    """

    changes: Annotated[dict[_PolicyName, _PolicyValue], Meta(min_length=1, max_length=50)]
    from_on: datetime.date

    def authority(self, step: Step) -> Signers | Refusal:
        return governors(step)

    def check(self, step: Step) -> Refusal | None:
        if self.from_on <= step.today:
            return refuse(Status.RETROACTIVE, from_on=self.from_on, today=step.today)
        book = step.get(PolicyBook, "chain")
        for values in (book.on(self.from_on), *(v.values for v in book.versions if v.from_on > self.from_on)):
            changed = changed_policies(values, self.changes)
            if isinstance(changed, str):
                return refuse(Status.BAD_VALUE, field=changed)
            for role, needed in ((Role.AUDITOR, changed.auditors_needed), (Role.GOVERNOR, changed.governors_needed)):
                held = len(active_holders(step, role))
                if held < needed:
                    return refuse(Status.STILL_NEEDED, role=role.value, others=held, needed=needed)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        book = step.get(PolicyBook, "chain")
        base = PolicyVersion(from_on=self.from_on, values=book.on(self.from_on))
        earlier = tuple(version for version in book.versions if version.from_on < self.from_on)
        later = tuple(version for version in book.versions if version.from_on > self.from_on)
        changed = tuple(
            PolicyVersion(from_on=version.from_on, values=_must(changed_policies(version.values, self.changes)))
            for version in (base, *later)
        )
        step.put(msgspec.structs.replace(book, versions=earlier + changed))
        yield POLICY_SET("chain", step.organisations, names=" ".join(sorted(self.changes)), from_on=self.from_on)


def _must(changed: Policies | str) -> Policies:
    if isinstance(changed, str):
        raise InvariantViolation(f"policy {changed} was checked before")
    return changed


class AddCurrency(Operation, tag="currency.add"):
    """Let the chain know a further ISO 4217 currency from a coming day on. Signed by m of n governors."""

    currency: Currency
    minor_digits: Annotated[int, Meta(ge=0, le=4)]
    from_on: datetime.date

    def authority(self, step: Step) -> Signers | Refusal:
        return governors(step)

    def check(self, step: Step) -> Refusal | None:
        if step.find(CurrencyTerms, self.currency) is not None:
            return refuse(Status.RECORD_EXISTS, currency=self.currency)
        if self.from_on <= step.today:
            return refuse(Status.RETROACTIVE, from_on=self.from_on, today=step.today)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        step.put(CurrencyTerms(id=self.currency, minor_digits=self.minor_digits, from_on=self.from_on))
        yield CURRENCY_ADDED(self.currency, step.organisations, from_on=self.from_on)


class AdoptProtocol(Operation, tag="protocol.adopt"):
    """Adopt a later version of the rules from a coming height on. Signed by m of n governors.

    A node that does not know it stops before that height. Source: DESIGN section 4.
    """

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    from_height: Count

    def authority(self, step: Step) -> Signers | Refusal:
        return governors(step)

    def check(self, step: Step) -> Refusal | None:
        last = step.get(Protocol, "chain").versions[-1]
        if self.version <= last.version:
            return refuse(Status.BAD_VALUE, field="version", adopted=last.version)
        if self.from_height <= max(step.block.height, last.from_height):
            return refuse(Status.RETROACTIVE, from_height=self.from_height, height=step.block.height)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        row = step.get(Protocol, "chain")
        version = ProtocolVersion(version=self.version, from_height=self.from_height)
        step.put(msgspec.structs.replace(row, versions=(*row.versions, version)))
        yield PROTOCOL_ADOPTED("chain", step.organisations, version=self.version, from_height=self.from_height)


def _check_key(key: str) -> Refusal | None:
    try:
        if is_sound_key(from_base64(key, KEY_BYTES)):
            return None
    except DecodeError:
        pass
    return refuse(Status.UNSOUND_KEY, key=key)


def _check_change(step: Step, row: ValidatorSet) -> Refusal | None:
    """Only a consortium changes its validators, less than a third of them in one block (DESIGN section 6).

    The row is the pending set, which CometBFT holds to be next: each change is made to it, so what a block returns to
    CometBFT, the difference by key, removes nobody unknown and names nobody twice. What was changed to and fro counts
    twice. Two sets in a row so have more than two thirds of either in common.
    """
    if row.engine is not Engine.CONSORTIUM:
        return refuse(Status.NOT_ON_THIS_ENGINE, engine=row.engine.value)
    again = row.changed_height == step.block.height
    changes, size = (row.changes, row.size_before) if again else (0, len(row.validators))
    if (changes + 1) * 3 >= size:
        return refuse(Status.TOO_MANY, changes=changes + 1, validators=size)
    return None


def _changed(step: Step, row: ValidatorSet, validators: tuple[Validator, ...]) -> ValidatorSet:
    again = row.changed_height == step.block.height
    return msgspec.structs.replace(
        row,
        validators=validators,
        changed_height=step.block.height,
        changes=row.changes + 1 if again else 1,
        size_before=row.size_before if again else len(row.validators),
    )


class AddValidator(Operation, tag="validator.add"):
    """Add a validator to the consortium; it signs from two heights later. Signed by m of n governors."""

    key: Key
    validator: Name

    def authority(self, step: Step) -> Signers | Refusal:
        return governors(step)

    def check(self, step: Step) -> Refusal | None:
        row = step.get(ValidatorSet, "chain")
        refusal = _check_change(step, row) or _check_key(self.key)
        if refusal is not None:
            return refusal
        if any(one.key == self.key for one in row.validators):
            return refuse(Status.RECORD_EXISTS, key=self.key)
        if len(row.validators) >= MAX_VALIDATORS:
            return refuse(Status.TOO_MANY, validators=len(row.validators) + 1, limit=MAX_VALIDATORS)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        row = step.get(ValidatorSet, "chain")
        added = Validator(key=self.key, name=self.validator, since=step.block.height)
        validators = (*row.validators, added)
        step.put(_changed(step, row, validators))
        yield VALIDATOR_ADDED(self.key, step.organisations, name=self.validator)


class RemoveValidator(Operation, tag="validator.remove"):
    """Remove a validator, never below four. Signed by m of n governors."""

    key: Key

    def authority(self, step: Step) -> Signers | Refusal:
        return governors(step)

    def check(self, step: Step) -> Refusal | None:
        row = step.get(ValidatorSet, "chain")
        refusal = _check_change(step, row)
        if refusal is not None:
            return refusal
        if all(one.key != self.key for one in row.validators):
            return refuse(Status.NOT_FOUND, key=self.key)
        if len(row.validators) <= MIN_VALIDATORS:
            return refuse(Status.STILL_NEEDED, role="validator", others=len(row.validators) - 1, needed=MIN_VALIDATORS)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        row = step.get(ValidatorSet, "chain")
        name = next(one.name for one in row.validators if one.key == self.key)
        step.put(_changed(step, row, tuple(one for one in row.validators if one.key != self.key)))
        yield VALIDATOR_REMOVED(self.key, step.organisations, name=name)


class CloseChain(Operation, tag="chain.close"):
    """Close an embedded chain and name its successor with its validators; no transaction is taken after it.

    Nor does the chain do what falls due: the state stands as it is until the successor begins with it. Signed by m of n
    governors. Source: DESIGN section 6, "Growth".
    """

    successor: ChainId
    validators: Annotated[tuple[Key, ...], Meta(min_length=MIN_VALIDATORS, max_length=MAX_VALIDATORS)]

    def authority(self, step: Step) -> Signers | Refusal:
        return governors(step)

    def check(self, step: Step) -> Refusal | None:
        engine = step.get(ValidatorSet, "chain").engine
        if engine is not Engine.EMBEDDED:
            return refuse(Status.NOT_ON_THIS_ENGINE, engine=engine.value)
        if self.successor == step.chain.chain_id:
            return refuse(Status.BAD_VALUE, field="successor")
        if len(set(self.validators)) < len(self.validators):
            return refuse(Status.BAD_VALUE, field="validators", reason="named twice")
        for key in self.validators:
            refusal = _check_key(key)
            if refusal is not None:
                return refusal
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        step.put(Closed(id="chain", successor=self.successor, height=step.block.height, validators=self.validators))
        yield CLOSED("chain", step.organisations, successor=self.successor)


class AdvanceClock(Operation, tag="clock.advance"):
    """Set the business time of a sandbox chain forward; the next block does the work that falls due by it.

    Signed by m of n governors. Source: DESIGN section 5.
    """

    to: Instant

    def authority(self, step: Step) -> Signers | Refusal:
        return governors(step)

    def check(self, step: Step) -> Refusal | None:
        if not step.chain.sandbox:
            return refuse(Status.NOT_A_SANDBOX)
        if not step.now < self.to <= step.now.plus(MAX_ADVANCE_MS):
            return refuse(Status.BAD_DATES, to=self.to, block_time=step.now)
        clock = step.find(Clock, "chain")
        if clock is not None and clock.advanced_height == step.block.height:
            return refuse(Status.TOO_EARLY, height=step.block.height)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        clock = step.find(Clock, "chain") or Clock(id="chain")
        ahead = int(self.to) - int(step.now)
        set_on = msgspec.structs.replace(clock, offset_ms=clock.offset_ms + ahead, advanced_height=step.block.height)
        step.put(set_on)
        yield CLOCK_ADVANCED("chain", step.organisations, to=self.to)
