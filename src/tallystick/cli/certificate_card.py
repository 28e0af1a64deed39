"""`tally certificate show`: a release certificate for whoever books the payment, with every condition that was met."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tallystick.cli.cards import HASH_SHOWN
from tallystick.cli.context import NO_OPTIONS, Common, Desk, desk
from tallystick.cli.output import pairs
from tallystick.kernel.plans.cases import Certificate, Dispute, DisputeState, Evidence
from tallystick.kernel.plans.conditions import Met
from tallystick.kernel.plans.records import Plan, PlanVersion
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from rich.console import RenderableType

SUMS = ("recovered", "retained", "disputed", "fees", "released")
"""What is certified is the sum of these."""


def show(
    certificate: Annotated[str, Parameter(metavar="CERTIFICATE", help="The certificate's id, or its beginning.")],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> None:
    """Show a release certificate: what was released under which plan, on which conditions, met by whom and when."""
    from tallystick.kernel.core import codec

    with desk(common, reading=True) as at:
        record = at.session.lookup.record(certificate)
        if not isinstance(record, Certificate):
            raise DecodeError(f"this is a {record.table}, not a release certificate", certificate[:40])
        at.output.data(codec.plain(record))
        at.output.show(*certificate_card(at, record))


def certificate_card(at: Desk, one: Certificate) -> "Iterator[RenderableType]":
    """The certificate as a sheet to file: plan and parties, sums that add up, conditions, and where it stands."""
    from rich.table import Table
    from rich.text import Text

    plan = at.session.state.find(f"plan/{one.plan}")
    version = at.session.state.find(f"plan_version/{one.plan}/{one.version}")
    currency = plan.currency if isinstance(plan, Plan) else ""
    yield Text("RELEASE CERTIFICATE", style="bold")
    rows: list[tuple[str, RenderableType]] = [
        ("certificate", one.id),
        ("issued", f"{at.time_of(one.at)}, block {one.at.height}"),
        ("plan", f"{one.plan}, version {one.version}"),
        ("tranche", _tranche(one, version if isinstance(version, PlanVersion) else None)),
    ]
    if isinstance(plan, Plan):
        rows += [
            ("payer", at.name(plan.payer)),
            ("payee", at.name(plan.payee)),
            ("platform", at.name(plan.platform)),
            ("custodian", at.name(plan.custodian)),
            ("paid out of", plan.escrow),
        ]
    rows.append(("cause", one.cause.replace("_", " ")))
    by_itself = "the ledger by itself" if one.dispute is None else "the end of the dispute"
    rows.append(("triggered by", at.name(one.triggered_by) if one.triggered_by else by_itself))
    for name in ("evidence", "dispute"):
        if getattr(one, name) is not None:
            rows.append((name, str(getattr(one, name))))
    yield pairs(rows)
    yield Text(f"\nsums, {currency}", style="bold")
    sums = Table.grid(padding=(0, 2))
    sums.add_column(style="dim", no_wrap=True)
    sums.add_column(justify="right", no_wrap=True)
    sums.add_column(overflow="fold")
    sums.add_row("certified", at.amount(one.certified, currency), _by_whom(at, one, currency))
    for name in SUMS:
        sums.add_row(f"  {name}", at.amount(getattr(one, name), currency), _said(at, one, name))
    yield sums
    yield Text("\nconditions met", style="bold")
    yield pairs([("  ✔", Text(met_text(at, met))) for met in one.conditions] or [("  ", Text(_instead(at, one)))])


def _instead(at: Desk, one: Certificate) -> str:
    """What stands in the place of conditions where a dispute decided."""
    dispute = at.session.state.find(f"dispute/{one.dispute}")
    if not isinstance(dispute, Dispute):
        return "none were needed"
    match dispute.state:
        case DisputeState.RULED:
            paper = "" if dispute.ruling is None else f", ruling {dispute.ruling.hash[:HASH_SHOWN]}..."
            return f"none: {at.name(dispute.arbitrator)} ruled on {dispute.id}{paper}"
        case DisputeState.SETTLED:
            return f"none: payer and payee settled {dispute.id}"
        case _:
            return f"none: {dispute.id} was divided by default at the long stop"


def _by_whom(at: Desk, one: Certificate, currency: str) -> str:
    """What was claimed, and who certified how much of it; nothing where a dispute decided."""
    evidence = at.session.state.find(f"evidence/{one.evidence}") if one.dispute is None else None
    if not isinstance(evidence, Evidence):
        return ""
    amounts = [(answer.by, answer.certified) for answer in evidence.answers if answer.certified is not None]
    said = [f"{at.name(by)} {at.amount(units, currency)}" for by, units in amounts]
    lowest = "; the lowest counts" if len({units for _, units in amounts}) > 1 else ""
    claimed = "" if evidence.claimed is None else f"of {at.amount(evidence.claimed, currency)} claimed"
    return ": ".join(part for part in (claimed, ", ".join(said) + lowest) if part)


def _tranche(one: Certificate, version: PlanVersion | None) -> str:
    if version is None or one.tranche > len(version.tranches):
        return str(one.tranche)
    return f"{one.tranche}, {version.tranches[one.tranche - 1].title}"


def _said(at: Desk, one: Certificate, name: str) -> str:
    """What is to be said beside a sum."""
    match name:
        case "released" if one.redeemed and one.receivable is not None:
            plan = at.session.state.find(f"plan/{one.plan}")
            currency = plan.currency if isinstance(plan, Plan) else ""
            return f"of it {at.amount(one.redeemed, currency)} to the holders of {one.receivable}"
        case "released":
            return "to the payee"
        case "recovered":
            return "towards advances that the payee has had" if one.recovered else ""
        case "retained":
            return "kept back until its day" if one.retained else ""
        case "disputed":
            return "left out, as it is or was disputed" if one.disputed else ""
        case _:
            return "the platform's, borne by the payee" if one.fees else ""


def met_text(at: Desk, met: Met) -> str:
    """A condition that was met: how, by whom, when."""
    by = ", ".join(at.name(one) for one in met.by)
    kinds = f" {', '.join(met.kinds)}" if met.kinds else ""
    silent = ", by silence" if met.by_silence else ""
    whom = f" by {by}" if by else ""
    return f"{met.method.value.replace('_', ' ')}{kinds}{whom}, {at.time(met.at)}{silent}"
