"""Rounds of evidence: who brought what, who answered and when, and what that verifies and certifies."""

from tests.support.audit.plans.book import Step, on
from tests.support.audit.plans.conditions import (
    could_be_met,
    counted,
    holds,
    is_met,
    is_or_no_person,
    leaves,
    persons,
)
from tests.support.audit.plans.days import DAY_MS, ONE, day_of, end_of
from tests.support.audit.plans.model import Deal, Part, Round
from tests.support.audit.seen import Row, facts


def members_of(rows: dict[str, Row]) -> set[str]:
    """Who is on the chain."""
    return {
        key.split("/")[1]
        for key, row in rows.items()
        if key.startswith("member/") and row["states"][-1]["state"] in ("admitted", "suspended")
    }


def present_of(step: Step) -> dict[str, str]:
    return {name: step.book.now_is(name) for name in step.book.successors}


def _round(step: Step, event: Row, deal: Deal, number: int) -> tuple[Part, Round]:
    """The open round of a tranche, or a new one: it keeps the statements of the one that was sent back."""
    part = deal.parts[number - 1]
    rule = "evidence comes for a funded tranche, within its window, in bounded rounds"
    step.require(deal.state == "active" and part.phase in ("waiting", "evidence_in"), rule, (event, part))
    step.require(part.phase == "evidence_in" or part.missing == 0, rule, (event, part.missing))
    step.require(part.unmet_at is None or step.now <= part.unmet_at, rule, (event, part.unmet_at))
    if part.round is None:
        step.require(part.rounds < deal.rules["evidence_rounds"], rule, (event, part.rounds))
        part.round = Round(event["record"])
        asked = {
            (leaf["source"], leaf["kind"]) for leaf in leaves(part.terms["condition"]) if leaf["when"] == "data_source"
        }
        if part.last is not None:
            part.round.stated = {key: at for key, at in part.last.stated.items() if key in asked}
    step.require(part.round.id == event["record"], "one round at a time", (event, part.round.id))
    part.phase = "evidence_in"
    return part, part.round


def _answerable(part: Part, one: Round | None) -> bool:
    """Whether there is something to answer: all materials with the claim, or an answer where none are asked."""
    if one is None or any(each["kind"] not in one.kinds for each in part.terms.get("materials", ())):
        return False
    return one.claimed is not None or bool(one.answers)


def _run_time(step: Step, deal: Deal, part: Part, before: bool, claimed: bool) -> None:
    """From when it can be answered, and from the claim, the time to answer runs, and the window waits for its end."""
    if _answerable(part, part.round) and (claimed or not before):
        part.answer_by = step.now + int(deal.terms["answer_days"]) * DAY_MS
        part.unmet_at = None if part.unmet_at is None else max(part.unmet_at, part.answer_by)


@on("evidence.submitted", "evidence.stated")
def submitted(step: Step, event: Row) -> None:
    fact = facts(event)
    deal = step.deal(event, fact["plan"])
    asked = step.asks("evidence.submit", plan=deal.id, tranche=fact["tranche"])
    step.require(bool(asked), "evidence is submitted by its step", event)
    step.require(fact["by"] in step.seen.signers, "who submits signs", event)
    part, one = _round(step, event, deal, int(fact["tranche"]))
    before = _answerable(part, one)
    operation = asked[0]
    named = list(leaves(part.terms["condition"]))
    if event["kind"] == "evidence.stated":
        key = (fact["by"], fact["kind"])
        wanted = {(leaf["source"], leaf["kind"]) for leaf in named if leaf["when"] == "data_source"}
        step.require(key in wanted and fact["by"] != deal.payee, "a named source states what is asked", event)
        step.require(key not in one.stated, "each states a kind once", event)
        one.stated[key] = step.now
        claimed = False
    else:
        hashes = {each["kind"]: each.get("hash") for each in part.terms.get("materials", ())}
        for anchor in operation.get("materials", ()):
            fits = anchor["kind"] in hashes and hashes[anchor["kind"]] in (None, anchor["hash"])
            step.require(fits, "materials are of the kinds and hashes that were asked for", (event, anchor))
            one.materials.append((fact["by"], anchor["kind"]))
        verifiers = {name for leaf in named for name in leaf.get("verifiers", ())}
        allowed = fact["by"] == deal.payee if "units" in operation else fact["by"] in verifiers - {deal.payee}
        step.require(allowed, "the payee claims, a named verifier brings its own", event)
        claimed = "units" in operation and one.claimed is None
        if claimed:
            one.claimed = int(operation["units"])
            right = 0 < one.claimed <= part.amount and (part.terms.get("up_to", False) or one.claimed == part.amount)
            step.require(right, "what is claimed is the amount, or up to it", (event, one.claimed, part.amount))
    _run_time(step, deal, part, before, claimed)


