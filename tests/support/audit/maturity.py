"""Days, payment at maturity, recourse over hops and notices, by models of their own.

Business days come from the committed calendars, the zone from Python's `zoneinfo`; lineage is a stack of hops for each
run of units: a transfer pushes one, a recourse payment takes the last one off again.
"""

import datetime
from collections import defaultdict
from zoneinfo import ZoneInfo

from tests.support.audit.holdings import Run, cut, interval, merged, overlap
from tests.support.audit.seen import Row, Seen, facts

DAY = datetime.timedelta(days=1)
Hop = tuple[str, str, bool, int, int, int]  # transfer, sender, recourse, basis, first, last
Stacked = tuple[int, int, tuple[Hop, ...]]


def is_business_day(rows: dict[str, Row], day: datetime.date) -> bool:
    versions = rows[f"calendar/{day.year}"]["versions"]
    version = [one for one in versions if one["from_on"] <= day.isoformat()][-1]
    if day.weekday() >= 5:
        return day.isoformat() in version.get("days_on", ())
    return day.isoformat() not in version["days_off"]


def start_of(zone: str, day: datetime.date) -> str:
    """The first instant of a day of the zone, as rows write it."""
    local = datetime.datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return f"{local.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def check_days(seen: Seen, rows: dict[str, Row]) -> None:
    """A receivable that becomes valid has the due day, cutoff and opening that the calendar gives."""
    zone = rows["zone/chain"]["name"]
    for event in seen.of_kind("receivable.valid"):
        row = rows[f"receivable/{event['record']}"]
        due = datetime.date.fromisoformat(row["due_on"])
        step = -1 if row.get("convention") == "preceding" else 1
        moved = due
        while not is_business_day(rows, moved):
            moved += step * DAY
        if row.get("convention") == "modified_following" and moved.month != due.month:
            moved = due
            while not is_business_day(rows, moved):
                moved -= DAY
        seen.require(row["moved_due_on"] == moved.isoformat(), "a due date moves as agreed", (row["id"], str(moved)))
        cutoff = moved
        for _ in range(policies(rows, seen.today).get("cutoff_days", 3)):
            cutoff -= DAY
            while not is_business_day(rows, cutoff):
                cutoff -= DAY
        if row["state"] == "valid":
            seen.require(row["pay_at"] == start_of(zone, moved), "payment opens with the due day", (row["id"], moved))
            seen.require(
                row["cutoff_at"] < start_of(zone, cutoff), "the cutoff is before that day", (row["id"], cutoff)
            )
            late = row["cutoff_at"] >= start_of(zone, cutoff - DAY)
            seen.require(late, "the cutoff is the end of the day before", (row["id"], row["cutoff_at"], cutoff))


def policies(rows: dict[str, Row], today: str) -> Row:
    versions = rows["policies/chain"]["versions"]
    return dict([one for one in versions if one["from_on"] <= today][-1]["values"])


def check_notices(seen: Seen, rows: dict[str, Row]) -> None:
    """Both clients hear of an issue, and the debtor of every change of holder (Civil Code art. 546)."""
    for event in seen.of_kind("receivable.valid"):
        row = rows[f"receivable/{event['record']}"]
        told = {row["debtor"], row["creditor"]} <= set(event["audience"])
        seen.require(told, "both clients are told", event)
    noticed = {event["record"]: event["audience"] for event in seen.of_kind("transfer.debtor_notified")}
    for event in seen.of_kind("transfer.done"):
        fact = facts(event)
        debtor = rows[f"receivable/{fact['receivable']}"]["debtor"]
        seen.require(debtor in noticed.get(event["record"], ()), "the debtor is notified of a transfer", event)
        both = {fact["sender"], fact["receiver"]} <= set(event["audience"])
        seen.require(both, "both clients are told of a transfer", event)


def check_all_or_nobody(seen: Seen, rows: dict[str, Row], runs: dict[str, list[Run]]) -> None:
    """Where the policy knows no pro rata payment, a payment at maturity leaves nothing that could be paid."""
    if seen.envelope is not None or policies(rows, seen.today).get("shortfall", "none") != "none":
        return
    for event in seen.of_kind("receivable.paid"):
        left = _payable(rows, runs, event["record"])
        seen.require(not left, "9.3 all holders are paid, or nobody", (event["record"], left))


