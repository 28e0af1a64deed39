"""Events: what an accepted operation or a piece of due work tells the world.

Notices, views, webhooks and reports are made from events alone. A kind is declared once, beside the operation that
emits it, with the sentence that a notice reads; docs/reference/events.md is generated from the declarations.
"""

from typing import cast

import msgspec

from tallystick.kernel.core.fields import Struct
from tallystick.kernel.core.refusal import Fact, fact
from tallystick.wire.errors import InvariantViolation

KINDS: dict[str, "EventKind"] = {}


class Event(Struct):
    """One thing that happened: its kind, the record it is about, who is to be told, and the facts.

    The audience are organisations and, as `role/auditor`, all who hold a role when they read it.
    """

    kind: str
    record: str
    audience: tuple[str, ...] = ()
    facts: dict[str, Fact] = msgspec.field(default_factory=dict)


class EventKind:
    """A declared kind of event. Calling it makes the event.

    `sentence` is what a notice reads, with {record} and the facts' names in braces.
    """

    def __init__(self, name: str, sentence: str) -> None:
        if name in KINDS:
            raise InvariantViolation(f"two event kinds are named {name}")
        self.name = name
        self.sentence = sentence
        KINDS[name] = self

    def __call__(self, record: str, audience: tuple[str, ...], **facts: object) -> Event:
        """An event about `record` for `audience` (each organisation once, in the order given)."""
        for name, value in facts.items():
            if type(value) is not str:
                facts[name] = fact(value)
        told = tuple(dict.fromkeys(audience))
        return Event(kind=self.name, record=record, audience=told, facts=cast("dict[str, Fact]", facts))
