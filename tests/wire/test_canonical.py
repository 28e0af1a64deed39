"""One encoder: the profile against the `rfc8785` package and the kernel's codec, and every other spelling refused."""

import json
import unicodedata
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tallystick.kernel.core import codec
from tallystick.wire import canonical
from tallystick.wire.canonical import MAX_DEPTH, MAX_INTEGER, raw_text_fault, text_fault
from tallystick.wire.errors import DecodeError

KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
TEXTS = st.text(max_size=20).map(lambda text: unicodedata.normalize("NFC", text)).filter(lambda t: not text_fault(t))
VALUES = st.recursive(
    st.booleans() | st.integers(0, MAX_INTEGER) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_the_bytes_are_those_of_rfc_8785(value: Any) -> None:
    raw = canonical.encode(value)
    assert raw == rfc8785.dumps(value)
    assert canonical.parse(raw) == value


@given(VALUES)
def test_the_kernels_codec_writes_the_same_bytes(value: Any) -> None:
    raw = canonical.encode(value)
    assert codec.encode(value) == raw
    assert raw_text_fault(raw) is None


@given(st.text(max_size=30))
def test_text_is_judged_alike_in_a_document_and_by_itself(text: str) -> None:
    try:
        raw = codec.encode({"text": text})
    except UnicodeEncodeError:  # a surrogate has no bytes at all
        with pytest.raises(DecodeError):
            canonical.encode({"text": text})
        return
    assert (raw_text_fault(raw) is None) == (text_fault(text) is None)
    if text_fault(text) is None:
        assert canonical.encode({"text": text}) == raw
    else:
        with pytest.raises(DecodeError):
            canonical.encode({"text": text})


@given(st.text(alphabet='\\"/\b\f\n\r\t\x00\x1f\x7fbfru0', max_size=12))
def test_escapes_are_judged_alike(text: str) -> None:
    raw = codec.encode({"text": text})
    assert (raw_text_fault(raw) is None) == (text_fault(text) is None)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_by_a_decode_error(raw: bytes) -> None:
    try:
        value = canonical.parse(raw)
    except DecodeError:
        return
    assert canonical.encode(value) == raw


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a":1,"a":1}', "duplicate"),
        (b'{"b":1,"a":2}', "canonical form"),
        (b'{"a": 1}', "canonical form"),
        (b'{"a":1}\n', "canonical form"),
        (b'\xef\xbb\xbf{"a":1}', "not JSON"),
        (b'{"a":1.0}', "not an integer"),
        (b'{"a":1e3}', "not an integer"),
        (b'{"a":-1}', "not an integer"),
        (b'{"a":-0}', "not an integer"),
        (b'{"a":9007199254740992}', "2^53"),
        (b'{"a":NaN}', "not an integer"),
        (b'{"a":Infinity}', "not an integer"),
        (b'{"a":null}', "NoneType"),
        (b'{"A":1}', "snake_case"),
        (b'{"a-b":1}', "snake_case"),
        ('{"ä":1}'.encode(), "snake_case"),
        (b'{"a":"\\u0061"}', "canonical form"),
        (b'{"a":"\\/"}', "canonical form"),
        (b'{"a":"\\u000d"}', "control"),
        (b'{"a":"\\r"}', "control"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"a":"\xed\xa0\x80"}', "not JSON"),
        ('{"a":"e\u0301"}'.encode(), "normalisation"),
        ('{"a":"\U0001fae8"}'.encode(), "unassigned"),
        (b"", "not JSON"),
        (b"[" * 100 + b"]" * 100, "nested"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' + b"9" * 5_000 + b"}", "not an integer"),
    ],
)
def test_every_other_spelling_is_refused(raw: bytes, said: str) -> None:
    with pytest.raises(DecodeError) as caught:
        canonical.parse(raw, "file.json")
    assert said in str(caught.value)
    assert str(caught.value).startswith("file.json")


@pytest.mark.parametrize("value", [1.0, None, b"raw", {1: "a"}, {"a": {2}}, -1, MAX_INTEGER + 1])
def test_what_has_no_canonical_form_is_not_written(value: object) -> None:
    with pytest.raises(DecodeError):
        canonical.encode(value)


def test_the_fault_names_its_place() -> None:
    with pytest.raises(DecodeError) as caught:
        canonical.encode({"invoices": [{"amount": "1"}, {"amount": 1.5}]})
    assert caught.value.where == "invoices[1].amount"


def test_depth_is_bounded() -> None:
    value: object = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert json.loads(canonical.encode(value)) == value
    with pytest.raises(DecodeError):
        canonical.encode([value])


@pytest.mark.parametrize("text", ["\t", "\n", "\u00a0", "合符", "😀", "\u2028", "\\u0000", "\\b"])
def test_text_that_may_stand(text: str) -> None:
    assert text_fault(text) is None
    assert raw_text_fault(codec.encode({"a": text})) is None


@pytest.mark.parametrize(
    "text", ["\x00", "\x08", "\r", "\x1f", "\x7f", "\x85", "\x9f", "e\u0301", "\u2126", "\U0001fae8"]
)
def test_text_that_may_not(text: str) -> None:
    assert text_fault(text) is not None
    assert raw_text_fault(codec.encode({"a": text})) is not None
