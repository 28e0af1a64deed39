"""The balanced posting: what it keeps, and the bugs that it turns into a broken invariant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.kernel.accounts import book
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.records import Role
from tallystick.wire.amounts import MAX_UNITS, Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status
from tests.support.accounts import check_books, opened, stands
from tests.support.world import World

SUBJECT = "dep_" + "0" * 16


def writing(world: World) -> tuple[Step, Overlay]:
    """A step of the world's next block, open for writing."""
    overlay = Overlay(world.state)
    step = Step(world.chain, world.block(), overlay, 0, ("block", "test"), ())
    step.begin(0)
    step.open_for_writing()
    return step, overlay


def two_banks() -> tuple[World, list[str], list[str]]:
    """A world, the ledger accounts of each of its two banks."""
    world = World()
    names: list[list[str]] = []
    member = world.member("Client", Role.CLIENT)
    other = world.member("Other client", Role.CLIENT)
    for bank_name in ("Bank", "Other bank"):
        bank = world.member(bank_name, Role.CUSTODIAN)
        names.append(
            [
                book.bank_mirror(bank, "CNY"),
                book.claim_on(bank, "CNY", member),
                f"available/{opened(world, member, bank)}",
                f"available/{opened(world, other, bank)}",
                book.suspense(bank, "CNY"),
                book.earmark(bank, "CNY", "rcv_" + "1" * 16),
                book.hold(bank, "CNY", "rcv_" + "1" * 16),
                book.hold(bank, "CNY", "rcv_" + "1" * 16, member),
            ]
        )
    return world, names[0], names[1]


@given(
    postings=st.lists(
        st.tuples(st.integers(0, 15), st.integers(0, 15), st.integers(0, MAX_UNITS) | st.integers(0, 50)),
        max_size=30,
    )
)
def test_any_row_of_postings_keeps_the_books(postings: list[tuple[int, int, int]]) -> None:
    world, first, second = two_banks()
    names = first + second
    for source, target, units in postings:
        step, overlay = writing(world)
        try:
            book.move(step, names[source], names[target], "CNY", Units(units), SUBJECT)
        except InvariantViolation:
            continue
        world.state.commit(overlay)
        assert (source < 8) is (target < 8), "no posting joins two custodians"
        check_books(world)


@pytest.mark.parametrize(("source", "target", "units"), [(0, 0, 5), (0, 2, 0), (2, 3, 101), (2, 10, 1)], ids=str)
def test_what_is_no_posting_breaks_an_invariant(source: int, target: int, units: int) -> None:
    world, first, second = two_banks()
    names = first + second
    step, overlay = writing(world)
    book.move(step, names[0], names[2], "CNY", Units(100), SUBJECT)
    world.state.commit(overlay)
    step, _ = writing(world)
    with pytest.raises(InvariantViolation):
        book.move(step, names[source], names[target], "CNY", Units(units), SUBJECT)


def test_another_currency_breaks_an_invariant() -> None:
    world, names, _ = two_banks()
    step, _ = writing(world)
    with pytest.raises(InvariantViolation):
        book.move(step, names[0], names[2], "GBP", Units(1), SUBJECT)


def test_a_payment_finds_the_bank_where_both_have_accounts() -> None:
    world = World()
    banks = [world.member(f"Bank {n}", Role.CUSTODIAN) for n in range(3)]
    payer, payee = world.member("Payer", Role.CLIENT), world.member("Payee", Role.CLIENT)

    def route() -> book.Route | Refusal:
        return book.find_route(writing(world)[0], payer, payee, "CNY", Units(10))

    def status() -> Status:
        found = route()
        assert isinstance(found, Refusal)
        return found.status

    assert status() is Status.ACCOUNT_MISSING
    opened(world, payee, banks[0])
    assert status() is Status.ACCOUNT_MISSING
    opened(world, payer, banks[1], units=50)
    assert status() is Status.CUSTODIAN_DIFFERS
    opened(world, payer, banks[0], units=5)
    assert status() is Status.INSUFFICIENT_FUNDS
    opened(world, payer, banks[2], units=50)
    target = opened(world, payee, banks[2])
    found = route()
    assert isinstance(found, book.Route)
    assert (found.source.custodian, found.target.id) == (banks[2], target)
    assert stands(world, found.source.ledger_account) == 50
