"""A member's two CometBFT keys: who it is as a validator, and who its node is among its peers.

Both are files of CometBFT's own form (privval/file.go, p2p/key.go), so that it, or a remote signer, reads them.
`priv_validator_state.json` beside them says what the validator signed last, and CometBFT keeps it.

**None of the three is ever written over, and the state is never restored from a backup.** A validator that has
forgotten what it signed may sign another block at the same height; the others keep the proof of that for good. So a
key that stands without its state is refused, not mended: let the governors remove that validator and add one with a
new key.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec
from nacl.signing import SigningKey

from tallystick.node.home import PRIVATE_DIRECTORY, Home, read_private, write_private
from tallystick.proof.comet import address_of
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import KEY_BYTES, from_base64, to_base64

PUBLIC_TYPE = "tendermint/PubKeyEd25519"
PRIVATE_TYPE = "tendermint/PrivKeyEd25519"


@dataclass(frozen=True, slots=True)
class Identity:
    """The public halves: what the genesis or the governors name, and what peers dial."""

    validator_key: str
    """In base64."""
    validator_address: str
    """As CometBFT writes it: 40 upper-case hexadecimal digits."""
    node_id: str
    """The `id` in `id@host:port`: 40 lower-case hexadecimal digits."""


class _Key(msgspec.Struct, frozen=True):
    type: str
    value: str


class _KeyFile(msgspec.Struct, frozen=True):
    """What both files have in common; CometBFT derives the rest of the validator's file from it."""

    priv_key: _Key


class _SignState(msgspec.Struct, frozen=True):
    height: str


def validator_key_file(home: Home) -> Path:
    """The validator's secret."""
    return home.comet / "config" / "priv_validator_key.json"


def node_key_file(home: Home) -> Path:
    """The secret behind the node's id."""
    return home.comet / "config" / "node_key.json"


def sign_state_file(home: Home) -> Path:
    """What the validator signed last; CometBFT's to write."""
    return home.comet / "data" / "priv_validator_state.json"


def own_identity(home: Home) -> Identity:
    """This home's keys, made now where there are none. Raises `DecodeError`.

    The state goes first, so that a key without one was never left by an interrupted start of ours.
    """
    for path in (validator_key_file(home), sign_state_file(home)):
        path.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    if not validator_key_file(home).exists():
        _begin_sign_state(sign_state_file(home))
        key = SigningKey.generate()
        public = bytes(key.verify_key)
        stated = {
            "address": address_of(public).hex().upper(),
            "pub_key": {"type": PUBLIC_TYPE, "value": to_base64(public)},
            "priv_key": _private(key),
        }
        write_private(validator_key_file(home), json.dumps(stated, indent=2).encode())
    if not node_key_file(home).exists():
        write_private(node_key_file(home), json.dumps({"priv_key": _private(SigningKey.generate())}).encode())
    return read_identity(home)


def read_identity(home: Home) -> Identity:
    """The public halves of this home's keys. Raises `DecodeError` naming the file."""
    validator = _public(validator_key_file(home))
    if not sign_state_file(home).exists():
        raise DecodeError(
            "what this validator signed last is gone; with its key it could sign a height twice. Have the governors"
            f" remove it, then take {validator_key_file(home)} away and make a new key",
            str(sign_state_file(home)),
        )
    return Identity(
        validator_key=to_base64(validator),
        validator_address=address_of(validator).hex().upper(),
        node_id=address_of(_public(node_key_file(home))).hex(),
    )


def _begin_sign_state(path: Path) -> None:
    if not path.exists():
        write_private(path, json.dumps({"height": "0", "round": 0, "step": 0}, indent=2).encode())
        return
    try:
        state = msgspec.json.decode(read_private(path), type=_SignState)
    except msgspec.DecodeError as error:
        raise DecodeError(f"not CometBFT's signing state: {error}", str(path)) from None
    if state.height != "0":
        raise DecodeError(
            f"a validator here has signed up to height {state.height[:20]}, and its key is gone: bring the key back, or"
            " take this file away to begin as another validator",
            str(path),
        )


def _private(key: SigningKey) -> dict[str, str]:
    """Go's form of the secret: seed, then public key (crypto/ed25519/ed25519.go)."""
    return {"type": PRIVATE_TYPE, "value": to_base64(bytes(key) + bytes(key.verify_key))}


def _public(path: Path) -> bytes:
    """The public half of the key in a file, once it is clear that it is that of its secret."""
    try:
        key = msgspec.json.decode(read_private(path), type=_KeyFile).priv_key
    except msgspec.DecodeError as error:
        raise DecodeError(f"not a key file of CometBFT: {error}", str(path)) from None
    if key.type != PRIVATE_TYPE:
        raise DecodeError("not an Ed25519 key", str(path))
    secret = from_base64(key.value, 2 * KEY_BYTES, f"{path}: priv_key.value")
    public = bytes(SigningKey(secret[:KEY_BYTES]).verify_key)
    if secret[KEY_BYTES:] != public:
        raise DecodeError("the public half of the key is not that of its secret", str(path))
    return public
