"""The second business reckoned up: every plan's sums, and every statement against its balance, to the cent."""

from collections import Counter
from dataclasses import dataclass

from rich.console import RenderableType

from tallystick.cli.output import table
from tallystick.kernel.accounts.book import POSTED
from tallystick.kernel.accounts.records import Account, Balance
from tallystick.kernel.plans.cases import Certificate, Dispute, Evidence, Refund
from tallystick.kernel.plans.records import Plan
from tools.demo.stage import Stage, StoryFault

PARTS = ("held", "released", "refunded", "fees", "reversed")
"""What the deposited money of a plan is, at every height."""


@dataclass(frozen=True, slots=True)
class Plans:
    """The story's plans."""

    hospital: str
    recurring: str
    building: str
    wages: str

    @property
    def all(self) -> tuple[str, ...]:
        """In the order of the story."""
        return tuple(plan for _, plan in self.named)

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """With what each is about."""
        return (
            ("hospital", self.hospital),
            ("recurring", self.recurring),
            ("warehouse", self.building),
            ("wages", self.wages),
        )


def close(stage: Stage, told: Plans) -> None:
    """Where the plans' money went, and that the statements say the same."""
    stage.telling.chapter("Where the plans' money went")
    stage.telling.show(_plans(stage, told))
    _reconcile(stage, told)


def _plans(stage: Stage, told: Plans) -> RenderableType:
    plans = [stage.get(Plan, plan) for plan in told.all]
    names = tuple(what for what, _ in told.named)
    rows = table("", *names, right=names, keep=("",))
    rows.add_row("", *(plan.currency for plan in plans))
    for part in ("deposited", *PARTS):
        units = [int(getattr(plan, part)) for plan in plans]
        if any(units):
            shown = (stage.amount(one, plan.currency) if one else "-" for one, plan in zip(units, plans, strict=True))
            rows.add_row(part, *shown)
    rows.add_row("plan", *(plan.state.value for plan in plans))
    return rows


def _reconcile(stage: Stage, told: Plans) -> None:
    """Add up all postings of the accounts and escrows that have a statement, and hold them to the balances."""
    with stage.telling.step("Statements") as step:
        moved = _moved(stage)
        standing = {row.id: int(row.units) for row in stage.rows(Balance)}
        plans = [stage.get(Plan, one) for one in told.all]
        kept = [row.ledger_account for row in stage.rows(Account)] + [plan.escrow for plan in plans]
        for name in kept:
            if moved[name] != standing.get(name, 0):
                raise StoryFault(f"the statement of {name} comes to {moved[name]}, {standing.get(name, 0)} stand there")
        for plan in plans:
            parts = sum(int(getattr(plan, part)) for part in PARTS)
            if plan.deposited != parts or moved[plan.escrow] != plan.held:
                raise StoryFault(f"the sums of {plan.id} are not those of its escrow")
        step.say(
            f"{len(kept)} statements reconcile to the cent with the balances; in every plan, deposited = held + "
            "released + refunded + fees + reversed"
        )
        counts = (
            (Certificate, "release certificates"),
            (Evidence, "rounds of evidence"),
            (Dispute, "dispute"),
            (Refund, "refund"),
        )
        step.say(", ".join(f"{sum(1 for _ in stage.rows(kind))} {what}" for kind, what in counts))


def _moved(stage: Stage) -> Counter[str]:
    """What all postings come to, by ledger account."""
    moved: Counter[str] = Counter()
    for placed in stage.events():
        if placed.event.kind == POSTED.name:
            facts = placed.event.facts
            moved[str(facts["target"])] += int(facts["units"])
            moved[str(facts["source"])] -= int(facts["units"])
    return moved
