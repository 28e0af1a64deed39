"""Fixed seeds in every test run: nothing that must never happen happens, and every operation is reached.

A failure prints the command that reproduces it. Longer runs: `make campaign`, or `python -m tools.simulate`.
"""

from tallystick.kernel.operations import OPERATIONS
from tests.simulation.simulation import Report, simulate

RUNS = {"trade": (1, 2, 3, 4), "plans": (5, 6, 7, 8), "both": (9, 10)}
"""Seeds by what their runs are mostly about."""

STEPS = 2_000

NEVER_SUCCEEDS = {
    "validator.add": "only the consortium engine changes validators; the simulated chain is embedded",
    "validator.remove": "only the consortium engine changes validators; the simulated chain is embedded",
}


DEEP = {
    "receivable redeemed",
    "receivable written_off",
    "receivable void",
    "receivable declined",
    "receivable refused",
    "receivable expired",
    "transfer done",
    "transfer refused",
    "financing settled",
    "financing settlement_failed",
    "financing no_quotes",
    "financing expired",
    "recourse paid",
    "member succeeded",
    "deposit reversed",
    "product closed",
    "product expired",
    "product refused",
    "product declined",
    "plan completed",
    "plan cancelled",
    "plan declined",
    "plan expired",
    "evidence met",
    "evidence sent_back",
    "evidence closed",
    "dispute settled",
    "dispute ruled",
    "dispute by_default",
    "refund booked",
    "refund declined",
    "refund lapsed",
    "wage_sheet done",
    "wage_sheet void",
}
"""Ends that only long lifecycles reach."""

REFUSED = {
    "bad_signature",
    "key_revoked",
    "policy_not_met",
    "superfluous_signature",
    "expired",
    "duplicate_id_other_content",
    "repeated",
    "not_a_party",
    "over_permission",
    "parcel_locked",
    "frozen",
    "over_invoice",
    "insufficient_funds",
    "debtor_in_arrears",
    "not_funded",
    "condition_not_met",
    "already_released",
    "in_dispute",
    "amendment_takes_back",
    "plan_differs",
    "contract_differs",
    "material_differs",
    "wage_account_misused",
    "too_early",
    "deadline_passed",
    "account_frozen",
}
"""Some of the ways in which what may not be done was tried and refused."""


DUE = {
    "tranche.released",
    "tranche.verified",
    "tranche.overdue",
    "tranche.extended",
    "tranche.ended",
    "evidence.silent",
    "dispute.in_arbitration",
    "plan.long_stop",
    "plan.amendment_lapsed",
}
"""Some of what time alone brings about."""


def test_fixed_seeds_hold_and_reach_every_operation() -> None:
    """One test, so that the runs are made once: nothing wrong, every operation, deep ends, many refusals."""
    whole = Report(0, 0, "")
    for leaning, seeds in RUNS.items():
        for seed in seeds:
            whole.add(simulate(seed, STEPS, leaning))
    wanted = {str(operation.__struct_config__.tag) for operation in OPERATIONS} - NEVER_SUCCEEDS.keys()
    assert wanted - whole.succeeded.keys() == set()
    assert DEEP - whole.states.keys() == set()
    assert REFUSED - whole.statuses.keys() == set()
    assert DUE - whole.due.keys() == set()


def test_the_same_seed_gives_the_same_state_root() -> None:
    first, second = simulate(7, 400), simulate(7, 400)
    assert first.state_root == second.state_root
    assert first == second
