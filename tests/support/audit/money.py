"""Cash as plain integers, moved by the postings that events tell of (DESIGN 9.1).

Each posting has two legs of one amount, one currency and one custodian; nothing is ever negative; what stands at the
bank equals what is owed to members; only a custodian's booking makes or unmakes money; and nobody's account is debited
but by its owner, by its custodian under an order, or for a debt that fell due.
"""

from collections import defaultdict

from tests.support.audit.seen import Row, Seen, facts

ASSETS = ("bank", "claim")
CHUNK_LINES = 500
BOOKINGS = {
    "deposit.book": ("bank", 1),
    "deposit.return": ("bank", -1),
    "deposit.reverse": ("bank", -1),
    "account.deduct_by_order": ("bank", -1),
}
"""The operations that make or unmake money: each moves the bank mirror by exactly the amount that it states."""

ROUTES = {
    ("bank", "available"): {"deposit.book"},
    ("bank", "suspense"): {"deposit.book"},
    ("suspense", "available"): {"deposit.assign"},
    ("suspense", "bank"): {"deposit.return", "deposit.reverse"},
    ("available", "bank"): {"deposit.reverse", "account.deduct_by_order"},
    ("claim", "bank"): {"deposit.reverse"},
    ("available", "claim"): {"deposit.book", "deposit.assign"},
    ("available", "earmark"): {"redemption.earmark"},
    ("bank", "hold"): {"deposit.book"},
    ("bank", "escrow"): {"deposit.book"},
    ("suspense", "escrow"): {"deposit.assign"},
    ("suspense", "hold"): {"deposit.assign"},
    ("available", "escrow"): {"plan.fund", "deposit.book", "deposit.assign"},
    ("hold", "bank"): {"deposit.reverse"},
    ("escrow", "bank"): {"deposit.reverse", "account.deduct_by_order"},
    ("transit", "bank"): {"wage.line_result"},
    ("bank", "transit"): {"wage.line_result"},
    ("transit", "available"): {"wage.line_withdraw"},
    ("transit", "hold"): {"wage.line_withdraw"},
}
"""Which operations may post between these kinds of ledger account; kinds not named here have rules of their own."""


