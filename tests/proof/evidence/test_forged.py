"""An operator that signs whatever it likes: what it can't forge without a member's key, the genesis, or votes.

Each case is a bundle whose every digest fits and whose commits the node's own key signed anew.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tallystick.ledger.evidence import collect
from tallystick.proof.comet import LightBlock
from tallystick.proof.evidence.bundle import Bundle
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.trust import Trusted, TrustedHeader
from tallystick.proof.evidence.verifier import Report, verify
from tallystick.wire import canonical, envelope
from tests.support.bundles import Ledger
from tests.support.forging import body_at, reseal, with_record, with_step
from tests.support.ledger import NODE_KEY
from tests.support.members import key_of, public

Row = dict[str, Any]
Change = Callable[[Row], Any]


def proven(ledger: Ledger, bundle: Bundle, trusted: Trusted | None = None) -> Report:
    """What the bundle proves once the operator has signed it anew."""
    return verify(reseal(bundle, NODE_KEY).to_bytes(), trusted or ledger.genesis)


def check_of(ledger: Ledger, bundle: Bundle, trusted: Trusted | None = None) -> str:
    """By which rule a bundle that the operator signed anew is refused."""
    with pytest.raises(NotProven) as refused:
        proven(ledger, bundle, trusted)
    return refused.value.check


def key_in(bundle: Bundle, table: str, **has: Any) -> str:
    """The key of the first record of a table that has these values."""
    for one in bundle.records:
        value: Any = one.value
        if one.key.startswith(f"{table}/") and all(value.get(name) == said for name, said in has.items()):
            return one.key
    raise AssertionError(f"no {table} with {has}")


def row_in(bundle: Bundle, key: str) -> Row:
    found: Any = next(one.value for one in bundle.records if one.key == key)
    return dict(found)


def member_named(bundle: Bundle, name: str) -> str:
    return str(row_in(bundle, key_in(bundle, "member", legal_name=name))["id"])


def test_the_operator_can_sign_what_is_true(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    for bundle in bundles.values():
        assert reseal(bundle, NODE_KEY) == bundle
        assert proven(ledger, bundle).verdict.is_whole


def first(name: str, **new: Any) -> Change:
    """Change the first entry of a list of a record."""

    def change(row: Row) -> None:
        row[name][0] |= new

    return change


def fields(**new: Any) -> Change:
    """Change fields of a record; None takes one away."""

    def change(row: Row) -> None:
        row |= new
        for name, value in new.items():
            if value is None:
                del row[name]

    return change


def twice(name: str) -> Change:
    """The last entry of a list once more."""

    def change(row: Row) -> None:
        row[name].append(row[name][-1])

    return change


def within(name: str, inner: Change) -> Change:
    def change(row: Row) -> None:
        inner(row[name])

    return change


STRANGER = "mbr_0000000000000000"
SECOND = {"id": public(key_of("second"))}  # added and revoked by the newcomer

FORGED: dict[str, tuple[str, str, dict[str, Any], Change]] = {
    # thing, table and which of its records, what is written into it; the name says by which rule it is refused
    "review.decision: a vote that the auditor never cast": (
        "receivable",
        "review",
        {"subject_kind": "transfer"},
        first("decisions", result="refuse", reason="forged"),
    ),
    "review.decision: findings that it never wrote": (
        "receivable",
        "review",
        {},
        first("decisions", checklist=[]),
    ),
    "review.panel: a role that has no seat": ("receivable", "review", {}, first("decisions", role="governor")),
    "review.panel: those who decide are left out": ("review", "review", {}, first("panels", role="governor")),
    "review.votes: more were needed": ("review", "review", {}, first("panels", needed=2)),
    "review.votes: none were cast": ("review", "review", {}, fields(decisions=None)),
    "review.decision: one voted twice": ("review", "review", {}, twice("decisions")),
    "review.note: a finding that nobody made": ("review", "review", {}, first("notes", code="praise")),
    "review.requested: of something else": ("review", "review", {}, fields(subject="rcv_0000000000000000")),
    "receivable.requested: another face": ("receivable", "receivable", {}, fields(face="2000")),
    "receivable.requested: another due date": ("receivable", "receivable", {}, fields(due_on="2026-07-01")),
    "receivable.requested: since the genesis": ("receivable", "receivable", {}, fields(requested=[0, 0])),
    "receivable.confirmed: never": ("receivable", "receivable", {}, fields(confirmed=None)),
    "receivable.confirmed: by another step": ("receivable", "receivable", {}, fields(confirmed=[9, 0])),
    "receivable.valid: by another review": ("receivable", "receivable", {}, fields(valid=[9, 0])),
    "receivable.valid: never": ("receivable", "receivable", {}, fields(valid=None)),
    "receivable.parcels: more is held than owed": ("receivable", "receivable", {}, fields(redeemed="10")),
    "receivable.parcels: units come twice": ("receivable", "receivable", {}, twice("parcels")),
    "receivable.parcels: they overlap": (
        "receivable",
        "receivable",
        {},
        lambda row: row["parcels"][1].update(interval=["950", "959"]),
    ),
    "receivable.lineage: a holder whom nobody made one": (
        "receivable",
        "receivable",
        {},
        first("parcels", holder=STRANGER),
    ),
    "receivable.lineage: another hop": ("receivable", "receivable", {}, first("parcels", hops=1)),
    "receivable.locks: units outside of the parcel": (
        "receivable",
        "receivable",
        {},
        first("parcels", locks=[{"interval": ["999", "1000"], "by": "x", "kind": "y"}]),
    ),
    "transfer.requested: of other units": ("receivable", "transfer", {"hop": 1}, fields(interval=["1", "1000"])),
    "transfer.requested: with recourse": ("receivable", "transfer", {"hop": 2}, fields(recourse=True)),
    "transfer.accepted: never": ("receivable", "transfer", {"hop": 3}, fields(accepted=None)),
    "transfer.accepted: by another step": ("receivable", "transfer", {"hop": 3}, fields(accepted=[9, 0])),
    "transfer.done: refused by its review": ("receivable", "transfer", {"hop": 4}, fields(ended=[9, 0])),
    "transfer.by_judgment: of no court": (
        "receivable",
        "transfer",
        {"hop": 5},
        fields(kind="judgment", accepted=None),
    ),
    "financing.requested: to be settled by a bank": ("financing", "financing", {}, fields(settlement="bank")),
    "financing.evaluated: not accepted": ("financing", "financing", {}, first("evaluations", accepts=False)),
    "financing.quoted: at another price": (
        "financing",
        "financing",
        {},
        lambda row: row["quotes"][0]["terms"].update(rate="1"),
    ),
    "financing.awarded: to nobody's quote": (
        "financing",
        "financing",
        {},
        within("award", fields(quote="qte_0000000000000000")),
    ),
    "financing.client_signed: another document": (
        "financing",
        "financing",
        {},
        lambda row: row["contract"]["document"].update(hash="0" * 64),
    ),
    "financing.client_signed: another arbitrator": (
        "financing",
        "financing",
        {},
        within("contract", fields(arbitrator=None)),
    ),
    "financing.contract: the funder did not sign": (
        "financing",
        "financing",
        {},
        within("contract", fields(funder_signed=None)),
    ),
    "financing.registered: under another number": ("financing", "financing", {}, first("registrations", number="R-0")),
    "financing.paid: another net": (
        "financing",
        "financing",
        {},
        lambda row: row["payment"]["price"].update(net="1"),
    ),
    "financing.settled: nothing was paid": ("financing", "financing", {}, fields(payment=None)),
    "financing.delivery: the parcel passed elsewhere": ("financing", "financing", {}, fields(ended=[1, 0])),
    "document.anchored: another owner": ("document", "document", {}, fields(owner=STRANGER)),
    "document.anchored: about something": ("document", "document", {}, fields(subject="rcv_0000000000000000")),
    "key.since: with another role": ("member", "key", SECOND, fields(role="checker")),
    "key.until: that its organisation did not revoke": (
        "member",
        "key",
        SECOND,
        lambda row: row.update(until=row["since"]),
    ),
    "member.applied: under another name": ("member", "member", {"legal_name": "Newcomer"}, fields(identifier="X")),
    "member.suspended: by nobody": (
        "member",
        "member",
        {"legal_name": "Newcomer"},
        lambda row: row["states"].append({"state": "suspended", "since": row["policies"][0]["since"]}),
    ),
    "member.policy: of another's making": (
        "member",
        "member",
        {"legal_name": "Newcomer"},
        lambda row: row["policies"][0]["rules"].append({"pattern": "review.*", "makers": 1}),
    ),
    "account.applied: with another custodian": ("account", "account", {}, fields(custodian=STRANGER)),
    "product.applied: by another": ("product", "product", {}, fields(payee=STRANGER)),
    "product.copy: of another contract": (
        "product",
        "product",
        {},
        lambda row: row["payer_copies"][0]["terms"].update(number="another"),
    ),
    "product.authorised: never": ("product", "product", {}, lambda row: row.update(authorised=row["applied"])),
    "product.signed: by one party alone": (
        "product",
        "product",
        {},
        lambda row: row["contracts"][0].update(signatures=row["contracts"][0]["signatures"][:1]),
    ),
    "product.signed: another document": (
        "product",
        "product",
        {},
        lambda row: row["contracts"][0]["document"].update(hash="0" * 64),
    ),
    "product.opened: with two contracts": (
        "product",
        "product",
        {},
        lambda row: row.update(contracts=row["contracts"][:2]),
    ),
    "plan.proposed: under another product": ("plan", "plan", {}, fields(product="prd_0000000000000000")),
    "plan.confirmed: on other terms": ("plan", "plan_version", {}, first("tranches", title="another")),
    "plan.confirmed: by another payee": ("plan", "plan_version", {}, within("terms", fields(payee=STRANGER))),
    "plan.sums: money from nowhere": ("plan", "plan", {}, fields(deposited="1")),
    "plan.sums: of a tranche": ("plan", "plan", {}, first("tranches", rolled="1")),
    "evidence.opened: about another tranche": ("plan", "evidence", {}, fields(tranche=2)),
    "certificate.released: an amount that was not": (
        "plan",
        "certificate",
        {},
        fields(released="1", certified="1"),
    ),
    "certificate.sums: less than was certified": ("plan", "certificate", {}, fields(certified="1")),
    "certificate.conditions: nobody accepted": (
        "plan",
        "certificate",
        {"tranche": 1},
        lambda row: row.update(conditions=row["conditions"][1:]),
    ),
    "certificate.conditions: another accepted": (
        "plan",
        "certificate",
        {"tranche": 1},
        first("conditions", by=[STRANGER]),
    ),
    "certificate.version: of no such tranche": ("plan", "certificate", {}, fields(tranche=5)),
    "genesis: a founder has more roles": (
        "receivable",
        "member",
        {"legal_name": "Maker"},
        lambda row: row["roles"].append({"role": "auditor", "since": [0, 0]}),
    ),
    "genesis: a founder has another key": ("receivable", "key", {"role": "admin"}, fields(member=STRANGER)),
    "genesis: a currency has no pence": ("receivable", "currency", {"id": "CNY"}, fields(minor_digits=0)),
    "genesis: one is a founder who was none": (
        "member",
        "member",
        {"legal_name": "Newcomer"},
        lambda row: row["states"].insert(0, {"state": "admitted", "since": [0, 0]}),
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_record_is_refused_by_its_rule(ledger: Ledger, bundles: dict[str, Bundle], name: str) -> None:
    thing, table, has, change = FORGED[name]
    bundle = bundles[thing]
    forged = with_record(bundle, key_in(bundle, table, **has), change)
    assert forged != bundle
    assert check_of(ledger, forged) == name.partition(":")[0]


# Votes


def review_of(bundle: Bundle) -> tuple[str, tuple[int, int]]:
    """The key of the review, and where it was decided."""
    key = bundle.about
    decided = row_in(bundle, key)["decisions"][0]["at"]
    return key, (decided[0], decided[1])


def test_a_review_by_one_who_is_no_auditor(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = ledger_with(ledger, bundles["review"], "Platform")
    platform = member_named(bundle, "Platform")
    key, place = review_of(bundle)
    body = {**body_at(bundle, place), "actor": platform}
    forged = with_step(bundle, place, body, key_of("Platform"))
    forged = with_record(forged, key, first("decisions", reviewer=platform))
    assert check_of(ledger, forged) == "review.role"


def ledger_with(ledger: Ledger, bundle: Bundle, *names: str) -> Bundle:
    """The bundle with the records of some founders and their keys besides."""
    ids = {name: member for member, name in ledger.chain.names.items()}
    keys = [one.key for one in bundle.records]
    keys += [f"member/{ids[name]}" for name in names] + [f"key/{public(key_of(name))}" for name in names]
    places = [(one.height, one.index) for one in bundle.transactions]
    return collect(ledger.engine, bundle.about, bundle.genesis, keys, places)


def test_an_auditor_s_review_with_another_s_key(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = ledger_with(ledger, bundles["review"], "Platform")
    _, place = review_of(bundle)
    forged = with_step(bundle, place, body_at(bundle, place), key_of("Platform"))
    assert check_of(ledger, forged) == "signatures"
    unknown = with_step(bundle, place, body_at(bundle, place), key_of("nobody's"))
    assert check_of(ledger, unknown) == "keys"


def test_a_party_judges_itself(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["review"]
    key, _ = review_of(bundle)
    auditor = row_in(bundle, key)["decisions"][0]["reviewer"]
    for name in ("parties", "recused"):
        forged = with_record(bundle, key, fields(**{name: [auditor]}))
        assert check_of(ledger, forged) == "review.recusal"


# Who was entitled, where a trusted header stands in for the genesis and says nothing of founders


def header_of(ledger: Ledger, bundle: Bundle) -> TrustedHeader:
    """The last header of a bundle, as the operator would give it out."""
    forged = reseal(bundle, NODE_KEY)
    last = forged.blocks[-1]
    assert last.commit is not None
    return TrustedHeader(LightBlock(last.header, last.commit, forged.validators[0]))


def test_a_trusted_header_proves_without_a_genesis(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    for bundle in bundles.values():
        report = verify(bundle.to_bytes(), header_of(ledger, bundle))
        assert report.verdict.is_sandbox is None
        assert report.verdict.chain_id == ledger.genesis.chain_id
    another = header_of(ledger, replace(bundles["member"], roots=bundles["review"].roots))
    forged = replace(another.block.header, proposer_address=bytes(20))
    with pytest.raises(NotProven, match="not the header that is trusted"):
        verify(bundles["member"].to_bytes(), TrustedHeader(replace(another.block, header=forged)))


@pytest.mark.parametrize(
    ("name", "table", "has", "change"),
    [
        ("review.role", "member", {"legal_name": "Auditor"}, first("roles", since=[9_000, 0])),
        ("review.role", "member", {"legal_name": "Auditor"}, first("roles", until=[1, 0])),
        ("membership", "member", {"legal_name": "Auditor"}, first("states", since=[9_000, 0])),
        ("membership", "member", {"legal_name": "Buyer"}, first("states", state="left")),
        ("keys", "key", {"role": "admin"}, fields(since=[9_000, 0])),
        ("keys", "key", {"role": "admin"}, fields(until=[1, 0])),
        ("keys", "key", {"role": "admin"}, fields(role="owner")),
        ("signatures", "key", {"role": "admin"}, fields(member=STRANGER)),
        ("state", "key", {"role": "admin"}, fields(since="always")),
    ],
)
def test_who_was_not_entitled_then(
    ledger: Ledger, bundles: dict[str, Bundle], name: str, table: str, has: Row, change: Change
) -> None:
    bundle = bundles["receivable"]
    forged = with_record(bundle, key_in(bundle, table, **has), change)
    assert check_of(ledger, forged, header_of(ledger, forged)) == name


def test_keys_that_do_not_meet_the_policy_exactly(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["document"]
    place = (bundle.transactions[0].height, 0)
    body = body_at(bundle, place)
    maker, checker, revoked = key_of("fourth"), key_of("third"), key_of("second")
    assert proven(ledger, with_step(bundle, place, body, maker, checker)).verdict.is_whole
    assert check_of(ledger, with_step(bundle, place, body, maker)) == "signing policy"
    wide = ledger_with_key(ledger, bundle, "Newcomer", "second")
    assert check_of(ledger, with_step(wide, place, body, maker, checker, key_of("Newcomer"))) == "signing policy"
    assert check_of(ledger, with_step(wide, place, body, revoked, checker)) == "keys"


def ledger_with_key(ledger: Ledger, bundle: Bundle, *names: str) -> Bundle:
    """The bundle with these keys' records besides."""
    keys = [*(one.key for one in bundle.records), *(f"key/{public(key_of(name))}" for name in names)]
    places = [(one.height, one.index) for one in bundle.transactions]
    return collect(ledger.engine, bundle.about, bundle.genesis, keys, places)


