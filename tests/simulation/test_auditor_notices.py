"""The auditor has teeth: each rule of the kernel, switched off, is noticed within a short run.

Every case replaces one function of the kernel by one that forgets its duty. A run that ends quietly would mean that the
properties of DESIGN section 9 are looked at, but not seen.
"""

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from tallystick.wire.amounts import ZERO, Units
from tests.simulation.simulation import simulate
from tests.support.auditor import AuditError

Patch = tuple[str, str, Callable[..., Any]]


def _nothing(*_args: Any, **_named: Any) -> None:
    return None


def _no_intervals(*_args: Any) -> tuple[()]:
    return ()


def _lowest_units_though_locked(parcel: Any, _frozen: Any, amount: Any) -> Any:
    """As if no other step held units of the parcel."""
    from tallystick.kernel.core.fields import Interval
    from tallystick.kernel.core.refusal import refuse
    from tallystick.wire.status import Status

    if not 0 < amount <= parcel.interval.length:
        return refuse(Status.OVER_AVAILABLE)
    return Interval(parcel.interval.first, parcel.interval.first + (amount - 1))


def _yes(*_args: Any) -> bool:
    return True


def _no_units(*_args: Any) -> Units:
    return ZERO


def _all_that_is_held(_plan: Any, tranche: Any, *_args: Any) -> Units:
    return Units(tranche.free) if not tranche.is_over else Units(tranche.retained)


CASES: dict[str, list[Patch]] = {
    "permissions are not looked at": [("receivables.issue", "check_permission", _nothing)],
    "a receiver needs no permission": [("transfers.agreed", "check_permission", _nothing)],
    "signing policies are not looked at": [("machine", "check_signatures", _nothing)],
    "freezes do not bar transfers": [
        ("receivables.parcels", "frozen_units", _no_intervals),
        ("transfers.agreed", "check_not_frozen", _nothing),
    ],
    "locked units are offered again": [("receivables.parcels", "choose_units", _lowest_units_though_locked)],
    "what is redeemed stays on the debtor's account": [("redemption.paying", "undraw", _nothing)],
    "an invoice's amount is not counted": [("receivables.invoices", "take", _nothing)],
    "an invoice may be used twice": [
        ("receivables.invoices", "check_free", _nothing),
        ("receivables.invoices", "check_rebound", _nothing),
    ],
    "an ended financing keeps its lock": [("financing.lifecycle", "held_units", _no_intervals)],
    "negotiability is not looked at": [("transfers.agreed", "check_negotiable", _nothing)],
    "a release waits for nothing": [("plans.releasing", "hindrance", _nothing)],
    "no fee is charged": [("plans.releasing", "fee_due", _no_units)],
    "what is signed is not compared": [("plans.proposing", "check_terms", _nothing)],
    "an amendment may take back": [("plans.amending", "_check_change", _nothing)],
    "a freeze bars no release": [("plans.releasing", "_is_debitable", _yes)],
    "nothing is woken when a freeze ends": [("plans.funding", "wake", _nothing)],
    "everything may be disputed": [("plans.disputes", "disputable", _all_that_is_held)],
    "evidence comes at any time": [("plans.answering", "check_round", _nothing)],
}


@pytest.mark.parametrize("case", CASES)
def test_a_duty_forgotten_is_noticed(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, forgetful in CASES[case]:
        found = importlib.import_module(f"tallystick.kernel.{module}")
        assert hasattr(found, name), f"{module}.{name} is gone: name what does its duty now"
        monkeypatch.setattr(found, name, forgetful)
    about_plans = CASES[case][0][0].startswith("plans.")
    with pytest.raises((AuditError, AssertionError)):
        _run_until_noticed("plans" if about_plans else "trade")


def _run_until_noticed(leaning: str) -> None:
    for seed in range(1, 8):
        simulate(seed, 1_000, leaning)
