"""Disputes, refunds that were asked for, and the ends of tranches and plans."""

from tests.support.audit.plans.book import Ask, Quarrel, Step, on
from tests.support.audit.plans.days import DAY_MS, day_of
from tests.support.audit.plans.evidence import certified_by
from tests.support.audit.plans.model import Deal, Part
from tests.support.audit.seen import Row, facts


def _side(step: Step, deal: Deal) -> str | None:
    """The signing side; where both sign, the one that made the transaction."""
    return next((name for name in step.seen.signers if name in (deal.payer, deal.payee)), None)


def _disputable(deal: Deal, part: Part, by: str | None) -> int:
    """The most that a side may dispute now."""
    if part.is_over:
        return part.retained
    certified = part.certified if part.phase == "verified" and part.certified is not None else None
    payable = max(0, (part.amount if certified is None else certified) - part.contested)
    if certified is None or by != deal.payee:
        return min(part.free, payable)
    return max(0, min(part.free - payable, part.units - certified - part.beyond))


@on("dispute.opened")
def opened(step: Step, event: Row) -> None:
    fact = facts(event)
    deal = step.deal(event, fact["plan"])
    number, part = step.part(event, deal)
    units, cause = int(fact["units"]), fact["cause"]
    by = _dispute_begins(step, event, deal, number)
    step.require(0 < units <= _disputable(deal, part, by), "a dispute freezes what is there, once", (event, part))
    step.require(not part.terms.get("wages"), "wages are never disputed", event)
    part.disputed += units
    if part.is_over:
        part.retained -= units
    elif part.phase == "verified" and by == deal.payee:
        part.beyond += units
    else:
        part.contested += units
    step.require(part.disputed + part.retained <= part.held, "9.4 disputes are no more than what is unreleased", part)
    until = step.now + deal.rules["negotiation_days"] * DAY_MS
    step.require(step.at(event, "negotiate_until") == until, "the sides have their time to settle", event)
    step.book.quarrels[event["record"]] = Quarrel(event["record"], deal, number, units, cause, until, by)
    deal.disputes.add(event["record"])


def _dispute_begins(step: Step, event: Row, deal: Deal, number: int) -> str | None:
    """How it came to a dispute; who opened it, if anybody did."""
    fact, part = facts(event), deal.parts[number - 1]
    rule = "a dispute begins as the plan says"
    units = int(fact["units"])
    match fact["cause"]:
        case "objection" | "opened":
            name = "tranche.object" if fact["cause"] == "objection" else "dispute.open"
            asked = step.asks(name, plan=deal.id, tranche=number)
            step.require(any(int(one["units"]) == units for one in asked), rule, event)
            by = _side(step, deal)
            step.require(by is not None, rule, event)
            in_time = deal.long_stop_at is None or step.now <= deal.long_stop_at
            if part.phase == "verified":
                in_time = in_time and part.object_until is not None and step.now <= part.object_until
            elif not part.is_over:
                in_time = in_time and (part.unmet_at is None or step.now <= part.unmet_at)
            step.require(in_time, "a dispute is opened in time", (event, part))
            return by
        case "silence":
            late = part.answer_by is not None and step.now > part.answer_by
            agreed = part.terms.get("on_silence", "dispute") == "dispute"
            claimed = part.round.claimed if part.round is not None else None
            most = part.at_stake if claimed is None else min(part.at_stake, claimed)
            step.require(step.is_due and late and agreed and units == most, rule, (event, part))
        case "unmet":
            late = part.unmet_at is not None and step.now > part.unmet_at
            agreed = part.terms.get("if_unmet", "dispute") in ("dispute", "extend")
            step.require(step.is_due and late and agreed and units == part.at_stake, rule, (event, part))
            step.require(certified_by(step, deal, number) is None, "only what is unmet is disputed for it", event)
            step.require(not _could_be_extended(step, deal, part), "a window is extended as agreed", (event, part))
        case _:
            step.broken(rule, event)
    return None


def _could_be_extended(step: Step, deal: Deal, part: Part) -> bool:
    """Whether the window had an extension left that leaves its answers and objections their time."""
    if part.terms.get("if_unmet", "dispute") != "extend" or part.extended >= deal.rules["extensions"]:
        return False
    needed = sum(int(terms[name]) for terms, name in _times(deal, part))
    last = day_of(step.before, part.unmet_at or 0)
    return deal.long_stop_at is None or (day_of(step.before, deal.long_stop_at) - last).days >= needed


def _times(deal: Deal, part: Part) -> tuple[tuple[Row, str], ...]:
    return (part.terms, "extend_days"), (deal.terms, "answer_days"), (deal.terms, "objection_days")


