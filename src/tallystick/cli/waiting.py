"""`tally waiting`: what waits for an organisation, until when, and the command that does it."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Desk, desk
from tallystick.cli.tranche_card import until

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tallystick.node.waiting import Waits


def waiting(
    organisation: Annotated[str, Parameter(metavar="ORG", help="For whom.")], /, *, common: Common = NO_OPTIONS
) -> None:
    """What waits for an organisation: reviews, products, plans, evidence, disputes, refunds, receivables, financings.

    What ends soonest comes first, each with the command to type; words in capitals are yours to say.
    """
    from tallystick.node.waiting import waiting_for

    with desk(common, reading=True) as at:
        member = at.session.lookup.member(organisation)
        found = waiting_for(at.session, member)
        at.output.data(
            [
                {
                    "record": one.record,
                    "what": one.what,
                    "until": None if one.until is None else str(one.until),
                    "units": None if one.units is None else str(one.units),
                    "currency": one.currency or None,
                    "command": command_of(one, member.legal_name),
                }
                for one in found
            ]
        )
        for one in found if not common.json else ():
            at.output.show(waits_line(at, one))
            # one line however long, so that it can be taken from the terminal as it is
            at.output.console.print(f"  {command_of(one, member.legal_name)}\n", markup=False, soft_wrap=True)
        if not found:
            at.output.note(f"nothing waits for {member.legal_name}")


def command_of(one: "Waits", legal_name: str) -> str:
    """What is typed, as it stands in a shell."""
    import shlex

    return f"tally {one.command} --as {shlex.quote(legal_name)}"


def waits_line(at: Desk, one: "Waits") -> "RenderableType":
    """Until when, what, with which amount, and on which record."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, min_width=16)
    grid.add_column(overflow="fold")
    amount = "" if one.units is None or not one.currency else f", {at.money(one.units, one.currency)}"
    words = Text(f"{one.what}{amount}", style="bold")
    words.append(f"  {one.record}", style="not bold dim")
    ends = "no end" if one.until is None else f"{at.time(one.until)}, {until(at, one.until)}"
    grid.add_row(Text(ends), words)
    return grid
