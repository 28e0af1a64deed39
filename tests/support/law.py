"""Scenes under the law: a world with the seed packs, calendars and rates, and a step in which to judge."""

import datetime
from typing import Any

from tallystick import seeds
from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Block, Step
from tallystick.kernel.law.records import Judgement, Outcome
from tallystick.kernel.membership.records import Licence
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.world import World

PAPER = Anchor(hash="c1" * 32, kind="notice")


def under(world: World, *jurisdictions: str, calendar: str = "cn", zone: str = "Asia/Shanghai") -> World:
    """The world with the seed packs of `jurisdictions` (and `all`), a calendar, its zone and the reference rates."""
    world.put(*seeds.law(*jurisdictions), *seeds.calendar(calendar), seeds.zone(zone))
    world.put(*(seeds.reference_rate(name) for name in seeds.REFERENCE_RATES))
    return world


def day(text: str) -> datetime.date:
    """A date from YYYY-MM-DD."""
    return datetime.date.fromisoformat(text)


def noon(text: str) -> Instant:
    """Noon UTC of a day."""
    return Instant.parse(f"{text}T12:00:00.000Z")


def step_on(world: World, on: str) -> Step:
    """A step of nobody in particular in a block of that day, to ask the law in."""
    block = Block(world.height, noon(on), day(on), b"\0" * 32)
    step = Step(world.chain, block, Overlay(world.state), 0, ("block", "t"), ())
    step.begin(0)
    return step


def licence(kind: str, until: str | None = None) -> Licence:
    """A licence of a kind, with its paper."""
    return Licence(kind=kind, anchor=PAPER, until_on=day(until) if until else None)


def found(judged: Judgement | Refusal) -> dict[str, Outcome]:
    """The rules that a judgement found something about."""
    assert isinstance(judged, Judgement), judged
    return {finding.rule: finding.outcome for finding in judged.findings}


def refused(judged: object, status: Status, **facts: Any) -> None:
    """The judgement refuses with this status, and its facts hold these."""
    assert isinstance(judged, Refusal), judged
    assert judged.status is status, judged
    assert {name: judged.facts.get(name) for name in facts} == facts
    assert judged.facts.get("clause"), "a refusal by law names its clause"
