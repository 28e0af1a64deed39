"""Money into escrow and out of it: every unit that leaves is explained by a release, a refund, or a taking back."""

import datetime

from tests.support.audit.plans.book import Step, on
from tests.support.audit.plans.days import end_of
from tests.support.audit.plans.model import Deal, Part
from tests.support.audit.seen import Row, facts

BY_DISPUTE = ("settlement", "ruling", "default_split", "parties_are_one")


@on("account.posted")
def posted(step: Step, event: Row) -> None:
    fact = facts(event)
    source, target, units = fact["source"], fact["target"], int(fact["units"])
    if target.startswith("escrow/"):
        deal = step.deal(event, target.split("/")[3])
        bound = deal.state == "active" and deal.version > 0 and not deal.ended
        step.require(bound, "9.1 no money moves for a plan not confirmed and anchored", event)
        step.require(target == deal.escrow, "9.1 a plan's escrow is with its custodian", event)
        left = deal.fill(units)
        step.require(left == 0, "escrow takes no more than the plan asks for", (event, left))
        step.came[deal.id] += units
    if source.startswith("escrow/"):
        deal = step.deal(event, source.split("/")[3])
        step.require(deal.is_live, "9.1 no money moves for a plan not confirmed and anchored", event)
        step.went[deal.id].append((target, units, event["record"]))


@on("plan.funded")
def funded(step: Step, event: Row) -> None:
    deal = step.deal(event)
    came = step.came.pop(deal.id, 0)
    step.same(event, "payer and payee are told what came", units=came, missing=deal.missing, held=deal.held)
    payers = ("plan.fund", "deposit.book", "deposit.assign")
    step.require(bool(step.asks(*payers)), "money comes in by the payer's or its bank's step", event)


@on("plan.unfunded")
def unfunded(step: Step, event: Row) -> None:
    """A reversed booking or an authority's order took money back."""
    deal = step.deal(event)
    [(target, units, _)] = _gone(step, deal, event, 1)
    step.require(target.startswith("bank/"), "what is taken back leaves the chain", event)
    named = step.asks("account.deduct_by_order", plan=deal.id) or step.asks("deposit.reverse")
    step.require(bool(named), "only a reversal or an order that names the plan takes money back", event)
    for operation in step.asks("deposit.reverse"):
        brought = int((step.before.get(f"deposit/{operation['deposit']}") or {}).get("escrowed", "0"))
        step.require(units <= brought, "a reversal takes what its deposit brought", (event, brought))
    left = deal.drain(units)
    step.require(left == 0, "only free money is taken back", (event, left))
    grace = datetime.timedelta(days=deal.rules["funding_grace_days"])
    today = datetime.date.fromisoformat(step.seen.today)
    for part in deal.parts:
        if part.fund_until is None and part.missing:
            day = max(datetime.date.fromisoformat(part.terms["fund_by_on"]), today)
            part.fund_until = end_of(step.before, day + grace)
    step.same(event, "the parties are told what is missing", units=units, missing=deal.missing, held=deal.held)


def _gone(step: Step, deal: Deal, event: Row, count: int) -> list[tuple[str, int, str]]:
    """The postings out of escrow that this event explains."""
    found, step.went[deal.id] = step.went[deal.id][:count], step.went[deal.id][count:]
    step.require(len(found) == count, "what is told of was posted", (event, found))
    return found


@on("tranche.overdue")
def overdue(step: Step, event: Row) -> None:
    deal = step.deal(event)
    _, part = step.part(event, deal)
    late = part.fund_until is not None and step.now > part.fund_until
    step.require(step.is_due and late and part.missing > 0, "overdue after the grace, and only then", event)
    step.same(event, "what is overdue", missing=part.missing)
    part.overdue = True


@on("tranche.refunded")
def refunded(step: Step, event: Row) -> None:
    deal = step.deal(event)
    fact = facts(event)
    number, units, reason = int(fact["tranche"]), int(fact["units"]), fact["reason"]
    [(target, gone, subject)] = _gone(step, deal, event, 1)
    step.require(gone == units and subject == deal.id, "what goes back is what is told", event)
    step.require(_is_place_of(step, deal, deal.payer, target), "what goes back reaches the payer", (event, target))
    deal.refunded += units
    if number == 0:
        step.require(reason == "fee_reserve" and units == deal.reserve, "the rest of the reserve", event)
        done = all(part.is_over and not part.held for part in deal.parts)
        step.require(done, "the reserve goes back at the end", event)
        deal.reserve = 0
        return
    part = deal.parts[number - 1]
    if deal.id in step.back and reason in BY_DISPUTE and step.back[deal.id] == (number, units, reason):
        del step.back[deal.id]
    else:
        if reason == "parties_are_one" and part.is_over:
            part.retained -= min(units, part.retained)
        step.require(units <= part.free, "9.4 only free money goes back", (event, part.free))
        _may_go_back(step, event, deal, number, units, reason)
    part.held -= units
    part.refunded += units


