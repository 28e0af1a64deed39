"""Choosing which of the keys on this machine sign for an organisation: exactly those its own signing policy asks for.

A signature too many is refused by the ledger as one too few is, so the choice is made here and explained where it can't
be met.
"""

from nacl.signing import SigningKey as Ed25519

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.membership.door import requirement_of
from tallystick.kernel.membership.records import KeyRole, SigningKey
from tallystick.node.key_store import Passphrases, StoredKey
from tallystick.node.lookup import Lookup
from tallystick.node.reading import PresentState
from tallystick.wire.authority import Requirement
from tallystick.wire.errors import DecodeError


class KeysMissing(DecodeError):
    """This machine holds too few of an organisation's keys for what its signing policy asks."""


class Signatories:
    """The keys kept on this machine, by the organisations they sign for on the ledger."""

    def __init__(
        self, state: PresentState, lookup: Lookup, keys: tuple[StoredKey, ...], passphrases: Passphrases
    ) -> None:
        self._state = state
        self._lookup = lookup
        self._keys = keys
        self._passphrases = passphrases

    def keys_for(
        self, organisation: str, operations: tuple[Operation, ...], named: tuple[str, ...] = ()
    ) -> list[Ed25519]:
        """The unlocked keys that sign `operations` for `organisation`: those `named`, else as its policy asks.

        Raises `KeysMissing` and `WrongPassphrase`.
        """
        own = self._own(organisation)
        if named:
            chosen = [key for key, _ in own if key.name in named]
            if len(chosen) < len(named):
                raise KeysMissing(
                    f"not all of {', '.join(named)} are live keys of {self._lookup.name(organisation)} here"
                )
        else:
            chosen = self._choose(organisation, own, requirement_of(self._state, organisation, operations))
        return [self._passphrases.unlock(key) for key in chosen]

    def introduced(self, operations: tuple[Operation, ...]) -> list[Ed25519]:
        """The unlocked keys that `operations` introduce; each signs as proof that somebody holds it."""
        wanted = [key for operation in operations for key in operation.introduced_keys()]
        here = {key.public: key for key in self._keys}
        for public in wanted:
            if public not in here:
                raise KeysMissing(f"the new key {public} must sign too and is not on this machine; use --sign-only")
        return [self._passphrases.unlock(here[public]) for public in wanted]

    def _own(self, organisation: str) -> list[tuple[StoredKey, KeyRole]]:
        found = []
        for key in self._keys:
            row = self._state.find(f"key/{key.public}")
            if isinstance(row, SigningKey) and row.member == organisation and row.until is None:
                found.append((key, row.role))
        return found

    def _choose(self, organisation: str, own: list[tuple[StoredKey, KeyRole]], needed: Requirement) -> list[StoredKey]:
        counts = {KeyRole.MAKER: needed.makers, KeyRole.CHECKER: needed.checkers, KeyRole.ADMIN: needed.admins}
        chosen: list[StoredKey] = []
        for role, count in counts.items():
            fitting = [key for key, has in own if has is role]
            if len(fitting) < count:
                raise self._missing(organisation, own, needed)
            chosen.extend(fitting[:count])
        # A maker's key is the one for daily steps; an admin key serves where there is no other.
        spare = [key for role in counts for key, has in own if has is role and key not in chosen]
        chosen.extend(spare[: needed.total - len(chosen)])
        if len(chosen) < needed.total:
            raise self._missing(organisation, own, needed)
        return chosen

    def _missing(self, organisation: str, own: list[tuple[StoredKey, KeyRole]], needed: Requirement) -> KeysMissing:
        asked = [
            f"{count} {role}"
            for role, count in (("maker", needed.makers), ("checker", needed.checkers), ("admin", needed.admins))
            if count
        ]
        here = ", ".join(f"{key.name} ({role.value})" for key, role in own) or "none"
        return KeysMissing(
            f"{self._lookup.name(organisation)} must sign this with {' and '.join(asked) or 'one key'}; "
            f"its keys on this machine: {here}"
        )