class Money:
    """Balances by ledger account."""

    def __init__(self) -> None:
        self.balances: dict[str, int] = defaultdict(int)
        self.owners: dict[str, str] = {}
        self.custodians: dict[str, str] = {}
        self.currencies: dict[str, str] = {}

    def observe(self, seen: Seen, rows: dict[str, Row]) -> None:
        for key, row in seen.after.items():
            if key.startswith("account/") and row is not None:
                name = f"available/{row['id']}"
                self.owners[name], self.custodians[name] = row["owner"], row["custodian"]
                self.currencies[name] = row["currency"]
        touched = {key.removeprefix("balance/") for key in seen.after if key.startswith("balance/")}
        at_bank: dict[tuple[str, str], int] = defaultdict(int)
        for event in seen.of_kind("account.posted"):
            touched |= self._post(seen, event, at_bank, rows)
        self._only_bookings(seen, at_bank, rows)
        for name in touched:
            committed = rows.get(f"balance/{name}")
            units = 0 if committed is None else int(committed.get("units", "0"))
            seen.require(units == self.balances[name], "9.1 a balance is what the postings say", (name, units))
            seen.require(units >= 0, "9.1 no balance is negative", (name, units))

    def _post(self, seen: Seen, event: Row, at_bank: dict[tuple[str, str], int], rows: dict[str, Row]) -> set[str]:
        fact = facts(event)
        source, target, units = fact["source"], fact["target"], int(fact["units"])
        seen.require(units > 0, "9.1 a posting moves something", fact)
        places = {self._place(source), self._place(target), (self._place(source)[0], fact["currency"])}
        seen.require(len(places) == 1, "9.1 a posting stays in one custodian and currency", fact)
        kinds = source.split("/")[0], target.split("/")[0]
        allowed = ROUTES.get(kinds)
        seen.require(allowed is None or bool(allowed & set(seen.names)), "9.1 this step may post so", fact)
        if kinds[0] == "available":
            self._entitled_debit(seen, event["record"], source, kinds[1], rows)
            self._not_frozen(seen, source, units)
        for name, sign in ((source, -1), (target, 1)):
            asset = name.split("/")[0] in ASSETS
            self.balances[name] += units * (-sign if asset else sign)
            seen.require(self.balances[name] >= 0, "9.1 no balance is negative", (name, self.balances[name]))
            if name.startswith("bank/"):
                at_bank[self._place(name)] += -sign * units
        return {source, target}

    def _entitled_debit(self, seen: Seen, subject: str, source: str, into: str, rows: dict[str, Row]) -> None:
        owner, custodian = self.owners[source], self.custodians[source]
        if owner in seen.signers or (custodian in seen.signers and into in ("bank", "claim")):
            return
        if into == "escrow" and "deposit.book" in seen.names:
            # Wages reach their plan through the project's special account, which the same booking credits.
            credited = [event for event in seen.of_kind("account.posted") if facts(event)["target"] == source]
            seen.require(any(event["record"] == subject for event in credited), "9.7 only what came passes on", source)
            return
        debt = rows.get(f"receivable/{subject}") or {}
        due = debt.get("debtor") == owner and debt.get("moved_due_on", "9999") <= seen.today
        seen.require(due, "9.7 an account is debited by its owner, an order or a due debt", (source, subject))

    def _not_frozen(self, seen: Seen, source: str, units: int) -> None:
        """A debit leaves what freezes cover, unless it executes one of them."""
        row = seen.before.get(f"balance/{source}")
        if row is None or len(seen.operations) != 1 or seen.names == ["account.deduct_by_order"]:
            return
        frozen = sum(int(one["units"]) for one in row.get("freezes", ()) if one.get("until", "9999") >= seen.now_text)
        free = self.balances[source] - frozen
        seen.require(units <= free, "frozen money stays where it is", (source, units, self.balances[source], frozen))

    def _place(self, name: str) -> tuple[str, str]:
        if name in self.custodians:
            return self.custodians[name], self.currencies[name]
        custodian, currency = name.split("/")[1:3]
        return custodian, currency

    def _only_bookings(self, seen: Seen, at_bank: dict[tuple[str, str], int], rows: dict[str, Row]) -> None:
        expected: dict[tuple[str, str], int] = defaultdict(int)
        for operation in seen.operations if seen.status == "ok" else ():
            custodian = next((name for name in seen.signers if _holds(rows[f"member/{name}"], "custodian")), "")
            if operation["op"] in BOOKINGS:
                expected[custodian, operation["currency"]] += BOOKINGS[operation["op"]][1] * int(operation["units"])
            elif operation["op"] == "wage.line_result":
                expected[custodian, operation["currency"]] -= int(operation["units"])
                expected[custodian, operation["currency"]] += _came_back(seen, operation)
        made = {place: units for place, units in expected.items() if units}
        found = {place: units for place, units in at_bank.items() if units}
        seen.require(found == made, "9.1 money is made by bookings alone", (at_bank, expected))

    def check_all(self, seen: Seen, rows: dict[str, Row]) -> None:
        """Every committed balance is the model's, and assets equal liabilities with every custodian and currency."""
        committed = {
            key.removeprefix("balance/"): int(row.get("units", "0"))
            for key, row in rows.items()
            if key.startswith("balance/")
        }
        for name in committed.keys() | self.balances.keys():
            if committed.get(name, 0) != self.balances[name]:
                seen.broken("9.1 a balance is what the postings say", (name, committed.get(name), self.balances[name]))
        sides: dict[tuple[str, str], int] = defaultdict(int)
        for name, units in self.balances.items():
            sides[self._place(name)] += units if name.split("/")[0] in ASSETS else -units
        uneven = {place: units for place, units in sides.items() if units}
        seen.require(not uneven, "9.1 assets equal liabilities", uneven)


def _came_back(seen: Seen, operation: Row) -> int:
    """What lines came to that the bank had reported as paid before it returned them, by the rows as they were."""
    back = 0
    for each in operation.get("returned", ()):
        chunk, index = divmod(each["line"] - 1, CHUNK_LINES)
        row = seen.before.get(f"wage_chunk/{operation['plan']}/{operation['tranche']}/{chunk + 1}") or {}
        line = row.get("lines", [])[index]
        back += int(line["units"]) if line.get("state") == "paid" else 0
    return back


def _holds(member: Row, role: str) -> bool:
    return any(grant["role"] == role and "until" not in grant for grant in member.get("roles", ()))
