"""Evidence of what goes wrong and of what authorities do: it is proven whole; with fewer steps, nothing is refuted."""

import random
from dataclasses import replace
from typing import Any

import pytest

from tallystick.kernel.documents.anchors import Document
from tallystick.ledger.engine import Cursor
from tallystick.ledger.evidence import BLOCK_START, Place, collect
from tallystick.node.evidence import bundle_about
from tallystick.node.lineage import rows_of
from tallystick.proof.evidence.bundle import Bundle
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.trade import CLAIMS
from tallystick.proof.evidence.verifier import Report, verify
from tallystick.verifier.report import as_text
from tallystick.wire import canonical
from tests.support.forging import reseal, with_record
from tests.support.ledger import NODE_KEY
from tests.support.members import key_of, public
from tests.support.told import Told

THINGS = (
    *("recovered", "admitted", "plain", "merged", "successor"),
    *("paid early", "in recourse", "first hop", "second hop", "assigned", "stepped in", "succeeded"),
    *("recourse paid", "recourse refused", "recourse lapsed"),
    *("dispute ruled", "dispute settled", "refunded", "amended", "wages", "passed plan", "deposited plan"),
    *("deposit by code", "deposit assigned", "deposit returned", "deposit reversed", "deposit lapsed"),
    "deposit announced",
)
ALWAYS = ("member", "key", "currency", "revision", "closed")
"""What who signed is judged by."""

TABLES = (*CLAIMS, "wage_chunk", "parcel")
SEED = 20261123


def proven(told: Told, bundle: Bundle) -> Report:
    return verify(bundle.to_bytes(), told.genesis)


def refused(told: Told, bundle: Bundle, key: str, change: Any) -> str:
    """By which rule a bundle is refused, a record of which the operator changed and signed anew."""
    forged = with_record(bundle, key, change)
    assert forged != bundle
    with pytest.raises(NotProven) as error:
        proven(told, reseal(forged, NODE_KEY))
    return error.value.check


def key_in(bundle: Bundle, table: str, **has: Any) -> str:
    """The key of the first record of a table that has these values."""
    for one in bundle.records:
        value: Any = one.value
        if one.key.startswith(f"{table}/") and all(value.get(name) == said for name, said in has.items()):
            return one.key
    raise AssertionError(f"no {table} with {has}")


def without(bundle: Bundle, *operations: str) -> Bundle:
    """The bundle without the steps that ask for one of these."""
    kept = tuple(
        one
        for one in bundle.transactions
        if not any(f'"op":"{name}"' in canonical.encode(one.envelope).decode() for name in operations)
    )
    assert len(kept) < len(bundle.transactions)
    return replace(bundle, transactions=kept).listed()


def test_all_things_are_named(told: Told) -> None:
    assert set(THINGS) == set(told.things)


@pytest.mark.parametrize("thing", THINGS)
def test_its_story_is_whole(told: Told, thing: str) -> None:
    report = proven(told, told.bundle(thing))
    assert report.verdict.missing == ()
    text = "\n".join(as_text(report))
    assert text.endswith("\nPROVEN")
    assert "{" not in text, "a fact that a sentence asks for is missing"


@pytest.mark.parametrize("thing", THINGS)
def test_with_its_members_each_signer_is_shown_back_to_the_founders(told: Told, thing: str) -> None:
    report = proven(told, told.bundle(thing, with_members=True))
    assert report.verdict.exit_code == 0
    signers = {f"record member/{name}" for one in report.signed for name in one.organisations}
    assert not [one for one in report.unproven if one.where in signers or one.where.startswith("record key/")]


def everything(told: Told) -> tuple[list[str], list[str], list[Place]]:
    """The keys of those who sign, of all other records, and all places of the ledger."""
    engine = told.engine
    height = engine.health().height
    steps = {(at, index) for at in range(1, height) for index in range(len(engine.transactions(at)))}
    due = {(one.cursor.height, BLOCK_START) for one in engine.events(Cursor(), 100_000) if not one.cursor.index}
    places = sorted(steps | {one for one in due if 1 < one[0] < height})
    always = [row.key for table in ALWAYS for row in rows_of(engine, table)]
    others = [row.key for table in TABLES if table not in ALWAYS for row in rows_of(engine, table)]
    return always, others, places


def test_the_whole_ledger_is_one_proven_story(told: Told) -> None:
    always, others, places = everything(told)
    about, genesis = f"receivable/{told.things['succeeded']}", told.bundle("plain").genesis
    report = proven(told, collect(told.engine, about, genesis, (*always, *others), places))
    assert report.unproven == ()


