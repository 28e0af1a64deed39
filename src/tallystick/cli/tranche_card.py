"""A tranche of a plan as people see it: money, days, condition, rounds of evidence, and what was caused under it."""

import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tallystick.cli.condition_tree import condition_tree
from tallystick.cli.context import Desk
from tallystick.cli.output import pairs
from tallystick.cli.plan_timeline import Part, bar
from tallystick.kernel.plans.cases import Answer, Certificate, Dispute, DisputeState, Evidence, EvidenceState, Refund
from tallystick.kernel.plans.escrow import missing_in
from tallystick.kernel.plans.lookup import standing
from tallystick.kernel.plans.records import TrancheTerms, Unmet, Unused
from tallystick.kernel.wages.records import WageSheet, sheet_id
from tallystick.node.plan_life import Deadline, PlanLife, met_in

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tallystick.wire.instants import Instant

BAR_WIDTH = 24
DISPUTES = {
    DisputeState.OPEN: "to be settled",
    DisputeState.ARBITRATION: "in arbitration",
    DisputeState.SETTLED: "settled",
    DisputeState.RULED: "ruled",
    DisputeState.BY_DEFAULT: "divided by default",
    DisputeState.CLOSED: "closed",
}
SIGNS = {
    "awaiting_funds": "○", "overdue_funding": "○", "funded": "◔", "sent_back": "◔", "evidence_in": "◑",
    "verified": "◕", "released": "●", "ended": "⊗",
}  # fmt: skip


def parts_of(at: Desk, life: PlanLife, number: int) -> list[Part]:
    """A tranche's money as the bar draws it."""
    tranche, terms = life.states[number - 1], life.terms[number - 1]
    met = int(met_in(life, number, at.session.now()))
    return [
        Part("released", int(tranche.released) + int(tranche.fees), "█", "green"),
        Part("met", met, "▓", "cyan"),
        Part("locked", int(tranche.free) - met, "▒", "blue"),
        Part("retained", int(tranche.retained), "=", "magenta"),
        Part("disputed", int(tranche.disputed), "×", "red"),
        Part("given back", int(tranche.refunded), "-", "dim"),
        Part("reversed by the bank", int(tranche.reversed), "-", "dim"),
        Part("missing", int(missing_in(tranche, terms)), "·", "dim"),
    ]


def tranche_card(at: Desk, life: PlanLife, number: int, ahead: Deadline | None) -> "Iterator[RenderableType]":
    from rich.table import Table
    from rich.text import Text

    plan, terms, tranche = life.plan, life.terms[number - 1], life.states[number - 1]
    stands = standing(tranche, terms) if life.version is not None else plan.state.value
    head = Table.grid(expand=True, padding=(0, 1))
    head.add_column(overflow="fold")
    head.add_column(justify="right", no_wrap=True)
    most = "up to " if terms.up_to else ""
    head.add_row(
        Text(f"\n{SIGNS.get(stands, '○') if life.version is not None else '○'} {number}  {terms.title}", style="bold"),
        Text(f"\n{most}{at.money(terms.units, plan.currency)}  {stands.replace('_', ' ').upper()}", style="bold"),
    )
    yield head
    rows: list[tuple[str, RenderableType]] = [
        ("  deposit", _deposit(at, life, number)),
        ("  release", _release(terms)),
    ]
    if any((tranche.deposited, tranche.rolled)):
        rows.append(("  money", _split(at, life, number)))
    rows.extend(("  terms", text) for text in optional_terms(terms))
    rows.append(("  when", condition_tree(at, life, number)))
    rows.extend((f"  round {one.round}", _round(at, life, one)) for one in life.rounds(number))
    if tranche.object_until is not None:
        rows.append(("  objections", f"until {at.time(tranche.object_until)}"))
    sheet = at.session.state.find(f"wage_sheet/{sheet_id(plan.id, number)}")
    if isinstance(sheet, WageSheet):
        rows.append(("  lines", _sheet_line(at, sheet)))
    released = [one for one in life.certificates if one.tranche == number]
    rows.extend(("  certificate", certificate_line(at, life, one)) for one in released)
    rows.extend(("  dispute", dispute_line(at, one)) for one in life.disputes if one.tranche == number)
    rows.extend(("  refund", refund_line(at, one)) for one in life.refunds if one.tranche == number)
    if ahead is not None:
        rows.append(("  next", f"{at.time(ahead.at)}, {until(at, ahead.at)}: {ahead.what}"))
    yield pairs(rows)


