"""The trade's own rules, recomputed: deadlines, cutoffs, freezes, prices and rankings, paid units against paid money.

Fractions and dates of the standard library; prices by DOMAIN section 4.
"""

import datetime
from collections import defaultdict
from fractions import Fraction

from tests.support.audit.holdings import Run, interval, overlap
from tests.support.audit.seen import Row, Seen, facts

RATE_SCALE = 100 * 10**6
WINDOWS = {
    "receivable.confirm": ("receivable", "confirm_by"),
    "receivable.decline": ("receivable", "confirm_by"),
    "transfer.accept": ("transfer", "deadline"),
    "transfer.decline": ("transfer", "deadline"),
    "review.decide": ("review", "deadline"),
    "financing.evaluate": ("financing", "deadline"),
    "financing.quote": ("financing", "deadline"),
    "financing.reveal": ("financing", "deadline"),
    "financing.award": ("financing", "deadline"),
    "financing.sign_contract": ("financing", "deadline"),
    "financing.register": ("financing", "deadline"),
    "financing.settle": ("financing", "deadline"),
    "financing.confirm_receipt": ("financing", "deadline"),
    "financing.dispute_receipt": ("financing", "deadline"),
    "financing.rule": ("financing", "deadline"),
    "product.counter_contract": ("product", "deadline"),
    "product.correct": ("product", "deadline"),
    "product.authorise": ("product", "deadline"),
    "product.draft_contracts": ("product", "deadline"),
    "product.sign_contract": ("product", "deadline"),
    "plan.check": ("plan", "deadline"),
    "plan.confirm": ("plan", "deadline"),
    "plan.decline": ("plan", "deadline"),
    "refund.consent": ("refund", "deadline"),
    "refund.decline": ("refund", "deadline"),
}
"""Operation -> the record it acts on and the field that says until when."""

BEFORE_CUTOFF = frozenset({"transfer.request", "transfer.accept", "financing.request", "financing.award"})


def check_windows(seen: Seen, rows: dict[str, Row]) -> None:
    """An accepted step came while its window was open (block time <= its end). `rows` are those before it."""
    for operation in seen.operations:
        window = WINDOWS.get(operation["op"])
        if window is not None:
            table, field = window
            row = rows.get(f"{table}/{operation[table]}")
            if row is not None and row.get(field) is not None:
                seen.require(seen.now_text <= row[field], "a window is open", (operation["op"], row["id"], row[field]))


def check_passing(seen: Seen, rows: dict[str, Row]) -> None:
    """Units pass before the cutoff, outside freezes, and a transfer that ended otherwise never passes them."""
    for event in seen.of_kind("transfer.done"):
        fact = facts(event)
        earlier = rows.get(f"transfer/{event['record']}")
        pending = earlier is None or earlier["state"] in ("requested", "under_review")
        seen.require(pending, "9.6 an ended transfer has no effect", (event["record"], earlier))
        receivable = rows.get(f"receivable/{fact['receivable']}")
        if receivable is None or fact["reason"] in ("judgment", "recourse"):
            continue
        span = (int(fact["first"]), int(fact["last"]))
        for freeze in receivable.get("freezes", ()):
            if seen.now_text <= freeze["until"]:
                clash = any(overlap(span, interval(part)) for part in freeze["parts"])
                seen.require(not clash, "9.3 frozen units stay where they are", (event["record"], freeze["id"]))
        if fact["reason"] in ("ordinary", "set_off"):
            cutoff = receivable.get("cutoff_at") or ""
            seen.require(seen.now_text <= cutoff, "nothing passes after the cutoff", (event["record"], cutoff))


def check_financings(seen: Seen, rows: dict[str, Row], before: dict[str, Row]) -> None:
    """DESIGN 9.5: cash and parcel pass together, at the price that the awarded quote gives."""
    settled = {event["record"]: facts(event) for event in seen.of_kind("financing.settled")}
    passed: dict[str, int] = defaultdict(int)
    for event in seen.of_kind("transfer.done"):
        fact = facts(event)
        if fact["reason"] == "financing":
            match = [
                name
                for name, other in settled.items()
                if (other["receivable"], other["client"], other["funder"])
                == (fact["receivable"], fact["sender"], fact["receiver"])
            ]
            seen.require(len(match) == 1, "9.5 a parcel passes only with its settlement", (event["record"], settled))
            passed[match[0]] += int(fact["units"])
    paid: dict[str, int] = defaultdict(int)
    for event in seen.of_kind("account.posted"):
        if event["record"].startswith("fin_"):
            seen.require(event["record"] in settled, "9.5 cash passes only with its settlement", event)
            paid[event["record"]] += int(facts(event)["units"])
    for name, fact in settled.items():
        row = rows[f"financing/{name}"]
        first, last = interval(row["interval"])
        shares = [
            share
            for share in (before.get(f"redemption/{row['receivable']}") or {}).get("held", ())
            if share.get("by") == name
        ]
        held = sum(interval(share["interval"])[1] - interval(share["interval"])[0] + 1 for share in shares)
        seen.require(passed[name] + held == last - first + 1, "9.5 all units pass, or none", (name, passed[name], held))
        net = price(row, row["payment"]["value_on"])[2]
        seen.require(int(fact["net"]) == net, "9.5 the price is the quote's", (name, fact, net))
        expected = net if row["settlement"] == "ledger" else 0
        seen.require(paid[name] == expected, "9.5 the net is paid, no more, no less", (name, paid[name], expected))


