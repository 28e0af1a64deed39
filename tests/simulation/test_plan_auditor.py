"""The auditor of plans has teeth: a recorded story with one thing changed in it is found out, by the rule it breaks.

The story itself passes. Every case changes an event, a record, the time or the order of one step as a ledger with a
fault would have them, and names the rule that must notice.
"""

import copy
import datetime
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.simulation.plan_story import Story, told
from tests.support.audit.plans.agreeing import hash_of
from tests.support.audit.seen import Row, Seen
from tests.support.auditor import AuditError

Change = Callable[[Story], None]


def test_the_story_as_it_was_is_found_right() -> None:
    told().copied().watch()


def _found(story: Story, kind: str, nth: int = 0, **facts: Any) -> tuple[Seen, Row]:
    """The step and the event of this kind, the `nth` of those with these facts."""
    hits = [
        (seen, event)
        for seen in story.steps
        for event in seen.events
        if event["kind"] == kind and all(event.get("facts", {}).get(name) == value for name, value in facts.items())
    ]
    return hits[nth]


def fact(kind: str, name: str, value: Any, nth: int = 0, **facts: Any) -> Change:
    """Another fact in an event."""

    def change(story: Story) -> None:
        _, event = _found(story, kind, nth, **facts)
        assert event["facts"][name] != value
        event["facts"][name] = value

    return change


def dropped(kind: str, nth: int = 0, **facts: Any) -> Change:
    """An event that is not told."""

    def change(story: Story) -> None:
        seen, event = _found(story, kind, nth, **facts)
        seen.events.remove(event)

    return change


def unasked(kind: str, operation: str, nth: int = 0, **facts: Any) -> Change:
    """A step that does what another operation than the signed one does."""

    def change(story: Story) -> None:
        seen, _ = _found(story, kind, nth, **facts)
        assert seen.envelope is not None
        kept = [one for one in seen.operations if one["op"] != operation]
        assert len(kept) < len(seen.operations)
        seen.envelope["body"]["operations"] = kept

    return change


def signed_by(kind: str, nth: int, member: str, **facts: Any) -> Change:
    """The same step, signed by somebody else: `member` names a record's field that holds the name."""

    def change(story: Story) -> None:
        seen, _ = _found(story, kind, nth, **facts)
        assert seen.envelope is not None
        seen.envelope["body"]["actor"] = member
        seen.envelope["body"].pop("cosigners", None)

    return change


def asked(kind: str, name: str, value: Any, nth: int = 0, **facts: Any) -> Change:
    """Another value in what was signed."""

    def change(story: Story) -> None:
        seen, _ = _found(story, kind, nth, **facts)
        assert seen.operations[0][name] != value
        seen.operations[0][name] = value

    return change


def earlier(kind: str, milliseconds: int, nth: int = 0, **facts: Any) -> Change:
    """The step came so much earlier."""

    def change(story: Story) -> None:
        seen, _ = _found(story, kind, nth, **facts)
        seen.now -= milliseconds
        seen.today = _day(seen.now)

    return change


def later(kind: str, milliseconds: int, nth: int = 0, **facts: Any) -> Change:
    return earlier(kind, -milliseconds, nth, **facts)


def _day(now: int) -> str:
    return datetime.datetime.fromtimestamp(now / 1000 + 8 * 3600, datetime.UTC).date().isoformat()


def row(kind: str, table: str, edit: Callable[[Row], None], nth: int = 0, **facts: Any) -> Change:
    """A record that says something else after the step."""

    def change(story: Story) -> None:
        seen, _ = _found(story, kind, nth, **facts)
        rows = [found for key, found in seen.after.items() if key.startswith(f"{table}/") and found is not None]
        before = copy.deepcopy(rows)
        for found in rows:
            edit(found)
        assert rows != before

    return change


def plus(name: str, units: int = 1) -> Callable[[Row], None]:
    """A sum that is `units` more."""

    def edit(found: Row) -> None:
        found[name] = str(int(found.get(name, "0")) + units)

    return edit


