"""A desk over a `World`: what commands read and print, without a process, a store or a home."""

import datetime
import io
from typing import Any, cast

from rich.console import Console

from tallystick.cli.context import Desk
from tallystick.cli.output import Output
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Step
from tallystick.ledger.engine import Cursor, Engine, PlacedEvent
from tallystick.node.lookup import Lookup
from tallystick.node.session import Session
from tallystick.wire.instants import Instant
from tests.support.world import World


class WorldEngine:
    """The reading half of an engine over a world's rows; every event of the world happened now."""

    def __init__(self, world: World) -> None:
        self._world = world

    def scan(self, table: str, after: str = "", limit: int = 1_000) -> list[Record]:
        rows = sorted((row for key, row in self._world.state.rows.items() if key.startswith(f"{table}/")), key=_id)
        return [row for row in rows if row.id > after][:limit]

    def labelled(self, label: str, limit: int = 10_000) -> list[str]:
        rows = self._world.state.index_range(f"{label}/", f"{label}0")
        return [row[len(label) + 1 :] for row in rows][:limit]

    def events(self, after: Cursor, limit: int = 10_000) -> list[PlacedEvent]:
        placed = [
            PlacedEvent(Cursor(1, 1, number), self._world.now, event)
            for number, event in enumerate(self._world.events, 1)
        ]
        return [one for one in placed if one.cursor > after][:limit]


def _id(row: Record) -> str:
    return row.id


class WorldSession:
    """What a `Session` answers, from a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.state = world.state
        self.engine = cast("Engine", WorldEngine(world))
        self.lookup = Lookup(self.engine, cast("Any", world.state), ())
        self.only_looks = True

    def now(self) -> Instant:
        return self._world.now

    def today(self) -> datetime.date:
        return self._world.today()

    def reading_step(self) -> Step:
        return Step(self._world.chain, self._world.block(), Overlay(self.state), 0, ("", ""), ())


def desk_over(world: World, width: int = 80, *, as_json: bool = False) -> Desk:
    """A desk whose output `printed` gives back."""
    output = Output(as_json=as_json)
    output._console = Console(width=width, file=io.StringIO(), highlight=False, emoji=False)
    output._errors = Console(width=width, file=io.StringIO(), highlight=False, emoji=False)
    return Desk(cast("Session", WorldSession(world)), output)


def printed(at: Desk, *parts: Any) -> str:
    """What `parts` look like without colours."""
    at.output.show(*parts)
    file = cast("io.StringIO", at.output.console.file)
    return file.getvalue()
