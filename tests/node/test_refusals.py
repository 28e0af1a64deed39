"""Amounts in the facts of a refusal are said in their currency, not in minor units."""

from typing import Any

import pytest

from tallystick.kernel.core.refusal import Fact
from tallystick.kernel.plans.funding import FundPlan
from tallystick.node.refusals import amounts_in_words
from tallystick.wire.amounts import Units
from tests.support.desks import desk_over
from tests.support.plans import confirmed, tranche
from tests.support.products import application_of, cast


def told(operation: Any, world: Any, facts: dict[str, Fact]) -> dict[str, Fact]:
    session = desk_over(world).session
    return amounts_in_words(session.state, session.lookup, (operation,), facts)


def test_amounts_follow_the_record_that_the_operation_names() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche())
    fund = FundPlan(plan=plan, currency="CNY", units=Units(7))
    said = told(fund, c.world, {"tranche": 2, "missing": "500000", "bank_reference": "2026030200017"})
    assert said == {"tranche": 2, "missing": "5,000.00 CNY", "bank_reference": "2026030200017"}


@pytest.mark.parametrize("name", ["missing", "claimed", "disputed", "to_payee", "held", "left", "announced"])
def test_each_fact_that_is_an_amount_is_known(name: str) -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche())
    assert told(FundPlan(plan=plan, currency="CNY", units=Units(7)), c.world, {name: "105"}) == {name: "1.05 CNY"}


def test_an_application_states_its_currency_in_its_terms() -> None:
    c = cast()
    said = told(application_of(c), c.world, {"cap": "300000000", "value": "6000000"})
    assert said == {"cap": "3,000,000.00 CNY", "value": "60,000.00 CNY"}
