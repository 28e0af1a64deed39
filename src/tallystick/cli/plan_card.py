"""`tally plan show`: a plan with its money, its timeline, and tranche by tranche what is met, by whom and when."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tallystick.cli.condition_tree import plain_tree
from tallystick.cli.context import NO_OPTIONS, Common, Desk, desk
from tallystick.cli.output import pairs, table
from tallystick.cli.plan_timeline import Part, Row, bar, timeline
from tallystick.cli.tranche_card import BAR_WIDTH, changes, field_text, parts_of, tranche_card, until
from tallystick.kernel.plans.escrow import missing_in
from tallystick.kernel.plans.lookup import standing
from tallystick.kernel.plans.records import Plan, PlanState
from tallystick.node.plan_life import Deadline, PlanLife, deadlines, failing_row, met_in, plan_life
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from rich.console import RenderableType

INSIDE = ("held", "released", "refunded", "fees", "reversed")
"""What the deposited money is, at every height: their sum is `deposited`."""
PARTS_LEGEND = "█ released  ▓ met  ▒ locked  = retained  × disputed  - back or reversed  · missing"


def show(
    plan: Annotated[str, Parameter(metavar="PLAN", help="The plan's id, or its beginning.")],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> None:
    """Show a plan along time: what is locked, met, released and disputed, and what is to come.

    Each condition with a tick where it is met, by whom and when; materials, rounds of evidence, certificates, disputes
    and refunds stand with their tranche. Times are the business zone's.
    """
    with desk(common, reading=True) as at:
        record = at.session.lookup.record(plan)
        if not isinstance(record, Plan):
            raise DecodeError(f"this is a {record.table}, not a plan", plan[:40])
        if common.json:
            at.output.data(plan_json(at, record))
        else:
            at.output.show(*plan_card(at, record))


def life_of(at: Desk, plan: Plan) -> PlanLife:
    """All that belongs to a plan."""
    return plan_life(at.session.engine, at.session.state, plan)


def plan_card(at: Desk, plan: Plan) -> "Iterator[RenderableType]":
    """What people see of a plan."""
    from rich.text import Text

    life = life_of(at, plan)
    ahead = deadlines(life)
    yield _header(at, life)
    yield from _money(at, life)
    yield Text("\ntimeline", style="bold")
    yield timeline(_rows(life), None if plan.ended else at.session.today(), at.output.console.width)
    for number in range(1, len(life.terms) + 1):
        yield from tranche_card(at, life, number, next((one for one in ahead if one.tranche == number), None))
    if plan.failing:
        rows = table("where", "field", "why", title="what fails against the product")
        for one in plan.failing:
            rows.add_row(*failing_row(one))
        yield rows
    if plan.amendment is not None:
        yield from _amendment(at, life)
    if ahead:
        yield _ahead(at, plan, ahead)


def _header(at: Desk, life: PlanLife) -> "RenderableType":
    plan, product = life.plan, life.product
    rows: list[tuple[str, RenderableType]] = [
        ("plan", f"[bold]{plan.id}[/]  {_state_of(at, plan)}"),
        ("product", plan.product if product is None else f"{product.title}  [dim]{plan.product}[/]"),
        ("payer", at.name(plan.payer)),
        ("payee", at.name(plan.payee)),
        ("platform", at.name(plan.platform)),
        ("custodian", at.name(plan.custodian)),
        ("arbitrator", at.name(plan.arbitrator)),
    ]
    if life.version is not None:
        rows.append(("version", _version_text(at, life)))
        terms = life.version.terms
        rows.append(("fee", _fee_text(at, life)))
        split = f"then {terms.default_split} % of what is disputed goes to the payee"
        rows.append(("long stop", f"{terms.long_stop_on}; {split}"))
    return pairs(rows)


def _state_of(at: Desk, plan: Plan) -> str:
    word = plan.state.value.replace("_", " ")
    if plan.ended is not None:
        return f"{word}, {at.time_of(plan.ended)}"
    waits = plan.state in (PlanState.PROPOSED, PlanState.SENT_BACK, PlanState.SENT)
    return f"{word}, proposal {plan.proposals}" if waits else word


def _version_text(at: Desk, life: PlanLife) -> str:
    newest = life.versions[-1]
    since = f"{newest.version}, confirmed {at.time_of(newest.confirmed)}"
    return since if len(life.versions) == 1 else f"{since}; first {at.time_of(life.versions[0].confirmed)}"


def _fee_text(at: Desk, life: PlanLife) -> str:
    if life.version is None:
        return "-"
    fee = life.version.terms.fee
    least = f", at least {at.amount(fee.minimum, life.plan.currency)}" if fee.minimum else ""
    return f"{fee.rate} %{least}, borne by the {fee.paid_by.value}"


def sums_of(at: Desk, life: PlanLife) -> dict[str, int]:
    """The plan's money in minor units: what came in is held or went out, and nothing else."""
    plan = life.plan
    return {
        "total": int(life.total),
        "deposited": int(plan.deposited),
        "held": int(plan.held),
        "released": int(plan.released),
        "refunded": int(plan.refunded),
        "fees": int(plan.fees),
        "reversed": int(plan.reversed),
        "fee_reserve": int(plan.fee_reserve),
        "met": sum(int(met_in(life, number, at.session.now())) for number in range(1, len(life.states) + 1)),
        "disputed": sum(int(one.disputed) for one in life.states),
        "retained": sum(int(one.retained) for one in life.states),
    }


