"""What each rule of the seed packs judges, on the days about its own: refused with its clause, found, or passed."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tallystick import seeds
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.law.adopt import AdoptLaw
from tallystick.kernel.law.facts import (
    FinancingFacts,
    FundsFacts,
    IssueFacts,
    RegistrationFacts,
    TransferFacts,
    WageFacts,
)
from tallystick.kernel.law.flags import DebtorFlags, Flag
from tallystick.kernel.law.judge import (
    judge_account,
    judge_financing,
    judge_funds,
    judge_issue,
    judge_registration,
    judge_transfer,
    judge_validity,
    judge_wages,
)
from tallystick.kernel.law.records import Effect, Judgement, Mark, Outcome
from tallystick.kernel.membership.records import Role, SizeClass
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.law import PAPER, day, found, licence, refused, step_on, under
from tests.support.world import GENESIS, World

TODAY = "2026-03-02"


class Scene:
    """A core enterprise that buys from a small seller, a platform and a governor, under `cn` and `gb`."""

    def __init__(self) -> None:
        self.world = under(World(), "cn", "gb")
        self.core = self.world.member("Core Enterprise", Role.CORE_ENTERPRISE, size_class=SizeClass.LARGE)
        self.public = self.world.member("Public Body", Role.CORE_ENTERPRISE, size_class=SizeClass.PUBLIC)
        self.seller = self.world.member("Seller", Role.CLIENT, bank_account=PAPER)
        self.large_seller = self.world.member("Large Seller", Role.CLIENT, size_class=SizeClass.LARGE)
        self.platform = self.world.member("Platform", Role.PLATFORM, Role.CORE_ENTERPRISE)
        self.bank = self.world.member("Bank", Role.CUSTODIAN, Role.FUNDER, licences=(licence("banking"),))
        self.governor = self.world.member("Governor", Role.GOVERNOR)

    def issue(self, **fields: Any) -> IssueFacts:
        """A receivable of two months from the core enterprise to the small seller, delivered late in its term."""
        terms: dict[str, Any] = {
            "debtor": self.core,
            "creditor": self.seller,
            "currency": "CNY",
            "face": Units(1_000_00),
            "issue_on": day("2026-03-02"),
            "due_on": day("2026-05-01"),
            "debtor_confirmed": True,
        }
        dates = {name: day(value) for name, value in fields.items() if name.endswith("_on")}
        return IssueFacts(**{**terms, **fields, **dates})


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def test_nothing_to_say_names_the_packs_that_judged(scene: Scene) -> None:
    judged = judge_validity(step_on(scene.world, TODAY), scene.issue())
    assert judged == Judgement(on=day(TODAY), packs=("all-seed.1", "cn-seed.1"))


def test_a_chain_without_packs_judges_nothing() -> None:
    world = World()
    facts = Scene.issue(Scene(), due_on="2036-03-02")
    assert judge_validity(step_on(world, TODAY), facts) == Judgement(on=day(TODAY))


def test_the_pack_goes_by_the_currency(scene: Scene) -> None:
    judged = judge_issue(step_on(scene.world, TODAY), scene.issue(currency="GBP"))
    assert isinstance(judged, Judgement)
    assert judged.packs == ("all-seed.1", "gb-seed.1")


# --- tenor: 银发〔2025〕77号 art. 11


def long_one(scene: Scene, **fields: Any) -> IssueFacts:
    """Fourteen months between large companies, so that no payment term is in question."""
    given = {"issue_on": "2025-06-01", "due_on": "2026-08-01", "creditor": scene.large_seller, **fields}
    return scene.issue(**given)


def test_one_receivable_judged_on_three_dates_has_three_outcomes(scene: Scene) -> None:
    facts = long_one(scene)
    assert found(judge_validity(step_on(scene.world, "2025-06-14"), facts)) == {}
    refused(
        judge_validity(step_on(scene.world, "2025-06-15"), facts),
        Status.TENOR_REASON_MISSING,
        clause="银发〔2025〕77号 art. 11",
        rule="tenor_over_one_year",
        pack="cn-seed.1",
        last_day="2026-06-01",
    )
    reasoned = replace(facts, reason_stated=True)
    assert found(judge_validity(step_on(scene.world, "2027-06-14"), reasoned)) == {
        "tenor_over_one_year": Outcome.REASONED,
        "tenor_over_six_months": Outcome.REASONED,
    }
    refused(
        judge_validity(step_on(scene.world, "2027-06-15"), reasoned),
        Status.TENOR_OVER_CAP,
        rule="tenor_over_one_year",
    )


def test_six_months_are_counted_in_months_with_the_months_end(scene: Scene) -> None:
    step = step_on(scene.world, TODAY)
    exact = long_one(scene, issue_on="2025-08-31", due_on="2026-02-28")
    assert found(judge_issue(step, exact)) == {}
    refused(judge_issue(step, replace(exact, due_on=day("2026-03-01"))), Status.TENOR_REASON_MISSING)


def test_an_announced_cap_judges_only_once_adopted_and_only_from_its_day() -> None:
    scene = Scene()
    world = scene.world
    facts = long_one(scene, issue_on="2026-03-02", due_on="2026-11-02", reason_stated=True)
    begins = day("2026-04-01")
    rules = seeds.amended(seeds.law_pack("cn")[0].rules, seeds.announced("cn-tenor-six-months", begins))
    world.do(
        AdoptLaw(
            jurisdiction="cn",
            version="cn-2026.1",
            from_on=begins,
            rules=rules,
            source="announcement of 2026-09",
            currencies=("CNY",),
        ),
        by=scene.governor,
    )
    before = judge_validity(step_on(world, "2026-03-31"), facts)
    assert found(before) == {"tenor_over_six_months": Outcome.REASONED}
    assert isinstance(before, Judgement)
    assert before.packs == ("all-seed.1", "cn-seed.1")
    refused(
        judge_validity(step_on(world, "2026-04-01"), facts),
        Status.TENOR_OVER_CAP,
        pack="cn-2026.1",
        rule="tenor_cap_six_months",
    )
    pounds = judge_validity(step_on(world, "2026-04-01"), replace(facts, currency="GBP"))
    assert isinstance(pounds, Judgement)
    assert pounds.packs == ("all-seed.1", "gb-seed.1")


def test_scrutiny_is_asked_of_the_funder_at_financing(scene: Scene) -> None:
    step = step_on(scene.world, TODAY)
    facts = FinancingFacts(scene.seller, "CNY", day("2026-01-02"), day("2026-08-02"))
    assert found(judge_financing(step, facts)) == {}, "without a funder nobody can have looked"
    offered = replace(facts, funder=scene.bank)
    refused(judge_financing(step, offered), Status.SCRUTINY_MISSING, clause="银发〔2025〕77号 art. 11")
    assert found(judge_financing(step, replace(offered, scrutinised=True))) == {
        "scrutiny_over_six_months": Outcome.REASONED
    }
    assert found(judge_financing(step, replace(offered, due_on=day("2026-07-02")))) == {}


# --- the platform: art. 4


def test_a_platform_is_an_information_service(scene: Scene) -> None:
    step = step_on(scene.world, TODAY)
    clause = "银发〔2025〕77号 art. 4"
    as_debtor = judge_issue(step, scene.issue(debtor=scene.platform))
    refused(as_debtor, Status.PLATFORM_UNLICENSED, clause=clause, activity="payer", organisation=scene.platform)
    as_creditor = judge_issue(step, scene.issue(creditor=scene.platform))
    refused(as_creditor, Status.PLATFORM_UNLICENSED, activity="payee")
    as_receiver = judge_transfer(step, TransferFacts(scene.seller, scene.platform, "CNY", 1))
    refused(as_receiver, Status.PLATFORM_UNLICENSED, activity="payee")
    financing = FinancingFacts(scene.seller, "CNY", day(TODAY), day("2026-05-01"), funder=scene.platform)
    refused(judge_financing(step, financing), Status.PLATFORM_UNLICENSED, activity="funder")
    refused(judge_account(step, scene.platform, "CNY"), Status.PLATFORM_UNLICENSED, activity="money")
    paying = FundsFacts(scene.platform, scene.seller, "CNY", custodian=scene.bank)
    refused(judge_funds(step, paying), Status.PLATFORM_UNLICENSED, activity="payer")
    paid = FundsFacts(scene.seller, scene.platform, "CNY", custodian=scene.bank)
    refused(judge_funds(step, paid), Status.PLATFORM_UNLICENSED, activity="payee")
    assert found(judge_account(step, scene.seller, "CNY")) == {}
    assert found(judge_account(step, scene.platform, "GBP")) == {}, "the gb pack has no such rule"


def test_a_licence_lifts_it_for_what_it_licenses_and_as_long_as_it_runs() -> None:
    world = under(World(), "cn")
    step = step_on(world, TODAY)
    paper = (licence("payment", until="2026-03-02"),)
    platform = world.member("Platform", Role.PLATFORM, licences=paper)
    assert found(judge_account(step, platform, "CNY")) == {}
    financing = FinancingFacts("", "CNY", day(TODAY), day("2026-05-01"), funder=platform)
    refused(judge_financing(step, financing), Status.PLATFORM_UNLICENSED, activity="funder")
    refused(judge_account(step_on(world, "2026-03-03"), platform, "CNY"), Status.PLATFORM_UNLICENSED)


# --- the debtor: art. 9 and art. 15


def test_it_is_the_core_enterprises_own_promise(scene: Scene) -> None:
    step = step_on(scene.world, TODAY)
    clause = "银发〔2025〕77号 art. 9"
    ordinary = scene.issue(debtor=scene.seller, creditor=scene.large_seller)
    refused(judge_issue(step, ordinary), Status.NOT_THE_DEBTORS_PROMISE, clause=clause, reason="not_a_core_enterprise")
    unconfirmed = scene.issue(debtor_confirmed=False)
    assert found(judge_issue(step, unconfirmed)) == {}, "at the request nobody has confirmed yet"
    refused(judge_validity(step, unconfirmed), Status.NOT_THE_DEBTORS_PROMISE, reason="not_confirmed")
    refused(judge_validity(step, ordinary), Status.NOT_THE_DEBTORS_PROMISE, reason="not_a_core_enterprise")


def test_a_flag_bars_issue_from_its_day_until_it_is_cleared() -> None:
    scene = Scene()
    flag = Flag(
        kind="bond_default",
        from_on=day("2026-03-02"),
        evidence=PAPER,
        since=GENESIS,
        cleared_on=day("2026-03-10"),
    )
    scene.world.put(DebtorFlags(id=scene.core, flags=(flag,)))
    facts = scene.issue()
    assert found(judge_issue(step_on(scene.world, "2026-03-01"), facts)) == {}
    for on in ("2026-03-02", "2026-03-09"):
        refused(
            judge_issue(step_on(scene.world, on), facts),
            Status.DEBTOR_IN_ARREARS,
            clause="银发〔2025〕77号 art. 15",
            flag="bond_default",
        )
    assert found(judge_issue(step_on(scene.world, "2026-03-10"), facts)) == {}


def test_an_overdue_receivable_here_bars_issue() -> None:
    scene = Scene()
    scene.world.state.index.append(f"overdue/{scene.core}/receivable/rcv_0000000000000000")
    scene.world.state.index.sort()
    step = step_on(scene.world, TODAY)
    refused(judge_validity(step, scene.issue()), Status.DEBTOR_IN_ARREARS, overdue="rcv_0000000000000000")
    assert found(judge_validity(step, scene.issue(debtor=scene.public, due_on="2026-03-30"))) == {}
    assert found(judge_validity(step, scene.issue(currency="GBP"))) == {}, "the gb pack has no such rule"


# --- registration: art. 13; funds: art. 14


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"searched": False, "registered": True}, Status.SEARCH_MISSING),
        ({"searched": True, "registered": False}, Status.REGISTRATION_MISSING),
        ({"searched": True, "registered": True, "uncancelled": True}, Status.REGISTRATION_NOT_CANCELLED),
    ],
)
def test_the_registry_comes_before_the_money(scene: Scene, fields: dict[str, Any], status: Status) -> None:
    step = step_on(scene.world, TODAY)
    refused(judge_registration(step, RegistrationFacts("CNY", **fields)), status, clause="银发〔2025〕77号 art. 13")
    assert found(judge_registration(step, RegistrationFacts("CNY", searched=True, registered=True))) == {}
    assert found(judge_registration(step, RegistrationFacts("GBP", **fields))) == {}


def test_what_is_stricter_than_the_law_is_marked_policy() -> None:
    marks = {rule.name: rule.mark for name in seeds.JURISDICTIONS for rule in seeds.law_pack(name)[0].rules}
    assert {name for name, mark in marks.items() if mark is Mark.POLICY} == {
        "registry_number_before_money",
        "split_layers_alert",
        "split_layers_cap",
    }


def test_funds_pass_through_banks() -> None:
    scene = Scene()
    step = step_on(scene.world, TODAY)
    unlicensed = scene.world.member("Custodian", Role.CUSTODIAN)
    debtor = scene.world.member("Debtor", Role.CORE_ENTERPRISE, bank_account=PAPER)
    ledger = FundsFacts(scene.core, scene.seller, "CNY", custodian=scene.bank)
    assert found(judge_funds(step, ledger)) == {}, "the bank's booking is the receipt"
    refused(
        judge_funds(step, replace(ledger, custodian=unlicensed)),
        Status.FUNDS_OUTSIDE_BANKS,
        clause="银发〔2025〕77号 art. 14",
        reason="custodian_unlicensed",
    )
    bank_leg = FundsFacts(debtor, scene.seller, "CNY", receipt=True)
    assert found(judge_funds(step, bank_leg)) == {}
    refused(judge_funds(step, replace(bank_leg, receipt=False)), Status.FUNDS_OUTSIDE_BANKS, reason="receipt_missing")
    for unnamed in (replace(bank_leg, payer=scene.core), replace(bank_leg, payee=scene.core)):
        refused(
            judge_funds(step, unnamed),
            Status.FUNDS_OUTSIDE_BANKS,
            reason="bank_account_missing",
            organisation=scene.core,
        )


# --- payment terms: 令802号; the 1998 Act


def test_pay_when_paid_is_void_towards_small_sellers(scene: Scene) -> None:
    step = step_on(scene.world, TODAY)
    facts = scene.issue(pay_when_paid=True)
    refused(judge_issue(step, facts), Status.PAY_WHEN_PAID, clause="国务院令第802号 art. 9")
    assert found(judge_issue(step, replace(facts, creditor=scene.large_seller))) == {}
    assert found(judge_issue(step_on(scene.world, "2025-05-31"), facts)) == {}


def test_sixty_days_of_a_large_buyer_count_from_delivery(scene: Scene) -> None:
    step = step_on(scene.world, TODAY)
    assert found(judge_issue(step, scene.issue(due_on="2026-05-01"))) == {}, "60 days from issue"
    late = scene.issue(due_on="2026-05-02")
    refused(
        judge_issue(step, late),
        Status.PAYMENT_TERM_REASON_MISSING,
        rule="large_buyer_60_days",
        last_day="2026-05-01",
    )
    assert found(judge_issue(step, replace(late, reason_stated=True))) == {"large_buyer_60_days": Outcome.REASONED}
    assert found(judge_issue(step, replace(late, creditor=scene.large_seller))) == {}
    earlier = scene.issue(delivered_on="2026-02-01", due_on="2026-05-01")
    refused(judge_issue(step, earlier), Status.PAYMENT_TERM_REASON_MISSING, last_day="2026-04-02")
    latest = scene.issue(delivered_on="2026-02-01", invoiced_on="2026-03-02", due_on="2026-05-01")
    assert found(judge_issue(step, latest)) == {}, "the latest of delivery and invoice counts"


def test_public_bodies_thirty_days_and_sixty_at_most(scene: Scene) -> None:
    step = step_on(scene.world, TODAY)
    assert found(judge_issue(step, scene.issue(debtor=scene.public, due_on="2026-04-01"))) == {}
    agreed = scene.issue(debtor=scene.public, due_on="2026-05-01", reason_stated=True)
    assert found(judge_issue(step, agreed)) == {"public_body_30_days": Outcome.REASONED}
    refused(
        judge_issue(step, replace(agreed, reason_stated=False)),
        Status.PAYMENT_TERM_REASON_MISSING,
        rule="public_body_30_days",
    )
    assert found(judge_issue(step, replace(agreed, due_on=day("2026-05-02")))) == {
        "public_body_60_days": Outcome.WARNED,
        "public_body_30_days": Outcome.REASONED,
    }


def test_a_rule_that_refuses_a_term_outright() -> None:
    """No seed does; a consortium may adopt one."""
    scene = Scene()
    strict = tuple(
        msgspec.structs.replace(rule, effect=Effect.REFUSE)
        for rule in seeds.law_pack("cn")[0].rules
        if rule.name == "public_body_60_days"
    )
    world = scene.world
    world.do(
        AdoptLaw(jurisdiction="cn", version="cn-strict", from_on=day("2026-03-03"), rules=strict, source="policy"),
        by=scene.governor,
    )
    facts = scene.issue(debtor=scene.public, due_on="2026-06-01", reason_stated=True)
    refused(judge_issue(step_on(world, "2026-03-03"), facts), Status.PAYMENT_TERM_TOO_LONG)


def test_public_authorities_in_britain_are_warned_of(scene: Scene) -> None:
    step = step_on(scene.world, TODAY)
    facts = scene.issue(debtor=scene.public, currency="GBP", due_on="2026-04-02")
    assert found(judge_validity(step, facts)) == {"public_authority_30_days": Outcome.WARNED}
    assert found(judge_validity(step, replace(facts, due_on=day("2026-04-01")))) == {}
    assert found(judge_validity(step, replace(facts, debtor=scene.core))) == {}


# --- layers, wages


def test_layers_alert_and_cap(scene: Scene) -> None:
    step = step_on(scene.world, TODAY)
    alerted = {"split_layers_alert": Outcome.WARNED}
    for layers, expected in ((5, {}), (6, alerted), (10, alerted)):
        assert found(judge_transfer(step, TransferFacts(scene.seller, scene.core, "GBP", layers))) == expected
    over = TransferFacts(scene.seller, scene.core, "GBP", 11)
    refused(judge_transfer(step, over), Status.SPLIT_TOO_DEEP, layers=11, limit=10)
    financed = FinancingFacts(scene.seller, "GBP", day(TODAY), day("2026-05-01"), funder=scene.bank, layers=11)
    refused(judge_financing(step, financed), Status.SPLIT_TOO_DEEP)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"special_account": False}, "not_the_special_account"),
        ({"tri_party_agreement": False}, "no_tri_party_agreement"),
        ({"to_workers_own_accounts": False}, "not_a_workers_own_account"),
        ({"frozen_for_other_reasons": True}, "frozen_for_other_reasons"),
        ({"set_off": True}, "set_off"),
        ({"closure_notice_days": 29}, "closed_before_notice_ran"),
    ],
)
def test_wage_accounts(scene: Scene, fields: dict[str, Any], reason: str) -> None:
    kept = WageFacts("CNY", special_account=True, tri_party_agreement=True, to_workers_own_accounts=True)
    step = step_on(scene.world, TODAY)
    assert found(judge_wages(step, kept)) == {}
    assert found(judge_wages(step, replace(kept, closure_notice_days=30))) == {}
    refused(
        judge_wages(step, replace(kept, **fields)),
        Status.WAGE_ACCOUNT_MISUSED,
        clause="人社部发〔2021〕53号",
        reason=reason,
    )


def test_a_refusal_is_the_first_rule_broken_in_the_packs_order(scene: Scene) -> None:
    """The platform's rule stands before those of tenor and payment terms, which are broken too."""
    facts = scene.issue(debtor=scene.platform, pay_when_paid=True, due_on="2027-12-31")
    judged = judge_issue(step_on(scene.world, "2027-06-15"), facts)
    assert isinstance(judged, Refusal)
    assert judged.status is Status.PLATFORM_UNLICENSED