@on("dispute.offered")
def offered(step: Step, event: Row) -> None:
    quarrel = _open(step, event)
    fact = facts(event)
    step.require(fact["by"] in step.seen.signers and fact["by"] == _side(step, quarrel.deal), "a side offers", event)
    step.require(int(fact["to_payee"]) <= quarrel.units, "no more is offered than is disputed", event)
    quarrel.offer = (fact["by"], int(fact["to_payee"]))


def _open(step: Step, event: Row) -> Quarrel:
    quarrel = step.book.quarrels.get(event["record"])
    if quarrel is None or not quarrel.is_open:
        step.broken("9.6 a dispute ends once", event)
    return quarrel


@on("dispute.in_arbitration")
def in_arbitration(step: Step, event: Row) -> None:
    quarrel = _open(step, event)
    late = quarrel.negotiate_until is not None and step.now > quarrel.negotiate_until
    step.require(step.is_due and late and quarrel.state == "open", "arbitration follows negotiation", event)
    quarrel.state = "arbitration"


@on("dispute.settled", "dispute.ruled", "dispute.divided", "dispute.closed")
def decided(step: Step, event: Row) -> None:
    quarrel = _open(step, event)
    deal, fact = quarrel.deal, facts(event)
    to_payee, to_payer = int(fact["to_payee"]), int(fact["to_payer"])
    step.require(to_payee + to_payer == quarrel.units, "what was disputed is divided whole", (event, quarrel.units))
    cause = _decision(step, event, quarrel, to_payee)
    part = deal.parts[quarrel.number - 1]
    part.disputed -= quarrel.units
    # The payee's part is free until it is paid in this step, the payer's leaves with the next posting.
    if to_payer:
        step.back[deal.id] = (quarrel.number, to_payer, cause)
    if to_payee:
        step.award[deal.id] = (quarrel.number, to_payee, cause)
    quarrel.state = {"settled": "settled", "ruled": "ruled", "divided": "by_default"}.get(
        event["kind"].removeprefix("dispute."), "closed"
    )
    deal.disputes.discard(quarrel.id)


def _decision(step: Step, event: Row, quarrel: Quarrel, to_payee: int) -> str:
    """Who decided, and by what right; the name of the cause."""
    deal, rule = quarrel.deal, "a dispute ends by an accepted offer, a ruling or the default split"
    in_time = deal.long_stop_at is None or step.now <= deal.long_stop_at
    match event["kind"]:
        case "dispute.settled":
            asked = step.asks("dispute.accept_offer", dispute=quarrel.id)
            offer = quarrel.offer
            step.require(bool(asked) and offer is not None and in_time, rule, (event, offer))
            by, units = offer or ("", 0)
            step.require(units == to_payee == int(asked[0]["to_payee"]), rule, (event, offer))
            step.require(_side(step, deal) != step.book.now_is(by), "the other side accepts", (event, offer))
            return "settlement"
        case "dispute.ruled":
            asked = step.asks("dispute.rule", dispute=quarrel.id)
            step.require(bool(asked) and int(asked[0]["to_payee"]) == to_payee, rule, event)
            step.require(deal.arbitrator in step.seen.signers and in_time, "the named arbitrator rules", event)
            neutral = deal.arbitrator not in (deal.payer, deal.payee, deal.platform, deal.custodian)
            early = quarrel.negotiate_until is not None and step.now <= quarrel.negotiate_until
            step.require(neutral and not early, rule, event)
            return "ruling"
        case "dispute.divided":
            split = int(deal.terms["default_split"])
            payees, payers = quarrel.units * split // 100, quarrel.units * (100 - split) // 100
            payees += 1 if split and payees + payers < quarrel.units else 0
            step.require(deal.id in step.long_stop and to_payee == payees, rule, (event, payees))
            return "default_split"
        case _:
            step.require(deal.payer == deal.payee and to_payee == 0, rule, event)
            return "parties_are_one"


@on("refund.requested")
def refund_requested(step: Step, event: Row) -> None:
    fact = facts(event)
    deal = step.deal(event, fact["plan"])
    number, part = step.part(event, deal)
    step.take("refund.request", event)
    step.require(deal.payer in step.seen.signers, "the payer asks for its money", event)
    ok = deal.state == "active" and part.phase == "waiting" and 0 < int(fact["units"]) <= part.free
    step.require(ok, "what is free of a tranche that waits is asked for", (event, part))
    again = [
        ask.id for ask in step.book.asks.values() if (ask.deal, ask.number, ask.state) == (deal, number, "requested")
    ]
    step.require(not again, "one request at a time", (event, again))
    step.book.asks[event["record"]] = Ask(event["record"], deal, number, int(fact["units"]), step.at(event, "deadline"))
    deal.refunds.add(event["record"])


