"""Plans, products and certificates as people see them, without a process: over a world in memory."""

import datetime
from typing import Any

import pytest
from rich.cells import cell_len

from tallystick.cli.certificate_card import certificate_card
from tallystick.cli.plan_card import plan_card, plan_json
from tallystick.cli.product_card import product_card
from tallystick.kernel.accounts.reversing import ReverseDeposit
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.cases import Certificate
from tallystick.kernel.plans.conditions import AllOf, AnyOf, DocumentsIn, OnDate, PayerAccepts, VerifiersAccept
from tallystick.kernel.plans.disputes import ObjectToRelease
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.records import Material, Retention
from tallystick.kernel.products.records import FeePayer, FeeTerms
from tallystick.node.plan_life import deadlines, plan_life
from tallystick.wire.amounts import Rate, Units
from tests.support.desks import desk_over, printed
from tests.support.plans import PART, amendment_of, confirmed, deposited, funded, plan_of, proposed, state_of, tranche
from tests.support.products import Cast, applied_product, cast, counter_of
from tests.support.receivables import anchor

D = datetime.date
FEE = FeeTerms(rate=Rate(500_000), minimum=Units(1_000), paid_by=FeePayer.PAYEE)


def terms(c: Cast) -> tuple[Any, ...]:
    """An advance of the payer's word, work that verifiers certify, and a tranche that only its day releases."""
    verified = AnyOf(of=(PayerAccepts(), VerifiersAccept(needed=2, verifiers=c.verifiers)))
    return (
        tranche(title="Foundation"),
        tranche(
            title="合符屋顶工程：钢梁与木料进场、验收及第一期付款",
            materials=(Material(kind="delivery_note"), Material(kind="photo")),
            condition=AllOf(of=(DocumentsIn(kinds=("delivery_note",)), verified)),
            up_to=True,
            retention=Retention(rate=Rate(5_000_000), until_on=D(2026, 12, 1)),
        ),
        tranche(title="Handover", fund_by_on=D(2026, 4, 17), condition=OnDate(on=D(2026, 4, 20))),
    )


def scene() -> tuple[Cast, str]:
    """Two tranches funded, the first accepted, the second half answered."""
    c = cast()
    plan = confirmed(c.world, c, *terms(c), fee=FEE)
    funded(c.world, plan, 2 * PART + 5)
    c.world.do(AcceptEvidence(plan=plan, tranche=1, currency="CNY", units=Units(PART)), by=c.payer)
    materials = (anchor("delivery_note"), anchor("photo", "a photo"))
    about = {"plan": plan, "tranche": 2, "currency": "CNY"}
    c.world.do(SubmitEvidence(materials=materials, units=Units(6_000_000), **about), by=c.payee)
    evidence = state_of(c.world, plan, 2).evidence
    c.world.do(AcceptEvidence(units=Units(5_900_000), evidence=evidence, **about), by=c.verifiers[1])
    return c, plan


def shown(c: Cast, plan: str, width: int = 80) -> str:
    at = desk_over(c.world, width)
    return printed(at, *plan_card(at, plan_of(c.world, plan)))


def test_a_plan_says_what_is_locked_met_and_missing() -> None:
    c, plan = scene()
    text = shown(c, plan)
    for part in (
        "total       300,000.00",
        "deposited   200,000.05",
        "held      200,000.05  locked 100,000.05, met 100,000.00",
        "1  Foundation",
        "100,000.00 CNY  VERIFIED",
        "up to 100,000.00 CNY  EVIDENCE IN",
        "✔ payer Payer accepts",
        "✔ delivery_note  Payee",
        "· 2 of these verifiers accept",
        "✔ Verifier two",
        "· Verifier three",
        "60,000.00 claimed",
        "Verifier two accepts 59,000.00",
        "100,000.00 by 2026-04-17, 99,999.95 missing",
    ):
        assert part in text, part
    assert "fee         0.5 %, at least 10.00, borne by the payee" in text


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_plan_keeps_to_the_width(width: int) -> None:
    c, plan = scene()
    lines = shown(c, plan, width).splitlines()
    assert max(cell_len(line) for line in lines) <= width
    assert sum("▼" in line for line in lines) == 4  # three tranches and the legend


