"""Events and refusals as sentences: names for ids, amounts with their currency, local times."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tallystick.cli.cards import HASH_SHOWN
from tallystick.cli.context import Desk
from tallystick.cli.vocabulary import shown_name
from tallystick.kernel.accounts.records import Account
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status

if TYPE_CHECKING:
    from tallystick.kernel.core.events import Event
    from tallystick.kernel.core.operation import Operation
    from tallystick.kernel.core.refusal import Fact
    from tallystick.node.session import PlacedEvent

_AMOUNT = re.compile(r"\{(\w+)\} \{currency\}")
_FIELD = re.compile(r"\{(\w+)\}")
_LEDGER_ACCOUNT = re.compile(r"(available/acc|(bank|claim|earmark|hold|suspense|escrow|transit|fees)/mbr)_", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_INSTANT = re.compile(r"[0-9-]{10}T[0-9:.]{12}Z", re.ASCII)


def sentence(at: Desk, event: "Event") -> str:
    """What a notice of `event` reads."""
    from tallystick.kernel.core.events import KINDS

    declared = KINDS.get(event.kind)
    if declared is None:
        return f"{event.kind}: {event.record}"
    values: dict[str, Any] = {"record": event.record, **event.facts}
    amounts = set(_AMOUNT.findall(declared.sentence))
    currency = str(event.facts.get("currency", ""))

    def word(found: "re.Match[str]") -> str:
        name = found[1]
        if name not in values:
            return found[0]
        if name in amounts and currency and _DIGITS.fullmatch(str(values[name])):
            return at.amount(int(values[name]), currency)
        return readable(at, values[name])

    return _FIELD.sub(word, declared.sentence)


def readable(at: Desk, value: "Fact") -> str:
    """A fact as people read it: a member by name, an instant in the business zone."""
    text = str(value)
    if _INSTANT.fullmatch(text):
        try:
            return at.time(Instant.parse(text))
        except DecodeError:
            return text
    if _LEDGER_ACCOUNT.match(text):
        return ledger_account_name(at, text)
    if _HASH.fullmatch(text):
        return f"{text[:HASH_SHOWN]}..."
    return " or ".join(at.name(part) for part in text.split(" or "))


def ledger_account_name(at: Desk, ledger_account: str) -> str:
    """A ledger account as people know it: an account by its owner, the others by their kind and purpose."""
    kind, _, rest = ledger_account.partition("/")
    if kind == "available":
        account = at.session.state.find(f"account/{rest}")
        return at.name(account.owner) if isinstance(account, Account) else rest
    custodian, *tail = (at.name(part) for part in rest.split("/"))
    if kind == "bank":
        return f"{custodian} (bank)"
    purpose = " ".join(tail[1:])
    return f"{kind} {purpose}".strip()


def refusal_lines(at: Desk, status: Status, facts: "dict[str, Fact]", operations: "Sequence[Operation]") -> list[str]:
    """Why `operations` were refused: the meaning in words, then the facts."""
    lines = [status.meaning]
    if facts:
        lines.append(facts_line(at, facts, operations))
    if status.is_transient:
        lines.append("It may pass later by itself; a new transaction may then be accepted.")
    return lines


def facts_line(at: Desk, facts: "dict[str, Fact]", operations: "Sequence[Operation]") -> str:
    """The facts of a refusal on one line."""
    from tallystick.node.refusals import amounts_in_words

    told = amounts_in_words(at.session.state, at.session.lookup, operations, facts)
    if told.get("tranche") == 0:
        told["tranche"] = "the whole plan"
    if isinstance(field := told.get("field"), str):
        is_left_out = len(operations) == 1 and getattr(operations[0], field, "") in (None, ())
        told["field"] = f"{shown_name(field)}, which was not given" if is_left_out else shown_name(field)
    return ", ".join(f"{name.replace('_', ' ')}: {readable(at, value)}" for name, value in told.items())


def event_json(placed: "PlacedEvent") -> dict[str, Any]:
    """An event for programs: its place, its business time left to the block's header time, and its content."""
    cursor = placed.cursor
    event = placed.event
    return {
        "cursor": f"{cursor.height}/{cursor.index}/{cursor.number}",
        "time": str(placed.time),
        "kind": event.kind,
        "record": event.record,
        "audience": list(event.audience),
        "facts": event.facts,
    }