def check_overdue(seen: Seen, rows: dict[str, Row], runs: dict[str, list[Run]], balances: dict[str, int]) -> None:
    """No receivable is overdue while its debtor's free money with one custodian covers it."""
    for event in seen.of_kind("receivable.overdue"):
        row = rows[f"receivable/{event['record']}"]
        debtor = rows[f"member/{row['debtor']}"]
        if "insolvent_since" in debtor:
            continue
        needed = sum(high - low + 1 for low, high, _ in _payable(rows, runs, row["id"]))
        for key, account in rows.items():
            owned = key.startswith("account/") and account["owner"] == row["debtor"] and account["state"] == "open"
            if not owned or account["currency"] != row["currency"] or "project" in account:
                continue
            held = rows.get(f"balance/available/{account['id']}") or {}
            frozen = sum(
                int(one["units"]) for one in held.get("freezes", ()) if one.get("until", "9999") >= seen.now_text
            )
            free = max(balances[f"available/{account['id']}"] - frozen, 0)
            free += balances[f"earmark/{account['custodian']}/{row['currency']}/{row['id']}"]
            seen.require(free < needed or not needed, "a debt with its money there is paid", (row["id"], free, needed))


def _payable(rows: dict[str, Row], runs: dict[str, list[Run]], receivable: str) -> list[Run]:
    """What the ledger owes it to pay by itself: all but units about which a holder may still answer.

    A receipt that was denied, or met by silence to the end of its window, proves nothing and keeps nothing out.
    """
    left = list(runs.get(receivable, ()))
    row = rows.get(f"redemption/{receivable}") or {}
    for part in row.get("bank", {}).get("waiting", ()):
        left = cut(left, *interval(part))[1]
    return left


class Lineage:
    """For each receivable, the hops that each unit has made and that no recourse has discharged."""

    def __init__(self) -> None:
        self.stacks: dict[str, list[Stacked]] = defaultdict(list)
        self.successors: dict[str, str] = {}

    def observe(self, seen: Seen, rows: dict[str, Row]) -> None:
        for event in seen.events:
            fact = facts(event)
            match event["kind"]:
                case "receivable.valid":
                    self.stacks[event["record"]] = [(1, int(fact["face"]), ())]
                case "member.succeeded":
                    self.successors[event["record"]] = fact["successor"]
                case "transfer.done":
                    self._pass(seen, event["record"], fact, rows)
                case "recourse.claimed":
                    self._claim(seen, rows[f"recourse/{event['record']}"], fact)
                case _:
                    pass

    def _pass(self, seen: Seen, transfer: str, fact: Row, rows: dict[str, Row]) -> None:
        first, last = int(fact["first"]), int(fact["last"])
        row = rows[f"transfer/{transfer}"]
        hop: Hop = (transfer, fact["sender"], bool(row.get("recourse")), int(row["basis"]), first, last)
        changed: list[Stacked] = []
        for low, high, stack in self.stacks[fact["receivable"]]:
            if not overlap((low, high), (first, last)):
                changed.append((low, high, stack))
                continue
            if low < first:
                changed.append((low, first - 1, stack))
            if last < high:
                changed.append((last + 1, high, stack))
            inner = (max(low, first), min(high, last))
            if fact["reason"] == "recourse":
                open_hops = self._others(stack, fact["sender"])
                seen.require(bool(open_hops), "recourse goes back over a hop", (transfer, inner))
                back = self._now(open_hops[-1][1])
                seen.require(fact["receiver"] == back, "recourse is between neighbours", (transfer, fact, back))
                changed.append((*inner, open_hops[:-1]))
            else:
                changed.append((*inner, (*stack, hop)))
        self.stacks[fact["receivable"]] = sorted(changed, key=lambda run: run[0])

    def _claim(self, seen: Seen, claim: Row, fact: Row) -> None:
        """The liable party is the sender of the last hop, which was with recourse; the amount is its basis' share."""
        first, last = interval(claim["interval"])
        on_it = [stack for low, high, stack in self.stacks[claim["receivable"]] if overlap((low, high), (first, last))]
        for whole in on_it:
            stack = self._others(whole, claim["claimant"])
            seen.require(bool(stack) and stack[-1][2], "recourse exists as agreed per hop", (claim["id"], stack))
            transfer, sender, _, basis, start, end = stack[-1]
            seen.require(
                self._now(sender) == fact["liable"], "the liable party is the last hop's sender", (claim, sender)
            )
            length = end - start + 1
            owed = basis * (last - start + 1) // length - basis * (first - start) // length
            seen.require(
                int(fact["units"]) == owed, "the amount is the basis' share", (claim["id"], fact, transfer, owed)
            )

    def _others(self, stack: tuple[Hop, ...], holder: str) -> tuple[Hop, ...]:
        """The stack without the hops at its top on whose other side a succession has put the holder itself."""
        while stack and self._now(stack[-1][1]) == holder:
            stack = stack[:-1]
        return stack

    def _now(self, member: str) -> str:
        while member in self.successors:
            member = self.successors[member]
        return member

    def check_all(self, seen: Seen, runs: dict[str, list[Run]]) -> None:
        """Every live unit has a lineage."""
        for receivable, held in runs.items():
            known = [(low, high, "") for low, high, _ in self.stacks[receivable]]
            left = [(low, high, "") for low, high, _ in held]
            for low, high, _ in merged(known):
                left = cut(left, low, high)[1]
            seen.require(not left, "every unit has a lineage", (receivable, left))