def in_tranche(number: int, name: str, value: Any) -> Callable[[Row], None]:
    """Another value in a tranche's state."""

    def edit(found: Row) -> None:
        found["tranches"][number - 1][name] = value

    return edit


def said(name: str, value: Any) -> Callable[[Row], None]:
    def edit(found: Row) -> None:
        found[name] = value

    return edit


def swapped(kind: str, with_kind: str) -> Change:
    """Two steps in the other order."""

    def change(story: Story) -> None:
        first, second = _found(story, kind)[0], _found(story, with_kind)[0]
        one, other = story.steps.index(first), story.steps.index(second)
        story.steps[one], story.steps[other] = second, first

    return change


def at_the_end(kind: str, nth: int = 0, **facts: Any) -> Change:
    """The step happens once more when all is over."""

    def change(story: Story) -> None:
        seen, _ = _found(story, kind, nth, **facts)
        story.steps.append(copy.deepcopy(seen))

    return change


def again(kind: str, nth: int = 0, **facts: Any) -> Change:
    """The step happens a second time."""

    def change(story: Story) -> None:
        seen, _ = _found(story, kind, nth, **facts)
        story.steps.insert(story.steps.index(seen) + 1, copy.deepcopy(seen))

    return change


def more_paid(kind: str, units: int, nth: int = 0, **facts: Any) -> Change:
    """A release of more than is right, told and booked alike."""

    def change(story: Story) -> None:
        seen, event = _found(story, kind, nth, **facts)
        posted = [one for one in _before(seen, event) if one["kind"] == "account.posted"][-1]
        for told_, name in ((event, "released"), (posted, "units")):
            told_["facts"][name] = str(int(told_["facts"][name]) + units)
        for key in (f"balance/{posted['facts']['source']}", f"balance/{posted['facts']['target']}"):
            found = seen.after[key]
            if found is not None:
                sign = -1 if key.endswith(posted["facts"]["source"]) else 1
                found["units"] = str(int(found.get("units", "0")) + sign * units)

    return change


def _before(seen: Seen, event: Row) -> Iterator[Row]:
    yield from seen.events[: seen.events.index(event)]


def each(*changes: Change) -> Change:
    def change(story: Story) -> None:
        for one in changes:
            one(story)

    return change


def _unpaid(seen: Seen) -> None:
    """The payee's part of a ruling stays where it is."""
    first = next(event for event in seen.events if event["kind"] == "tranche.released")
    place = seen.events.index(first)
    seen.events = [
        event for event in seen.events[:place] if event["facts"].get("units") not in ("4", "396")
    ] + seen.events[place + 1 :]


def _own_offer(story: Story) -> None:
    by = _found(story, "dispute.offered")[1]["facts"]["by"]
    signed_by("dispute.settled", 0, by)(story)


def _amend_below(story: Story) -> None:
    """Both sides sign an amendment that asks for less than what went back for good."""
    tranches = _found(story, "plan.amendment_proposed")[0].operations[0]["tranches"]
    tranches[0].update(units="400", fund_units="400")
    asked("plan.amended", "terms", hash_of(tranches))(story)


def _kept(story: Story) -> None:
    """What was retained is not paid, and the plan ends all the same."""
    seen, event = _found(story, "tranche.released", cause="retention")
    place = seen.events.index(event)
    begin = place - 2
    assert [one["kind"] for one in seen.events[begin:place]] == ["account.posted", "account.posted"]
    del seen.events[begin : place + 1]


def _doubled(story: Story) -> None:
    """The same tranche is paid once more in the same step, and told so."""
    seen, event = _found(story, "tranche.released", tranche=1, cause="release")
    place = seen.events.index(event)
    seen.events[place + 1 : place + 1] = copy.deepcopy(seen.events[place - 2 : place + 1])


