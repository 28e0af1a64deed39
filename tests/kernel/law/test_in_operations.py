"""The law where the trade meets it: each refusing rule, reached through the operation that it refuses."""

from typing import Any

import msgspec
import pytest

from tallystick import seeds
from tallystick.kernel.core.fields import Interval
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.law.adopt import AdoptLaw
from tallystick.kernel.law.flags import FlagDebtor
from tallystick.kernel.law.records import Effect, LawBook, Outcome
from tallystick.kernel.membership.records import Role, SizeClass
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.amounts import Units
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.financing import approved, market, net_on, settlement_of
from tests.support.law import PAPER, day, under
from tests.support.receivables import (
    Trade,
    approval_of,
    confirmed,
    issued,
    offer_of,
    publish_calendar,
    request_of,
    trade,
    transferred,
)
from tests.support.world import World

LONG = Policies(max_tenor_months=36, max_hops=100)


def chinese(at: str = "2026-03-02T01:00:00.000Z") -> Trade:
    """A trade under `cn` and `gb`, with calendars up to 2030 and policies that leave tenor to the law."""
    t = trade(policies=LONG, at=Instant.parse(at))
    under(t.world, "cn", "gb")
    publish_calendar(t.world, 2027, 2028, 2029, 2030)
    return t


def ask(t: Trade, status: Status, vector: str = "", *, debtor: str = "", **fields: Any) -> dict[str, Any]:
    """A request of the buyer (or `debtor`) to issue to the supplier, with what the law says of it."""
    owing = debtor or t.buyer
    asked = request_of(owing, fields.pop("creditor", t.supplier), 100_00, **fields)
    return t.world.do(asked, by=owing, expect=status, vector=vector).facts


def test_tenor_over_a_year_in_the_transition_and_after_it() -> None:
    t = chinese()
    facts = ask(
        t,
        Status.TENOR_REASON_MISSING,
        "receivable.request/tenor_reason_missing",
        due_on=day("2027-03-03"),
    )
    assert facts["clause"] == "银发〔2025〕77号 art. 11"
    later = chinese("2027-06-15T01:00:00.000Z")
    days = {"issue_on": day("2027-06-14"), "due_on": day("2028-06-15"), "reason": "goods are paid for as they are sold"}
    ask(later, Status.TENOR_OVER_CAP, "receivable.request/tenor_over_cap", **days)
    before = chinese("2027-06-14T01:00:00.000Z")
    ask(before, Status.OK, **days)


def test_the_judgement_that_governs_is_that_of_the_block_that_marks_it_valid() -> None:
    """Requested on the last day of the transition, reviewed on the first day after it: refused then."""
    t = chinese("2027-06-14T01:00:00.000Z")
    days = {"issue_on": day("2027-06-14"), "due_on": day("2028-06-15"), "reason": "goods are paid for as they are sold"}
    receivable = confirmed(t.world, t.buyer, t.supplier, 100_00, **days)
    row = t.world.row(Receivable, receivable)
    assert [each.outcome for each in row.judged_at_request.findings] == [Outcome.REASONED, Outcome.REASONED]
    t.world.now = Instant.parse("2027-06-15T01:00:00.000Z")
    t.world.do(
        approval_of(t.world, receivable),
        by=t.auditor,
        expect=Status.TENOR_OVER_CAP,
        vector="review.decide/receivable_tenor_over_cap",
    )


def test_what_the_law_found_stands_in_the_receivable() -> None:
    t = chinese()
    receivable = issued(
        t.world, t.buyer, t.supplier, 100_00, t.auditor, due_on=day("2026-11-30"), reason="seasonal goods"
    )
    judged = t.world.row(Receivable, receivable).judged
    assert judged.packs == ("all-seed.1", "cn-seed.1")
    assert [(each.rule, each.outcome) for each in judged.findings] == [("tenor_over_six_months", Outcome.REASONED)]


def test_issue_is_the_core_enterprises_promise() -> None:
    t = chinese()
    ask(
        t,
        Status.NOT_THE_DEBTORS_PROMISE,
        "receivable.request/not_the_debtors_promise",
        debtor=t.maker,
    )


def test_a_platform_owes_nothing_here() -> None:
    t = chinese()
    platform = t.world.member("Platform", Role.PLATFORM, Role.CORE_ENTERPRISE)
    ask(t, Status.PLATFORM_UNLICENSED, "receivable.request/platform_unlicensed", debtor=platform)


