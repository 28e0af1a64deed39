"""Fixed seeds in every test run: nothing that must never happen happens, and every operation is reached.

A failure prints the command that reproduces it. Longer runs: `make campaign`, or `python -m tools.simulate`.
"""

from tallystick.kernel.operations import OPERATIONS
from tests.simulation.simulation import Report, simulate

SEEDS = (1, 2, 3, 4, 5, 6)
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
}
"""Some of the ways in which what may not be done was tried and refused."""


def test_fixed_seeds_hold_and_reach_every_operation() -> None:
    """One test, so that the runs are made once: nothing wrong, every operation, deep ends, many refusals."""
    whole = Report(SEEDS[0], 0, "")
    for seed in SEEDS:
        whole.add(simulate(seed, STEPS))
    wanted = {str(operation.__struct_config__.tag) for operation in OPERATIONS} - NEVER_SUCCEEDS.keys()
    assert wanted - whole.succeeded.keys() == set()
    assert DEEP - whole.states.keys() == set()
    assert REFUSED - whole.statuses.keys() == set()


def test_the_same_seed_gives_the_same_state_root() -> None:
    first, second = simulate(7, 400), simulate(7, 400)
    assert first.state_root == second.state_root
    assert first == second