def _money(at: Desk, life: PlanLife) -> "Iterator[RenderableType]":
    from rich.table import Table
    from rich.text import Text

    plan, sums = life.plan, sums_of(at, life)
    shown = {name: at.amount(units, plan.currency) for name, units in sums.items()}
    yield Text(f"\nmoney, {plan.currency}", style="bold")
    inside = {
        "locked": int(plan.held) - sums["met"] - sums["disputed"] - sums["retained"] - sums["fee_reserve"],
        "met": sums["met"],
        "disputed": sums["disputed"],
        "retained": sums["retained"],
        "set aside for the fee": sums["fee_reserve"],
    }
    words = {
        "total": "the most that the tranches release",
        "deposited": "which is",
        "held": ", ".join(f"{name} {at.amount(units, plan.currency)}" for name, units in inside.items() if units),
    }
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(justify="right", no_wrap=True)
    rows.add_column(overflow="fold")
    for name in ("total", "deposited", *INSIDE):
        rows.add_row(f"  {name}" if name in INSIDE else name, shown[name], Text(words.get(name, ""), style="dim"))
    yield rows
    yield Text(" ").append(bar(_all_parts(at, life), max(BAR_WIDTH, min(at.output.console.width - 4, 96))))
    yield Text(f" {PARTS_LEGEND}", style="dim")


def _all_parts(at: Desk, life: PlanLife) -> list[Part]:
    """The money of all tranches together, as the bar draws it."""
    whole: dict[str, Part] = {}
    for number in range(1, len(life.states) + 1):
        for part in parts_of(at, life, number):
            before = whole.get(part.name)
            whole[part.name] = part if before is None else replace(part, units=part.units + before.units)
    return list(whole.values())


def _rows(life: PlanLife) -> list[Row]:
    return [
        Row(
            f"{number} {terms.title}",
            terms.fund_by_on,
            terms.release_from_on,
            terms.release_until_on,
            None if terms.retention is None else terms.retention.until_on,
            tranche.is_over,
        )
        for number, (terms, tranche) in enumerate(zip(life.terms, life.states, strict=True), 1)
    ]


def _amendment(at: Desk, life: PlanLife) -> "Iterator[RenderableType]":
    """What a proposed version changes, tranche by tranche and field by field."""
    from rich.text import Text

    amendment, currency = life.plan.amendment, life.plan.currency
    if amendment is None:
        return
    waits = f"waits for the payee until {at.time(amendment.deadline)}"
    yield Text(f"\namendment, proposed {at.time_of(amendment.proposed)}, {waits}", style="bold")
    rows = table("tranche", "field", "in force", "proposed", right=("tranche",), keep=("tranche", "field"))
    for number, field, before, after in changes(life.terms, amendment.tranches):
        rows.add_row(str(number), field, *(field_text(at, value, currency) for value in (before, after)))
    yield rows


def _ahead(at: Desk, plan: Plan, ahead: tuple[Deadline, ...]) -> "RenderableType":
    from rich.text import Text

    rows = table("when", "", "tranche", "what", "who", title="ahead", right=("tranche",), keep=("when", ""))
    for one in ahead:
        who = ", ".join(name for name in ("payer", "payee", "platform") if getattr(plan, name) in one.who)
        tranche = str(one.tranche) if one.tranche else "all"
        rows.add_row(at.time(one.at), until(at, one.at), tranche, Text(one.what), Text(who or "-"))
    return rows


def plan_json(at: Desk, plan: Plan) -> dict[str, Any]:
    """A plan for programs: its records, and what the timeline draws from them."""
    from tallystick.kernel.core import codec

    life = life_of(at, plan)
    tranches = []
    for number, (terms, tranche) in enumerate(zip(life.terms, life.states, strict=True), 1):
        tranches.append(
            {
                "number": number,
                "title": terms.title,
                "standing": standing(tranche, terms) if life.version is not None else plan.state.value,
                "missing": str(missing_in(tranche, terms)),
                "met": str(met_in(life, number, at.session.now())),
                "condition": plain_tree(at, life, number),
                "terms": codec.plain(terms),
                "state": codec.plain(tranche),
            }
        )
    return {
        "plan": codec.plain(plan),
        "version": None if life.version is None else codec.plain(life.version),
        "money": {name: str(units) for name, units in sums_of(at, life).items()},
        "tranches": tranches,
        "evidence": [codec.plain(one) for one in life.evidence],
        "certificates": [codec.plain(one) for one in life.certificates],
        "disputes": [codec.plain(one) for one in life.disputes],
        "refunds": [codec.plain(one) for one in life.refunds],
        "deadlines": [
            {"at": str(one.at), "tranche": one.tranche, "what": one.what, "who": list(one.who)}
            for one in deadlines(life)
        ],
    }