@on("evidence.claimed")
def claimed(step: Step, event: Row) -> None:
    """A wage sheet that is complete claims its sum; other claims were seen with their materials."""
    fact = facts(event)
    deal = step.deal(event, fact["plan"])
    part, one = _round(step, event, deal, int(fact["tranche"]))
    if one.claimed is None:
        before = _answerable(part, one)
        step.require(bool(part.terms.get("wages")), "only a wage sheet claims by itself", event)
        step.require(bool(step.asks("wage.lines", plan=deal.id)), "the sheet claims when its last lines come", event)
        one.claimed = int(fact["units"])
        _run_time(step, deal, part, before, claimed=True)
    step.same(event, "what is claimed", units=one.claimed)


@on("evidence.accepted", "evidence.rejected")
def answered(step: Step, event: Row) -> None:
    fact = facts(event)
    deal = step.deal(event, fact["plan"])
    number = int(fact["tranche"])
    part, one = _round(step, event, deal, number)
    rule = "who is named answers, once, in time"
    named = deal.named(number, deal.known(number, step.now, present_of(step), set()))
    step.require(fact["by"] in named & set(step.seen.signers), rule, (event, named))
    step.require(fact["by"] not in {step.book.now_is(name) for name in one.answers}, rule, event)
    step.require(part.answer_by is None or step.now <= part.answer_by, rule, (event, part.answer_by))
    step.require(one.silent_at is None, rule, event)
    missing = [each for each in part.terms.get("materials", ()) if each["kind"] not in one.kinds]
    step.require(not missing, "there is something to answer", (event, missing))
    before = _answerable(part, one)
    if event["kind"] == "evidence.rejected":
        one.answers[fact["by"]] = ("send_back", step.now, None)
        return
    units = int(fact["units"])
    most = part.amount if one.claimed is None else one.claimed
    right = units <= most if part.terms.get("up_to") else units == part.amount
    if part.terms.get("wages"):
        sheet = step.book.sheets.get((deal.id, number))
        right = right and sheet is not None and sheet.state == "complete" and sheet.units == units
    step.require(units > 0 and right, "what is certified is the amount, or up to what is claimed", (event, most))
    one.answers[fact["by"]] = ("accept", step.now, units)
    _run_time(step, deal, part, before, claimed=False)


@on("evidence.sent_back")
def sent_back(step: Step, event: Row) -> None:
    fact = facts(event)
    deal = step.deal(event, fact["plan"])
    number = int(fact["tranche"])
    part = deal.parts[number - 1]
    known = deal.known(number, step.now, present_of(step), members_of(step.rows))
    open_way = holds(part.terms["condition"], lambda leaf: could_be_met(leaf, known))
    step.require(not open_way, "a round ends when no way is left to meet the condition", (event, known))
    part.last, part.round, part.phase = part.round, None, "waiting"
    part.rounds, part.answer_by = part.rounds + 1, None


