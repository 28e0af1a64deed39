"""Anchoring files: what stands on the ledger is a salted hash, so that a file's content can't be guessed from it.

hash = SHA-256("tallystick-anchor-v1\\n" + salt (32 random bytes) + the file's bytes). The salt is kept beside, in
`HOME/anchors/<hash>.json`; whoever is to check the file against the ledger needs it. The same file anchored again keeps
its hash. A copy of the file is kept in `HOME/documents`, by content.
"""

import hashlib
import mimetypes
import secrets
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tallystick.documents.store import MAX_DOCUMENT_BYTES, DocumentStore
from tallystick.kernel.core.fields import Anchor
from tallystick.node.home import Home, write_private
from tallystick.wire.errors import DecodeError

ANCHOR_DOMAIN = b"tallystick-anchor-v1\n"
SALT_BYTES = 32
MEDIA_TYPES = {".csv": "text/csv", ".md": "text/markdown", ".ofd": "application/ofd", ".toml": "application/toml"}


class Salted(msgspec.Struct, frozen=True):
    """What is kept beside an anchor: without the salt, the hash proves nothing.

    `content` is the plain SHA-256, under which a copy may lie in the document store; it never leaves this machine but
    with the document itself.
    """

    hash: str
    salt: str
    kind: str
    media_type: str
    size: int
    file: str
    content: str = ""

    @property
    def anchor(self) -> Anchor:
        """What stands on the ledger."""
        return Anchor(hash=self.hash, kind=self.kind, media_type=self.media_type, size=self.size)

    def fits(self, content: bytes) -> bool:
        """Whether it is the anchor of these bytes."""
        return self.size == len(content) and anchor_hash(bytes.fromhex(self.salt), content) == self.hash


_decode = msgspec.json.Decoder(Salted).decode


def anchor_file(home: Home, path: Path, kind: str) -> Anchor:
    """The anchor of a file; its salt and a copy of it are kept in the home. Raises `DecodeError` naming the file."""
    return anchor_content(home, read_document(path), kind, path.name)


def anchor_content(home: Home, content: bytes, kind: str, file_name: str) -> Anchor:
    """The anchor of a document, with its salt and a copy kept in the home: the same one for the same kind and bytes."""
    stored = DocumentStore(home.documents).put(content)
    for known in fitting(home, content):
        if known.kind == kind:
            if not known.content:  # made before copies were kept
                keep_salt(home, msgspec.structs.replace(known, content=stored), replace=True)
            return known.anchor
    salt = secrets.token_bytes(SALT_BYTES)
    made = Salted(
        hash=anchor_hash(salt, content),
        salt=salt.hex(),
        kind=kind,
        media_type=media_type_of(file_name),
        size=len(content),
        file=file_name,
        content=stored,
    )
    keep_salt(home, made)
    return made.anchor


def read_document(path: Path) -> bytes:
    """The bytes of a file that is to be anchored or looked for. Raises `DecodeError` naming it."""
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise DecodeError(f"larger than {MAX_DOCUMENT_BYTES} bytes", str(path))
        return path.read_bytes()
    except OSError as error:
        raise DecodeError(f"the file can't be read: {error.strerror}", str(path)) from None


def media_type_of(file_name: str) -> str:
    """The media type that a file's name says."""
    suffix = Path(file_name).suffix.lower()
    return MEDIA_TYPES.get(suffix) or mimetypes.guess_type(file_name)[0] or "application/octet-stream"


def anchor_hash(salt: bytes, content: bytes) -> str:
    """The salted hash, hexadecimal."""
    return hashlib.sha256(ANCHOR_DOMAIN + salt + content).hexdigest()


def keep_salt(home: Home, made: Salted, *, replace: bool = False) -> None:
    """Keep an anchor's salt in the home."""
    raw = msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n"
    write_private(home.anchors / f"{made.hash}.json", raw, replace=replace)


def anchors(home: Home) -> Iterator[Salted]:
    """The anchors whose salts are kept here, by hash. Raises `DecodeError` naming a file that can't be read."""
    for path in sorted(home.anchors.glob("*.json")):
        yield _read(path)


def fitting(home: Home, content: bytes) -> list[Salted]:
    """The anchors whose salts are kept here and that are of these bytes."""
    return [known for known in anchors(home) if known.fits(content)]


def find_anchor(home: Home, hash: str) -> Salted | None:
    """What this machine knows about an anchor, or None."""
    path = home.anchors / f"{hash}.json"
    return _read(path) if path.exists() else None


def _read(path: Path) -> Salted:
    try:
        known = _decode(path.read_bytes())
        bytes.fromhex(known.salt)
    except (msgspec.DecodeError, ValueError) as error:
        raise DecodeError(f"not a salt file: {error}", str(path)) from None
    return known