@on("refund.booked", "refund.declined", "refund.lapsed")
def refund_ended(step: Step, event: Row) -> None:
    ask = step.book.asks.get(event["record"])
    if ask is None or ask.state != "requested":
        step.broken("9.6 a request for a refund ends once", event)
    ask.state = event["kind"].removeprefix("refund.")
    if ask.state != "lapsed":
        step.require(ask.deal.payee in step.seen.signers, "the payee answers", event)
    ask.deal.refunds.discard(ask.id)


@on("tranche.ended")
def tranche_ended(step: Step, event: Row) -> None:
    deal = step.deal(event)
    number, part = step.part(event, deal)
    reason = facts(event)["reason"]
    step.require(not part.is_over and part.free == 0, "a tranche ends with nothing free in it", (event, part))
    if reason in ("unmet", "silence"):
        late = part.unmet_at if reason == "unmet" else part.answer_by
        step.require(step.is_due and late is not None and step.now > late, "a window that is over", (event, part))
        if reason == "unmet":
            step.require(certified_by(step, deal, number) is None, "9.4 what is met does not end unmet", (event, part))
            step.require(not _could_be_extended(step, deal, part), "a window is extended as agreed", (event, part))
    elif reason == "settled":
        used_up = part.held == 0 and part.missing == 0
        refused = part.phase == "verified" and part.contested >= (part.certified or 0) and not part.disputed
        step.require(used_up or refused, "a tranche is settled when disputes took it all", (event, part))
    elif reason == "refunded":
        step.require(bool(step.asks("refund.consent")), "a tranche is refunded by consent", event)
    elif reason == "unfunded":
        step.require(part.missing > 0 and bool(step.asks("plan.cancel_unfunded")), "what lacks money ends", event)
    part.phase = "ended"
    part.close_windows()


@on("plan.unfunded_cancelled")
def unfunded_cancelled(step: Step, event: Row) -> None:
    deal = step.deal(event)
    step.take("plan.cancel_unfunded", event)
    step.require(deal.payee in step.seen.signers, "the payee cancels what is not funded", event)


@on("plan.cancelled")
def cancelled(step: Step, event: Row) -> None:
    deal = step.deal(event)
    step.take("plan.cancel", event)
    both = {deal.payer, deal.payee} <= set(step.seen.signers)
    step.require(both and deal.state == "active", "both sides cancel an active plan", event)
    leaving = sum(part.free + part.retained for part in deal.parts)
    retained = sum(part.retained for part in deal.parts)
    step.same(event, "what leaves a cancelled plan", units=leaving, to_payee=retained)
    deal.state, deal.amendment = "cancelled", None


@on("plan.completed", "plan.closed")
def plan_ended(step: Step, event: Row) -> None:
    deal = step.deal(event)
    done = deal.held == 0 and all(part.is_over for part in deal.parts)
    step.require(done, "a plan ends with nothing in escrow", (event, deal))
    step.require(
        deal.state == ("active" if event["kind"] == "plan.completed" else "cancelled"), "a plan ends once", event
    )
    step.same(event, "what became of the money", released=deal.released, refunded=deal.refunded, fees=deal.fees)
    deal.state = "completed" if deal.state == "active" else deal.state
    deal.ended, deal.amendment, deal.long_stop_at = True, None, None


@on("plan.long_stop")
def long_stop(step: Step, event: Row) -> None:
    deal = step.deal(event)
    late = deal.long_stop_at is not None and step.now > deal.long_stop_at
    step.require(step.is_due and late, "the long stop comes on its day", event)
    step.long_stop.add(deal.id)
    deal.long_stop_at = None


@on("plan.long_stop_waits")
def long_stop_waits(step: Step, event: Row) -> None:
    deal = step.deal(event)
    late = deal.long_stop_at is not None and step.now > deal.long_stop_at
    freezes = (step.before.get(f"balance/{deal.escrow}") or {}).get("freezes", ())
    step.require(step.is_due and late and bool(freezes), "a long stop waits only for frozen money", event)
    deal.long_stop_at = step.now + DAY_MS


@on("plan.parties_are_one")
def parties_are_one(step: Step, event: Row) -> None:
    deal = step.deal(event)
    step.require(deal.payer == deal.payee, "a plan whose sides are one ends", event)
    deal.long_stop_at = None