def _is_place_of(step: Step, deal: Deal, member: str, target: str) -> bool:
    """Whether a ledger account is the member's with the plan's custodian: its account, or a hold until it has one."""
    kind, _, rest = target.partition("/")
    if kind == "available":
        account = step.rows[f"account/{rest}"]
        return account["owner"] in (member, step.book.now_is(member)) and account["custodian"] == deal.custodian
    hold = f"hold/{deal.custodian}/{deal.currency}/{deal.id}/"
    return target in (hold + member, hold + step.book.now_is(member))


def _may_go_back(step: Step, event: Row, deal: Deal, number: int, units: int, reason: str) -> None:
    """Why free money of a tranche goes back to the payer."""
    part, rule = deal.parts[number - 1], "9.4 money goes back as the plan says"
    allowed = False
    match reason:
        case "released":
            lacking = [later for later in deal.parts[number:] if later.missing]
            rolls = part.terms.get("unused", "refund") == "roll_on" and bool(lacking)
            allowed = part.phase == "released" and units == part.free and not rolls
        case "unmet":
            late = part.unmet_at is not None and step.now > part.unmet_at
            allowed = step.is_due and late and part.phase in ("waiting", "evidence_in")
        case "silence":
            late = part.answer_by is not None and step.now > part.answer_by
            allowed = step.is_due and late and part.terms.get("on_silence", "dispute") == "dispute"
        case "unfunded":
            lacks = part.missing > 0 and bool(step.asks("plan.cancel_unfunded", plan=deal.id))
            allowed = lacks and any(each.overdue and each.missing for each in deal.parts[:number])
        case "cancelled":
            allowed = bool(step.asks("plan.cancel", plan=deal.id)) and {deal.payer, deal.payee} <= set(
                step.seen.signers
            )
        case "amended":
            surplus = part.deposited - part.reversed - part.given_back - part.wanted
            allowed = bool(step.asks("plan.confirm_amendment", plan=deal.id))
            allowed = allowed and units == (part.free if part.is_dropped else surplus)
            part.given_back += 0 if part.is_dropped else units
        case "consent":
            asks = [step.book.asks.get(one["refund"]) for one in step.asks("refund.consent")]
            allowed = any(ask and (ask.deal, ask.number, ask.units) == (deal, number, units) for ask in asks)
            allowed = allowed and part.phase == "waiting" and deal.payee in step.seen.signers
            part.consented += units
        case "refunded":
            allowed = bool(step.asks("refund.consent")) and part.amount == 0
        case "settled":
            allowed = part.phase == "verified" and part.contested >= (part.certified or 0) and not part.disputed
        case "long_stop":
            allowed = deal.id in step.long_stop
        case "parties_are_one":
            allowed = deal.payer == deal.payee
        case _:
            pass
    step.require(allowed, rule, (event, part))


@on("tranche.rolled_on")
def rolled_on(step: Step, event: Row) -> None:
    deal = step.deal(event)
    number, part = step.part(event, deal)
    agreed = part.phase == "released" and part.terms.get("unused", "refund") == "roll_on"
    step.require(agreed, "unused money rolls on after a release, as agreed", event)
    step.same(event, "what rolls on is what later tranches lack", units=deal.roll_on(number))


@on("tranche.released")
def released(step: Step, event: Row) -> None:
    deal = step.deal(event)
    number, part = step.part(event, deal)
    fact = facts(event)
    net, fee = int(fact["released"]), int(fact["fees"])
    borne = 0 if deal.payer_bears else fee
    gross = net + borne
    step.require(fee == deal.fee_for(gross), "9.4 the fee is the formula's", (event, deal.fee_for(gross)))
    sums = _entitled(step, event, deal, number, gross)
    step.require(gross == sums["paid"], "9.4 what is paid is what was certified or decided", (event, sums))
    step.require(gross <= part.free, "9.4 only a tranche's own free money is released", (event, part))
    redeemed = int(fact["redeemed"])
    _explain(step, event, deal, part, net, fee, redeemed)
    _certificate(step, event, deal, number, sums, borne)
    part.held -= gross
    part.released += net
    part.fees += borne
    deal.released += net
    deal.fees += fee
    deal.reserve -= fee - borne
    step.paid.add(deal.id)


