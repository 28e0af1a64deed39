"""Who holds which unit of each receivable, and what each invoice backs (DESIGN 9.2 and 9.3).

Holdings are runs (first, last, holder), cut by the events alone: valid, transfer.done, paid, cancelled. They must equal
the committed parcels after every step, so live parcels partition what is neither redeemed nor cancelled.
"""

from collections import defaultdict
from itertools import pairwise
from typing import Any

from tests.support.audit.seen import Row, Seen, facts

Run = tuple[int, int, str]

RETURNING = frozenset({"declined", "withdrawn", "expired", "refused", "void"})
"""Ends of a receivable that give its invoice amounts back. Redemption is not among them."""


def interval(pair: Any) -> tuple[int, int]:
    return int(pair[0]), int(pair[1])


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def cut(runs: list[Run], first: int, last: int) -> tuple[list[Run], list[Run]]:
    """(what lies inside first..last, what lies outside), each ascending."""
    inside: list[Run] = []
    outside: list[Run] = []
    for low, high, holder in runs:
        if high < first or last < low:
            outside.append((low, high, holder))
            continue
        inside.append((max(low, first), min(high, last), holder))
        if low < first:
            outside.append((low, first - 1, holder))
        if last < high:
            outside.append((last + 1, high, holder))
    return inside, sorted(outside)


def merged(runs: list[Run]) -> list[Run]:
    """Neighbouring runs of one holder as one, for comparing holdings however they are cut."""
    result: list[Run] = []
    for low, high, holder in sorted(runs):
        if result and result[-1][2] == holder and result[-1][1] + 1 == low:
            result[-1] = (result[-1][0], high, holder)
        else:
            result.append((low, high, holder))
    return result


class Holdings:
    """Runs of units by receivable; `gone` counts redeemed and cancelled units."""

    def __init__(self) -> None:
        self.runs: dict[str, list[Run]] = {}
        self.faces: dict[str, int] = {}
        self.redeemed: dict[str, int] = defaultdict(int)
        self.cancelled: dict[str, int] = defaultdict(int)
        self.retired: dict[str, list[Run]] = {}

    def observe(self, seen: Seen, rows: dict[str, Row]) -> None:
        """Follow the step; `retired` is then what left each receivable in it."""
        self.retired = {}
        self._events(seen)
        changed = {key.split("/")[1] for key in seen.after if key.startswith("receivable/")}
        changed |= {key.split("/")[1].split(".")[0] for key in seen.after if key.startswith("parcel/")}
        for receivable in changed:
            self._follow_payments(seen, receivable, rows)
            self.check(seen, receivable, rows)

    def _events(self, seen: Seen) -> None:
        for event in seen.events:
            fact, record = facts(event), event["record"]
            match event["kind"]:
                case "receivable.valid":
                    seen.require(record not in self.runs, "9.3 a receivable becomes valid once", record)
                    self.faces[record] = int(fact["face"])
                    creditor = _row(seen.after, f"receivable/{record}")["creditor"]
                    self.runs[record] = [(1, int(fact["face"]), creditor)]
                case "transfer.done":
                    self._pass(seen, fact)
                case "parcel.cancelled":
                    inside, outside = cut(self.runs[record], int(fact["first"]), int(fact["last"]))
                    self.cancelled[record] += sum(high - low + 1 for low, high, _ in inside)
                    self.runs[record] = outside
                case "receivable.voided":
                    whole = [(1, self.faces[record])]
                    spans = [(low, high) for low, high, _ in merged(self.runs[record])]
                    seen.require(spans == whole, "9.2 only a whole receivable is voided", self.runs[record])
                    self.runs[record] = []
                case "member.succeeded_in":
                    self._rename(record, fact["member"], fact["successor"])
                case _:
                    pass

    def _pass(self, seen: Seen, fact: Row) -> None:
        receivable, first, last = fact["receivable"], int(fact["first"]), int(fact["last"])
        inside, outside = cut(self.runs[receivable], first, last)
        whole = merged(inside) == [(first, last, fact["sender"])]
        seen.require(whole, "9.3 only a holder hands units on", (fact, self.runs[receivable]))
        seen.require(int(fact["units"]) == last - first + 1, "9.2 the units that pass are those named", fact)
        self.runs[receivable] = sorted([*outside, (first, last, fact["receiver"])])

    def _rename(self, record: str, member: str, successor: str) -> None:
        receivable = record.split(".", maxsplit=1)[0]
        if receivable in self.runs:
            self.runs[receivable] = [
                (low, high, successor if holder == member else holder) for low, high, holder in self.runs[receivable]
            ]

    def _follow_payments(self, seen: Seen, receivable: str, rows: dict[str, Row]) -> None:
        """Paid units are read from what left the committed parcels, and must be as many as the events say were paid."""
        if receivable not in self.runs:
            return
        paid = sum(
            int(facts(event)["units"]) for event in seen.of_kind("receivable.paid") if event["record"] == receivable
        )
        written_off = sum(
            int(facts(event)["units"])
            for event in seen.events
            if event["kind"] == "receivable.given_up" and event["record"] == receivable
        )
        left = self._committed(receivable, rows)
        gone: list[Run] = list(self.runs[receivable])
        for low, high, _ in left:
            gone = cut(gone, low, high)[1]
        count = sum(high - low + 1 for low, high, _ in gone)
        wanted = paid + written_off
        seen.require(count == wanted, "9.2 units leave only as paid or given up", (receivable, gone, paid, written_off))
        for low, high, _ in gone:
            self.runs[receivable] = cut(self.runs[receivable], low, high)[1]
        if gone:
            self.retired[receivable] = gone
        self.redeemed[receivable] += paid
        self.cancelled[receivable] += written_off

    def _committed(self, receivable: str, rows: dict[str, Row]) -> list[Run]:
        row = rows[f"receivable/{receivable}"]
        parcels = row.get("parcels", [])
        if row.get("in_rows"):
            prefix = f"parcel/{receivable}."
            parcels = [other["parcel"] for key, other in rows.items() if key.startswith(prefix)]
        return sorted((*interval(parcel["interval"]), parcel["holder"]) for parcel in parcels)

    def check(self, seen: Seen, receivable: str, rows: dict[str, Row]) -> None:
        """The committed parcels do not overlap and are exactly the model's runs."""
        row = rows[f"receivable/{receivable}"]
        committed = self._committed(receivable, rows)
        for (_, high, _), (low, _, _) in pairwise(committed):
            seen.require(high < low, "9.2 live parcels do not overlap", committed)
        runs = self.runs.get(receivable, [])
        seen.require(merged(committed) == merged(runs), "9.2 parcels are what the steps say", (committed, runs))
        if receivable not in self.runs or row["state"] == "void":
            return
        for name, model in (("redeemed", self.redeemed), ("cancelled", self.cancelled)):
            seen.require(
                int(row.get(name, "0")) == model[receivable], f"9.2 {name} units", (row.get(name), model[receivable])
            )
        live = sum(high - low + 1 for low, high, _ in runs)
        total = live + self.redeemed[receivable] + self.cancelled[receivable]
        seen.require(total == self.faces[receivable], "9.2 units add up to the face", (receivable, total))
        seen.require(int(row.get("parcel_count", 0)) == len(committed), "9.2 parcels are counted", len(committed))

    def outstanding(self, rows: dict[str, Row]) -> dict[str, int]:
        """What each debtor owes per currency, as `<debtor>.<currency>`."""
        owed: dict[str, int] = defaultdict(int)
        for receivable, runs in self.runs.items():
            row = rows[f"receivable/{receivable}"]
            owed[f"{row['debtor']}.{row['currency']}"] += sum(high - low + 1 for low, high, _ in runs)
        return owed


