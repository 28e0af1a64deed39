"""Condition trees against brute force: what holds, what could still hold, whether anybody has to certify.

The oracle here is written from DOMAIN's words alone and knows nothing of the kernel's evaluation: it counts a tree's
truth over every way in which facts and answers may turn out.
"""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

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
    can_be_met,
    certifier_needed,
    could_still_be_met,
    depth_of,
    evaluate,
    leaves,
    methods_of,
    only_facts_missing,
    persons_of,
    size_of,
)
from tallystick.wire.instants import Instant

PAYER, PLATFORM, SOURCE = "mbr_payer", "mbr_platform", "mbr_source"
VERIFIERS = ("mbr_one", "mbr_two", "mbr_three")
PERSONS = (PAYER, PLATFORM, *VERIFIERS)
DAYS = (datetime.date(2026, 4, 1), datetime.date(2026, 5, 1))
OPENS = {DAYS[0]: Instant(1_000), DAYS[1]: Instant(2_000)}
KINDS = ("photos", "invoice")
STATEMENTS = ("arrival", "departure")

leaf = st.one_of(
    st.sampled_from(DAYS).map(lambda day: OnDate(on=day)),
    st.just(PayerAccepts()),
    st.just(PlatformAccepts()),
    st.builds(
        lambda needed, named: VerifiersAccept(needed=needed, verifiers=tuple(named)),
        st.integers(1, 4),
        st.lists(st.sampled_from(VERIFIERS), min_size=1, max_size=4),  # one may be named twice
    ),
    st.lists(st.sampled_from((*KINDS, "unlisted")), max_size=2, unique=True).map(
        lambda kinds: DocumentsIn(kinds=tuple(kinds))
    ),
    st.sampled_from(STATEMENTS).map(lambda kind: DataStated(source=SOURCE, kind=kind)),
)


