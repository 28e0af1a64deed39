"""Which keys sign: exactly those that the organisation's own policy asks for, no more and no fewer."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.membership.keys import AddKey
from tallystick.kernel.membership.records import KeyRole, PolicyEntry, SigningKey, SigningRule
from tallystick.kernel.receivables.issue import WithdrawReceivable
from tallystick.node.key_store import LIGHT_COST, Passphrases, StoredKey, create_key
from tallystick.node.signing import KeysMissing, Signatories
from tallystick.wire.keys import to_base64
from tests.support.world import GENESIS, World

WITHDRAW = WithdrawReceivable(receivable="rcv_0000000000000001")


class Names:
    """Calls everybody by their id."""

    def name(self, member: str) -> str:
        return member


class Office:
    """An organisation with keys on this machine and, maybe, a signing policy."""

    def __init__(self, directory: Path, *rules: SigningRule, **keys: KeyRole) -> None:
        self.world = World()
        self.member = self.world.member("askew")
        self.keys = tuple(self._key(directory, name, role) for name, role in keys.items())
        if rules:
            member: Any = self.world.state.rows[f"member/{self.member}"]
            policies = (PolicyEntry(rules=rules, since=GENESIS),)
            self.world.put(msgspec.structs.replace(member, policies=policies))

    def _key(self, directory: Path, name: str, role: KeyRole) -> StoredKey:
        stored, _ = create_key(directory / "askew" / f"{name}.key", "askew", name, "x", LIGHT_COST)
        self.world.put(SigningKey(id=stored.public, member=self.member, role=role, since=GENESIS))
        return stored

    def revoke(self, name: str) -> None:
        public = next(key.public for key in self.keys if key.name == name)
        row: Any = self.world.state.rows[f"key/{public}"]
        self.world.put(msgspec.structs.replace(row, until=GENESIS))

    def sign(self, operation: Operation = WITHDRAW, named: tuple[str, ...] = ()) -> list[str]:
        """The names of the keys that sign."""
        state: Any = self.world.state
        names: Any = Names()
        signatories = Signatories(state, names, self.keys, Passphrases(("x",)))
        chosen = signatories.keys_for(self.member, (operation,), named)
        by_public = {key.public: key.name for key in self.keys}
        return [by_public[to_base64(bytes(key.verify_key))] for key in chosen]


ALL = {"boss": KeyRole.ADMIN, "ann": KeyRole.MAKER, "ben": KeyRole.MAKER, "eve": KeyRole.CHECKER}


def test_without_a_policy_one_key_signs_and_a_makers_before_an_admins(tmp_path: Path) -> None:
    assert Office(tmp_path, **ALL).sign() == ["ann"]


def test_what_needs_an_admin_is_signed_by_one(tmp_path: Path) -> None:
    office = Office(tmp_path, **ALL)
    assert office.sign(AddKey(key=office.keys[0].public, role=KeyRole.MAKER)) == ["boss"]


def test_four_eyes_take_a_maker_and_a_checker(tmp_path: Path) -> None:
    office = Office(tmp_path, SigningRule(pattern="receivable.*", makers=1, checkers=1), **ALL)
    assert office.sign() == ["ann", "eve"]


def test_a_revoked_key_does_not_sign(tmp_path: Path) -> None:
    office = Office(tmp_path, SigningRule(pattern="*", makers=1), **ALL)
    office.revoke("ann")
    assert office.sign() == ["ben"]


def test_too_few_keys_are_explained(tmp_path: Path) -> None:
    office = Office(tmp_path, SigningRule(pattern="*", makers=1, checkers=2), **ALL)
    with pytest.raises(KeysMissing, match=r"1 maker and 2 checker; its keys on this machine: boss \(admin\)"):
        office.sign()


def test_named_keys_sign_and_no_others(tmp_path: Path) -> None:
    office = Office(tmp_path, **ALL)
    assert office.sign(named=("ben", "eve")) == ["ben", "eve"]
    with pytest.raises(KeysMissing):
        office.sign(named=("nobody",))
