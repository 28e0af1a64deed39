"""An independent auditor: its own simple model of the ledger, with none of the kernel's code.

It is shown what anybody could see (the JSON that was signed, the status, the events, the rows before and after) and
keeps cash per ledger account, who holds which unit of each receivable, and what each invoice backs, as plain integers.
After every step it holds the committed rows to its own expectation: DESIGN section 9, properties 1 to 3 and 5 to 7.
"""

from tests.support.audit import maturity, standing, trade
from tests.support.audit.entitlement import Entitlement
from tests.support.audit.holdings import Holdings, Invoices
from tests.support.audit.lifecycles import Lifecycles
from tests.support.audit.money import Money
from tests.support.audit.plans.watch import Plans
from tests.support.audit.seen import AuditError, Row, Seen

__all__ = ["AuditError", "Auditor", "Row", "Seen"]

DOOR = range(100, 200)


class Auditor:
    """Watches one chain from its genesis rows on. Every method raises `AuditError` at the first thing that is wrong."""

    def __init__(self, genesis: dict[str, Row]) -> None:
        self.rows: dict[str, Row] = dict(genesis)
        self.money = Money()
        self.holdings = Holdings()
        self.invoices = Invoices()
        self.entitlement = Entitlement()
        self.lifecycles = Lifecycles()
        self.lineage = maturity.Lineage()
        self.plans = Plans()
        self.ended: dict[tuple[str, str], str] = {}

    def step(self, seen: Seen) -> None:
        """One transaction that was ordered, or one block's due work."""
        if seen.envelope is not None:
            self._once(seen)
            if seen.status != "ok":
                seen.require(not seen.after and not seen.events, "9.6 a refused step changes nothing", seen.after)
                return
            self.entitlement.observe(seen, self.rows)
            trade.check_windows(seen, self.rows)
        seen.before = {key: self.rows.get(key) for key in seen.after}
        trade.check_passing(seen, self.rows)
        self.lifecycles.observe(seen)
        before = {**self.rows}
        for key, row in seen.after.items():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        self.money.observe(seen, self.rows)
        self.holdings.observe(seen, self.rows)
        self.invoices.observe(seen, self.rows)
        self.plans.observe(seen, self.rows, before, self.money.balances)
        trade.check_financings(seen, self.rows, before)
        trade.check_rankings(seen, self.rows)
        trade.check_payments(seen, self.rows, self.money.owners, self.holdings.retired)
        self.lineage.observe(seen, self.rows)
        maturity.check_days(seen, self.rows)
        maturity.check_notices(seen, self.rows)
        maturity.check_all_or_nobody(seen, self.rows, self.holdings.runs)
        standing.check_step(seen, self.rows, before, self.holdings.runs)
        maturity.check_overdue(seen, self.rows, self.holdings.runs, self.money.balances)

    def _once(self, seen: Seen) -> None:
        """A transaction id takes effect once; a refused one never does."""
        assert seen.envelope is not None
        body = seen.envelope["body"]
        name = (body["actor"], body["id"])
        seen.require(name not in self.ended, "9.6 an id is ordered once", (name, self.ended.get(name)))
        self.ended[name] = seen.status

    def at_the_door(self, seen: Seen) -> None:
        """A refusal before ordering, or the receipt of what was ordered before: nothing was written."""
        seen.require(not seen.after, "9.6 what is refused at the door changes nothing", seen.after)

    def sweep(self, seen: Seen, index: list[str]) -> None:
        """The properties that look at the whole state: run after due work, and now and then."""
        self.money.check_all(seen, self.rows)
        self.lifecycles.check_all(seen, self.rows, index)
        for receivable in self.holdings.runs:
            self.holdings.check(seen, receivable, self.rows)
        standing.check_all(seen, self.rows, self.holdings.runs)
        self.plans.check_all(seen, self.rows)
        self.lineage.check_all(seen, self.holdings.runs)
        owed = self.holdings.outstanding(self.rows)
        for name, units in owed.items():
            row = self.rows.get(f"credit/{name}") or {}
            committed = int(row.get("outstanding", "0"))
            seen.require(committed == units, "a debtor's debt is what its receivables leave", (name, committed, units))
