"""Whether the keys that signed for an organisation are those that its own signing policy asks for.

A pure function over counts, shared by the kernel at the door and by the stand-alone verifier, so that both judge alike.
Source: DESIGN section 4, "Authorisation is data".
"""

from typing import NamedTuple

from tallystick.wire.status import Status

KEY_ROLES = ("maker", "checker", "admin")


class Requirement(NamedTuple):
    """How many keys of each role must sign, and how many in all."""

    makers: int = 0
    checkers: int = 0
    admins: int = 0
    in_all: int = 1

    def joined(self, other: "Requirement") -> "Requirement":
        """What satisfies both, for a transaction with several operations."""
        return Requirement(
            max(self.makers, other.makers),
            max(self.checkers, other.checkers),
            max(self.admins, other.admins),
            max(self.in_all, other.in_all),
        )

    @property
    def total(self) -> int:
        """The number of signatures that meet it, no more and no fewer."""
        return max(self.in_all, self.makers + self.checkers + self.admins)


ANY_KEY = Requirement()
ADMIN_KEY = Requirement(admins=1)
FOUR_EYES = Requirement(makers=1, checkers=1)  # 制单/复核


def pattern_matches(pattern: str, operation: str) -> bool:
    """Whether a policy's pattern (`*`, `receivable.*` or a full name) covers an operation's name."""
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return operation.startswith(pattern[:-1])
    return pattern == operation


def judge(requirement: Requirement, makers: int, checkers: int, admins: int) -> Status | None:
    """None when the signing keys meet `requirement` exactly; else policy_not_met or superfluous_signature."""
    if makers < requirement.makers or checkers < requirement.checkers or admins < requirement.admins:
        return Status.POLICY_NOT_MET
    signed = makers + checkers + admins
    if signed < requirement.total:
        return Status.POLICY_NOT_MET
    if signed > requirement.total:
        return Status.SUPERFLUOUS_SIGNATURE
    return None