def test_a_flag_bars_issue_until_it_is_cleared() -> None:
    t = chinese()
    governor = t.world.member("Governor", Role.GOVERNOR)
    flag = FlagDebtor(debtor=t.buyer, kind="bond_default", from_on=day("2026-03-02"), evidence=PAPER)
    t.world.do(flag, by=governor)
    facts = ask(t, Status.DEBTOR_IN_ARREARS, "receivable.request/debtor_flagged")
    assert facts["flag"] == "bond_default"
    t.world.do(msgspec.structs.replace(flag, clears=True), by=governor)
    ask(t, Status.OK)


def large_buyer(t: Trade) -> str:
    return t.world.member("Large Buyer", Role.CLIENT, Role.CORE_ENTERPRISE, size_class=SizeClass.LARGE)


def test_payment_terms_of_large_buyers() -> None:
    t = chinese()
    buyer = large_buyer(t)
    ask(t, Status.PAY_WHEN_PAID, "receivable.request/pay_when_paid", debtor=buyer, pay_when_paid=True)
    ask(
        t,
        Status.PAYMENT_TERM_REASON_MISSING,
        "receivable.request/payment_term_reason_missing",
        debtor=buyer,
        due_on=day("2026-05-02"),
    )
    ask(t, Status.OK, debtor=buyer, due_on=day("2026-05-02"), reason="custom of the trade")


def test_a_stricter_pack_refuses_the_term_itself() -> None:
    t = chinese()
    governor = t.world.member("Governor", Role.GOVERNOR)
    rules = seeds.law_pack("cn")[0].rules
    strict = tuple(
        msgspec.structs.replace(rule, effect=Effect.REFUSE) for rule in rules if rule.name == "large_buyer_60_days"
    )
    t.world.do(
        AdoptLaw(jurisdiction="cn", version="cn-strict", from_on=day("2026-03-03"), rules=strict, source="policy"),
        by=governor,
    )
    buyer = large_buyer(t)
    ask(t, Status.OK, debtor=buyer, due_on=day("2026-05-03"), reason="custom of the trade")
    t.world.now = Instant.parse("2026-03-03T01:00:00.000Z")
    ask(
        t,
        Status.PAYMENT_TERM_TOO_LONG,
        "receivable.request/payment_term_too_long",
        debtor=buyer,
        due_on=day("2026-05-02"),
        creditor=t.maker,
        reason="custom of the trade",
    )


def test_split_layers_end_at_the_cap() -> None:
    t = chinese()
    receivable = issued(t.world, t.buyer, t.supplier, 100_00, t.auditor)
    whole = Interval(Units(1), Units(100_00))
    holder, other = t.supplier, t.maker
    for _ in range(10):
        transferred(t.world, receivable, whole, 100_00, holder, other, t.auditor)
        holder, other = other, holder
    t.world.do(
        offer_of(t.world, receivable, whole, 100_00, other),
        by=holder,
        expect=Status.SPLIT_TOO_DEEP,
        vector="transfer.request/eleventh_layer",
    )


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        (("registry_search", "registry_number_before_money"), Status.SEARCH_MISSING),
        (("registry_number_before_money",), Status.REGISTRATION_MISSING),
    ],
)
def test_nothing_is_paid_before_the_registry_knows(rules: tuple[str, ...], status: Status) -> None:
    m = market()
    financing = approved(m)
    pack, adoption = seeds.law_pack("cn")
    chosen = tuple(rule for rule in pack.rules if rule.name in rules)
    m.world.put(LawBook(id="chain", adoptions=(adoption,)), msgspec.structs.replace(pack, rules=chosen))
    row = m.financing(financing)
    settling = settlement_of(m, financing, net_on(row.face, "5.5", m.world.today(), day("2026-06-30")))
    m.world.do(settling, by=m.funder, expect=status, vector=f"financing.settle/{status.label}_by_pack")


@pytest.mark.parametrize("on", ["2026-03-02", "2026-03-31"])
def test_pounds_know_nothing_of_chinese_rules(on: str) -> None:
    t = chinese(f"{on}T01:00:00.000Z")
    ask(t, Status.OK, currency="GBP", due_on=day("2027-03-03"), pay_when_paid=True, debtor=large_buyer(t))


def test_a_world_without_law_judges_nothing() -> None:
    t = trade(policies=LONG)
    publish_calendar(t.world, 2028)
    assert f"{LawBook.table}/chain" not in t.world.state.rows
    ask(t, Status.OK, due_on=day("2028-03-03"), pay_when_paid=True)
    assert isinstance(t.world, World)
