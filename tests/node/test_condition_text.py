"""Conditions as text: what is printed reads back the same, and whatever is typed is read or refused with its place."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.kernel.core import codec
from tallystick.kernel.plans.conditions import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    AllOf,
    AnyOf,
    AtLeast,
    Condition,
    DataStated,
    DocumentsIn,
    OnDate,
    PayerAccepts,
    PlatformAccepts,
    VerifiersAccept,
    depth_of,
    size_of,
)
from tallystick.node.condition_text import condition_text, name_text, parse
from tallystick.wire.errors import DecodeError

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
IDS = st.text(ALPHABET, min_size=16, max_size=16).map(lambda text: f"mbr_{text}")
KINDS = st.from_regex(r"\A[a-z][a-z0-9_.-]{0,20}\Z")
COUNTS = st.integers(1, 16)
LEAVES = st.one_of(
    st.builds(OnDate, on=st.dates()),
    st.just(PayerAccepts()),
    st.just(PlatformAccepts()),
    st.builds(VerifiersAccept, needed=COUNTS, verifiers=st.lists(IDS, min_size=1, max_size=16).map(tuple)),
    st.builds(DocumentsIn, kinds=st.lists(KINDS, max_size=16).map(tuple)),
    st.builds(DataStated, source=IDS, kind=KINDS),
)


def branches(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(of, min_size=1, max_size=5).map(tuple)
    return st.one_of(
        st.builds(AllOf, of=some), st.builds(AnyOf, of=some), st.builds(AtLeast, needed=COUNTS, of=some)
    )  # fmt: skip


TREES = st.recursive(LEAVES, branches, max_leaves=20).filter(
    lambda tree: depth_of(tree) <= MAX_DEPTH and size_of(tree) <= MAX_CONDITIONS
)


def read(text: str) -> Condition:
    decoded: Condition = codec.decoder(Condition).decode(json.dumps(parse(text)))
    return decoded


def check_total(text: str) -> None:
    """Reading `text` gives a condition, or an error that names a character of it."""
    where = "character 1"
    try:
        parse(text)
    except DecodeError as error:
        where = error.where
    word, _, number = where.partition(" ")
    assert word == "character"
    assert 1 <= int(number) <= len(text) + 1


@given(TREES)
@example(DocumentsIn())
def test_what_is_printed_reads_back_the_same(tree: Condition) -> None:
    assert read(condition_text(tree)) == tree


@given(TREES, st.sampled_from([" ", "  ", "\n\t"]))
def test_spaces_between_words_say_nothing(tree: Condition, space: str) -> None:
    text = condition_text(tree).replace("(", f"{space}({space}").replace(",", f"{space},{space}")
    assert read(text.replace(")", f"{space}){space}")) == tree


@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=16))
@example(
    ["Freight (North), Ltd", 'the "Quay"', "back\\slash", "both, \\", " outer ", "two  spaces", "合符（上海）有限公司"]
)
def test_any_name_can_be_written(names: list[str]) -> None:
    text = f"1 of ({', '.join(map(name_text, names))})"
    assert parse(text)["verifiers"] == names


@given(st.one_of(st.text(), st.text('alnytofdepr2(),"\\ 0-')))
@example("all(" * 5_000)
@example("1 of (" + '"' * 5_000)
@example('1 of ("' + "\\" * 5_001)
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    check_total(text)


@given(TREES, st.data())
def test_a_text_with_a_character_lost_or_changed_is_read_or_refused(tree: Condition, data: st.DataObject) -> None:
    text = condition_text(tree)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(["", ",", "(", ")", '"', "9", "x"]))
    check_total(text[:place] + other + text[place + 1 :])


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (
            "all(date 2026-12-01, documents(delivery_note), 2 of (Verifier A, Verifier B, Verifier C))",
            {
                "when": "all",
                "of": [
                    {"when": "date", "on": "2026-12-01"},
                    {"when": "documents", "kinds": ["delivery_note"]},
                    {"when": "verifiers", "needed": 2, "verifiers": ["Verifier A", "Verifier B", "Verifier C"]},
                ],
            },
        ),
        ("ANY ( payer , platform )", {"when": "any", "of": [{"when": "payer"}, {"when": "platform"}]}),
        (
            'data_source("Freight Data Ltd", waybill)',
            {"when": "data_source", "source": "Freight Data Ltd", "kind": "waybill"},
        ),
        (
            "at least 2 of (payer, platform, documents)",
            {
                "when": "at_least",
                "needed": 2,
                "of": [{"when": "payer"}, {"when": "platform"}, {"when": "documents"}],
            },
        ),
        ("date +30d", {"when": "date", "on": "+30d"}),
        ("1 of (合符（上海）有限公司)", {"when": "verifiers", "needed": 1, "verifiers": ["合符（上海）有限公司"]}),
    ],
)
def test_what_people_write(text: str, plain: dict[str, Any]) -> None:
    assert parse(text) == plain


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", 1, "no such condition, not the end of the text; there are all(...)"),
        ("payr", 1, "no such condition, not 'payr'"),
        ("all(payer, platfrom)", 12, "not 'platfrom'"),
        ("all()", 5, "no such condition"),
        ("all payer", 5, "'(' is expected, not 'payer'"),
        ("all（payer）", 4, "'(' is expected"),
        ("all(payer", 10, "')' is expected, not the end of the text"),
        ("payer platform", 7, "nothing more is expected here, not 'platform'"),
        ("date", 5, "a day like 2026-12-01 is expected"),
        ("date tomorrow", 6, "a day like 2026-12-01 is expected, 'tomorrow'"),
        ("date 2026-02-30", 6, "there is no such day"),
        ("0 of (A)", 1, "a number from 1 to 16"),
        ("17 of (A)", 1, "a number from 1 to 16"),
        ("2 (A)", 3, "'of' is expected, not '('"),
        ("at least two of (payer)", 10, "a number from 1 to 16"),
        ("2 of (A, )", 10, "a name is expected"),
        ("2 of (Freight (UK) Ltd, B)", 7, "stands in quotes"),
        ('2 of ("A, B)', 7, "has no end"),
        ('2 of ("", B)', 7, "between the quotes"),
        ("documents(Delivery)", 11, "short code in lower case"),
        ("data_source(A)", 14, "',' is expected, not ')'"),
        ("all(all(all(all(payer))))", 17, "nested 4 deep"),
        (f"all(all({', '.join(['payer'] * 16)}), all({', '.join(['payer'] * 16)}))", 217, "at most 32 conditions"),
        (f"any({', '.join(['payer'] * 17)})", 115, "at most 16 entries"),
    ],
)
def test_what_is_refused_and_where(text: str, place: int, said: str) -> None:
    with pytest.raises(DecodeError) as refused:
        parse(text)
    assert refused.value.where == f"character {place}"
    assert said in refused.value.what


def test_a_text_of_any_length_is_refused_at_once() -> None:
    with pytest.raises(DecodeError, match="character 100001: a condition has at most"):
        parse("all(" * 1_000_000)
