"""Returned lines: repaired to the worker's own account, or taken out by payer and payee together."""

from typing import Any

import pytest
from msgspec.structs import replace

from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.accounts.records import Account
from tallystick.kernel.membership.standing import SucceedMember, SuspendMember
from tallystick.kernel.wages.correcting import MAX_ATTEMPTS
from tallystick.kernel.wages.records import LineState, SheetState
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.accounts import stands
from tests.support.law import under
from tests.support.members import key_of
from tests.support.receivables import anchor
from tests.support.wages import Payroll, account, many, payroll, worker

OTHER = "pln_0000000000000000"


def returned(*numbers: int) -> Payroll:
    """Three workers, of whom these were not paid."""
    p = payroll().released()
    paid = tuple(number for number in (1, 2, 3) if number not in numbers)
    p.by_custodian(p.results_of(paid, numbers))
    return p


def test_a_corrected_line_is_on_its_way_again_to_the_same_worker() -> None:
    p = returned(2, 3)
    p.by_payer(p.correction_of(2), vector="wage.line_correct/corrected")
    line = p.line(2)
    assert (line.state, line.attempt, line.worker, line.account) == (
        LineState.CORRECTED,
        2,
        worker(2),
        account(2, "new"),
    )
    assert p.states() == [LineState.PAID, LineState.CORRECTED, LineState.RETURNED]
    p.check()
    p.by_custodian(p.results_of((), (2,)))
    p.by_payer(p.correction_of(2))
    assert p.line(2).attempt == 3
    p.by_custodian(p.results_of((2,)), vector="wage.line_result/corrected_paid")
    p.check()


def test_a_correction_takes_a_maker_and_a_checker() -> None:
    p = returned(2)
    p.world.do(
        p.correction_of(2), by=p.c.payer, expect=Status.POLICY_NOT_MET, vector="wage.line_correct/policy_not_met"
    )
    p.world.do(
        p.correction_of(2),
        by=p.c.payee,
        keys=(key_of(f"{p.c.payee} checker"),),
        expect=Status.NOT_A_PARTY,
        vector="wage.line_correct/not_a_party",
    )


def test_wages_go_to_the_worker_of_the_line_alone() -> None:
    p = returned(2, 3)
    under(p.world, "cn")
    correction = p.correction_of(2)
    line = correction.lines[0]
    wrong = replace(correction, lines=(replace(line, worker=worker(99)),))
    refused = p.by_payer(wrong, expect=Status.WAGE_ACCOUNT_MISUSED, vector="wage.line_correct/wage_account_misused")
    assert (refused.facts["reason"], refused.facts["line"]) == ("not_a_workers_own_account", 2)
    both = p.correction_of(2, 3)
    shared = tuple(replace(one, account=account(2, "new")) for one in both.lines)
    p.by_payer(replace(both, lines=shared), expect=Status.WAGE_ACCOUNT_MISUSED)
    p.check()


@pytest.mark.parametrize("what", ["line_correct", "line_withdraw"])
def test_only_returned_lines_are_repaired(what: str) -> None:
    p = payroll()

    def ask(*numbers: int, expect: Status, vector: str = "", **fields: Any) -> None:
        name = f"wage.{what}/{vector}" if vector else ""
        if what == "line_correct":
            p.by_payer(p.correction_of(*numbers, **fields), expect=expect, vector=name)
        else:
            p.by_both(p.withdrawal_of(*numbers, **fields), expect=expect, vector=name)

    ask(2, expect=Status.NOT_FOUND, vector="sheet_not_found")
    p.uploaded()
    ask(2, expect=Status.WRONG_STATE, vector="wrong_state")
    p.released()
    ask(2, expect=Status.WRONG_STATE, vector="in_transit")
    p.by_custodian(p.results_of((1,), (2, 3)))
    ask(1, expect=Status.WRONG_STATE, vector="paid")
    ask(2, expect=Status.CURRENCY_MISMATCH, vector="currency_mismatch", currency="GBP")
    ask(2, expect=Status.AMOUNT_DIFFERS, vector="amount_differs", units=Units(1))
    ask(3, 2, expect=Status.BAD_VALUE, vector="bad_value")
    ask(2, 2, expect=Status.BAD_VALUE)
    p.amounts = (*p.amounts, 1)
    ask(4, expect=Status.NOT_FOUND, vector="line_not_found")