def _untold(story: Story, kind: str) -> None:
    """Nobody but the bank is told."""
    _found(story, kind)[1]["audience"] = []


def _leaves(story: Story, state: str, *, told: bool = True) -> None:
    """The payer leaves while its plan is under way."""
    seen, _ = _found(story, "plan.funded")
    payer = seen.signers[0]
    member = copy.deepcopy(story.genesis[f"member/{payer}"])
    member["states"].append({"state": state, "since": [seen.height, 0]})
    seen.after[f"member/{payer}"] = member
    if told:
        seen.events.append({"kind": "member.left", "record": payer, "audience": [payer], "facts": {}})


def _stands(story: Story) -> None:
    """The payer is suspended between its proposal and the platform's check."""
    seen, _ = _found(story, "plan.proposed")
    payer = seen.signers[0]
    member = copy.deepcopy(story.genesis[f"member/{payer}"])
    member["states"].append({"state": "suspended", "since": [seen.height, 0]})
    seen.after[f"member/{payer}"] = member


def _first_account(story: Story) -> str:
    return str(_found(story, "wage.lines_uploaded")[0].operations[0]["lines"][0]["account"])


def _twice(lines: list[Row]) -> None:
    lines[1]["worker"] = lines[0]["worker"]


def _unmark(found: Row) -> None:
    found["lines"][1].pop("state")


def _miscount(found: Row) -> None:
    found["standing"][0]["lines"] += 1


HOUR = 3_600_000
DAY = 24 * HOUR
STRANGER = "mbr_0000000000000000"

