"""Fixed seeds in every test run: nothing that must never happen happens, and every operation is reached.

A failure prints the command that reproduces it. Longer runs: `make campaign`, or `python -m tools.simulate`.
"""

import pytest

from tallystick.kernel.operations import OPERATIONS

from tests.simulation.simulation import Report, simulate

SEEDS = (1, 2, 3, 4, 5, 6)
STEPS = 2_000

NEVER_SUCCEEDS = {
    "validator.add": "only the consortium engine changes validators; the simulated chain is embedded",
    "validator.remove": "only the consortium engine changes validators; the simulated chain is embedded",
}


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    return [simulate(seed, STEPS) for seed in SEEDS]


def test_every_operation_takes_effect_in_some_run(reports: list[Report]) -> None:
    reached = {name for report in reports for name in report.succeeded}
    wanted = {str(operation.__struct_config__.tag) for operation in OPERATIONS} - NEVER_SUCCEEDS.keys()
    assert wanted - reached == set()


def test_the_deep_states_are_reached(reports: list[Report]) -> None:
    """Lifecycles are walked to their far ends, not only begun."""
    reached = {name for report in reports for name in report.states}
    assert {
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
    } <= reached


def test_what_may_not_be_done_is_refused_in_many_ways(reports: list[Report]) -> None:
    refused = {name for report in reports for name in report.statuses}
    assert {
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
    } <= refused


def test_the_same_seed_gives_the_same_state_root() -> None:
    first, second = simulate(7, 400), simulate(7, 400)
    assert first.state_root == second.state_root
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1_000, 1_020))
def test_long_runs(seed: int) -> None:
    simulate(seed, 6_000, sweep_every=50)