class Invoices:
    """How much of each invoice backs receivables, from what was signed and how each receivable ended."""

    def __init__(self) -> None:
        self.uses: dict[str, list[tuple[str, int]]] = {}
        self.totals: dict[str, int] = {}

    def observe(self, seen: Seen, rows: dict[str, Row]) -> None:
        requests = iter([one for one in seen.operations if one["op"] == "receivable.request"])
        approvals = [one for one in seen.operations if one["op"] == "review.decide"]
        for event in seen.events:
            record = event["record"]
            if event["kind"] == "receivable.requested":
                asked = next(requests).get("invoices", [])
                self.uses[record] = [(use["fingerprint"], int(use["amount"])) for use in asked]
                for use in asked:
                    self.totals.setdefault(use["fingerprint"], int(use["total"]))
            elif event["kind"] == "receivable.valid":
                review = _row(seen.after, f"receivable/{record}")["review"]
                own = (
                    next(one["fingerprints"] for one in approvals if one["review"] == review and self.uses[record])
                    if self.uses[record]
                    else []
                )
                totals = [self.totals[fingerprint] for fingerprint, _ in self.uses[record]]
                self.uses[record] = [
                    (fingerprint, amount) for fingerprint, (_, amount) in zip(own, self.uses[record], strict=True)
                ]
                for fingerprint, total in zip(own, totals, strict=True):
                    self.totals.setdefault(fingerprint, total)
            elif event["kind"].startswith("receivable."):
                row = rows.get(f"receivable/{record}")
                if row is not None and row["state"] in RETURNING:
                    self.uses[record] = []
        if any(key.startswith(("invoice/", "receivable/")) for key in seen.after):
            self._check(seen, rows)

    def _check(self, seen: Seen, rows: dict[str, Row]) -> None:
        used: dict[str, int] = defaultdict(int)
        for uses in self.uses.values():
            for fingerprint, amount in uses:
                used[fingerprint] += amount
        for key, row in rows.items():
            if key.startswith("invoice/"):
                count, total = int(row.get("used", "0")), int(row.get("total") or 0)
                seen.require(count == used.pop(row["id"], 0), "9.3 an invoice's use is what rests on it", row)
                seen.require(count <= total or count == 0, "9.3 an invoice backs no more than its amount", row)
        seen.require(not any(used.values()), "9.3 every use of an invoice stands on the ledger", used)


def _row(rows: dict[str, Row | None], key: str) -> Row:
    row = rows[key]
    assert row is not None, key
    return row
