"""Anchoring files: what stands on the ledger is a salted hash, so that a file's content can't be guessed from it.

hash = SHA-256("tallystick-anchor-v1\\n" + salt (32 random bytes) + the file's bytes). The salt is kept beside, in
`HOME/anchors/<hash>.json`; whoever is to check the file against the ledger needs it. The same file anchored again keeps
its hash.
"""

import hashlib
import mimetypes
import secrets
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tallystick.kernel.core.fields import Anchor
from tallystick.node.home import Home, write_private
from tallystick.wire.errors import DecodeError

ANCHOR_DOMAIN = b"tallystick-anchor-v1\n"
SALT_BYTES = 32
MAX_FILE_BYTES = 1 << 30
MEDIA_TYPES = {".csv": "text/csv", ".md": "text/markdown", ".ofd": "application/ofd", ".toml": "application/toml"}


class Salted(msgspec.Struct, frozen=True):
    """What is kept beside an anchor: without the salt, the hash proves nothing."""

    hash: str
    salt: str
    kind: str
    media_type: str
    size: int
    file: str


_decode = msgspec.json.Decoder(Salted).decode


def anchor_file(home: Home, path: Path, kind: str) -> Anchor:
    """The anchor of a file, whose salt is kept in the home. Raises `DecodeError` naming the file."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DecodeError(f"larger than {MAX_FILE_BYTES} bytes", str(path))
        content = path.read_bytes()
    except OSError as error:
        raise DecodeError(f"the file can't be read: {error.strerror}", str(path)) from None
    for known in anchors(home):
        if (
            known.kind == kind
            and known.size == len(content)
            and anchor_hash(bytes.fromhex(known.salt), content) == known.hash
        ):
            return Anchor(hash=known.hash, kind=kind, media_type=known.media_type, size=known.size)
    salt = secrets.token_bytes(SALT_BYTES)
    media_type = (
        MEDIA_TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    )
    made = Salted(anchor_hash(salt, content), salt.hex(), kind, media_type, len(content), path.name)
    write_private(home.anchors / f"{made.hash}.json", msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")
    return Anchor(hash=made.hash, kind=kind, media_type=media_type, size=len(content))


def anchor_hash(salt: bytes, content: bytes) -> str:
    """The salted hash, hexadecimal."""
    return hashlib.sha256(ANCHOR_DOMAIN + salt + content).hexdigest()


def anchors(home: Home) -> Iterator[Salted]:
    """The anchors made on this machine, by hash. Raises `DecodeError` naming a file that can't be read."""
    for path in sorted(home.anchors.glob("*.json")):
        try:
            yield _decode(path.read_bytes())
        except msgspec.DecodeError as error:
            raise DecodeError(f"not a salt file: {error}", str(path)) from None


def find_anchor(home: Home, hash: str) -> Salted | None:
    """What this machine knows about an anchor, or None."""
    path = home.anchors / f"{hash}.json"
    return _decode(path.read_bytes()) if path.exists() else None