def branches(children: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(children, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        several.map(lambda of: AllOf(of=of)),
        several.map(lambda of: AnyOf(of=of)),
        st.builds(lambda needed, of: AtLeast(needed=needed, of=of), st.integers(1, 4), several),
    )


trees: st.SearchStrategy[Condition] = st.recursive(leaf, branches, max_leaves=7)
instants = st.integers(0, 3_000).map(Instant)


@dataclass(frozen=True)
class Facts:
    """One way in which things may turn out."""

    days: frozenset[datetime.date]
    yes: frozenset[str]
    kinds: frozenset[str]
    stated: frozenset[str]


def holds(tree: Condition, facts: Facts, listed: tuple[str, ...]) -> bool:
    """The tree's truth, in DOMAIN's words: all, any, m of n over six methods."""
    kind = type(tree).__name__
    if kind in ("AllOf", "AnyOf", "AtLeast"):
        true = [child for child in tree.of if holds(child, facts, listed)]  # type: ignore[union-attr]
        needed = {"AllOf": len(tree.of), "AnyOf": 1}.get(kind) or tree.needed  # type: ignore[union-attr]
        return len(true) >= needed
    if isinstance(tree, OnDate):
        return tree.on in facts.days
    if isinstance(tree, PayerAccepts):
        return PAYER in facts.yes
    if isinstance(tree, PlatformAccepts):
        return PLATFORM in facts.yes
    if isinstance(tree, VerifiersAccept):
        return sum(name in facts.yes for name in set(tree.verifiers)) >= tree.needed
    if isinstance(tree, DocumentsIn):
        wanted = set(tree.kinds or listed)
        return bool(wanted) and wanted <= facts.kinds
    assert isinstance(tree, DataStated)
    return tree.kind in facts.stated


def subsets(names: tuple[str, ...]) -> Iterator[frozenset[str]]:
    for chosen in product((False, True), repeat=len(names)):
        yield frozenset(name for name, taken in zip(names, chosen, strict=True) if taken)


def all_answers(never: frozenset[str] = frozenset()) -> Iterator[frozenset[str]]:
    """Every way in which the persons may answer, those of `never` with no."""
    yield from subsets(tuple(name for name in PERSONS if name not in never))


EVERYTHING = Facts(frozenset(DAYS), frozenset(), frozenset(KINDS), frozenset(STATEMENTS))
kinds_in = st.sets(st.sampled_from(KINDS)).map(frozenset)
stated_in = st.sets(st.sampled_from(STATEMENTS)).map(frozenset)
said_yes = st.sets(st.sampled_from(PERSONS)).map(frozenset)


def known_of(now: Instant, yes: frozenset[str], kinds: frozenset[str], stated: frozenset[str]) -> Known:
    """The same facts as the kernel is told them: each came at an instant of its own."""
    return Known(
        now=now,
        payer=PAYER,
        platform=PLATFORM,
        opens=OPENS,
        materials=KINDS,
        accepted={name: Instant(100 + PERSONS.index(name)) for name in sorted(yes)},
        submitted={kind: (Instant(200 + KINDS.index(kind)), "mbr_payee") for kind in sorted(kinds)},
        stated={(SOURCE, kind): Instant(300) for kind in sorted(stated)},
    )


@settings(max_examples=300)
@given(tree=trees, now=instants, yes=said_yes, kinds=kinds_in, stated=stated_in)
def test_a_tree_holds_when_the_oracle_says_so(
    tree: Condition, now: Instant, yes: frozenset[str], kinds: frozenset[str], stated: frozenset[str]
) -> None:
    facts = Facts(frozenset(day for day, opens in OPENS.items() if now >= opens), yes, kinds, stated)
    met = evaluate(tree, known_of(now, yes, kinds, stated))
    assert (met is not None) == holds(tree, facts, KINDS)
    for one in met or ():
        assert one.at <= max(now, Instant(300)), "met by something that had not happened"
        assert set(one.by) <= yes | {SOURCE, "mbr_payee"}


@settings(max_examples=60)
@given(tree=trees)
def test_the_whole_truth_table(tree: Condition) -> None:
    """Every assignment to the leaves' facts, not a sample of them."""
    for now, yes, kinds, stated in product(
        (Instant(0), Instant(1_000), Instant(2_000)), all_answers(), subsets(KINDS), subsets(STATEMENTS)
    ):
        facts = Facts(frozenset(day for day, opens in OPENS.items() if now >= opens), yes, kinds, stated)
        assert (evaluate(tree, known_of(now, yes, kinds, stated)) is not None) == holds(tree, facts, KINDS)


@settings(max_examples=200)
@given(
    tree=trees,
    now=instants,
    later=instants,
    yes=said_yes,
    more=said_yes,
    kinds=kinds_in,
    stated=stated_in,
    more_kinds=kinds_in,
)
def test_what_is_met_is_never_unmet_by_more(
    tree: Condition,
    now: Instant,
    later: Instant,
    yes: frozenset[str],
    more: frozenset[str],
    kinds: frozenset[str],
    stated: frozenset[str],
    more_kinds: frozenset[str],
) -> None:
    before = evaluate(tree, known_of(now, yes, kinds, stated))
    after = evaluate(
        tree, known_of(max(now, later), yes | more, kinds | more_kinds, frozenset(STATEMENTS) if more else stated)
    )
    assert before is None or after is not None


@settings(max_examples=200)
@given(tree=trees, no=said_yes)
def test_could_still_be_met_is_whether_some_outcome_holds(tree: Condition, no: frozenset[str]) -> None:
    """All documents may come that the terms list: a payee's round brings every one of them."""
    tree_asks_unlisted = any(isinstance(one, DocumentsIn) and "unlisted" in one.kinds for one in leaves(tree))
    if tree_asks_unlisted:
        return  # such a plan is not confirmed where it matters (`can_be_met`)
    known = replace(known_of(Instant(0), frozenset(), frozenset(), frozenset()), sent_back=no)
    some = any(holds(tree, replace(EVERYTHING, yes=yes), KINDS) for yes in all_answers(no))
    assert could_still_be_met(tree, known) == some


@settings(max_examples=200)
@given(tree=trees, listed=st.sets(st.sampled_from(KINDS)).map(lambda kinds: tuple(sorted(kinds))))
def test_can_be_met_is_whether_some_outcome_of_all_holds(tree: Condition, listed: tuple[str, ...]) -> None:
    best = [replace(EVERYTHING, yes=yes, kinds=frozenset(listed)) for yes in all_answers()]
    assert can_be_met(tree, listed) == any(holds(tree, facts, listed) for facts in best)


@settings(max_examples=200)
@given(tree=trees)
def test_a_certifier_is_needed_unless_facts_alone_satisfy_it(tree: Condition) -> None:
    every = replace(EVERYTHING, kinds=frozenset((*KINDS, "unlisted")))
    assert certifier_needed(tree) == (not holds(tree, every, KINDS))


@settings(max_examples=200)
@given(tree=trees, yes=said_yes)
def test_only_facts_are_missing_when_all_of_them_would_do(tree: Condition, yes: frozenset[str]) -> None:
    every = replace(EVERYTHING, yes=yes, kinds=frozenset((*KINDS, "unlisted")))
    known = known_of(Instant(0), yes, frozenset(), frozenset())
    assert only_facts_missing(tree, known) == holds(tree, every, KINDS)


@given(tree=trees)
def test_what_a_tree_is_made_of(tree: Condition) -> None:
    """Sizes and names against a walk over the tree's canonical form."""
    plain = msgspec.to_builtins(tree, enc_hook=str)
    nodes: list[tuple[int, dict[str, object]]] = []
    waiting = [(1, plain)]
    while waiting:
        depth, node = waiting.pop()
        nodes.append((depth, node))
        if node["when"] in ("all", "any", "at_least"):
            waiting += [(depth + 1, child) for child in node["of"]]
    found = [node for _, node in nodes if node["when"] not in ("all", "any", "at_least")]
    assert size_of(tree) == len(nodes)
    assert depth_of(tree) == max(depth for depth, _ in nodes)
    assert len(list(leaves(tree))) == len(found)
    assert {method.value for method in methods_of(tree)} == {node["when"] for node in found}
    named = {name for node in found for name in node.get("verifiers", ())}  # type: ignore[attr-defined]
    named |= {PAYER} if any(node["when"] == "payer" for node in found) else set()
    named |= {PLATFORM} if any(node["when"] == "platform" for node in found) else set()
    assert set(persons_of(tree, PAYER, PLATFORM)) == named
