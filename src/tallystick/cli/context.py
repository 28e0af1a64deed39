"""What all commands share: the common options, an open session, names and amounts as people read them."""

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from tallystick.cli.output import Exit, Output, local_time
from tallystick.node.amounts import grouped
from tallystick.node.home import Home, find_home, read_secret_line

if TYPE_CHECKING:
    from tallystick.kernel.calendar.records import BusinessZone
    from tallystick.kernel.core.fields import Position
    from tallystick.node.key_store import Passphrases
    from tallystick.node.session import PlacedEvent, Session
    from tallystick.wire.instants import Instant

PASSPHRASE_VARIABLE = "TALLYSTICK_PASSPHRASE"  # noqa: S105 - the name of a variable

COMMON = Group("Common options", sort_key=100)


class Stop(Exception):
    """End the command with an exit code; everything was said already."""

    def __init__(self, code: Exit) -> None:
        self.code = code
        super().__init__(code.name)


@Parameter(name="*", group=COMMON)
@dataclass(frozen=True)
class Common:
    """Options that every command takes."""

    home: Annotated[
        Path | None, Parameter(help="The ledger's directory. Else TALLYSTICK_HOME, ./tallystick, var/demo.")
    ] = None
    json: Annotated[bool, Parameter(negative="", show_default=False, help="Print JSON instead of tables.")] = False
    passphrase_file: Annotated[
        Path | None,
        Parameter(help="A file with the keys' passphrase. Else TALLYSTICK_PASSPHRASE, else it is asked for."),
    ] = None

    @cached_property
    def output(self) -> Output:
        """Where this command prints."""
        return Output(as_json=self.json)

    def find_home(self) -> Home:
        """The home to work in. Raises `DecodeError`."""
        return find_home(self.home)

    def passphrases(self, home: Home, *, confirm: bool = False) -> "Passphrases":
        """Where this command's passphrases come from."""
        from tallystick.node.key_store import Passphrases

        given = self._given_passphrase()
        kept = home.read_passphrase()
        known = tuple(word for word in (given, kept) if word)
        asked = _ask_twice if confirm else _ask
        can_ask = given is None and sys.stdin.isatty()
        return Passphrases(known, asked if can_ask else None)

    def _given_passphrase(self) -> str | None:
        if self.passphrase_file is not None:
            return read_secret_line(self.passphrase_file)
        return os.environ.get(PASSPHRASE_VARIABLE)


NO_OPTIONS = Common()


def _ask(what: str) -> str:
    return getpass.getpass(f"{what}: ")


def _ask_twice(what: str) -> str:
    from tallystick.wire.errors import DecodeError

    first = getpass.getpass(f"{what}: ")
    if first != getpass.getpass(f"{what}, once more: "):
        raise DecodeError("the two passphrases differ")
    return first


class Desk:
    """An open session with the words of people: names for ids, amounts with their currency, local times."""

    def __init__(self, session: "Session", output: Output) -> None:
        self.session = session
        self.output = output

    def name(self, organisation: str) -> str:
        """The legal name behind a member's id; anything else stays as it is."""
        return self.session.lookup.name(organisation) if organisation.startswith("mbr_") else organisation

    def money(self, units: int, currency: str) -> str:
        """`1,234.50 GBP`."""
        return f"{self.amount(units, currency)} {currency}"

    def amount(self, units: int, currency: str) -> str:
        """`1,234.50`."""
        return grouped(units, self.session.lookup.minor_digits(currency))

    @cached_property
    def zone(self) -> "BusinessZone | None":
        """The chain's business zone."""
        from tallystick.kernel.calendar.records import BusinessZone

        row = self.session.state.find("zone/chain")
        return row if isinstance(row, BusinessZone) else None

    @cached_property
    def _advances(self) -> "list[tuple[int, int]]":
        """Heights at which a sandbox's clock was set forward, and its offset from there on."""
        from tallystick.node.session import clock_offsets

        return clock_offsets(self.session.engine, self.session.state)

    def business_time(self, placed: "PlacedEvent") -> str:
        """When an event happened: its header's time, moved by the sandbox's clock as it stood then."""
        return self.block_time(placed.cursor.height, placed.time)

    def block_time(self, at_height: int, header_time: "Instant") -> str:
        """The business time of a block with this header."""
        offset = 0
        for height, after in self._advances:
            if height < at_height:
                offset = after
        return self.time(header_time.plus(offset))

    def time_of(self, position: "Position") -> str:
        """When a place in the ledger's order was, on the business zone's clocks."""
        from tallystick.node.session import Cursor

        if position.height == 0:
            return "genesis"
        placed = self.session.engine.events(Cursor(position.height, 0), 1)
        if not placed or placed[0].cursor.height != position.height:
            return f"block {position.height}"
        return self.business_time(placed[0])

    def time(self, instant: "Instant | None", *, seconds: bool = False) -> str:
        """An instant in the business zone, or a dash."""
        return "-" if instant is None else local_time(self.zone, instant, seconds=seconds)


@contextmanager
def desk(common: Common, *, reading: bool = False) -> Iterator[Desk]:
    """Open the ledger for one command and close it again. A command that only looks needs no passphrase."""
    from tallystick.node.session import open_home

    home = common.find_home()
    with open_home(home.path, common.passphrases(home), reading=reading) as session:
        yield Desk(session, common.output)
        if reading and session.due_work_waits:
            common.output.note("work is due that is not done yet: `tally node run` or the next transaction does it")