def _entitled(step: Step, event: Row, deal: Deal, number: int, gross: int) -> dict[str, int]:
    """Why money may reach the payee now (DESIGN 9.4), and how much: never against an unmet rule."""
    part, cause = deal.parts[number - 1], facts(event)["cause"]
    rule = "9.4 a release only after its condition, its windows and its day"
    plain = {"certified": gross, "contested": 0, "recovered": 0, "retained": 0, "paid": gross}
    match cause:
        case "release":
            # After the long stop nobody may object any more.
            over = part.object_until is None or step.now > part.object_until or deal.id in step.long_stop
            begun = part.release_at is not None and step.now >= part.release_at
            step.require(part.phase == "verified" and over and begun, rule, (event, part))
            sums = deal.sums(number, step.now)
            step.require(sums["contested"] < sums["certified"], rule, (event, sums))
            step.require(part.free >= sums["paid"] + sums["retained"], rule, (event, sums, part))
            part.recovered, part.retained, part.phase = sums["recovered"], sums["retained"], "released"
            part.close_windows()
            return sums
        case "retention":
            come = part.retained_until is not None and step.now >= part.retained_until
            come = come or deal.id in step.long_stop or bool(step.asks("plan.cancel", plan=deal.id))
            waited = part.retained_until is None
            step.require(part.is_over and (come or waited), "9.4 what is retained is paid on its day", (event, part))
            plain["certified"] = plain["paid"] = part.retained
            part.retained = 0
            return plain
        case "long_stop":
            step.require(deal.id in step.long_stop and part.phase == "verified", rule, (event, part))
            due = min(deal.sums(number, step.now)["paid"], part.free)
            return {**plain, "certified": due, "paid": due}
        case _:
            award = step.award.pop(deal.id, None)
            step.require(award is not None and award[0] == number and award[2] == cause, rule, (event, award))
            due = 0 if award is None else award[1]
            return {**plain, "certified": due, "paid": due}


def _explain(step: Step, event: Row, deal: Deal, part: Part, net: int, fee: int, redeemed: int) -> None:
    """Where the money went: the platform its fee, holders of the receivable first, workers, or the payee."""
    found, step.went[deal.id] = step.went[deal.id], []
    by_kind = {"fees": 0, "holders": 0, "payee": 0, "transit": 0}
    for target, units, subject in found:
        if target.startswith("fees/"):
            platforms = target.endswith((f"/{deal.platform}", f"/{step.book.now_is(deal.platform)}"))
            step.require(platforms, "9.4 the fee is the platform's", (event, target))
            by_kind["fees"] += units
        elif subject != deal.id:
            step.require(
                subject == part.terms.get("redeems"), "9.4 the receivable that the tranche names", (event, subject)
            )
            by_kind["holders"] += units
        elif target.startswith("transit/"):
            by_kind["transit"] += units
        else:
            step.require(
                _is_place_of(step, deal, deal.payee, target), "9.4 a release reaches the payee", (event, target)
            )
            by_kind["payee"] += units
    step.require(by_kind["fees"] == fee, "9.4 the fee that was counted is paid", (event, found))
    wages = bool(part.terms.get("wages"))
    expected = {"transit": net if wages else 0, "payee": 0 if wages else net - redeemed}
    step.require({name: by_kind[name] for name in expected} == expected, "9.4 what is released arrives", (event, found))
    to_debtor = step.rows.get(f"receivable/{part.terms.get('redeems')}") or {}
    own = redeemed - by_kind["holders"]
    step.require(own == 0 or (own > 0 and bool(to_debtor)), "9.4 holders get what is redeemed", (event, found))


def _certificate(step: Step, event: Row, deal: Deal, number: int, sums: dict[str, int], borne: int) -> None:
    """The release certificate says what the auditor has found."""
    row = step.rows.get(f"certificate/{facts(event)['certificate']}")
    if row is None:
        step.broken("9.4 every release leaves a certificate", event)
    rule = "9.4 a certificate says what was done"
    found = {name: int(row.get(name, "0")) for name in ("certified", "recovered", "retained", "disputed", "fees")}
    expected = {
        "certified": sums["certified"],
        "recovered": sums["recovered"],
        "retained": sums["retained"],
        "disputed": sums["contested"],
        "fees": borne,
    }
    step.require(found == expected, rule, (event, found, expected))
    step.require((row["plan"], row["tranche"], row["version"]) == (deal.id, number, deal.version), rule, (event, row))
    step.require(int(row["released"]) == sums["paid"] - borne, rule, (event, row))
