"""The fast codec of the kernel: msgspec structs to and from the same canonical bytes as `wire.canonical`.

`wire.canonical` defines the bytes; tests hold this encoder to it and both to the `rfc8785` package.
"""

from typing import Any, TypeVar

import msgspec

from tallystick.wire.amounts import Rate, Units
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant, format_instant

T = TypeVar("T")


def _enc_hook(value: object) -> str:
    kind = type(value)
    if kind is Units:
        return int.__repr__(value)
    if kind is Instant:
        return format_instant(value)
    if kind is Rate:
        return str(value)
    raise TypeError(f"{kind.__name__} has no canonical form")


def _dec_hook(kind: type, value: object) -> object:
    if kind is Units:
        return Units.parse(value)
    if kind is Instant:
        return Instant.parse(value)
    if kind is Rate:
        return Rate.parse(value)
    raise TypeError(f"{kind.__name__} has no canonical form")


# Bad UTF-8 and deep nesting come out of msgspec as exceptions of Python's, not as its own `DecodeError`.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

encode = msgspec.json.Encoder(enc_hook=_enc_hook, order="sorted").encode


def decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    """A strict decoder for `kind`; its errors are `UNREADABLE`, those about a field with its path."""
    return msgspec.json.Decoder(kind, dec_hook=_dec_hook, strict=True)


def decode(kind: type[T], raw: bytes, where: str = "") -> T:
    """Read one struct whose canonical bytes are exactly `raw`. Raises `DecodeError`."""
    try:
        value: T = decoder(kind).decode(raw)
    except UNREADABLE as error:
        raise DecodeError(str(error), where) from None
    if encode(value) != raw:
        raise DecodeError("not in canonical form", where)
    return value


def plain(value: object) -> Any:
    """The JSON values (dicts, lists, strings, integers) that the canonical bytes of `value` hold."""
    return msgspec.json.decode(encode(value))