@pytest.mark.parametrize("seed", range(SEED, SEED + 12))
def test_fewer_steps_and_records_prove_less_and_refute_nothing(told: Told, seed: int) -> None:
    always, others, places = everything(told)
    chosen = random.Random(seed)
    about, genesis = f"receivable/{told.things['succeeded']}", told.bundle("plain").genesis
    records, steps = chosen.choice((0.1, 0.5, 0.9, 1)), chosen.choice((0, 0.3, 0.6, 0.9))
    keys = {about, *always, *(key for key in others if chosen.random() < records)}
    shown = [place for place in places if chosen.random() < steps]
    report = proven(told, collect(told.engine, about, genesis, keys, shown))
    assert report.unproven, (seed, records, steps)


def test_who_took_another_s_place_has_it_told(told: Told) -> None:
    report = proven(told, told.bundle("successor"))
    text = " ".join("\n".join(as_text(report)).split())
    for gone in ("Maker", "Payee"):
        assert f"Supplier succeeds {gone} in what it holds and owes." in text
    gone = f"member/{told.things['merged']}"
    assert report.verdict.missing == ()
    forged = told.bundle("successor")
    assert refused(told, forged, gone, lambda row: row.update(successor=told.rival)) == "member.succeeded"


# Members that one step admitted together


def test_a_step_that_admits_many_says_nothing_of_a_key_whose_application_is_not_shown(told: Told) -> None:
    bundle, other = told.bundle("plain"), key_of("Forge")
    keys = [*(one.key for one in bundle.records), f"key/{public(other)}", f"member/{told.things['admitted']}"]
    places = [(one.height, one.index) for one in bundle.transactions]
    report = proven(told, collect(told.engine, bundle.about, bundle.genesis, keys, places))
    assert report.verdict.exit_code == 0
    where = f"record key/{public(other)}"
    assert {one.rule for one in report.unproven if one.where == where} == {"key.since"}


def test_a_key_that_its_application_does_not_offer(told: Told) -> None:
    bundle = told.bundle("plain")
    key = f"key/{public(key_of('Quarry'))}"
    assert refused(told, bundle, key, lambda row: row.update(role="maker")) == "key.since"


def test_a_role_that_its_application_does_not_ask_for(told: Told) -> None:
    bundle = told.bundle("plain")

    def promote(row: dict[str, Any]) -> None:
        row.setdefault("roles", []).append({"role": "auditor", "since": row["states"][1]["since"]})

    assert refused(told, bundle, bundle.about, promote) == "member.roles"


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("member.roles", lambda row: row["roles"][0].update(role="governor")),
        ("member.roles", lambda row: row["roles"][0].update(until=row["states"][2]["since"])),
        ("member.admitted", lambda row: row["states"][-1].update(since=row["policies"][0]["since"])),
        ("member.policy", lambda row: row["policies"][0]["rules"][0].update(pattern="review.*")),
        ("member.policy", lambda row: row["policies"][0].update(rules=[])),
    ],
)
def test_what_an_auditor_or_itself_never_said_of_a_member(told: Told, rule: str, change: Any) -> None:
    bundle = told.bundle("admitted")
    assert refused(told, bundle, bundle.about, change) == rule


def test_a_policy_cleared_where_nothing_shown_clears_it_is_missed(told: Told) -> None:
    bundle = told.bundle("admitted")

    def elsewhere(row: dict[str, Any]) -> None:
        row["policies"][1].update(since=row["states"][2]["since"])  # a recovery at the block's start is not excluded

    report = proven(told, reseal(with_record(bundle, bundle.about, elsewhere), NODE_KEY))
    assert [one.rule for one in report.verdict.missing] == ["member.policy"]


# Recoveries


def test_a_recovered_key_is_the_governors_word(told: Told) -> None:
    bundle = told.bundle("recovered")
    new = f"key/{public(key_of('Mill, recovered'))}"
    recovery, unasked = key_in(bundle, "recovery"), without(bundle, "key.recover")
    for change in ({"new_key": public(key_of("another"))}, {"member": told.things["plain"]}):
        with_it = refused(told, bundle, recovery, lambda row, said=change: row.update(said))
        assert with_it in ("key.since", "key.until", "member.policy")
        assert refused(told, unasked, recovery, lambda row, said=change: row.update(said)) == with_it
    report = proven(told, unasked)
    assert {one.rule for one in report.verdict.missing} == {"recovery.asked"}
    bare = replace(bundle, due_work=()).listed()
    assert {one.rule for one in proven(told, bare).verdict.missing} >= {"key.since", "key.until", "member.policy"}
    assert new in {one.key for one in bundle.records}