def _deposit(at: Desk, life: PlanLife, number: int) -> "RenderableType":

    terms, tranche, currency = life.terms[number - 1], life.states[number - 1], life.plan.currency
    missing = missing_in(tranche, terms)
    text = bar(parts_of(at, life, number), BAR_WIDTH)
    text.append(f"  {at.amount(terms.fund_units, currency)} by {terms.fund_by_on}")
    if life.version is None:
        return text
    if not missing:
        return text.append(", over" if tranche.is_over and not tranche.deposited else ", in full")
    text.append(f", {at.amount(missing, currency)} missing")
    return text.append(", OVERDUE", style="red") if tranche.overdue else text


def _release(terms: TrancheTerms) -> str:
    until = "" if terms.release_from_on == terms.release_until_on else f" to {terms.release_until_on}"
    return f"from {terms.release_from_on}{until}; {silence_and_unmet(terms)}"


def silence_and_unmet(terms: TrancheTerms) -> str:
    """What follows where nobody answers, and where the condition is not met in its window."""
    unmet = f"extend by {terms.extend_days} days" if terms.if_unmet is Unmet.EXTEND else terms.if_unmet.value
    return f"silence means {terms.on_silence.value}, unmet means {unmet}"


def _split(at: Desk, life: PlanLife, number: int) -> "RenderableType":
    from rich.text import Text

    tranche, currency = life.states[number - 1], life.plan.currency
    drawn = [part for part in parts_of(at, life, number) if part.name not in ("missing", "released")]
    inside = [(part.name, part.units) for part in drawn]
    went = [("released", int(tranche.released)), ("fees", int(tranche.fees)), ("rolled on", int(tranche.rolled))]
    parts = [f"{name} {at.amount(units, currency)}" for name, units in (*went, *inside) if units]
    return Text(f"{at.amount(tranche.deposited, currency)} came: {', '.join(parts) or 'nothing of it is left'}")


def optional_terms(terms: TrancheTerms) -> Iterator[str]:
    """The optional terms, a sentence each."""
    if terms.up_to:
        goes = "goes back" if terms.unused is Unused.REFUND else "rolls on to the next tranche"
        yield f"the verifiers certify the amount; what is not used {goes}"
    if terms.retention is not None:
        yield f"{terms.retention.rate} % of what is certified is retained until {terms.retention.until_on}"
    if terms.recovery is not None:
        yield f"{terms.recovery} % of what is certified goes towards the advances"
    if terms.advance:
        yield "an advance, recovered from later tranches"
    if terms.redeems is not None:
        yield f"pays the holders of {terms.redeems} first"
    if terms.wages:
        yield "wages, paid line by line to the workers' own accounts"


def _sheet_line(at: Desk, sheet: WageSheet) -> "RenderableType":
    """A wage sheet in one line; `tally wage show` has all of it."""
    from rich.text import Text

    parts = [f"{one.lines:,} {one.state.value.replace('_', ' ')}" for one in sheet.standing if one.lines]
    whole = f"{sheet.lines:,} lines, {at.amount(sheet.units, sheet.currency)}, {sheet.state.value}"
    return Text(f"{whole}: {', '.join(parts)}" if parts else whole)


