"""What must hold before a release, asked of the signed JSON by an evaluator of the auditor's own.

A tree is a number of its branches that must hold: all of them, one, or as many as it says. A leaf holds or does not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.audit.seen import Row

PERSONS = ("payer", "platform", "verifiers")


@dataclass
class Known:
    """What the auditor knows of a tranche: who said yes or no and when, what came, what was stated, which days open."""

    now: int
    payer: str
    platform: str
    kinds: tuple[str, ...]
    opens: dict[str, int]
    yes: dict[str, int] = field(default_factory=dict)
    no: set[str] = field(default_factory=set)
    came: set[str] = field(default_factory=set)
    stated: set[tuple[str, str]] = field(default_factory=set)


def leaves(tree: Row) -> Iterator[Row]:
    """The leaves from left to right."""
    if "of" not in tree:
        yield tree
    for branch in tree.get("of", ()):
        yield from leaves(branch)


def holds(tree: Row, leaf_holds: Callable[[Row], bool]) -> bool:
    """Whether as many branches hold as the tree asks for."""
    if "of" not in tree:
        return leaf_holds(tree)
    count = sum(holds(branch, leaf_holds) for branch in tree["of"])
    wanted = {"all": len(tree["of"]), "any": 1}
    return count >= (wanted[tree["when"]] if tree["when"] in wanted else int(tree["needed"]))


def named_in(leaf: Row, known: Known) -> list[str]:
    """Whom a leaf asks to confirm."""
    if leaf["when"] == "verifiers":
        return list(leaf["verifiers"])
    return [known.payer if leaf["when"] == "payer" else known.platform]


def wanted_in(leaf: Row) -> int:
    return int(leaf.get("needed", 1))


def is_met(leaf: Row, known: Known) -> bool:
    """Whether what a leaf asks for has come."""
    if leaf["when"] == "date":
        return known.opens[leaf["on"]] <= known.now
    if leaf["when"] == "documents":
        kinds = leaf.get("kinds") or known.kinds
        return bool(kinds) and set(kinds) <= known.came
    if leaf["when"] == "data_source":
        return (leaf["source"], leaf["kind"]) in known.stated
    return sum(name in known.yes for name in set(named_in(leaf, known))) >= wanted_in(leaf)


def could_be_met(leaf: Row, known: Known) -> bool:
    """Whether it may come yet: all but the yes of those who said no."""
    if leaf["when"] not in PERSONS:
        return True
    return len(set(named_in(leaf, known)) - known.no) >= wanted_in(leaf)


def is_or_no_person(leaf: Row, known: Known) -> bool:
    """Whether nobody's answer is missing here."""
    return leaf["when"] not in PERSONS or is_met(leaf, known)


def persons(tree: Row, known: Known) -> set[str]:
    """Everybody whom the tree asks to confirm."""
    return {name for leaf in leaves(tree) if leaf["when"] in PERSONS for name in named_in(leaf, known)}


def counted(tree: Row, known: Known) -> set[str]:
    """Whose yes verifies the tranche: in each leaf that holds, the earliest that it needs; at one time by their ids."""
    found: set[str] = set()
    for leaf in leaves(tree):
        if leaf["when"] in PERSONS and is_met(leaf, known):
            said = sorted((known.yes[name], name) for name in set(named_in(leaf, known)) if name in known.yes)
            found |= {name for _, name in said[: wanted_in(leaf)]}
    return found


def days(tree: Row) -> set[str]:
    """The days that the tree waits for."""
    return {leaf["on"] for leaf in leaves(tree) if leaf["when"] == "date"}