def test_a_recovery_of_one_gives_no_key_to_another(told: Told) -> None:
    bundle = told.bundle("recovered")
    mill, quarry = told.things["recovered"], told.things["plain"]
    keys = [*(one.key for one in bundle.records), f"key/{public(key_of('Quarry'))}", f"member/{quarry}"]
    places = [(one.height, one.index) for one in bundle.transactions]
    places += [(one.height, BLOCK_START) for one in bundle.due_work]
    wide = collect(told.engine, bundle.about, bundle.genesis, keys, places)
    since = next(one.value for one in wide.records if one.key == f"key/{public(key_of('Mill, recovered'))}")
    assert isinstance(since, dict)
    assert since["member"] == mill
    change = {"since": since["since"]}
    assert refused(told, wide, f"key/{public(key_of('Quarry'))}", lambda row: row.update(change)) == "key.since"


# Recourse and judgments


def test_who_does_not_answer_for_a_hop(told: Told) -> None:
    bundle = told.bundle("recourse paid")
    assert refused(told, bundle, bundle.about, lambda row: row.update(liable=told.rival)) == "recourse.paid"
    hop = "transfer/" + told.things["second hop"]
    unasked = without(bundle, "transfer.request")
    assert refused(told, unasked, hop, lambda row: row.update(recourse=False)) == "recourse.hop"


def test_a_transfer_is_told_with_the_hands_that_its_units_went_through_before(told: Told) -> None:
    report = proven(told, told.bundle("stepped in"))
    for hop in ("first hop", "second hop"):
        where = f"transfer/{told.things[hop]}"
        assert where in report.records
        assert not [one for one in report.unproven if one.where == f"record {where}"]


def test_a_parcel_that_no_court_assigned(told: Told) -> None:
    bundle = told.bundle("assigned")
    change = {"receiver": told.trade.funder}
    assert refused(told, bundle, bundle.about, lambda row: row.update(change)) == "transfer.by_judgment"


def test_a_parcel_stepped_into_without_paying(told: Told) -> None:
    bundle = told.bundle("stepped in")
    assert refused(told, bundle, bundle.about, lambda row: row.update(receiver=told.rival)) == "transfer.by_recourse"


# Deposits


@pytest.mark.parametrize(
    ("thing", "rule", "change"),
    [
        ("deposit by code", "deposit.booked", {"units": "1"}),
        ("deposit by code", "deposit.booked", {"bank_reference": "another"}),
        ("deposit assigned", "deposit.booked", {"remitter": "mbr_" + "0" * 16}),
        ("deposit assigned", "deposit.booked", {"booked": None}),
        ("deposit returned", "deposit.reversed", {"state": "reversed"}),
        ("deposit reversed", "deposit.returned", {"state": "returned"}),
        ("deposit lapsed", "deposit.reversed", {"state": "reversed", "booked": [1, 0]}),
    ],
)
def test_money_that_no_bank_booked_so(told: Told, thing: str, rule: str, change: dict[str, Any]) -> None:
    bundle = told.bundle(thing)

    def changed(row: dict[str, Any]) -> None:
        row.update(change)
        row.pop("booked" if row.get("booked", 0) is None else "", None)

    assert refused(told, bundle, bundle.about, changed) == rule


@pytest.mark.parametrize(
    ("thing", "step", "rule"),
    [
        ("deposit by code", "deposit.announce", "deposit.announced"),
        ("deposit by code", "deposit.book", "deposit.booked"),
        ("deposit assigned", "deposit.assign", "deposit.assigned"),
        ("deposit returned", "deposit.return", "deposit.returned"),
        ("deposit reversed", "deposit.reverse", "deposit.reversed"),
        ("deposited plan", "deposit.book", "deposit.booked"),
        ("deposited plan", "deposit.book", "plan.deposited"),
        ("amended", "plan.fund", "plan.deposited"),
        ("amended", "plan.check", "plan.checked"),
        ("paid early", "receivable.redeem", "receivable.redeemed"),
        ("in recourse", "parcel.cancel_by_judgment", "receivable.cancelled"),
    ],
)
def test_a_step_that_is_not_shown_is_missed_though_no_record_names_its_place(
    told: Told, thing: str, step: str, rule: str
) -> None:
    verdict = proven(told, without(told.bundle(thing), step)).verdict
    assert verdict.exit_code == 3
    assert rule in {one.rule for one in verdict.missing}


