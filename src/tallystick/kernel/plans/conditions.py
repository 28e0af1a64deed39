"""What must hold before a tranche is released (资源发放校验方式): a tree of all, any and m of n over six methods.

The tree is data of the anchored plan; `evaluate` is the only place that reads it. It is monotone: what is met is never
unmet by something more being known, so it can be asked at any time and in any order.
"""

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, TypeAlias, Union, assert_never

from msgspec import Meta

from tallystick.kernel.core.fields import Code, EvidenceId, MemberId, Struct
from tallystick.kernel.products.records import Method
from tallystick.wire.instants import Instant

MAX_DEPTH = 4
MAX_CONDITIONS = 32  # in one tree, leaves and branches
Several = Annotated[int, Meta(ge=1, le=16)]


class AllOf(Struct, tag_field="when", tag="all"):
    """Every one of these."""

    of: Annotated[tuple["Condition", ...], Meta(min_length=1, max_length=16)]


class AnyOf(Struct, tag_field="when", tag="any"):
    """At least one of these."""

    of: Annotated[tuple["Condition", ...], Meta(min_length=1, max_length=16)]


class AtLeast(Struct, tag_field="when", tag="at_least"):
    """At least `needed` of these."""

    needed: Several
    of: Annotated[tuple["Condition", ...], Meta(min_length=1, max_length=16)]


class OnDate(Struct, tag_field="when", tag="date"):
    """From the opening of this day on."""

    on: datetime.date


class PayerAccepts(Struct, tag_field="when", tag="payer"):
    """The payer confirms."""


class PlatformAccepts(Struct, tag_field="when", tag="platform"):
    """The platform confirms."""


class VerifiersAccept(Struct, tag_field="when", tag="verifiers"):
    """`needed` of these named verifiers confirm. One that is gone counts as not confirming."""

    needed: Several
    verifiers: Annotated[tuple[MemberId, ...], Meta(min_length=1, max_length=16)]


class DocumentsIn(Struct, tag_field="when", tag="documents"):
    """The tranche's materials of these kinds are submitted; of all its kinds where none is named."""

    kinds: Annotated[tuple[Code, ...], Meta(max_length=16)] = ()


class DataStated(Struct, tag_field="when", tag="data_source"):
    """This data source has signed a statement of this kind about the tranche."""

    source: MemberId
    kind: Code


Condition: TypeAlias = Union[  # noqa: UP007 - msgspec reads the forward reference of a union by this spelling
    AllOf, AnyOf, AtLeast, OnDate, PayerAccepts, PlatformAccepts, VerifiersAccept, DocumentsIn, DataStated
]
Leaf: TypeAlias = OnDate | PayerAccepts | PlatformAccepts | VerifiersAccept | DocumentsIn | DataStated
BRANCHES = (AllOf, AnyOf, AtLeast)
PERSONS = (PayerAccepts, PlatformAccepts, VerifiersAccept)  # the leaves that wait for somebody's answer


class Met(Struct):
    """A leaf that holds: which, by whom (nobody for a date), when, and on which evidence."""

    method: Method
    at: Instant
    by: tuple[MemberId, ...] = ()
    kinds: tuple[Code, ...] = ()
    evidence: EvidenceId | None = None
    by_silence: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about a tranche when its condition is asked.

    `accepted` says when each person confirmed; `submitted` when each kind of material came, and from whom; `stated` the
    same for each data source's kind of statement. `opens` is the instant at which each day of the tree begins. `silent`
    are those of `accepted` who never answered, `sent_back` those who answered no.
    """

    now: Instant
    payer: str
    platform: str
    opens: dict[datetime.date, Instant]
    materials: tuple[str, ...] = ()
    accepted: dict[str, Instant] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()
    sent_back: frozenset[str] = frozenset()
    submitted: dict[str, tuple[Instant, str]] = field(default_factory=dict)
    stated: dict[tuple[str, str], Instant] = field(default_factory=dict)
    evidence: str | None = None


def evaluate(condition: Condition, known: Known) -> tuple[Met, ...] | None:
    """Every leaf that holds, if they satisfy the tree; else None."""
    if not _holds(condition, lambda leaf: _met(leaf, known) is not None):
        return None
    return tuple(met for leaf in leaves(condition) if (met := _met(leaf, known)) is not None)


@lru_cache(maxsize=1_024)
def leaves(condition: Condition) -> tuple[Leaf, ...]:
    """The leaves from left to right. Remembered: a step on a plan asks a dozen times for each of its tranches."""
    if not isinstance(condition, BRANCHES):
        return (condition,)
    found: list[Leaf] = []
    _gather(condition.of, found)
    return tuple(found)


def _gather(conditions: tuple[Condition, ...], found: list[Leaf]) -> None:
    for one in conditions:
        if isinstance(one, BRANCHES):
            _gather(one.of, found)
        else:
            found.append(one)


def _met(leaf: Leaf, known: Known) -> Met | None:
    match leaf:
        case OnDate():
            opens = known.opens[leaf.on]
            return Met(method=Method.DATE, at=opens) if known.now >= opens else None
        case PayerAccepts():
            return _confirmed(Method.PAYER, (known.payer,), 1, known)
        case PlatformAccepts():
            return _confirmed(Method.PLATFORM, (known.platform,), 1, known)
        case VerifiersAccept():
            return _confirmed(Method.VERIFIERS, leaf.verifiers, leaf.needed, known)
        case DocumentsIn():
            kinds = leaf.kinds or known.materials
            if not kinds or not all(kind in known.submitted for kind in kinds):
                return None
            came = [known.submitted[kind] for kind in kinds]
            return Met(
                method=Method.DOCUMENTS,
                at=max(at for at, _ in came),
                by=tuple(dict.fromkeys(by for _, by in came)),
                kinds=kinds,
                evidence=known.evidence,
            )
        case DataStated():
            at = known.stated.get((leaf.source, leaf.kind))
            if at is None:
                return None
            return Met(method=Method.DATA_SOURCE, at=at, by=(leaf.source,), kinds=(leaf.kind,), evidence=known.evidence)
        case _:
            assert_never(leaf)


def _confirmed(method: Method, named: tuple[str, ...], needed: int, known: Known) -> Met | None:
    """Enough of `named` have confirmed. The earliest count; the last of these says when it was met."""
    came = sorted((known.accepted[member], member) for member in dict.fromkeys(named) if member in known.accepted)
    if len(came) < needed:
        return None
    counted = came[:needed]
    return Met(
        method=method,
        at=counted[-1][0],
        by=tuple(member for _, member in counted),
        evidence=known.evidence,
        by_silence=any(member in known.silent for _, member in counted),
    )


def could_still_be_met(condition: Condition, known: Known) -> bool:
    """Whether the tree could hold yet: everything may still come but the confirmation of those who answered no."""
    return _holds(condition, lambda leaf: _could_be_met(leaf, known))


def only_facts_missing(condition: Condition, known: Known) -> bool:
    """Whether nobody's answer is missing: the tree holds once its days, documents and statements have come."""
    return _holds(condition, lambda leaf: not isinstance(leaf, PERSONS) or _met(leaf, known) is not None)


