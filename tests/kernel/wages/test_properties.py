"""Any order of reports, corrections and withdrawals: every line in one state, sums and postings agree, none paid twice.

The model knows a line's state and where its money is, and nothing of the kernel's code.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tallystick.kernel.wages.records import LineState
from tallystick.wire.status import Status
from tests.support.accounts import stands
from tests.support.wages import Payroll, payroll

LINES = 6
some = st.sets(st.integers(1, LINES), max_size=LINES)
ON_THE_WAY = ("in_transit", "corrected")


class Wages(RuleBasedStateMachine):
    """Six workers and a bank that pays, returns and returns again."""

    p: Payroll

    @initialize()
    def begin(self) -> None:
        self.p = payroll([100 + 7 * number for number in range(LINES)]).released()
        self.model = dict.fromkeys(range(1, LINES + 1), "in_transit")
        self.attempts = dict.fromkeys(self.model, 1)
        self.at_bank = stands(self.p.world, f"bank/{self.p.c.custodian}/CNY")
        self.special = stands(self.p.world, f"available/{self.p.sheet.refund_account}")

    def amount(self, number: int) -> int:
        return self.p.amounts[number - 1]

    @rule(paid=some, returned=some)
    def report(self, paid: set[int], returned: set[int]) -> None:
        report = self.p.results_of(sorted(paid), sorted(returned))
        good = (
            bool(paid | returned)
            and not paid & returned
            and all(self.model[number] in ON_THE_WAY for number in paid)
            and all(self.model[number] in (*ON_THE_WAY, "paid") for number in returned)
        )
        result = self.p.world.submit(self.p.world.sign(report, by=self.p.c.custodian))
        assert (result.status is Status.OK) is good, result
        if not good:
            return
        self.at_bank -= sum(map(self.amount, paid))
        self.at_bank += sum(self.amount(number) for number in returned if self.model[number] == "paid")
        self.model.update(dict.fromkeys(paid, "paid") | dict.fromkeys(returned, "returned"))

    @rule(numbers=some)
    def correct(self, numbers: set[int]) -> None:
        if not numbers:
            return
        good = all(self.model[number] == "returned" for number in numbers)
        self.p.by_payer(self.p.correction_of(*sorted(numbers)), expect=Status.OK if good else Status.WRONG_STATE)
        if good:
            self.model.update(dict.fromkeys(numbers, "corrected"))
            for number in numbers:
                self.attempts[number] += 1

    @rule(numbers=some)
    def withdraw(self, numbers: set[int]) -> None:
        if not numbers:
            return
        good = all(self.model[number] == "returned" for number in numbers)
        self.p.by_both(self.p.withdrawal_of(*sorted(numbers)), expect=Status.OK if good else Status.WRONG_STATE)
        if good:
            self.model.update(dict.fromkeys(numbers, "withdrawn"))
            self.special += sum(map(self.amount, numbers))

    @invariant()
    def lines_and_money_agree(self) -> None:
        self.p.check()
        assert [state.value for state in self.p.states()] == list(self.model.values())
        assert [self.p.line(number).attempt for number in self.model] == list(self.attempts.values())
        owed = sum(self.amount(number) for number, state in self.model.items() if state in (*ON_THE_WAY, "returned"))
        assert self.p.transit == owed
        assert stands(self.p.world, f"bank/{self.p.c.custodian}/CNY") == self.at_bank
        assert stands(self.p.world, f"available/{self.p.sheet.refund_account}") == self.special
        ended = all(state in (LineState.PAID, LineState.WITHDRAWN) for state in self.p.states())
        assert (self.p.sheet.state.value == "done") is ended


Wages.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestWages = Wages.TestCase
