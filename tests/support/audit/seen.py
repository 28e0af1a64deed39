"""What the auditor is shown of a step: the JSON that was signed, the outcome, the events, the rows it left behind."""

import datetime
from dataclasses import dataclass, field
from typing import Any, NoReturn

Row = dict[str, Any]


class AuditError(AssertionError):
    """The ledger did what it must never do (DESIGN section 9). Names the rule, the step and what was found."""


@dataclass
class Seen:
    """One transaction, or one block's due work (`envelope` None), after it was executed.

    `before` holds the rows it changed as they were, `after` as they are (None: no such row). Rows are plain JSON.
    """

    height: int
    index: int
    now: int
    today: str
    envelope: Row | None
    status: str
    events: list[Row]
    before: dict[str, Row | None] = field(default_factory=dict)
    after: dict[str, Row | None] = field(default_factory=dict)

    @property
    def now_text(self) -> str:
        """Block time as rows write instants; such texts compare as the instants do."""
        moment = datetime.datetime.fromtimestamp(self.now // 1000, datetime.UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{self.now % 1000:03d}Z"

    @property
    def operations(self) -> list[Row]:
        return [] if self.envelope is None else list(self.envelope["body"]["operations"])

    @property
    def names(self) -> list[str]:
        """The operations' names, or `due`."""
        return ["due"] if self.envelope is None else [operation["op"] for operation in self.operations]

    @property
    def signers(self) -> list[str]:
        """The organisations that signed, the actor first."""
        if self.envelope is None:
            return []
        body = self.envelope["body"]
        return [body["actor"], *body.get("cosigners", ())]

    def of_kind(self, kind: str) -> list[Row]:
        """The events of a kind, in order."""
        return [event for event in self.events if event["kind"] == kind]

    def broken(self, rule: str, what: object) -> NoReturn:
        raise AuditError(f"{rule}: height {self.height} index {self.index} {'+'.join(self.names)}: {what}")

    def require(self, holds: bool, rule: str, what: object) -> None:
        if not holds:
            self.broken(rule, what)


def facts(event: Row) -> Row:
    return dict(event.get("facts", {}))