def certifier_needed(condition: Condition) -> bool:
    """Whether every way to satisfy the tree includes the acceptance of at least one person."""
    return not _holds(condition, lambda leaf: not isinstance(leaf, PERSONS))


def can_be_met(condition: Condition, kinds: Iterable[str]) -> bool:
    """Whether there is a way to satisfy the tree, where materials of `kinds` are asked for.

    Documents of a kind that nobody brings never come, nor do more verifiers than are named, each counted once.
    """
    listed = frozenset(kinds)

    def leaf_can(leaf: Leaf) -> bool:
        match leaf:
            case VerifiersAccept():
                return leaf.needed <= len(frozenset(leaf.verifiers))
            case DocumentsIn():
                return bool(listed) and listed.issuperset(leaf.kinds)
            case _:
                return True

    return _holds(condition, leaf_can)


def _holds(condition: Condition, leaf_holds: Callable[[Leaf], bool]) -> bool:
    """Whether the tree holds where `leaf_holds` says which leaves do."""
    match condition:
        case AllOf():
            return all(_holds(one, leaf_holds) for one in condition.of)
        case AnyOf():
            return any(_holds(one, leaf_holds) for one in condition.of)
        case AtLeast():
            return sum(_holds(one, leaf_holds) for one in condition.of) >= condition.needed
        case _:
            return leaf_holds(condition)


def _could_be_met(leaf: Leaf, known: Known) -> bool:
    match leaf:
        case PayerAccepts():
            return known.payer not in known.sent_back
        case PlatformAccepts():
            return known.platform not in known.sent_back
        case VerifiersAccept():
            return len(frozenset(leaf.verifiers) - known.sent_back) >= leaf.needed
        case _:
            return True


def days_of(condition: Condition) -> tuple[datetime.date, ...]:
    """The days that the tree waits for, ascending."""
    return tuple(sorted({leaf.on for leaf in leaves(condition) if isinstance(leaf, OnDate)}))


def methods_of(condition: Condition) -> tuple[Method, ...]:
    """The methods that the tree uses, in the order of `Method`."""
    used = {type(leaf) for leaf in leaves(condition)}
    return tuple(method for leaf, method in _METHODS.items() if leaf in used)


_METHODS: dict[type, Method] = {  # in the order of `Method`
    OnDate: Method.DATE,
    PayerAccepts: Method.PAYER,
    PlatformAccepts: Method.PLATFORM,
    VerifiersAccept: Method.VERIFIERS,
    DocumentsIn: Method.DOCUMENTS,
    DataStated: Method.DATA_SOURCE,
}


def persons_of(condition: Condition, payer: str, platform: str) -> tuple[str, ...]:
    """Who is named to confirm, each once: payer, platform, verifiers."""
    named: dict[str, None] = {}
    for leaf in leaves(condition):
        match leaf:
            case PayerAccepts():
                named[payer] = None
            case PlatformAccepts():
                named[platform] = None
            case VerifiersAccept():
                named.update(dict.fromkeys(leaf.verifiers))
            case _:
                pass
    return tuple(named)


def sources_of(condition: Condition) -> tuple[tuple[str, str], ...]:
    """The data sources that are named, each with the kind of its statement."""
    return tuple(dict.fromkeys((leaf.source, leaf.kind) for leaf in leaves(condition) if isinstance(leaf, DataStated)))


def depth_of(condition: Condition) -> int:
    """How deep the tree is; a leaf alone has depth 1."""
    if isinstance(condition, BRANCHES):
        return 1 + max(depth_of(one) for one in condition.of)
    return 1


def size_of(condition: Condition) -> int:
    """How many leaves and branches the tree has."""
    if isinstance(condition, BRANCHES):
        return 1 + sum(size_of(one) for one in condition.of)
    return 1
