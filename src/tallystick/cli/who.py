"""The options by which a command says who acts and signs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

WHO = Group("Who signs, and when", sort_key=50)


@Parameter(name="*", group=WHO)
@dataclass(frozen=True)
class Who:
    """Who acts and signs, and how the transaction is handed in."""

    actor: Annotated[
        str, Parameter(name="--as", help="The organisation that acts: legal name, id, or its beginning.", metavar="ORG")
    ]
    cosigners: Annotated[
        list[str] | None,
        Parameter(name="--with", negative="", metavar="ORG", help="Another organisation that signs; repeat for more."),
    ] = None
    transaction_id: Annotated[
        str | None, Parameter(name="--id", help="Your own id for the transaction; the same id never counts twice.")
    ] = None
    not_after: Annotated[
        str | None,
        Parameter(
            name="--not-after", metavar="WHEN", help="Until when it may be ordered, like +3d; else a day from now."
        ),
    ] = None
    dry_run: Annotated[
        bool,
        Parameter(name="--dry-run", negative="", show_default=False, help="Say what would happen; change nothing."),
    ] = False
    sign_only: Annotated[
        Path | None,
        Parameter(name="--sign-only", metavar="FILE", help="Sign with the keys here, write to FILE, hand nothing in."),
    ] = None
    sign_with: Annotated[
        list[str] | None,
        Parameter(name="--sign-with", negative="", metavar="KEY", help="Sign with this key (its name here); repeat."),
    ] = None

    @property
    def only_looks(self) -> bool:
        """Whether nothing is to be handed in."""
        return self.dry_run or self.sign_only is not None
