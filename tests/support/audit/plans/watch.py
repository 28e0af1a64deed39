"""The watch over products and plans: each event moves the model, then records and balances are held against it.

After due work it also asks what should have happened: nothing that is verified, over, late or unmet is left lying.
"""

from typing import Any

from tests.support.audit.plans import agreeing, disputes, evidence, money, products, standing, wages
from tests.support.audit.plans.book import HANDLERS, Book, Step
from tests.support.audit.plans.days import instant
from tests.support.audit.plans.model import COUNTED, INSTANTS, Deal, Part
from tests.support.audit.seen import Row, Seen

ROOMS = (agreeing, disputes, evidence, money, products, standing, wages)
SUMS = ("deposited", "released", "refunded", "fees", "reversed")


class Plans:
    """Watches every product and plan of a chain from its beginning."""

    def __init__(self) -> None:
        self.book = Book()

    def observe(self, seen: Seen, rows: dict[str, Row], before: dict[str, Row], balances: dict[str, int]) -> None:
        step = Step(seen, rows, before, self.book)
        for event in seen.events:
            for handler in HANDLERS.get(event["kind"], ()):
                handler(step, event)
            deal = self.book.deals.get(event.get("facts", {}).get("plan") or event["record"])
            if deal is not None:
                standing.check_told(step, event, deal)
        self._nothing_unexplained(step)
        if step.is_due:
            self._end_answer_times(step)
        for key, row in seen.after.items():
            table = key.split("/")[0]
            if row is not None and table in ("plan", "product", "plan_version", "dispute", "refund"):
                self._compare(step, table, row)
            elif row is not None and table in ("wage_sheet", "wage_chunk"):
                self._compare_sheet(step, table, key, row, balances)
        for deal in self.book.deals.values():
            if deal.version:
                self._identity(step, deal, balances)
        if step.is_due:
            for deal in self.book.deals.values():
                if deal.is_live:
                    self._nothing_left_undone(step, deal)

    def check_all(self, seen: Seen, rows: dict[str, Row]) -> None:
        """What must hold between any two steps."""
        standing.check_quiet(seen, rows, self.book.deals.values())

    def _end_answer_times(self, step: Step) -> None:
        for deal in self.book.deals.values():
            for number in range(1, len(deal.parts) + 1) if deal.is_live else ():
                evidence.end_answer_time(step, deal, number)

    def _nothing_unexplained(self, step: Step) -> None:
        """All money that moved was told of, and all that was decided was carried out."""
        went = {name: found for name, found in step.went.items() if found}
        step.require(not went, "9.1 money leaves escrow only as a release, a refund or a taking back", went)
        step.require(not step.came, "payer and payee are told what came", dict(step.came))
        step.require(not step.award and not step.back, "a decided dispute is carried out", (step.award, step.back))
        for deal_id in step.paid:
            self._frozen_stays(step, self.book.deals[deal_id])

    def _frozen_stays(self, step: Step, deal: Deal) -> None:
        """Nothing is released that an authority's order bars."""
        row = step.rows.get(f"balance/{deal.escrow}") or {}
        active = [one for one in row.get("freezes", ()) if one.get("until", "9999") >= step.seen.now_text]
        frozen = sum(int(one["units"]) for one in active)
        step.require(not frozen or deal.held >= frozen, "frozen money stays in escrow", (deal.id, deal.held, frozen))

    def _identity(self, step: Step, deal: Deal, balances: dict[str, int]) -> None:
        """Deposited = held + released + refunded + fees + reversed, and what is held stands in escrow (DESIGN 9.1)."""
        out = deal.released + deal.refunded + deal.fees + deal.reversed
        step.require(deal.deposited == deal.held + out, "9.1 deposited = held + what left", deal)
        step.require(
            balances[deal.escrow] == deal.held, "9.1 what is held is in escrow", (deal.id, balances[deal.escrow])
        )
        step.require(not deal.ended or not deal.held, "9.1 an ended plan holds nothing", deal)
        for part in deal.parts:
            left = part.released + part.refunded + part.fees + part.reversed + part.rolled
            step.require(part.deposited == part.held + left, "9.1 a tranche's money stands in one place", part)
            kept = part.disputed + part.retained
            step.require(kept <= part.held, "9.4 what is disputed or retained is there", part)
            step.require(not part.is_over or part.held == kept, "what is over keeps nothing free", part)

    def _compare(self, step: Step, table: str, row: Row) -> None:
        match table:
            case "product":
                products.compare(step, row)
            case "plan":
                self._compare_plan(step, row)
            case "plan_version":
                deal = self.book.deals[row["plan"]]
                signed = [part.terms for part in deal.parts]
                if row["version"] == deal.version:
                    same = row["tranches"] == signed
                    step.require(same, "what is anchored is what both signed", (row["id"], signed))
            case "dispute":
                quarrel = self.book.quarrels.get(row["id"])
                if quarrel is None:
                    step.broken("a dispute begins with its opening", row["id"])
                found = (int(row["units"]), row["state"])
                step.require(found == (quarrel.units, quarrel.state), "a dispute's record", (row["id"], found, quarrel))
            case _:
                ask = self.book.asks.get(row["id"])
                if ask is None:
                    step.broken("a refund begins with its request", row["id"])
                found = (int(row["units"]), row["state"])
                step.require(found == (ask.units, ask.state), "a refund's record", (row["id"], found, ask))

    def _compare_sheet(self, step: Step, table: str, key: str, row: Row, balances: dict[str, int]) -> None:
        if table == "wage_chunk":
            wages.compare_lines(step, key, row)
            return
        custodian, currency = row["custodian"], row["currency"]
        name = f"transit/{custodian}/{currency}/{row['plan']}/{row['tranche']}"
        wages.compare(step, key, row, balances[name])

    def _compare_plan(self, step: Step, row: Row) -> None:
        deal = self.book.deals.get(row["id"])
        if deal is None:
            step.broken("a plan begins with its proposal", row["id"])
        rule = "a plan's record"
        for name in ("payer", "payee", "platform", "custodian", "arbitrator", "currency", "state"):
            step.require(row[name] == getattr(deal, name), rule, (deal.id, name, row[name], getattr(deal, name)))
        for name in SUMS:
            found = int(row.get(name, "0"))
            step.require(found == getattr(deal, name), f"9.1 {name}", (deal.id, found, getattr(deal, name)))
        same = (row.get("version", 0), int(row.get("fee_reserve", "0")), "amendment" in row, "ended" in row)
        mine = (deal.version, deal.reserve, deal.amendment is not None, deal.ended)
        step.require(same == mine, rule, (deal.id, same, mine))
        waiting = (set(row.get("disputes", ())), set(row.get("refunds", ())), instant(row.get("long_stop_at")))
        known = (deal.disputes, deal.refunds, deal.long_stop_at)
        step.require(waiting == known, rule, (deal.id, waiting, known))
        step.require(len(row.get("tranches", ())) == len(deal.parts), rule, (deal.id, "tranches"))
        for number, (found_, part) in enumerate(zip(row.get("tranches", ()), deal.parts, strict=True), 1):
            self._compare_part(step, deal, number, found_, part)

    def _compare_part(self, step: Step, deal: Deal, number: int, row: Row, part: Part) -> None:
        where = f"{deal.id}/{number}"
        for name in COUNTED:
            found = int(row.get(name, "0"))
            step.require(found == getattr(part, name), f"9.1 a tranche's {name}", (where, found, getattr(part, name)))
        for name in INSTANTS if not part.is_over else ():
            at: Any = instant(row.get(name))
            step.require(at == getattr(part, name), f"a tranche's {name}", (where, row.get(name), getattr(part, name)))
        same = (row.get("phase", "waiting"), row.get("rounds", 0), row.get("extended", 0), row.get("overdue", False))
        mine = (part.phase, part.rounds, part.extended, part.overdue)
        step.require(same == mine, "where a tranche stands", (where, same, mine))
        certified = row.get("certified")
        found_ = None if certified is None else int(certified)
        step.require(found_ == part.certified, "9.4 what is certified", (where, found_, part.certified))

    def _nothing_left_undone(self, step: Step, deal: Deal) -> None:
        """What the block's due work should have brought about, it has."""
        late = deal.long_stop_at is not None and step.now > deal.long_stop_at
        step.require(not late, "the long stop ends a plan", (deal.id, deal.long_stop_at))
        for number, part in enumerate(deal.parts, 1):
            if not part.is_over and deal.state == "active":
                self._windows_have_ended(step, deal, number, part)
            come = part.retained_until is not None and step.now >= part.retained_until
            if part.is_over and part.retained and come:
                step.require(self._is_barred(step, deal, part.retained), "what was retained is paid on its day", part)

    def _windows_have_ended(self, step: Step, deal: Deal, number: int, part: Part) -> None:
        where = (deal.id, number, part)
        unfunded = part.fund_until is not None and step.now > part.fund_until
        step.require(not unfunded or part.overdue, "a late deposit is overdue", where)
        begun = part.release_at is not None and step.now >= part.release_at
        if part.phase in ("waiting", "evidence_in"):
            over = part.unmet_at is not None and step.now > part.unmet_at
            step.require(not over, "a release window has its end", where)
            step.require(not begun or not self._is_met(step, deal, number), "what is met is verified", where)
        elif begun and (part.object_until is None or step.now > part.object_until):
            sums = deal.sums(number, step.now)
            stuck = sums["contested"] >= sums["certified"] and part.disputed
            short = part.free < sums["paid"] + sums["retained"]
            barred = self._is_barred(step, deal, sums["paid"]) or "redeems" in part.terms
            step.require(bool(stuck) or short or barred, "what is verified is released when its time has come", where)

    def _is_met(self, step: Step, deal: Deal, number: int) -> bool:
        return evidence.certified_by(step, deal, number) is not None

    def _is_barred(self, step: Step, deal: Deal, units: int) -> bool:
        """Whether a freeze may have kept `units`, and the reserve that a paying payer's fee comes from, in escrow."""
        row = step.before.get(f"balance/{deal.escrow}") or {}
        frozen = sum(int(one["units"]) for one in row.get("freezes", ()))
        return bool(frozen) and deal.held - frozen < units + deal.reserve
