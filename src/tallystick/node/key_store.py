"""Keys on this machine: Ed25519 seeds, encrypted at rest under a passphrase.

A key file is JSON: who it is for, the public key, and the seed in a libsodium secret box (XSalsa20-Poly1305) under a
key that argon2id derives from the passphrase; the file states the salt and the cost, so that the cost may rise later
without locking anybody out. Source: docs/cli.md, "Keys".
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from nacl.signing import SigningKey
from nacl.utils import random as random_bytes

from tallystick.node.home import write_private
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import KEY_BYTES, from_base64, to_base64

FORMAT = "tallystick-key-v1"
SUFFIX = ".key"
MAX_MEMORY_BYTES = 1 << 30
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_SEALED_BYTES = SecretBox.NONCE_SIZE + SecretBox.MACBYTES + KEY_BYTES


class WrongPassphrase(DecodeError):
    """The passphrase does not open this key."""


class Cost(msgspec.Struct, frozen=True):
    """What deriving a key from a passphrase costs whoever guesses: argon2id passes and memory."""

    operations: Annotated[int, Meta(ge=1, le=64)]
    memory_bytes: Annotated[int, Meta(ge=8_192, le=MAX_MEMORY_BYTES)]


USUAL_COST = Cost(pwhash.argon2id.OPSLIMIT_INTERACTIVE, pwhash.argon2id.MEMLIMIT_INTERACTIVE)
LIGHT_COST = Cost(pwhash.argon2id.OPSLIMIT_MIN, 1 << 20)  # for sandboxes, whose keys guard nothing


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    organisation: str
    name: str
    public: str
    salt: str
    cost: Cost
    sealed: str


_decode = msgspec.json.Decoder(_KeyFile).decode


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key file: whose it is and its public half; `unlock` opens it."""

    path: Path
    organisation: str
    name: str
    public: str
    _file: _KeyFile

    def unlock(self, passphrase: str) -> SigningKey:
        """The signing key. Raises `WrongPassphrase`."""
        file = self._file
        salt = from_base64(file.salt, pwhash.argon2id.SALTBYTES, f"{self.path}: salt")
        sealed = from_base64(file.sealed, _SEALED_BYTES, f"{self.path}: sealed")
        try:
            seed = SecretBox(_derived(passphrase, salt, file.cost)).decrypt(sealed)
        except CryptoError:
            raise WrongPassphrase("the passphrase does not open this key", str(self.path)) from None
        key = SigningKey(seed)
        if to_base64(bytes(key.verify_key)) != self.public:
            raise DecodeError("the public key in the file is not that of its secret", str(self.path))
        return key


def check_name(name: str, where: str) -> str:
    """`name` if it may name an organisation's folder or a key. Raises `DecodeError`."""
    if not _NAME.fullmatch(name):
        raise DecodeError(f"{name[:80]!r} is not a name of letters, digits, dots, dashes and underscores", where)
    return name


def create_key(
    path: Path, organisation: str, name: str, passphrase: str, cost: Cost = USUAL_COST
) -> tuple[StoredKey, SigningKey]:
    """Make a new key and write it to `path`, which must not exist. Raises `DecodeError`."""
    if not passphrase:
        raise DecodeError("a key needs a passphrase that is not empty")
    key = SigningKey.generate()
    salt = random_bytes(pwhash.argon2id.SALTBYTES)
    sealed = SecretBox(_derived(passphrase, salt, cost)).encrypt(bytes(key))
    public = to_base64(bytes(key.verify_key))
    file = _KeyFile(FORMAT, organisation, name, public, to_base64(salt), cost, to_base64(bytes(sealed)))
    write_private(path, msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n")
    return StoredKey(path, organisation, name, public, file), key


def read_key(path: Path) -> StoredKey:
    """A key file, still locked. Raises `DecodeError` naming the file."""
    try:
        file = _decode(path.read_bytes())
    except OSError as error:
        raise DecodeError(f"the key can't be read: {error.strerror}", str(path)) from None
    except msgspec.DecodeError as error:
        raise DecodeError(f"not a key file: {error}", str(path)) from None
    if file.format != FORMAT:
        raise DecodeError(f"this version reads key files of format {FORMAT}, not {file.format[:40]!r}", str(path))
    from_base64(file.public, KEY_BYTES, f"{path}: public")
    return StoredKey(path, file.organisation, file.name, file.public, file)


def stored_keys(directory: Path) -> Iterator[StoredKey]:
    """All keys of all organisations below `directory`, by organisation and name."""
    for path in sorted(directory.glob(f"*/*{SUFFIX}")):
        yield read_key(path)


def _derived(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    return pwhash.argon2id.kdf(
        SecretBox.KEY_SIZE, passphrase.encode(), salt, opslimit=cost.operations, memlimit=cost.memory_bytes
    )


class Passphrases:
    """Opens keys with the passphrases it knows, asks for more where somebody can answer, and remembers what opened."""

    def __init__(self, known: tuple[str, ...] = (), ask: Callable[[str], str] | None = None) -> None:
        self._known = list(known)
        self._ask = ask
        self._opened: dict[str, SigningKey] = {}

    def remember(self, public: str, key: SigningKey) -> None:
        """A key that was just made needs no passphrase."""
        self._opened[public] = key

    def unlock(self, stored: StoredKey) -> SigningKey:
        """The signing key of `stored`. Raises `WrongPassphrase`."""
        if stored.public not in self._opened:
            self._opened[stored.public] = self._open(stored)
        return self._opened[stored.public]

    def choose(self, what: str) -> str:
        """The passphrase to give a new key: the first known, else asked for."""
        if self._known:
            return self._known[0]
        if self._ask is None:
            raise WrongPassphrase(f"no passphrase was given for {what}")
        answer = self._ask(f"New passphrase for {what}")
        self._known.append(answer)
        return answer

    def _open(self, stored: StoredKey) -> SigningKey:
        for passphrase in self._known:
            try:
                return stored.unlock(passphrase)
            except WrongPassphrase:
                continue
        if self._ask is None:
            missing = "no passphrase was given" if not self._known else "the passphrase does not open this key"
            raise WrongPassphrase(missing, str(stored.path))
        answer = self._ask(f"Passphrase of {stored.organisation}/{stored.name}")
        key = stored.unlock(answer)
        self._known.append(answer)
        return key
