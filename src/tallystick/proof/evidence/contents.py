"""That a bundle holds what it lists, and lists what it holds.

A table of contents says what the bundle was made to hold. So a record, a step, a block's own work, a header or a
document that is left out alone, or put in besides, is named; no proof of the state shows that a record was left out
beside another one of its bucket. Rules kept here:
1. What is listed is there.
2. What is there is listed.

Nobody signs the table: whoever takes a thing out together with its entry has made a smaller bundle, as true as the
first, and the verdict tells how much it holds. What records of the bundle tell of and it does not show is named all the
same (`story`), and headers that anything rests on can't be left out (`blocks`, `inclusion`, `trust`). Why: ADR 0009.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from tallystick.proof.evidence.bundle import Bundle, Contents
from tallystick.proof.evidence.errors import NotProven

Part: TypeAlias = tuple[str, object]
"""What kind of part it is, and which."""


def check_contents(bundle: Bundle) -> None:
    """The bundle is what its table of contents says, no more and no less. Raises NotProven naming the first part."""
    listed, held = list(_parts(bundle.contents)), list(_parts(bundle.held))
    for part in _besides(listed, held):
        raise NotProven("contents", "the table of contents lists it, and it is not there", _name(part))
    for part in _besides(held, listed):
        raise NotProven("contents", "it is there, and the table of contents does not list it", _name(part))


def _parts(contents: Contents) -> Iterator[Part]:
    yield from (("block", height) for height in contents.blocks)
    yield from (("record", key) for key in contents.records)
    yield from (("transaction", place) for place in contents.transactions)
    yield from (("due work", height) for height in contents.due_work)
    yield from (("document", digest) for digest in contents.documents)


def _besides(parts: Iterable[Part], others: Iterable[Part]) -> Iterator[Part]:
    known = frozenset(others)
    return (part for part in parts if part not in known)


def _name(part: Part) -> str:
    """A part as messages name it."""
    match part:
        case kind, (height, index):
            return f"{kind} {height}/{index}"
        case kind, bytes(digest):
            return f"{kind} {digest.hex()[:16]}"
        case kind, which:
            return f"{kind} {which}"
