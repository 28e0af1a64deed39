"""`tally events`, `tally notices`: what happened, and who was told."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Desk, desk
from tallystick.cli.sentences import event_json, sentence
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tallystick.node.session import Cursor, PlacedEvent

USUAL_LIMIT = 200
PAGE = 2_000
WIDE = 110
CURSOR_WIDTH, TIME_WIDTH, KIND_WIDTH = 10, 16, 24

AfterOption = Annotated[str, Parameter(metavar="CURSOR", help="Only what came after, like 12/1/3.", show_default=False)]
LimitOption = Annotated[int, Parameter(help="At most so many, the latest.")]


def events(
    *,
    follow: Annotated[bool, Parameter(negative="", show_default=False, help="Wait for more until Ctrl-C.")] = False,
    after: AfterOption = "",
    kind: Annotated[str, Parameter(metavar="KIND", help="Only this kind, like transfer.done or transfer.*.")] = "",
    record: Annotated[str, Parameter(metavar="ID", help="Only events that name this record.")] = "",
    limit: LimitOption = USUAL_LIMIT,
    common: Common = NO_OPTIONS,
) -> None:
    """What happened on the ledger, in order.

    Each line begins with its cursor: block, place in the block, number. Where --json is given, one JSON object a line.
    """
    with desk(common, reading=True) as at:
        about = at.session.lookup.record(record).id if record else ""

        def fits(placed: "PlacedEvent") -> bool:
            event = placed.event
            if kind and event.kind != kind and not (kind.endswith("*") and event.kind.startswith(kind[:-1])):
                return False
            return not about or about == event.record or about in event.facts.values()

        shown = _latest(at, _cursor(after), fits, limit)
        for placed in shown:
            _print(at, placed)
        if follow and at.session.only_looks:
            raise DecodeError("no node runs here that events could come from; start `tally node run`", "--follow")
        if follow:
            last = _last_cursor(at, _cursor(after))
            for placed in at.session.engine.follow(last, lambda: False):
                at.session.forget()
                if fits(placed):
                    _print(at, placed)


def notices(
    organisation: Annotated[str, Parameter(metavar="ORG", help="Whose notices.")],
    /,
    *,
    after: AfterOption = "",
    limit: LimitOption = USUAL_LIMIT,
    common: Common = NO_OPTIONS,
) -> None:
    """What an organisation was told, in order: by name, or as a holder of its roles (an auditor of each review)."""
    from tallystick.kernel.reviews.subjects import everyone_as

    with desk(common, reading=True) as at:
        member = at.session.lookup.member(organisation)
        names = {member.id, *(everyone_as(grant.role) for grant in member.roles if grant.until is None)}
        shown = _latest(at, _cursor(after), lambda placed: not names.isdisjoint(placed.event.audience), limit)
        for placed in shown:
            _print(at, placed)
        if not shown and not common.json:
            at.output.note(f"{member.legal_name} was told nothing yet")


def _print(at: Desk, placed: "PlacedEvent") -> None:
    at.output.line(event_json(placed) | {"sentence": sentence(at, placed.event)})
    if at.output.as_json:
        return
    cursor = f"{placed.cursor.height}/{placed.cursor.index}/{placed.cursor.number}"
    at.output.console.print(_event_line(at, placed, cursor))


def _event_line(at: Desk, placed: "PlacedEvent", cursor: str) -> "RenderableType":
    """Cursor, day, kind where there is room, and the sentence, wrapped under itself."""
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 2))
    wide = at.output.console.width >= WIDE
    for width in (max(CURSOR_WIDTH, len(cursor)), TIME_WIDTH, *([KIND_WIDTH] if wide else [])):
        line.add_column(min_width=width, max_width=width, overflow="fold")
    line.add_column(overflow="fold")
    cells = [Text(cursor, style="dim"), Text(at.business_time(placed))]
    if wide:
        cells.append(Text(placed.event.kind, style="cyan"))
    line.add_row(*cells, Text(sentence(at, placed.event)))
    return line


def _cursor(text: str) -> "Cursor":
    from tallystick.node.session import Cursor

    if not text:
        return Cursor()
    try:
        return Cursor(*(int(part) for part in text.split("/")))
    except (TypeError, ValueError):
        raise DecodeError("not a cursor like 12/1/3", text[:40]) from None


def all_events(at: Desk, after: "Cursor") -> "Iterator[PlacedEvent]":
    """Every event after a cursor that stands now, from the first that this node keeps."""
    from tallystick.node.reading import first_kept

    engine = at.session.engine
    after = max(after, first_kept(engine))
    while batch := engine.events(after, PAGE):
        yield from batch
        after = batch[-1].cursor
        if len(batch) < PAGE:
            return


def _latest(at: Desk, after: "Cursor", fits: "Callable[[PlacedEvent], bool]", limit: int) -> "list[PlacedEvent]":
    kept: deque[PlacedEvent] = deque(maxlen=limit)
    left_out = 0
    for placed in all_events(at, after):
        if fits(placed):
            left_out += len(kept) == limit
            kept.append(placed)
    if left_out:
        at.output.note(f"{left_out:,} earlier ones are left out (--limit, --after)")
    return list(kept)


def _last_cursor(at: Desk, after: "Cursor") -> "Cursor":
    for placed in all_events(at, after):
        after = placed.cursor
    return after