CASES: dict[str, tuple[str, Change]] = {
    # 9.1: deposited = held + released + refunded + fees + reversed, at every height
    "a plan counts more than came": ("9.1 deposited", row("plan.funded", "plan", plus("deposited"))),
    "a plan counts more released than was": (
        "9.1 released",
        row("tranche.released", "plan", plus("released"), cause="release"),
    ),
    "a fee is not counted": ("9.1 fees", row("tranche.released", "plan", said("fees", "1"), cause="release")),
    "a refund is not counted": ("9.1 refunded", row("refund.booked", "plan", said("refunded", "0"))),
    "what was taken back is not counted": ("9.1 reversed", row("plan.unfunded", "plan", said("reversed", "0"))),
    "a tranche holds what another got": (
        "9.1 a tranche's",
        row("plan.funded", "plan", in_tranche(3, "held", "1"), missing="20000"),
    ),
    "what rolled on is counted twice": (
        "9.1 a tranche's",
        row("tranche.rolled_on", "plan", in_tranche(2, "rolled", "1")),
    ),
    "escrow holds less than the plan says": (
        "9.1 a balance is what the postings say",
        row("plan.funded", "balance", plus("units", -1)),
    ),
    # no money moves for a plan not confirmed and anchored
    "money comes before the confirmation": ("not confirmed and anchored", dropped("plan.anchored")),
    "money comes in and nobody is told": ("told what came", dropped("plan.funded")),
    "money comes in after the end": ("not confirmed and anchored", at_the_end("plan.funded")),
    # against an unmet rule
    "a release without its verification": ("9.4 a release only after", dropped("tranche.verified")),
    "a verification without the payer's word": ("9.4 verified only when", dropped("evidence.accepted")),
    "one of two verifiers is enough": (
        "9.4 verified only when",
        dropped("evidence.accepted", units="41000"),
    ),
    "the lowest acceptance does not count": (
        "9.4 what is certified",
        fact("tranche.verified", "certified", "41000", 1),
    ),
    "the data source has not spoken": ("9.4 verified only when", dropped("evidence.stated")),
    "an answer of somebody not named": ("who is named answers", fact("evidence.accepted", "by", STRANGER)),
    "an answer after its time": ("evidence comes for a funded tranche", later("evidence.accepted", 30 * DAY)),
    "a second answer in the round": ("once, in time", again("evidence.accepted", units="40000")),
    "more is certified than is claimed": (
        "up to what is claimed",
        fact("evidence.accepted", "units", "46000", units="41000"),
    ),
    "more is claimed than the amount": ("the amount, or up to it", asked("evidence.claimed", "units", "51000")),
    "a material of another kind": (
        "kinds and hashes",
        asked("evidence.claimed", "materials", [{"hash": "0" * 64, "kind": "letter"}]),
    ),
    "a release within the objection window": (
        "9.4 a release only after",
        earlier("tranche.released", 2 * DAY, released="6000"),
    ),
    "a release before a date": ("9.4 verified only when", earlier("tranche.verified", 12 * DAY, 2)),
    "retained money before its day": (
        "9.4 what is retained",
        earlier("tranche.released", 12 * DAY, cause="retention"),
    ),
    "a round ends although it could be met": ("no way is left", dropped("evidence.rejected")),
    # how much
    "a unit more is released": ("9.4", more_paid("tranche.released", 1, cause="release")),
    "a fee that is a unit more": ("9.4 the fee is the formula's", fact("tranche.released", "fees", "101")),
    "an advance is not recovered": (
        "9.4 a certificate says",
        row("tranche.released", "certificate", said("recovered", "0"), certified="40000"),
    ),
    "nothing is retained": (
        "9.4 a certificate says",
        row("tranche.released", "certificate", said("retained", "0"), certified="40000"),
    ),
    "a release leaves no certificate": ("leaves a certificate", fact("tranche.released", "certificate", "crt_none")),
    "a tranche is released twice": ("9.4", _doubled),
    "a release reaches somebody else": (
        "9.4 a release reaches the payee",
        fact("account.posted", "target", "suspense/x/y", 0, units="9900"),
    ),
    # refunds
    "a refund that nobody consented to": ("9.4 money goes back", unasked("refund.booked", "refund.consent")),
    "a refund that was not asked for": ("a refund begins with its request", dropped("refund.requested")),
    "more goes back than was consented": ("what goes back", fact("tranche.refunded", "units", "501", reason="consent")),
    "money goes back for another reason": (
        "9.4 money goes back",
        fact("tranche.refunded", "reason", "unmet", reason="consent"),
    ),
    "a refund reaches the payee": (
        "reaches the payer",
        fact("account.posted", "target", "suspense/x/y", 0, units="500"),
    ),
    # reversals and orders
    "what is taken back was not posted": ("what is told of was posted", dropped("account.posted", 0, units="300")),
    "money is taken back without an order": ("only a reversal", unasked("plan.unfunded", "account.deduct_by_order")),
    # disputes
    "a ruling by nobody": ("by an accepted offer", unasked("dispute.ruled", "dispute.rule")),
    "a ruling before its time": ("by an accepted offer", earlier("dispute.ruled", 3 * DAY)),
    "a ruling that keeps a unit": ("divided whole", fact("dispute.ruled", "to_payer", "599")),
    "an award that is not paid": ("carried out", lambda story: _unpaid(_found(story, "dispute.ruled")[0])),
    "an offer accepted by its own side": ("the other side accepts", _own_offer),
    "a settlement at another amount": ("by an accepted offer", fact("dispute.offered", "to_payee", "2999")),
    "an objection to more than is there": (
        "freezes what is there",
        each(fact("dispute.opened", "units", "60000"), asked("dispute.opened", "units", "60000")),
    ),
    "an objection after the window": ("opened in time", later("dispute.opened", 2 * DAY)),
    "silence before its time": ("the end of the time to answer", earlier("evidence.silent", 3 * DAY)),
    "silence means something else": ("silence means", fact("evidence.silent", "on_silence", "accept")),
    # agreement
    "a plan confirmed on another hash": ("confirms what stands", asked("plan.anchored", "terms", "0" * 64)),
    "what is anchored is not what was signed": (
        "what is anchored",
        row("plan.anchored", "plan_version", lambda found: found["tranches"][0].update(units="9999")),
    ),
    "an amendment below what is spoken for": ("takes nothing back", _amend_below),
    "an amendment confirmed on another hash": ("the amendment that stands", asked("plan.amended", "terms", "0" * 64)),
    "a plan under a product that is not open": ("only an open product", dropped("product.opened")),
    "five signatures open a product": ("six signatures", dropped("product.contract_signed")),
    "a contract signed on another hash": (
        "what is signed is what was drafted",
        asked("product.contract_signed", "terms_hash", "0" * 64),
    ),
    "copies that differ pass": (
        "blocks until it is corrected",
        lambda story: _found(story, "product.contracts_agree")[0].operations[0]["contract"].update(value="1"),
    ),
    "a product without the payer's authorisation": ("opens in its order", dropped("product.authorised")),
    "a product counts no plan": ("counts its live plans", row("plan.anchored", "product", said("live_plans", 0))),
    "plans beyond the cap": ("no more than the cap", row("plan.anchored", "product", said("committed", "2000000"))),
    # what must happen
    "a late deposit that is not overdue": ("a late deposit is overdue", dropped("tranche.overdue")),
    "a window that ends without its outcome": ("a release window has its end", dropped("tranche.extended")),
    "an overdue deposit that is not late": ("overdue after the grace", earlier("tranche.overdue", 6 * DAY)),
    "a plan that ends with money in escrow": ("a plan ends with nothing", _kept),
    # standing and notices
    "the payee is not told": ("those concerned are told", lambda story: _untold(story, "tranche.released")),
    "the payer is not told": ("those concerned are told", lambda story: _untold(story, "plan.funded")),
    "a side of a live plan leaves": ("who leaves is named in no live plan", lambda story: _leaves(story, "left")),
    "a side of a live plan is gone": ("who is gone is no side", lambda story: _leaves(story, "succeeded", told=False)),
    "a suspended payer's proposal goes on": ("what a suspended payer proposed", _stands),
    # wages
    "lines that do not add up": (
        "control sum",
        lambda story: _found(story, "wage.sheet_complete")[0].operations[0]["lines"][0].update(units="999"),
    ),
    "a worker twice": (
        "each worker once",
        lambda story: _twice(_found(story, "wage.sheet_complete")[0].operations[0]["lines"]),
    ),
    "a line paid twice": ("exactly one state", again("wage.paid")),
    "a line that nobody reported is paid": ("what is told of a report", fact("wage.paid", "lines", "2")),
    "a corrected line for another worker": (
        "the worker they are owed to",
        lambda story: _found(story, "wage.corrected")[0].operations[0]["lines"][0].update(worker="0" * 64),
    ),
    "a corrected line to another worker's account": (
        "to its own account",
        lambda story: (
            _found(story, "wage.corrected")[0].operations[0]["lines"][0].update(account=_first_account(story))
        ),
    ),
    "a line in two states": ("exactly one state", row("wage.returned", "wage_chunk", _unmark)),
    "a sheet that counts otherwise": (
        "exactly one state",
        row("wage.paid", "wage_sheet", _miscount),
    ),
    "wages released before the sheet": ("what is certified", dropped("wage.sheet_complete")),
    "a withdrawn line is still owed": (
        "exactly one state",
        each(dropped("wage.withdrawn"), dropped("wage.done")),
    ),
    "a sheet done with a line open": ("when every line has ended", swapped("wage.corrected", "wage.done")),
}


@pytest.mark.parametrize("case", CASES)
def test_a_planted_fault_is_found(case: str) -> None:
    """First by events and records together; what those show first, the rule shows by the events alone."""
    rule, change = CASES[case]
    story = told().copied()
    change(story)
    with pytest.raises(AuditError) as whole:
        story.copied().watch()
    if re.search(rule, str(whole.value)) is None:
        with pytest.raises(AuditError, match=rule):
            story.watch(records=False)
