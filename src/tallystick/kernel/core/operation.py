"""Operations: what a transaction may ask; one class says what, who must sign, when it is refused, what it does.

`authority` names the organisations whose signatures the operation needs; `check` gives the first reason not to, in a
documented order; `apply` does it and yields the events. The class's docstring feeds docs/reference/operations.md.
"""

from collections.abc import Iterator
from typing import ClassVar

import msgspec

from tallystick.kernel.core.events import Event
from tallystick.kernel.core.fields import Struct
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.step import Step
from tallystick.wire.amounts import Units


class Signers(msgspec.Struct, frozen=True):
    """Whose signatures an operation needs.

    Every organisation of `all_of`, exactly one of `one_of` where given, and, where `role` is given, `quorum` different
    holders of that role.
    """

    all_of: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    role: str = ""
    quorum: int = 1

    @staticmethod
    def all(*members: str) -> "Signers":
        """Each of these organisations."""
        return Signers(all_of=tuple(dict.fromkeys(members)))

    @staticmethod
    def one(*members: str) -> "Signers":
        """Exactly one of these organisations."""
        return Signers(one_of=tuple(dict.fromkeys(members)))

    @staticmethod
    def holding(role: str, quorum: int = 1, also: tuple[str, ...] = ()) -> "Signers":
        """`quorum` different holders of `role`, besides the organisations of `also`."""
        return Signers(all_of=also, role=role, quorum=quorum)


class Operation(Struct, tag_field="op"):
    """What is asked. A subclass is declared with `tag="concept.verb"` and listed in `machine.OPERATIONS`."""

    needs_admin: ClassVar[bool] = False  # without an own policy, one admin key of the organisation must sign
    needs_four_eyes: ClassVar[bool] = (
        False  # whatever its policy, each organisation signs with a maker's and a checker's key
    )
    while_suspended: ClassVar[bool] = False  # what a suspended member still may do: what it owes or is owed

    @property
    def name(self) -> str:
        """`concept.verb`, the operation's name everywhere."""
        return str(self.__struct_config__.tag)

    def amount(self) -> tuple[str, Units] | None:
        """Currency and amount that signing policies band by, where the operation itself states them."""
        return None

    def introduced_keys(self) -> tuple[str, ...]:
        """Public keys that this operation registers; each must sign the body, as proof of possession."""
        return ()

    def authority(self, step: Step) -> Signers | Refusal:
        """Whose signatures it needs, or why that can't be said (`not_found`)."""
        raise NotImplementedError(self.name)

    def check(self, step: Step) -> Refusal | None:
        """The first reason not to do it, or None. Writes nothing."""
        raise NotImplementedError(self.name)

    def apply(self, step: Step) -> Iterator[Event]:
        """Do it. It can't fail except by a bug."""
        raise NotImplementedError(self.name)