def check_rankings(seen: Seen, rows: dict[str, Row]) -> None:
    """The ranking that an award stores is the one that exact rationals give, cheapest first."""
    for event in seen.of_kind("financing.awarded"):
        row = rows[f"financing/{event['record']}"]
        award = row["award"]
        costs = []
        for entry in award["ranking"]:
            quote = next(one for one in row["quotes"] if one["id"] == entry["quote"])
            seen.require(quote["terms"]["valid_until"] >= seen.now_text, "a lapsed quote is not ranked", quote["id"])
            _, cost, net = price(row, award["value_on"], quote)
            seen.require((int(entry["cost"]), int(entry["net"])) == (cost, net), "a ranked price", (entry, cost, net))
            yearly = Fraction(cost * 365, net * award["actual_days"])
            costs.append((yearly, quote["terms"].get("with_recourse", False), quote["at"]))
        seen.require(costs == sorted(costs), "quotes rank by yearly cost on the money received", costs)
        seen.require(
            award["quote"] in [entry["quote"] for entry in award["ranking"]], "the award is a ranked quote", award
        )


def price(row: Row, value_on: str, quote: Row | None = None) -> tuple[int, int, int]:
    """(days, cost, net) of a financing's units on its awarded (or another) quote, paid on `value_on`."""
    if quote is None:
        quote = next(one for one in row["quotes"] if one["id"] == row["award"]["quote"])
    terms = quote["terms"]
    first, last = interval(row["interval"])
    face = last - first + 1
    start, end = datetime.date.fromisoformat(value_on), datetime.date.fromisoformat(row["discount_until_on"])
    days, year = (end - start).days, 365 if terms["day_count"] == "act/365f" else 360
    if terms["day_count"] == "30e/360":
        days = (end.year - start.year) * 360 + (end.month - start.month) * 30 + min(end.day, 30) - min(start.day, 30)
    discount = half_up(Fraction(face * millionths(terms["rate"]) * days, RATE_SCALE * year))
    by_rate = half_up(Fraction(face * millionths(terms.get("fee_rate", "0")), RATE_SCALE))
    cost = discount + max(by_rate, int(terms.get("minimum_fee", "0")))
    return days, cost, face - cost


def half_up(value: Fraction) -> int:
    return int(value + Fraction(1, 2))


def millionths(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole) * 10**6 + int(part.ljust(6, "0"))


def check_payments(seen: Seen, rows: dict[str, Row], owners: dict[str, str], retired: dict[str, list[Run]]) -> None:
    """Units paid in ledger money cost their debtor exactly as much, and each holder gets its own, or it waits for it.

    `retired` are the units that left each receivable in this step, with their holders. A debtor that holds its own debt
    pays itself, so no money moves for those units.
    """
    means: dict[str, set[str]] = defaultdict(set)
    for event in seen.of_kind("receivable.paid"):
        means[event["record"]].add(facts(event)["means"])
    for record, run in retired.items():
        if means[record] != {"ledger"}:
            continue
        debtor = rows[f"receivable/{record}"]["debtor"]
        expected: dict[str, int] = defaultdict(int)
        for low, high, holder in run:
            expected[holder] += high - low + 1
        for event in seen.of_kind("redemption.held"):
            if event["record"] == record:
                units = int(facts(event)["units"])
                expected[facts(event)["holder"]] -= units
                expected["held"] += units
        expected.pop(debtor, None)
        got = _received(seen, record, debtor, owners)
        wanted = {holder: units for holder, units in expected.items() if units}
        seen.require(got == wanted, "9.3 each holder is paid for its own units, once", (record, got, wanted))
    for event in seen.of_kind("account.posted"):
        record = event["record"]
        if record.startswith("rcv_") and means[record] != {"ledger"}:
            moved = _received(seen, record, rows[f"receivable/{record}"]["debtor"], owners)
            seen.require(
                len(means[record]) > 1 or not moved, "9.3 a debtor pays only for units that retire", (record, moved)
            )


def _received(seen: Seen, record: str, debtor: str, owners: dict[str, str]) -> dict[str, int]:
    """What left the debtor for a receivable in this step, by whom it reached; `held` for money that waits."""
    got: dict[str, int] = defaultdict(int)
    for event in seen.of_kind("account.posted"):
        fact = facts(event)
        source, target = fact["source"], fact["target"]
        ours = owners.get(source) == debtor or source.startswith(("earmark/", "escrow/"))
        if event["record"] != record or not ours or target.startswith("earmark/"):
            continue
        parts = target.split("/")
        to = owners.get(target) or (parts[4] if len(parts) > 4 else "held")
        if to != debtor:
            got[to] += int(fact["units"])
    return dict(got)
