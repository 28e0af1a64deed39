"""What somebody tries who may not: each takes a plausible step and spoils it, or repeats what was refused."""

import random
from typing import Any

import msgspec

from tallystick.kernel.core.fields import Interval
from tallystick.kernel.membership.records import SigningKey
from tallystick.wire import canonical
from tallystick.wire.amounts import MAX_UNITS, Units
from tests.simulation.actions.proposals import Proposal, admitted
from tests.simulation.town import Town

AMOUNT_FIELDS = ("units", "face", "net", "total", "cap", "to_payee")
HASH_FIELDS = ("terms", "terms_hash", "document")
SPOILS = (
    "wrong_party",
    "superfluous_cosigner",
    "extra_key",
    "missing_key",
    "over_amount",
    "another_hash",
    "another_chain",
    "expired",
    "too_far",
    "revoked_key",
    "same_id_other_content",
    "broken_bytes",
    "together_with_another",
)


def ways(proposal: Proposal) -> tuple[str, ...]:
    """How this step may be spoiled: what states a hash most often by another one."""
    stated = any(isinstance(getattr(proposal.operations[0], name, None), str) for name in HASH_FIELDS)
    return (*SPOILS, *(("another_hash",) * len(SPOILS) if stated else ()))


def spoiled(town: Town, proposal: Proposal, how: str) -> bytes | None:
    """Raw bytes of the spoiled step, or None where it can't be spoiled so."""
    rng = town.rng
    other = rng.choice(admitted(town))
    match how:
        case "wrong_party":
            return town.sign(
                proposal.operations, other, proposal.also if other not in proposal.also else (), proposal.keys
            )
        case "superfluous_cosigner":
            if other in (proposal.by, *proposal.also):
                return None
            return town.sign(proposal.operations, proposal.by, (*proposal.also, other), proposal.keys)
        case "extra_key":
            extra = rng.choice(list(town.keys.values()))
            return town.sign(proposal.operations, proposal.by, proposal.also, (*proposal.keys, extra))
        case "missing_key":
            return _without_a_signature(rng, town.sign(proposal.operations, proposal.by, proposal.also, proposal.keys))
        case "over_amount":
            changed = _over(proposal)
            return None if changed is None else town.sign(changed.operations, changed.by, changed.also, changed.keys)
        case "another_hash":
            changed = _other_hash(proposal)
            return None if changed is None else town.sign(changed.operations, changed.by, changed.also, changed.keys)
        case "another_chain":
            return town.sign(proposal.operations, proposal.by, proposal.also, proposal.keys, chain="another-chain")
        case "expired":
            late = type(town.now)(int(town.now) - 1)
            return town.sign(proposal.operations, proposal.by, proposal.also, proposal.keys, not_after=late)
        case "too_far":
            far = town.now.plus(400 * 86_400_000)
            return town.sign(proposal.operations, proposal.by, proposal.also, proposal.keys, not_after=far)
        case "revoked_key":
            return _with_a_revoked_key(town, proposal)
        case "same_id_other_content":
            return town.sign(proposal.operations, proposal.by, proposal.also, proposal.keys, id="t1")
        case "broken_bytes":
            raw = bytearray(town.sign(proposal.operations, proposal.by, proposal.also, proposal.keys))
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(7)
            return bytes(raw)
        case "together_with_another":
            return town.sign((*proposal.operations, *proposal.operations), proposal.by, proposal.also, proposal.keys)
        case _:
            raise AssertionError(how)


def _with_a_revoked_key(town: Town, proposal: Proposal) -> bytes | None:
    """A key that the actor has revoked signs besides."""
    revoked = [row for row in town.rows(SigningKey) if row.member == proposal.by and row.until is not None]
    known = [town.keys[row.id] for row in revoked if row.id in town.keys]
    return town.sign(proposal.operations, proposal.by, proposal.also, (*proposal.keys, known[0])) if known else None


def _without_a_signature(rng: random.Random, raw: bytes) -> bytes:
    value: Any = canonical.parse(raw)
    del value["signatures"][rng.randrange(len(value["signatures"]))]
    return canonical.encode(value)


def _over(proposal: Proposal) -> Proposal | None:
    """One unit more than is right, or an interval one unit too long."""
    operation: Any = proposal.operations[0]
    for name in AMOUNT_FIELDS:
        if isinstance(getattr(operation, name, None), Units):
            return proposal.with_operations(
                msgspec.structs.replace(operation, **{name: Units(int(getattr(operation, name)) + 1)})
            )
    for name in ("interval", "parcel"):
        span = getattr(operation, name, None)
        if isinstance(span, Interval) and span.last < MAX_UNITS:
            longer = Interval(span.first, span.last + 1)
            return proposal.with_operations(msgspec.structs.replace(operation, **{name: longer}))
    return None


def _other_hash(proposal: Proposal) -> Proposal | None:
    """The hash of something else than what stands on the ledger, as a screen that is out of date would show it."""
    operation: Any = proposal.operations[0]
    for name in HASH_FIELDS:
        said = getattr(operation, name, None)
        if isinstance(said, str):
            return proposal.with_operations(msgspec.structs.replace(operation, **{name: said[::-1]}))
    return None
