"""The envelope: its one form, and signatures that were stripped, reordered, doubled or spelled otherwise."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from tallystick.wire import canonical, envelope, keys
from tallystick.wire.errors import DecodeError

FIRST, SECOND, THIRD = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3))
BODY = canonical.encode({"chain": "test", "id": "t1", "text": "合符"})
SIGNED = envelope.sign(BODY, FIRST, SECOND)


def parts() -> dict[str, Any]:
    """The signed envelope as JSON values, to be bent."""
    value: dict[str, Any] = json.loads(SIGNED.to_bytes())
    return value


def refused(raw: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        envelope.parse(raw)
    return str(caught.value)


def test_an_envelope_is_read_back() -> None:
    assert envelope.parse(SIGNED.to_bytes()) == SIGNED
    assert SIGNED.fault() is None
    assert canonical.encode(parts()) == SIGNED.to_bytes()


def test_the_id_is_of_the_body_alone() -> None:
    assert SIGNED.body_hash == envelope.sign(BODY, THIRD).body_hash


def test_signatures_are_gathered_in_any_order() -> None:
    apart = envelope.Envelope(BODY, ()).with_signatures(envelope.sign_body(BODY, SECOND))
    assert apart.with_signatures(envelope.sign_body(BODY, FIRST)) == SIGNED


def test_reordered_signatures_are_refused() -> None:
    value = parts()
    value["signatures"].reverse()
    assert "sorted" in refused(canonical.encode(value))


def test_a_key_signs_once() -> None:
    value = parts()
    value["signatures"].insert(0, value["signatures"][0])
    assert "twice" in refused(canonical.encode(value))


def test_there_is_at_least_one_signature_and_at_most_sixteen() -> None:
    value = parts()
    value["signatures"] = []
    assert "0 signatures" in refused(canonical.encode(value))
    many = envelope.sign(BODY, *(SigningKey(bytes([number]) * 32) for number in range(1, 18)))
    assert "17 signatures" in refused(many.to_bytes())
    assert envelope.parse(envelope.Envelope(BODY, many.signatures[:16]).to_bytes()).fault() is None


@pytest.mark.parametrize("name", ["key", "signature"])
@pytest.mark.parametrize("way", ["unpadded", "stray_bits", "url_safe", "newline", "space", "hex", "short", "not_text"])
def test_sloppy_base64_is_refused(name: str, way: str) -> None:
    value = parts()
    text = value["signatures"][0][name]
    raw = base64.b64decode(text)
    last = text.rstrip("=")[-1]
    bent = {
        "unpadded": text.rstrip("="),
        "stray_bits": text.rstrip("=")[:-1] + chr(ord(last) + 1) + "=" * text.count("="),
        "url_safe": text.replace("/", "_").replace("+", "-") if set(text) & set("/+") else "-" + text[1:],
        "newline": text[:20] + "\n" + text[20:],
        "space": text + " ",
        "hex": raw.hex(),
        "short": base64.b64encode(raw[:-1]).decode(),
        "not_text": 5,
    }[way]
    assert bent != text
    value["signatures"][0][name] = bent
    assert name in refused(canonical.encode(value))


@pytest.mark.parametrize(
    "bend",
    [
        lambda value: value.update(extra=1),
        lambda value: value.pop("signatures"),
        lambda value: value.update(body="text"),
        lambda value: value.update(signatures={"key": "a"}),
        lambda value: value["signatures"][0].update(extra=1),
        lambda value: value["signatures"][0].pop("key"),
        lambda value: value["signatures"].append("text"),
    ],
)
def test_other_shapes_are_refused(bend: Any) -> None:
    value = parts()
    bend(value)
    refused(canonical.encode(value))


def test_other_spellings_are_refused() -> None:
    raw = SIGNED.to_bytes()
    for bent in (
        raw + b"\n",
        raw.replace(b'":', b'": '),
        b" " + raw,
        raw.replace(b'"body"', b'"\\u0062ody"'),
        b"",
        b"[]",
    ):
        refused(bent)
    doubled = raw.replace(b'"chain":"test",', b'"chain":"other","chain":"test",')
    assert "duplicate" in refused(doubled)


def test_too_large_is_refused_before_it_is_read() -> None:
    assert "larger" in refused(b"x" * (envelope.MAX_BYTES + 1))


@given(st.integers(0, 63), st.integers(0, 7))
def test_a_changed_bit_of_a_signature_does_not_verify(byte: int, bit: int) -> None:
    signature = bytearray(SIGNED.signatures[0].signature)
    signature[byte] ^= 1 << bit
    changed = envelope.Signature(SIGNED.signatures[0].key, bytes(signature))
    assert envelope.Envelope(BODY, (changed,)).fault() is not None


def test_a_signature_is_bound_to_the_body_and_to_its_domain() -> None:
    other = canonical.encode({"chain": "other", "id": "t1"})
    assert envelope.Envelope(other, SIGNED.signatures).fault() is not None
    bare = envelope.Signature(FIRST.verify_key.encode(), FIRST.sign(BODY).signature)
    assert envelope.Envelope(BODY, (bare,)).fault() is not None


# Encodings of points whose order divides 8, and of fields not reduced (RFC 8032, 5.1.3; libsodium's own list).
SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0100000000000000000000000000000000000000000000000000000000000080",
]


@pytest.mark.parametrize("text", SMALL_ORDER)
def test_keys_of_small_order_or_not_canonical_are_unsound_and_sign_nothing(text: str) -> None:
    key = bytes.fromhex(text)
    assert not keys.is_sound_key(key)
    # With a key of small order, R = the identity and S = 0 verify any message under laxer libraries.
    for point in (bytes([1]) + bytes(31), key):
        forged = envelope.Signature(key, point + bytes(32))
        assert envelope.Envelope(BODY, (forged,)).fault() is not None


def test_a_sound_key_is_sound() -> None:
    assert keys.is_sound_key(FIRST.verify_key.encode())
    assert not keys.is_sound_key(FIRST.verify_key.encode()[:31])
    assert not keys.is_sound_key(b"\xff" * 32)


def test_a_signature_with_an_unreduced_scalar_is_refused() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    good = SIGNED.signatures[0]
    scalar = int.from_bytes(good.signature[32:], "little") + order
    malleable = envelope.Signature(good.key, good.signature[:32] + scalar.to_bytes(32, "little"))
    assert envelope.Envelope(BODY, (malleable,)).fault() is not None


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_by_a_decode_error(raw: bytes) -> None:
    try:
        assert envelope.parse(raw).to_bytes() == raw
    except DecodeError:
        return