@on("evidence.silent")
def silent(step: Step, event: Row) -> None:
    fact = facts(event)
    deal = step.deal(event, fact["plan"])
    number = int(fact["tranche"])
    part = deal.parts[number - 1]
    late = part.answer_by is not None and step.now > part.answer_by
    step.require(step.is_due and late and part.round is not None, "silence is the end of the time to answer", event)
    step.require(fact["on_silence"] == part.terms.get("on_silence", "dispute"), "silence means what was agreed", event)
    step.require(not _nobody_is_silent(step, deal, number), "somebody has said nothing", event)
    if fact["on_silence"] == "accept" and part.round is not None:
        part.round.silent_at = part.answer_by
        part.answer_by = None


def _nobody_is_silent(step: Step, deal: Deal, number: int) -> bool:
    """Whether no answer is missing, or none that anybody could give."""
    part = deal.parts[number - 1]
    members = members_of(step.rows)
    known = deal.known(number, step.now, present_of(step), members)
    if holds(part.terms["condition"], lambda leaf: is_or_no_person(leaf, known)):
        return True
    return not (deal.named(number, known) & members) - known.yes.keys() - known.no


def end_answer_time(step: Step, deal: Deal, number: int) -> None:
    """After due work: a time to answer that has passed has had its outcome."""
    part = deal.parts[number - 1]
    if part.phase == "evidence_in" and part.answer_by is not None and step.now > part.answer_by:
        quiet = _nobody_is_silent(step, deal, number)
        step.require(quiet, "silence has its outcome", (deal.id, number, part))
        part.answer_by = None


def certified_by(step: Step, deal: Deal, number: int) -> int | None:
    """What the evidence certifies now, or None where the condition does not hold or nobody has named an amount."""
    part = deal.parts[number - 1]
    known = deal.known(number, step.now, present_of(step), members_of(step.rows))
    tree = part.terms["condition"]
    if (part.phase == "waiting" and part.missing) or not holds(tree, lambda leaf: is_met(leaf, known)):
        return None
    if part.terms.get("wages"):
        sheet = step.book.sheets.get((deal.id, number))
        if sheet is None or sheet.state != "complete":
            return None
        fits = sheet.units == part.amount or (part.terms.get("up_to") and sheet.units < part.amount)
        return sheet.units if fits else None
    if not part.terms.get("up_to"):
        return part.amount
    if part.round is None:
        return None
    who = counted(tree, known)
    said = []
    quiet = False
    for by, (answer, _, units) in part.round.answers.items():
        name = by if by in persons(tree, known) else step.book.now_is(by)
        if answer == "accept" and name in who and units is not None:
            said.append(units)
    if part.round.silent_at is not None:
        spoke = {by if by in persons(tree, known) else step.book.now_is(by) for by in part.round.answers}
        quiet = bool(who - spoke)
    if not said and not quiet:
        return None
    most = part.amount if part.round.claimed is None else part.round.claimed
    return min(part.amount, most, *said)


@on("tranche.verified")
def verified(step: Step, event: Row) -> None:
    deal = step.deal(event)
    number, part = step.part(event, deal)
    step.require(deal.state == "active" and part.phase in ("waiting", "evidence_in"), "verified once", (event, part))
    certified = certified_by(step, deal, number)
    step.require(
        certified is not None, "9.4 verified only when the condition holds and the money is there", (event, part)
    )
    step.same(event, "9.4 what is certified", certified=certified)
    part.phase, part.certified, part.answer_by = "verified", certified, None
    objection = int(deal.terms["objection_days"])
    part.object_until = step.now + objection * DAY_MS if objection else None


@on("tranche.extended")
def extended(step: Step, event: Row) -> None:
    deal = step.deal(event)
    _, part = step.part(event, deal)
    rule = "a window is extended as agreed, so often as the policies allow"
    most = deal.rules["extensions"]
    late = part.unmet_at is not None and step.now > part.unmet_at
    step.require(step.is_due and late and part.extended < most, rule, (event, part))
    step.require(part.terms.get("if_unmet", "dispute") == "extend", rule, event)
    last = day_of(step.before, part.unmet_at or 0)
    part.unmet_at = end_of(step.before, last + ONE * int(part.terms["extend_days"]))
    step.require(step.at(event, "unmet_at") == part.unmet_at, rule, (event, part.unmet_at))
    part.extended += 1
