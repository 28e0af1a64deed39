"""The condition of a tranche as a tree with a tick at what is met, by whom and when, as the kernel evaluates it."""

from typing import TYPE_CHECKING, Any, assert_never

from tallystick.cli.context import Desk
from tallystick.kernel.plans.conditions import (
    AllOf,
    AnyOf,
    AtLeast,
    Condition,
    DataStated,
    DocumentsIn,
    Known,
    OnDate,
    PayerAccepts,
    PlatformAccepts,
    VerifiersAccept,
    evaluate,
)
from tallystick.kernel.plans.records import Plan
from tallystick.kernel.plans.rounds import known_of
from tallystick.node.condition_text import condition_text
from tallystick.node.plan_life import PlanLife

if TYPE_CHECKING:
    from rich.console import RenderableType

MET, OPEN, REFUSED = "✔", "·", "✘"
STYLES = {MET: "green", OPEN: "dim", REFUSED: "red"}


def condition_tree(at: Desk, life: PlanLife, number: int) -> "RenderableType":
    """The tree of tranche `number`; before the plan is confirmed nothing can be met."""
    from rich.console import Group

    tree = _Tree(at, life.plan, _known(at, life, number), life.terms[number - 1].kinds)
    return Group(*(_drawn(line) for line in tree.lines(life.terms[number - 1].condition)))


def _drawn(line: "Line") -> "RenderableType":
    """One line, wrapped under its own words."""
    from rich.table import Table
    from rich.text import Text

    branch, sign, words, detail = line
    text = Text(words)
    if detail:
        text.append(f"  {detail}", style="dim")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(branch).append(sign, style=STYLES[sign]), text)
    return grid


def plain_tree(at: Desk, life: PlanLife, number: int) -> dict[str, Any]:
    """The condition for programs: its text, whether it holds, and the leaves that do."""
    from tallystick.kernel.core import codec

    condition, known = life.terms[number - 1].condition, _known(at, life, number)
    met = None if known is None else evaluate(condition, known)
    return {
        "text": condition_text(condition, at.name),
        "holds": met is not None,
        "leaves": [] if known is None else [codec.plain(one) for one in _leaves_met(condition, known)],
    }


def _leaves_met(condition: Condition, known: Known) -> "list[Any]":
    from tallystick.kernel.plans.conditions import leaves

    return [met for leaf in leaves(condition) for met in evaluate(leaf, known) or ()]


def _known(at: Desk, life: PlanLife, number: int) -> Known | None:
    if life.version is None:
        return None
    return known_of(at.session.reading_step(), life.plan, life.version, number, at.session.now())


Line = tuple[str, str, str, str]  # branches, sign, words, by whom and when


class _Tree:
    def __init__(self, at: Desk, plan: Plan, known: Known | None, materials: tuple[str, ...]) -> None:
        self._at = at
        self._plan = plan
        self._known = known
        self._materials = materials

    def lines(self, condition: Condition, before: str = "", own: str = "") -> list[Line]:
        """The condition and below it its parts. `before` is what stands left of the parts, `own` left of itself."""
        parts, details = self._parts(condition), self._details(condition)
        lines = [(own, self._sign(condition), *self._said(condition))]
        rest = len(parts) + len(details)
        for part in parts:
            rest -= 1
            corner, side = ("├─ ", "│  ") if rest else ("└─ ", "   ")
            lines += self.lines(part, before + side, before + corner)
        for sign, words, when in details:
            rest -= 1
            lines.append((before + ("├─ " if rest else "└─ "), sign, words, when))
        return lines

    def _parts(self, condition: Condition) -> tuple[Condition, ...]:
        return condition.of if isinstance(condition, AllOf | AnyOf | AtLeast) else ()

    def _sign(self, condition: Condition) -> str:
        return MET if self._known is not None and evaluate(condition, self._known) is not None else OPEN

    def _said(self, condition: Condition) -> tuple[str, str]:
        """What it asks, and who met it when where that takes one line."""
        match condition:
            case AllOf():
                return "all of these", ""
            case AnyOf():
                return "any of these", ""
            case AtLeast():
                return f"at least {condition.needed} of these", ""
            case OnDate():
                return f"date {condition.on}", ""
            case PayerAccepts():
                return f"payer {self._at.name(self._plan.payer)} accepts", self._answered(self._plan.payer)[1]
            case PlatformAccepts():
                return f"platform {self._at.name(self._plan.platform)} accepts", self._answered(self._plan.platform)[1]
            case VerifiersAccept():
                return f"{condition.needed} of these verifiers accept", ""
            case DocumentsIn():
                return "documents are in", ""
            case DataStated():
                known = self._known
                stated = None if known is None else known.stated.get((condition.source, condition.kind))
                when = "" if stated is None else self._at.time(stated)
                return f"{self._at.name(condition.source)} states {condition.kind}", when
            case _:
                assert_never(condition)

    def _details(self, condition: Condition) -> list[tuple[str, str, str]]:
        """Lines below a leaf that waits for several: each verifier, each kind of document."""
        if isinstance(condition, VerifiersAccept):
            return [
                (sign, self._at.name(one), when) for one in condition.verifiers for sign, when in [self._answered(one)]
            ]
        if not isinstance(condition, DocumentsIn):
            return []
        known = self._known
        found = []
        for kind in condition.kinds or self._materials:
            came = None if known is None else known.submitted.get(kind)
            when = "" if came is None else f"{self._at.name(came[1])}, {self._at.time(came[0])}"
            found.append((OPEN if came is None else MET, kind, when))
        return found

    def _answered(self, person: str) -> tuple[str, str]:
        known = self._known
        if known is None:
            return OPEN, ""
        if person in known.accepted:
            by_silence = ", by silence" if person in known.silent else ""
            return MET, f"{self._at.time(known.accepted[person])}{by_silence}"
        return (REFUSED, "sent it back") if person in known.sent_back else (OPEN, "")
