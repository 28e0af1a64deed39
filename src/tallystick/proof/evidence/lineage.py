"""Who holds each unit of a receivable now, and by which hands it came there.

Rules kept here (DESIGN section 5, "Parcel"; section 9, 2):
1. The live parcels lie within the face, do not overlap, and add up to what is neither redeemed nor cancelled.
2. A parcel came to its holder by its `origin`: the receivable itself for the creditor, else a transfer that is done, of
   units around the parcel's, received by that holder, as many hops from the issue as the parcel says.
3. Each transfer goes on where its `prior` one ended: later, one hop further, within its units, from its receiver; by
   judgment or recourse from whoever held them.
4. What is locked lies within its parcel.
5. Units went by events that tell of it: what was redeemed, by payments; what was cancelled, by judgments or given up.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.rows import Row
from tallystick.proof.evidence.story import Story

Span = tuple[int, int]

MAX_HOPS = 1_000


@dataclass(frozen=True, slots=True)
class Holding:
    """Units of a receivable that a member holds, and of them those that a transfer or a financing has locked."""

    receivable: str
    first: int
    last: int
    holder: str
    locked: tuple[tuple[Span, str], ...] = ()


def holdings(row: Row, story: Story) -> list[Holding] | None:
    """Who holds what, ascending; None where the parcels stand in rows that the bundle doesn't show."""
    parcels = _parcels(row, story)
    if parcels is None:
        return None
    found = []
    for parcel in parcels:
        locks = tuple((lock.interval("interval"), lock.text("kind")) for lock in parcel.rows("locks"))
        found.append(Holding(row.id, *parcel.interval("interval"), parcel.text("holder"), locks))
    return found


def _parcels(row: Row, story: Story) -> list[Row] | None:
    parcels = list(row.rows("parcels"))
    if row.get("in_rows") is True:
        rows = (one for one in story.rows("parcel") if one.text("receivable") == row.id)
        parcels = [parcel for one in rows if (parcel := one.row("parcel")) is not None]
        if len(parcels) != row.number("parcel_count"):
            return None
    return sorted(parcels, key=lambda parcel: parcel.interval("interval"))


def check_parcels(row: Row, story: Story) -> None:
    """The parcels partition what is still owed, and each came to its holder by an unbroken line. Raises NotProven."""
    _check_gone(row, story)
    found = holdings(row, story)
    if found is None:
        story.miss(row.where, "receivable.parcels", "its parcels are in rows that the bundle doesn't show")
        return
    _check_partition(row, found)
    for one, parcel in zip(found, _parcels(row, story) or (), strict=True):
        for (first, last), _ in one.locked:
            if not one.first <= first <= last <= one.last:
                raise NotProven("receivable.locks", "units are locked that are not in the parcel", row.where)
        _check_line(row, parcel, story)


def _check_partition(row: Row, found: list[Holding]) -> None:
    live, end = 0, 0
    for one in found:
        if one.first <= end or one.last > row.units("face"):
            raise NotProven("receivable.parcels", "its parcels overlap, or lie outside its face", row.where)
        live, end = live + one.last - one.first + 1, one.last
    left = row.units("face") - row.units("redeemed") - row.units("cancelled")
    is_live = row.place("valid") is not None and row.text("state") not in ("void", "written_off", "closed", "redeemed")
    if live != (left if is_live else 0):
        raise NotProven("receivable.parcels", f"its parcels hold {live} units and {left} are owed", row.where)


def _check_gone(row: Row, story: Story) -> None:
    """Note units that are gone and of which no event of the bundle tells; no more were paid than are counted."""
    paid = sum(one.units("units") for one in story.told("receivable.paid", row.id))
    if paid > row.units("redeemed"):
        raise NotProven("receivable.redeemed", f"{paid} units were paid and {row.units('redeemed')} count", row.where)
    ended = sum(one.units("units") for one in story.told("receivable.given_up", row.id))
    for one in story.told("parcel.cancelled", row.id):  # of an interval, the units that were still live
        ended += max(0, one.units("last") - one.units("first") + 1)
    for name, told in (("redeemed", paid), ("cancelled", ended)):
        if told < row.units(name):
            what = f"the steps by which {row.units(name) - told} of its units were {name} are not in the bundle"
            story.miss(row.where, f"receivable.{name}", what)


def _check_line(row: Row, parcel: Row, story: Story) -> None:
    """Walk back from a live parcel to the issue."""
    rule = "receivable.lineage"
    holder, units = parcel.text("holder"), parcel.interval("interval")
    origin, hops = parcel.text("origin"), parcel.number("hops")
    later = None
    for hop in range(hops, 0, -1):
        passed = story.row(f"transfer/{origin}")
        if passed is None or hop > MAX_HOPS:
            story.miss(row.where, rule, f"transfer {origin}, by which units {units[0]} to {units[1]} came")
            return
        for fault in _faults(row.id, passed, holder, units, hop, story):
            raise NotProven(rule, f"{origin} {fault}", row.where)
        ended = passed.needed_place("ended")
        if later is not None and ended > later:
            raise NotProven(rule, f"{origin} is later than what followed from it", row.where)
        later, units, origin = ended, passed.interval("interval"), passed.text("prior")
        holder = passed.text("sender")
    if origin != row.id or not story.is_same(holder, row.text("creditor")):
        raise NotProven(rule, f"units {units[0]} to {units[1]} don't come from the creditor", row.where)


def _faults(record_id: str, passed: Row, holder: str, units: Span, hop: int, story: Story) -> Iterator[str]:
    first, last = passed.interval("interval")
    if passed.text("receivable") != record_id:
        yield "is of another receivable"
    if passed.text("state") != "done":
        yield "is not done"
    if not first <= units[0] <= units[1] <= last:
        yield "passed other units"
    if not story.is_same(passed.text("receiver"), holder):
        yield f"did not pass them to {holder}"
    if passed.number("hop") != hop:
        yield "is another hop from the issue"