def test_no_more_was_paid_than_is_counted(told: Told) -> None:
    bundle = told.bundle("paid early")
    assert refused(told, bundle, bundle.about, lambda row: row.update(redeemed="1")) == "receivable.redeemed"
    plan = told.bundle("amended")
    assert refused(told, plan, plan.about, lambda row: row.update(deposited="1")) == "plan.sums"


# Contracts of products


def test_a_contract_of_a_product_is_anchored_by_its_last_signature(told: Told) -> None:
    documents = [row for row in rows_of(told.engine, "document") if isinstance(row, Document)]
    contract = next(row.id for row in documents if (row.subject or "").startswith("prd_"))
    bundle = bundle_about(told.engine, told.genesis_file, contract)
    assert proven(told, bundle).verdict.missing == ()
    for change in (lambda row: row["anchor"].update(hash="0" * 64), lambda row: row.update(owner=told.rival)):
        assert refused(told, bundle, bundle.about, change) == "document.anchored"
    signed = without(bundle, "product.sign_contract")
    assert {one.rule for one in proven(told, signed).verdict.missing} == {"document.anchored"}


# Disputes, refunds, wages


def test_a_release_whose_certificate_is_not_shown_is_missed(told: Told) -> None:
    bundle = told.bundle("dispute ruled")
    keys = [one.key for one in bundle.records if not one.key.startswith("certificate/")]
    places = [(one.height, one.index) for one in bundle.transactions]
    places += [(one.height, BLOCK_START) for one in bundle.due_work]
    report = proven(told, collect(told.engine, bundle.about, bundle.genesis, keys, places))
    assert {one.rule for one in report.verdict.missing} == {"plan.certificate"}


@pytest.mark.parametrize(
    ("thing", "table", "rule", "change"),
    [
        ("dispute ruled", "dispute", "dispute.ruled", {"to_payee": "1"}),
        ("dispute ruled", "dispute", "dispute.opened", {"reason": "another"}),
        ("dispute settled", "dispute", "dispute.settled", {"to_payee": "1"}),
        ("refunded", "refund", "refund.requested", {"units": "1"}),
        ("wages", "wage_sheet", "wages.opened", {"lines": 4}),
        ("wages", "wage_sheet", "wages.sums", {"chunks": ["1"]}),
        ("wages", "wage_chunk", "wages.sums", {"lines": []}),
        ("wages", "certificate", "certificate.released", {"released": "1", "certified": "1"}),
    ],
)
def test_what_did_not_happen_to_the_money(told: Told, thing: str, table: str, rule: str, change: Any) -> None:
    bundle = told.bundle(thing)
    assert refused(told, bundle, key_in(bundle, table), lambda row: row.update(change)) == rule


def test_a_line_paid_to_another_account_or_on_nobodys_word_is_missed(told: Told) -> None:
    bundle = told.bundle("wages")
    chunk = key_in(bundle, "wage_chunk")
    for number, name, value in ((0, "account", "0" * 64), (1, "worker", "0" * 64)):

        def change(row: dict[str, Any], at: tuple[int, str, str] = (number, name, value)) -> None:
            row["lines"][at[0]][at[1]] = at[2]

        forged = reseal(with_record(bundle, chunk, change), NODE_KEY)
        assert [one.rule for one in proven(told, forged).verdict.missing] == ["wages.lines"]
    for step in ("wage.lines", "wage.line_correct", "wage.line_result"):
        rules = {one.rule for one in proven(told, without(bundle, step)).verdict.missing}
        assert "wages.lines" in rules, step


def test_a_sheet_before_its_release_is_what_its_chunks_come_to(told: Told) -> None:
    bundle = told.bundle("wages")
    waiting = with_record(bundle, key_in(bundle, "wage_sheet"), lambda row: row.update(state="complete", released=None))
    chunk = key_in(bundle, "wage_chunk")
    assert refused(told, waiting, chunk, lambda row: row["lines"][0].update(units="1")) == "wages.sums"


def test_lines_are_in_the_states_that_the_sheet_counts(told: Told) -> None:
    bundle = told.bundle("wages")
    chunk = key_in(bundle, "wage_chunk")
    assert refused(told, bundle, chunk, lambda row: row["lines"][0].update(state="withdrawn")) == "wages.sums"
    sheet = key_in(bundle, "wage_sheet")
    assert refused(told, bundle, sheet, lambda row: row.update(standing=row["standing"][:1])) == "wages.sums"