def test_a_key_that_is_introduced_signs(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["member"]
    added = next(one for one in bundle.transactions if "key.add" in str(one.envelope))
    place = (added.height, added.index)
    forged = with_step(bundle, place, body_at(bundle, place), key_of("Newcomer"))
    assert check_of(ledger, forged) == "signatures"


def test_a_step_for_another_chain_or_of_no_known_kind(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["document"]
    place = (bundle.transactions[0].height, 0)
    body, keys = body_at(bundle, place), (key_of("fourth"), key_of("third"))
    assert check_of(ledger, with_step(bundle, place, {**body, "chain": "another"}, *keys)) == "signatures"
    assert check_of(ledger, with_step(bundle, place, {**body, "operations": []}, *keys)) == "transactions"
    unknown = {**body, "operations": [{"op": "money.print"}]}
    assert check_of(ledger, with_step(bundle, place, unknown, *keys)) == "transactions"
    banded = {**body, "cosigners": [body["actor"]]}
    assert check_of(ledger, with_step(bundle, place, banded, *keys)) == "signatures"


def test_a_block_that_a_signer_never_saw(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["receivable"]
    one = next(one for one in bundle.transactions if '"seen"' in canonical.encode(one.envelope).decode())
    place = (one.height, one.index)
    body = body_at(bundle, place)
    report = proven(ledger, bundle)
    assert all(found.is_shown for found in report.verdict.countersigned)
    assert (
        any(f"height {body['seen']['height']}" in line for line in report.verdict.lines) or report.verdict.countersigned
    )
    shown = {found.height for found in report.verdict.countersigned}
    place = next(
        (each.height, each.index)
        for each in bundle.transactions
        if isinstance(each.envelope, dict) and each.envelope["body"].get("seen", {}).get("height") in shown
    )
    body = body_at(bundle, place)
    signer = ledger.chain.keys[body["actor"]]
    body["seen"]["block"] = "0" * 64
    forged = with_step(bundle, place, body, signer)
    assert check_of(ledger, forged) == "countersigning"


# What is missing is said


def test_an_omitted_step_is_missed(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["receivable"]
    whole = proven(ledger, bundle).verdict
    assert (whole.is_whole, whole.exit_code, whole.unproven) == (True, 0, ())
    row = row_in(bundle, bundle.about)
    for name in ("requested", "confirmed"):
        kept = tuple(one for one in bundle.transactions if [one.height, one.index] != row[name])
        verdict = verify(replace(bundle, transactions=kept).listed().to_bytes(), ledger.genesis).verdict
        assert (verdict.is_whole, verdict.exit_code) == (False, 3)
        assert f"receivable.{name}" in {one.rule for one in verdict.unproven}
        assert any("rest on the state alone" in line for line in verdict.lines)


def test_an_omitted_draft_of_the_contracts_is_missed(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["product"]
    kept = [one for one in bundle.transactions if b"product.draft_contracts" not in canonical.encode(one.envelope)]
    verdict = verify(replace(bundle, transactions=tuple(kept)).listed().to_bytes(), ledger.genesis).verdict
    assert {one.rule for one in verdict.missing} == {"product.drafted"}


def test_what_made_it_overdue_is_missed(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = replace(bundles["receivable"], due_work=()).listed()
    assert {one.rule for one in verify(bundle.to_bytes(), ledger.genesis).verdict.missing} == {"receivable.overdue"}


def test_an_omitted_step_leaves_a_vote_unproven(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["review"]
    _, place = review_of(bundle)
    kept = tuple(one for one in bundle.transactions if (one.height, one.index) != place)
    verdict = verify(replace(bundle, transactions=kept).listed().to_bytes(), ledger.genesis).verdict
    assert not verdict.is_whole
    assert "review.decision" in {one.rule for one in verdict.unproven}


def test_a_condition_whose_step_is_not_shown_is_missed(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["plan"]
    assert verify(bundle.to_bytes(), ledger.genesis).verdict.is_whole
    for op in ("evidence.accept", "evidence.submit"):
        kept = tuple(one for one in bundle.transactions if op not in canonical.encode(one.envelope).decode())
        assert len(kept) < len(bundle.transactions)
        verdict = verify(replace(bundle, transactions=kept).listed().to_bytes(), ledger.genesis).verdict
        assert not verdict.is_whole
        assert "certificate.conditions" in {one.rule for one in verdict.unproven}


def test_a_hop_that_follows_from_nothing_shown_is_missed(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["receivable"]
    hop = key_in(bundle, "transfer", hop=5)
    verdict = proven(ledger, with_record(bundle, hop, fields(kind="financing", accepted=None))).verdict
    assert not verdict.is_whole
    assert [one.rule for one in verdict.unproven] == ["transfer.by_financing"]


def test_a_refused_step_proves_nothing(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["receivable"]
    refused = list(ledger.refused)
    forged = with_record(bundle, bundle.about, fields(confirmed=refused))
    assert check_of(ledger, forged) == "receivable.confirmed"


def test_a_block_all_of_whose_steps_are_shown_has_no_other(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["receivable"]
    (work,) = bundle.due_work
    assert work.digests == ()
    for index in (0, 1):
        forged = with_record(bundle, bundle.about, fields(confirmed=[work.height, index]))
        assert check_of(ledger, forged) == "receivable.confirmed"
        with_a_step = replace(forged, due_work=(replace(work, digests=(bytes(32),)),))  # at whatever index it stood
        assert "receivable.confirmed" in {one.rule for one in proven(ledger, with_a_step).verdict.missing}


def test_the_first_app_hash_is_the_genesis_s(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["member"]
    first_block, *others = bundle.blocks
    assert first_block.header.height == 1
    header = replace(first_block.header, app_hash=bytes(32))
    forged = replace(bundle, blocks=(replace(first_block, header=header), *others))
    assert check_of(ledger, forged) == "genesis"


def test_signatures_of_the_envelope_are_the_body_s(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["document"]
    place = (bundle.transactions[0].height, 0)
    signed = with_step(bundle, place, {**body_at(bundle, place), "id": "another"}, key_of("fourth"), key_of("third"))
    one: Any = signed.transactions[0].envelope
    honest: Any = bundle.transactions[0].envelope
    mixed = {"body": one["body"], "signatures": honest["signatures"]}
    forged = replace(signed, transactions=(replace(signed.transactions[0], envelope=mixed),))
    assert envelope.parse(forged.transactions[0].raw)
    assert check_of(ledger, forged) == "signatures"
    assert check_of(ledger, signed) == "document.anchored"  # another id makes another record


def test_who_leaves_by_a_step_was_a_member_there(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["document"]
    place = [bundle.transactions[0].height, 0]
    key = key_in(bundle, "member", legal_name="Newcomer")
    left = with_record(bundle, key, lambda row: row["states"].append({"state": "left", "since": place}))
    assert check_of(ledger, left) == "member.left"  # entitled to sign it; but it asks for something else
    before = [place[0] - 1, 0]
    gone = with_record(bundle, key, lambda row: row["states"].append({"state": "left", "since": before}))
    assert check_of(ledger, gone) == "membership"