def test_a_line_is_not_sent_for_ever() -> None:
    p = returned(2)
    chunk = p.chunk(1)
    worn = replace(chunk.lines[1], attempt=MAX_ATTEMPTS)
    p.world.put(replace(chunk, lines=(chunk.lines[0], worn, chunk.lines[2])))
    p.by_payer(p.correction_of(2), expect=Status.TOO_MANY, vector="wage.line_correct/too_many")


def test_withdrawn_wages_go_back_to_the_special_account() -> None:
    p = returned(2, 3)
    special = f"available/{p.sheet.refund_account}"
    before = stands(p.world, special)
    p.by_both(p.withdrawal_of(2), vector="wage.line_withdraw/withdrawn")
    assert stands(p.world, special) == before + 450_000
    assert p.states() == [LineState.PAID, LineState.WITHDRAWN, LineState.RETURNED]
    before_the_last = p.sheet.state
    assert before_the_last is SheetState.RELEASED
    p.by_both(p.withdrawal_of(3), vector="wage.line_withdraw/done")
    assert p.sheet.state is SheetState.DONE
    p.by_custodian(p.results_of((2,)), expect=Status.WRONG_STATE, vector="wage.line_result/withdrawn")
    p.by_payer(p.correction_of(2), expect=Status.WRONG_STATE)
    p.check()


def test_the_payer_alone_takes_nothing_back() -> None:
    p = returned(2)
    p.by_payer(p.withdrawal_of(2), expect=Status.NOT_A_PARTY, vector="wage.line_withdraw/not_a_party")
    p.world.do(
        p.withdrawal_of(2),
        by=p.c.payer,
        also=(p.c.payee,),
        keys=(key_of(f"{p.c.payer} checker"),),
        expect=Status.POLICY_NOT_MET,
        vector="wage.line_withdraw/policy_not_met",
    )


def test_withdrawn_wages_wait_where_the_special_account_is_closed() -> None:
    p = returned(2)
    special = p.world.row(Account, p.sheet.refund_account)
    p.world.put(replace(special, state=type(special.state)("closed")))
    p.by_both(p.withdrawal_of(2))
    assert stands(p.world, f"available/{p.c.payer_account}") > 0
    p.check()


def test_the_special_account_stays_open_while_its_product_does() -> None:
    p = returned(2)
    account_id = p.sheet.refund_account
    balance = p.world.state.rows[f"balance/available/{account_id}"]
    p.world.put(replace(balance, units=Units(0)))
    refused = p.world.do(
        CloseAccount(account=account_id), by=p.c.payer, expect=Status.STILL_LIVE, vector="account.close/wages_live"
    )
    assert str(refused.facts["product"]).startswith("prd_")


def test_a_suspended_payer_still_repairs() -> None:
    p = returned(2)
    p.world.do(SuspendMember(member=p.c.payer, reason="inspection"), by=p.c.auditor)
    p.by_payer(p.correction_of(2))


def test_a_payers_successor_repairs() -> None:
    p = returned(2)
    successor = p.world.member("Successor")
    p.world.do(SucceedMember(member=p.c.payer, successor=successor, order=anchor("order")), by=p.c.auditor)
    assert p.sheet.payer == successor
    from tests.support.wages import staff

    staff(p.world, successor)
    p.world.do(p.correction_of(2), by=successor, keys=(key_of(f"{successor} checker"),))
    assert p.line(2).state is LineState.CORRECTED
    p.check()


def test_a_correction_in_a_later_chunk_leaves_the_others() -> None:
    p = payroll(many()).released()
    last = len(p.amounts)
    p.by_custodian(p.results_of(range(1, last), (last,)))
    first = p.chunk(1)
    p.by_payer(p.correction_of(last))
    assert p.chunk(1) is first
    p.check()