def _round(at: Desk, life: PlanLife, one: Evidence) -> "RenderableType":
    """A round of evidence: its claim, what came, and every answer."""
    from rich.text import Text

    currency = life.plan.currency
    claim = "" if one.claimed is None else f", {at.amount(one.claimed, currency)} claimed"
    lines = [f"{one.state.value.replace('_', ' ')}, opened {at.time_of(one.opened)}{claim}  {one.id}"]
    came = (*one.materials, *one.statements)
    lines += [f"{each.anchor.kind} from {at.name(each.by)}, {at.time(each.at)}" for each in came]
    for answer in one.answers:
        said = "accepts" if answer.answer is Answer.ACCEPT else f"sends back ({answer.reason or 'no reason'})"
        certified = "" if answer.certified is None else f" {at.amount(answer.certified, currency)}"
        lines.append(f"{at.name(answer.by)} {said}{certified}, {at.time(answer.at)}")
    if one.state is EvidenceState.OPEN and not one.answers and not one.materials:
        lines.append("nothing came yet")
    return Text("\n".join(lines))


def certificate_line(at: Desk, life: PlanLife, one: Certificate) -> "RenderableType":
    """A certificate in one line: certified = recovered + retained + disputed + released + fees borne by the payee."""
    from rich.text import Text

    parts = [
        f"{name} {at.amount(getattr(one, name), life.plan.currency)}"
        for name in ("released", "fees", "recovered", "retained", "disputed")
        if getattr(one, name)
    ]
    certified = at.amount(one.certified, life.plan.currency)
    return Text(f"{one.id}  {one.cause}, {at.time_of(one.at)}\n{certified} certified: {', '.join(parts)}")


def dispute_line(at: Desk, one: Dispute) -> "RenderableType":
    """A dispute in one or two lines."""
    from rich.text import Text

    by = "" if one.opened_by is None else f" by {at.name(one.opened_by)}"
    why = f" ({one.reason})" if one.reason else ""
    text = f"{one.id}  {at.money(one.units, one.currency)} {DISPUTES[one.state]}; {one.cause}{by}{why}"
    if one.offer is not None and one.to_payee is None:
        text += f"\n{at.name(one.offer.by)} offers {at.amount(one.offer.to_payee, one.currency)} to the payee"
    if one.to_payee is not None:
        back = one.units - one.to_payee
        text += f"\n{at.amount(one.to_payee, one.currency)} to the payee, {at.amount(back, one.currency)} back"
    return Text(text)


def refund_line(at: Desk, one: Refund) -> "RenderableType":
    """A refund in one line."""
    from rich.text import Text

    why = f" ({one.reason})" if one.reason else ""
    return Text(f"{one.id}  {at.money(one.units, one.currency)} {one.state.value}{why}, {at.time_of(one.requested)}")


def changes(before: tuple[TrancheTerms, ...], after: tuple[TrancheTerms, ...]) -> Iterator[tuple[int, str, Any, Any]]:
    """The fields in which two versions differ; a tranche that only one has differs in all it states."""
    from tallystick.cli.vocabulary import shown_name

    for number in range(1, max(len(before), len(after)) + 1):
        old = before[number - 1] if number <= len(before) else None
        new = after[number - 1] if number <= len(after) else None
        for field in TrancheTerms.__struct_fields__:
            was, comes = getattr(old, field, None), getattr(new, field, None)
            if was != comes:
                yield number, shown_name(field).replace("_", " "), was, comes


def field_text(at: Desk, value: Any, currency: str) -> "RenderableType":
    """A field of a tranche's terms as people read it."""
    from typing import get_args

    from rich.text import Text

    from tallystick.cli.cards import text_of
    from tallystick.kernel.plans.conditions import Condition
    from tallystick.node.condition_text import condition_text

    if isinstance(value, get_args(Condition)):
        return Text(condition_text(value, at.name))
    return Text(text_of(at, value, currency))


def until(at: Desk, instant: "Instant") -> str:
    """How far off an instant is in days of the business zone: `today`, `in 3 days`."""
    if instant < at.session.now():
        return "passed"
    days = (datetime.date.fromisoformat(at.time(instant)[:10]) - at.session.today()).days
    return "today" if days <= 0 else "in 1 day" if days == 1 else f"in {days} days"