def test_the_sums_of_a_plan_add_up_in_json() -> None:
    c, plan = scene()
    c.world.do(
        ObjectToRelease(plan=plan, tranche=1, currency="CNY", units=Units(300), reason="short"), by=c.payer
    )  # fmt: skip
    c.world.wait(until=state_of(c.world, plan, 1).object_until.plus(1))  # type: ignore[union-attr]
    c.world.wait(until=state_of(c.world, plan, 1).release_at)
    told = plan_json(desk_over(c.world, as_json=True), plan_of(c.world, plan))
    money = {name: int(units) for name, units in told["money"].items()}
    assert money["released"] > 0
    assert money["disputed"] == 300 + 6_000_000  # what was objected to, and what a verifier's silence left open
    assert money["deposited"] == sum(money[name] for name in ("held", "released", "refunded", "fees", "reversed"))
    first = told["tranches"][0]
    assert first["standing"] == "released"
    assert (first["condition"]["text"], first["condition"]["holds"]) == ("payer", True)
    assert [(leaf["method"], leaf["by"]) for leaf in first["condition"]["leaves"]] == [("payer", [c.payer])]
    assert [one["tranche"] for one in told["certificates"]] == [1]


def test_deadlines_come_soonest_first_and_name_their_outcome() -> None:
    c, plan = scene()
    at = desk_over(c.world)
    ahead = deadlines(plan_life(at.session.engine, at.session.state, plan_of(c.world, plan)))
    assert [one.at for one in ahead] == sorted(one.at for one in ahead)
    said = [(one.tranche, one.what.partition(";")[0]) for one in ahead]
    assert said[:2] == [(1, "objections end"), (2, "the answer is due")]
    assert (1, "its first day opens, then it is released") in said
    assert (3, "grace for the deposit ends") in said
    assert said[-1] == (0, "long stop: what is disputed is divided, the rest goes back")
    assert "in 3 days" in shown(c, plan)


def test_a_plan_that_nobody_confirmed_shows_what_is_proposed() -> None:
    c = cast()
    plan = proposed(c.world, c, *terms(c))
    text = shown(c, plan)
    assert "proposed, proposal 1" in text
    assert "the check is due" in text
    assert "│  └─ · delivery_note" in text or "├─ · delivery_note" in text
    assert "✔" not in text


def test_an_amendment_shows_what_it_changes() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche(title="Step"))
    c.world.do(amendment_of(c.world, plan, tranche(title="Other step"), tranche(title="New")), by=c.payer)
    text = shown(c, plan, 120)
    assert "Other step" in text
    assert "proposed" in text
    assert "2026-03-16" in text
    lines = [line for line in text.splitlines() if line.lstrip().startswith(("1   ", "2   "))]
    assert lines[0].split() == ["1", "title", "Step", "Other", "step"]
    assert any("condition" in line and "payer" in line for line in lines)


def test_copies_that_differ_are_marked() -> None:
    c = cast()
    product = applied_product(c.world, c)
    at = desk_over(c.world)
    assert "≠" not in printed(at, *product_card(at, c.product(product)))  # there is no second copy yet
    c.world.do(counter_of(c, product, value=Units(90_000_000)), by=c.payer)
    at = desk_over(c.world)
    lines = [line for line in printed(at, *product_card(at, c.product(product))).splitlines() if "≠" in line]
    assert [line.split() for line in lines] == [["≠", "value", "1,000,000.00", "CNY", "900,000.00", "CNY"]]


def test_a_certificate_adds_up_and_names_who_met_what() -> None:
    c, plan = scene()
    c.world.wait(until=state_of(c.world, plan, 1).release_at)
    certificate = next(row for row in c.world.state.rows.values() if isinstance(row, Certificate))
    at = desk_over(c.world)
    text = printed(at, *certificate_card(at, certificate))
    amounts = [
        line.split()[1].replace(",", "") for line in text.splitlines() if line.startswith("  ") and ".00" in line
    ]
    assert sum(round(float(one) * 100) for one in amounts) == certificate.certified == PART
    assert "payer by Payer" in text
    assert f"certified    {at.amount(PART, 'CNY')}  Payer {at.amount(PART, 'CNY')}" in text
    assert "1, Foundation" in text
    assert "triggered by  the ledger by itself" in text


def test_what_a_bank_reversed_is_not_called_given_back() -> None:
    c = cast(funds=0)  # the reversal finds nothing on the payer's account
    plan = confirmed(c.world, c, tranche())
    deposit = deposited(c.world, plan, PART)
    undo = ReverseDeposit(deposit=deposit, currency="CNY", units=Units(PART), bank_reference="REV-1")
    c.world.do(undo, by=c.custodian)
    text = " ".join(shown(c, plan, 120).split())
    assert "reversed by the bank 100,000.00" in text
    assert "given back" not in text
