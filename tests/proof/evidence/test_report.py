"""What `tally verify` prints: who did what, what stands with names and amounts, what is missing; long lists grouped."""

import re
from dataclasses import replace

from tallystick.proof.evidence.bundle import Bundle
from tallystick.proof.evidence.verifier import verify
from tallystick.verifier.report import as_text
from tallystick.wire import canonical
from tests.support.bundles import HOPS, Ledger
from tests.support.told import Told


def text_of(ledger: Ledger | Told, bundle: Bundle) -> str:
    """The report as one line: how it is wrapped is not looked at."""
    return re.sub(r"\s+", " ", "\n".join(as_text(verify(bundle.to_bytes(), ledger.genesis))))


def test_a_receivable_of_ten_hops_is_small_and_tells_who_holds_it(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["receivable"]
    assert len(bundle.to_bytes()) < 200_000
    text = text_of(ledger, bundle)
    assert f"Evidence about receivable {ledger.things['receivable']}, on chain" in text
    assert "SANDBOX" in text
    assert "10.00 CNY, owed by Buyer to Supplier as issued, due on 2026-06-30: overdue" in text
    assert "units 1 to 950, 9.50 CNY: held by Funder" in text
    assert "was refused: " in text
    assert f"and {HOPS - 8} more of the kind transfer" in text
    assert "Countersigned up to height" in text
    assert "mbr_" not in text
    assert text.endswith(" PROVEN")


def test_what_a_step_did_for_others_is_counted(told: Told) -> None:
    text = text_of(told, told.bundle("plain"))
    assert "signed by Supplier Quarry applies for membership, sponsored by Supplier." in text
    assert "Quarry is admitted." in text
    assert "more of the same step, about others)" in text
    assert "Mill" not in text
    assert "Forge" not in text


def test_money_has_amounts_and_names(ledger: Ledger, bundles: dict[str, Bundle], told: Told) -> None:
    plan = text_of(ledger, bundles["plan"])
    assert "Payer pays Payee in 2 tranches; 200,000.00 CNY deposited, 200,000.00 CNY released: completed" in plan
    met = "payer by Payer, verifiers by Verifier one, documents by Payee, data source by Data source"
    assert f"tranche 1: 100,000.00 CNY released; conditions: {met}" in plan
    wages = text_of(told, told.bundle("wages"))
    assert (
        "wages of tranche 1: 3 workers, 10,000.00 CNY; lines: 2 paid (7,500.00 CNY), 1 withdrawn (2,500.00 CNY)"
        in wages
    )
    ruled = text_of(told, told.bundle("dispute ruled"))
    assert "about 25,000.00 CNY of tranche 1, 10,000.00 CNY of it to the payee: ruled" in ruled
    recourse = text_of(told, told.bundle("recourse paid"))
    assert "2.00 CNY from Maker to Funder: paid" in recourse


def test_what_is_not_shown_is_said_first_of_the_thing_itself(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["receivable"]
    kept = [one for one in bundle.transactions if b'"receivable.confirm"' not in canonical.encode(one.envelope)]
    text = text_of(ledger, replace(bundle, transactions=tuple(kept)).listed())
    missing = text.partition("What this file does not show, though it is part of the story")[2]
    assert f" receivable {ledger.things['receivable']}: receivable.confirmed: the step at " in missing
    assert "What rests on the state alone" not in missing
    assert text.endswith("PROVEN IN PART: what is shown holds, and steps of it are missing")
