"""Conditions: what a leaf that holds says, and what the random trees of tests/properties don't happen to be."""

import datetime

from tallystick.kernel.plans.conditions import (
    AllOf,
    AnyOf,
    AtLeast,
    Condition,
    DataStated,
    DocumentsIn,
    Known,
    OnDate,
    PayerAccepts,
    PlatformAccepts,
    VerifiersAccept,
    can_be_met,
    certifier_needed,
    could_still_be_met,
    days_of,
    depth_of,
    evaluate,
    methods_of,
    only_facts_missing,
    persons_of,
    size_of,
    sources_of,
)
from tallystick.kernel.products.records import Method
from tallystick.wire.instants import Instant

PAYER, PLATFORM, SOURCE = "mbr_payer", "mbr_platform", "mbr_source"
ONE, TWO, THREE = "mbr_one", "mbr_two", "mbr_three"
DAY, LATER = datetime.date(2026, 4, 1), datetime.date(2026, 5, 1)


def known(now: int = 100, **fields: object) -> Known:
    said = {"payer": PAYER, "platform": PLATFORM, "opens": {DAY: Instant(50), LATER: Instant(500)}, **fields}
    return Known(now=Instant(now), **said)  # type: ignore[arg-type]


def test_a_date_holds_from_its_opening_on() -> None:
    assert evaluate(OnDate(on=DAY), known(49)) is None
    (met,) = evaluate(OnDate(on=DAY), known(50)) or ()
    assert (met.method, met.at, met.by) == (Method.DATE, 50, ())


def test_the_earliest_of_enough_verifiers_count() -> None:
    asked = VerifiersAccept(needed=2, verifiers=(ONE, TWO, THREE))
    accepted = {ONE: Instant(30), TWO: Instant(10), THREE: Instant(20)}
    (met,) = evaluate(asked, known(accepted=accepted, evidence="evd_1")) or ()
    assert (met.by, met.at, met.evidence, met.by_silence) == ((TWO, THREE), 20, "evd_1", False)
    (met,) = evaluate(asked, known(accepted=accepted, silent=frozenset({THREE}))) or ()
    assert met.by_silence
    (met,) = evaluate(asked, known(accepted=accepted, silent=frozenset({ONE}))) or ()
    assert not met.by_silence


def test_one_who_is_named_twice_counts_once() -> None:
    asked = VerifiersAccept(needed=2, verifiers=(ONE, ONE))
    assert evaluate(asked, known(accepted={ONE: Instant(1)})) is None
    assert not can_be_met(asked, ())
    assert not could_still_be_met(asked, known())


def test_documents_of_all_kinds_or_of_those_named() -> None:
    came = {"photos": (Instant(10), "mbr_payee"), "invoice": (Instant(20), ONE)}
    (met,) = evaluate(DocumentsIn(), known(materials=("photos", "invoice"), submitted=came)) or ()
    assert (met.by, met.at, met.kinds) == (("mbr_payee", ONE), 20, ("photos", "invoice"))
    (met,) = evaluate(DocumentsIn(kinds=("photos",)), known(materials=("photos", "invoice"), submitted=came)) or ()
    assert (met.by, met.at, met.kinds) == (("mbr_payee",), 10, ("photos",))
    assert evaluate(DocumentsIn(), known(materials=("photos", "waybill"), submitted=came)) is None


def test_no_documents_asked_for_are_no_documents_brought() -> None:
    """All of none would hold from the first day."""
    assert evaluate(DocumentsIn(), known()) is None
    assert not can_be_met(DocumentsIn(), ())
    assert can_be_met(DocumentsIn(), ("photos",))
    assert not can_be_met(DocumentsIn(kinds=("photos", "waybill")), ("photos",))


def test_a_statement_is_its_sources_and_of_its_kind() -> None:
    asked = DataStated(source=SOURCE, kind="arrival")
    assert evaluate(asked, known(stated={(SOURCE, "departure"): Instant(1), (ONE, "arrival"): Instant(1)})) is None
    (met,) = evaluate(asked, known(stated={(SOURCE, "arrival"): Instant(7)})) or ()
    assert (met.by, met.at, met.kinds) == ((SOURCE,), 7, ("arrival",))


def test_every_leaf_that_holds_is_named() -> None:
    either = AnyOf(of=(PayerAccepts(), PlatformAccepts(), OnDate(on=LATER)))
    found = evaluate(either, known(accepted={PAYER: Instant(1), PLATFORM: Instant(2)})) or ()
    assert [met.by for met in found] == [(PAYER,), (PLATFORM,)]


def test_more_needed_than_there_are() -> None:
    asked = AtLeast(needed=3, of=(PayerAccepts(), PlatformAccepts()))
    assert not can_be_met(asked, ())
    assert can_be_met(AnyOf(of=(asked, PayerAccepts())), ())
    assert not can_be_met(AllOf(of=(asked, PayerAccepts())), ())


def test_who_has_to_certify() -> None:
    assert certifier_needed(PayerAccepts())
    assert not certifier_needed(OnDate(on=DAY))
    assert not certifier_needed(AnyOf(of=(PayerAccepts(), OnDate(on=DAY))))
    assert certifier_needed(AllOf(of=(PayerAccepts(), OnDate(on=DAY))))
    assert certifier_needed(AtLeast(needed=2, of=(PayerAccepts(), PlatformAccepts(), DocumentsIn())))
    assert not certifier_needed(AtLeast(needed=1, of=(PayerAccepts(), DocumentsIn())))


def test_what_is_missing_after_some_answers() -> None:
    asked = AllOf(of=(AnyOf(of=(PayerAccepts(), PlatformAccepts())), OnDate(on=LATER)))
    assert not only_facts_missing(asked, known())
    assert only_facts_missing(asked, known(accepted={PLATFORM: Instant(1)}))
    assert could_still_be_met(asked, known(sent_back=frozenset({PAYER})))
    assert not could_still_be_met(asked, known(sent_back=frozenset({PAYER, PLATFORM})))


def test_what_a_tree_names() -> None:
    tree: Condition = AllOf(
        of=(
            AtLeast(needed=1, of=(VerifiersAccept(needed=1, verifiers=(TWO, ONE)), PayerAccepts())),
            OnDate(on=LATER),
            OnDate(on=DAY),
            OnDate(on=DAY),
            DataStated(source=SOURCE, kind="arrival"),
            DataStated(source=SOURCE, kind="arrival"),
        )
    )
    assert persons_of(tree, PAYER, PLATFORM) == (TWO, ONE, PAYER)
    assert sources_of(tree) == ((SOURCE, "arrival"),)
    assert days_of(tree) == (DAY, LATER)
    assert methods_of(tree) == (Method.DATE, Method.PAYER, Method.VERIFIERS, Method.DATA_SOURCE)
    assert (depth_of(tree), size_of(tree)) == (3, 9)
