"""plan.propose: what is refused at once of one tranche, field by field, and the last value that passes."""

from collections.abc import Callable
from typing import Any

import pytest

from tallystick.kernel.membership.records import Role
from tallystick.kernel.plans.conditions import (
    AllOf,
    AnyOf,
    AtLeast,
    DataStated,
    DocumentsIn,
    OnDate,
    PayerAccepts,
    PlatformAccepts,
    VerifiersAccept,
)
from tallystick.kernel.plans.records import Material, Retention, Unmet
from tallystick.wire import envelope
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.status import Status
from tests.support.plans import PART, day, proposal_of, tranche
from tests.support.products import Cast, cast, opened_product
from tests.support.receivables import issued, requested
from tests.support.world import World

PERCENT = 1_000_000


# --- one tranche: name, its fields, status, facts besides its number ------------------------------------------------

Fields = Callable[[Cast], dict[str, Any]]

UNSOUND: dict[str, tuple[dict[str, Any] | Fields, Status, dict[str, Any]]] = {
    "amount_zero": ({"units": ZERO, "fund_units": ZERO}, Status.AMOUNT_ZERO, {"field": "units"}),
    "amount_zero_with_deposit": ({"units": ZERO}, Status.AMOUNT_ZERO, {"field": "units"}),
    "deposits_less_than_it_releases": (
        {"fund_units": Units(PART - 1)},
        Status.BAD_VALUE,
        {"field": "fund_units", "least": str(PART)},
    ),
    "deposited_after_the_release": (
        {"fund_by_on": day(5, 1)},
        Status.BAD_DATES,
        {"field": "release_until_on", "earliest": "2026-05-01", "because": "fund_by_on"},
    ),
    "released_from_after_until": (
        {"release_from_on": day(5, 1)},
        Status.BAD_DATES,
        {"field": "release_until_on", "earliest": "2026-05-01", "because": "release_from_on"},
    ),
    "deposit_in_the_past": (
        {"fund_by_on": day(3, 1)},
        Status.BAD_DATES,
        {"field": "fund_by_on", "today": "2026-03-02"},
    ),
    "release_in_the_past": (
        {"release_from_on": day(3, 1)},
        Status.BAD_DATES,
        {"field": "release_from_on", "today": "2026-03-02"},
    ),
    "condition_day_in_the_past": (
        {"condition": OnDate(on=day(3, 1))},
        Status.BAD_DATES,
        {"field": "condition", "today": "2026-03-02"},
    ),
    "condition_day_after_the_window": (
        {"condition": OnDate(on=day(5, 1))},
        Status.BAD_DATES,
        {"field": "condition", "latest": "2026-04-30"},
    ),
    "retention_ends_before_the_release": (
        {"retention": Retention(rate=Rate(5 * PERCENT), until_on=day(4, 29))},
        Status.BAD_DATES,
        {"field": "retention", "earliest": "2026-04-30"},
    ),
    "retention_after_the_long_stop": (
        {"retention": Retention(rate=Rate(5 * PERCENT), until_on=day(7, 1, 2027))},
        Status.BAD_DATES,
        {"field": "retention", "long_stop_on": "2027-06-30"},
    ),
    "no_time_before_the_long_stop": (
        {"release_until_on": day(6, 23, 2027)},  # 5 days to answer, 3 to object
        Status.BAD_DATES,
        {"field": "release_until_on", "long_stop_on": "2027-06-30"},
    ),
    "too_deep": (
        {"condition": AllOf(of=(AnyOf(of=(AllOf(of=(AnyOf(of=(PayerAccepts(),)),)),)),))},
        Status.CONDITION_TOO_DEEP,
        {"depth": 4, "parts": 32},
    ),
    "too_many_parts": (
        {"condition": AllOf(of=tuple(AnyOf(of=(PayerAccepts(),) * 3) for _ in range(8)))},
        Status.CONDITION_TOO_DEEP,
        {"depth": 4, "parts": 32},
    ),
    "more_needed_than_there_are": (
        {"condition": AtLeast(needed=3, of=(PayerAccepts(), PlatformAccepts()))},
        Status.NO_WAY_TO_BE_MET,
        {"field": "condition"},
    ),
    "more_verifiers_needed_than_named": (
        lambda c: {"condition": VerifiersAccept(needed=4, verifiers=c.verifiers)},
        Status.NO_WAY_TO_BE_MET,
        {"field": "condition"},
    ),
    "document_kind_not_listed": (
        {"condition": DocumentsIn(kinds=("invoice",)), "materials": (Material(kind="waybill"),)},
        Status.NO_WAY_TO_BE_MET,
        {"field": "condition"},
    ),
    "documents_of_no_kind": (
        {"condition": DocumentsIn()},
        Status.NO_WAY_TO_BE_MET,
        {"field": "condition"},
    ),
    "nobody_certifies": (
        {"up_to": True, "condition": AnyOf(of=(PayerAccepts(), OnDate(on=day(4, 10))))},
        Status.NO_WAY_TO_BE_MET,
        {"field": "up_to"},
    ),
    "verifier_named_twice": (
        lambda c: {"condition": VerifiersAccept(needed=2, verifiers=(c.verifiers[0],) * 2)},
        Status.BAD_VALUE,
        {"field": "condition", "reason": "a verifier is named twice"},
    ),
    "material_listed_twice": (
        {"materials": (Material(kind="waybill"), Material(kind="waybill", hash="ab" * 32))},
        Status.BAD_VALUE,
        {"field": "materials", "reason": "a kind is listed twice"},
    ),
    "verifier_is_the_payee": (
        lambda c: {"condition": VerifiersAccept(needed=1, verifiers=(c.verifiers[0], c.payee))},
        Status.SAME_PARTY,
        {"role": "verifier"},
    ),
    "data_source_is_the_payer": (
        lambda c: {"condition": DataStated(source=c.payer, kind="waybill")},
        Status.SAME_PARTY,
        {"role": "data_source"},
    ),
    "verifier_without_the_role": (
        lambda c: {"condition": VerifiersAccept(needed=1, verifiers=(c.source,))},
        Status.ROLE_MISSING,
        {"role": "verifier"},
    ),
    "data_source_without_the_role": (
        lambda c: {"condition": DataStated(source=c.verifiers[0], kind="waybill")},
        Status.ROLE_MISSING,
        {"role": "data_source"},
    ),
    "verifier_is_no_member": (
        {"condition": VerifiersAccept(needed=1, verifiers=("mbr_0000000000000000",))},
        Status.NOT_A_MEMBER,
        {"organisation": "mbr_0000000000000000"},
    ),
    "retention_of_all": (
        {"retention": Retention(rate=Rate(100 * PERCENT), until_on=day(5, 31))},
        Status.BAD_RATE,
        {"field": "retention", "rate": "100"},
    ),
    "retention_of_nothing": (
        {"retention": Retention(rate=Rate(0), until_on=day(5, 31))},
        Status.BAD_RATE,
        {"field": "retention", "rate": "0"},
    ),
    "recovery_and_retention_over_all": (
        {
            "recovery": Rate(95 * PERCENT + 1),
            "retention": Retention(rate=Rate(5 * PERCENT), until_on=day(5, 31)),
        },
        Status.BAD_RATE,
        {"field": "recovery", "rate": "95.000001"},
    ),
    "recovery_without_an_advance": (
        {"recovery": Rate(30 * PERCENT)},
        Status.BAD_VALUE,
        {"field": "recovery", "reason": "no earlier tranche is an advance"},
    ),
    "advance_recovered_from_itself": (
        {"recovery": Rate(30 * PERCENT), "advance": True},
        Status.BAD_VALUE,
        {"field": "recovery", "reason": "an advance is not recovered from an advance"},
    ),
    "extend_without_days": (
        {"if_unmet": Unmet.EXTEND},
        Status.BAD_VALUE,
        {"field": "extend_days", "if_unmet": "extend"},
    ),
    "days_without_extend": (
        {"extend_days": 5},
        Status.BAD_VALUE,
        {"field": "extend_days", "if_unmet": "dispute"},
    ),
    "redeems_nothing_known": (
        {"redeems": "rcv_0000000000000000"},
        Status.NOT_FOUND,
        {"field": "redeems", "receivable": "rcv_0000000000000000"},
    ),
    "calendar_missing": (
        {"retention": Retention(rate=Rate(5 * PERCENT), until_on=day(1, 3, 2028))},
        Status.CALENDAR_MISSING,
        {"day": "2028-01-03"},
    ),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_an_unsound_tranche_is_refused_with_its_number_and_field(name: str) -> None:
    fields, status, facts = UNSOUND[name]
    c = cast()
    product = opened_product(c.world, c)
    asked = proposal_of(c, product, tranche(), tranche(**(fields if isinstance(fields, dict) else fields(c))))
    result = c.world.do(asked, by=c.payer, expect=status, vector=f"plan.propose/{name}")
    assert {key: result.facts.get(key) for key in facts} == facts
    assert result.facts["tranche"] == 2


def test_an_advance_that_comes_later_is_not_recovered() -> None:
    c = cast()
    product = opened_product(c.world, c)
    asked = proposal_of(c, product, tranche(recovery=Rate(30 * PERCENT)), tranche(advance=True))
    result = c.world.do(asked, by=c.payer, expect=Status.BAD_VALUE)
    assert (result.facts["tranche"], result.facts["field"]) == (1, "recovery")


@pytest.mark.parametrize(
    "fields",
    [
        {"retention": Retention(rate=Rate(1), until_on=day(4, 30))},
        {"retention": Retention(rate=Rate(100 * PERCENT - 1), until_on=day(6, 30, 2027))},
        {"recovery": Rate(100 * PERCENT)},
        {"recovery": Rate(95 * PERCENT), "retention": Retention(rate=Rate(5 * PERCENT), until_on=day(5, 31))},
        {"if_unmet": Unmet.EXTEND, "extend_days": 1},
        {"fund_units": Units(PART + 1)},
        {"fund_by_on": day(3, 2), "release_from_on": day(3, 2), "release_until_on": day(3, 2)},
        {"release_until_on": day(6, 22, 2027)},
        {"condition": OnDate(on=day(3, 2))},
        {"condition": OnDate(on=day(4, 30))},
        {"condition": AllOf(of=(AnyOf(of=(AtLeast(needed=1, of=(PayerAccepts(),)),)),))},
        {"condition": AllOf(of=(*(AnyOf(of=(PayerAccepts(),) * 9) for _ in range(3)), PayerAccepts()))},
        {"up_to": True, "condition": AllOf(of=(PayerAccepts(), OnDate(on=day(4, 10))))},
        {"condition": DocumentsIn(), "materials": (Material(kind="waybill"),)},
    ],
)
def test_the_last_value_that_is_sound_passes(fields: dict[str, Any]) -> None:
    c = cast()
    product = opened_product(c.world, c)
    asked = proposal_of(c, product, tranche(advance=True), tranche(**fields))
    c.world.do(asked, by=c.payer)


@pytest.mark.parametrize("depth", [5, 40, 150, 400, 1_000, 3_000])
def test_however_deep_a_tree_is_it_is_refused_by_name(depth: int) -> None:
    """The bytes may be refused before the tree is looked at, but nothing fails on them."""
    c = cast()
    product = opened_product(c.world, c)
    asked = proposal_of(c, product, tranche(condition=DocumentsIn(kinds=("deep",))))
    raw = c.world.sign(asked, by=c.payer)
    leaf = b'{"kinds":["deep"],"when":"documents"}'
    assert leaf in raw
    nested = b'{"of":[' * depth + leaf + b'],"when":"all"}' * depth
    body = raw.replace(leaf, nested)
    result = c.world.submit(resigned(c.world, body, c.payer))
    assert result.status in (Status.CONDITION_TOO_DEEP, Status.NOT_CANONICAL, Status.UNKNOWN_FIELD), result
    assert result.status is Status.CONDITION_TOO_DEEP or depth > 12, "canonical bytes are nested at most 32 deep"


def resigned(world: World, raw: bytes, by: str) -> bytes:
    """An envelope whose body was changed, signed anew."""
    start = raw.index(b'{"body":') + len(b'{"body":')
    body = raw[start : raw.index(b',"signatures":')]
    return envelope.sign(body, world.keys[by]).to_bytes()


def test_too_many_are_named() -> None:
    c = cast()
    product = opened_product(c.world, c)
    many = tuple(c.world.member(f"Verifier {number}", Role.VERIFIER) for number in range(65))
    steps = [tranche(1, condition=VerifiersAccept(needed=1, verifiers=many[i : i + 13])) for i in range(0, 65, 13)]
    asked = proposal_of(c, product, *steps)
    result = c.world.do(asked, by=c.payer, expect=Status.TOO_MANY, vector="plan.propose/too_many_named")
    assert result.facts == {"field": "condition", "limit": 64}
    fewer = (*steps[:4], tranche(1, condition=VerifiersAccept(needed=1, verifiers=many[52:64])))
    c.world.do(proposal_of(c, product, *fewer), by=c.payer)


# --- a receivable that a tranche redeems ----------------------------------------------------------------------------


def test_a_receivable_that_the_payer_owes_the_payee_may_be_redeemed() -> None:
    c = cast()
    product = opened_product(c.world, c)
    receivable = issued(c.world, c.payer, c.payee, PART, c.auditor)
    c.world.do(proposal_of(c, product, tranche(redeems=receivable)), by=c.payer)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("redeems_anothers", Status.BAD_VALUE),
        ("redeems_what_is_not_valid", Status.WRONG_STATE),
        ("redeems_another_currency", Status.CURRENCY_MISMATCH),
    ],
)
def test_another_receivable_is_not_redeemed(name: str, status: Status) -> None:
    c = cast()
    product = opened_product(c.world, c)
    if name == "redeems_anothers":
        other = c.world.member("Other supplier", Role.CLIENT)
        receivable = issued(c.world, c.payer, other, PART, c.auditor)
    elif name == "redeems_what_is_not_valid":
        receivable = requested(c.world, c.payer, c.payee, PART)
    else:
        receivable = issued(c.world, c.payer, c.payee, PART, c.auditor, currency="GBP")
    asked = proposal_of(c, product, tranche(redeems=receivable))
    result = c.world.do(asked, by=c.payer, expect=status, vector=f"plan.propose/{name}")
    assert (result.facts["tranche"], result.facts["field"]) == (1, "redeems")
