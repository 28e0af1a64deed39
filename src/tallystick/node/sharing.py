"""Handing a document with its salt to somebody who is to check it against the ledger.

A shared document is a ZIP file of two members, stored and not compressed: `anchor.json` (the salt file) and `document`.
Whoever takes it finds the salted hash in it proven by the document, or refuses it; what stands on the ledger is looked
up after that.
"""

import io
import re
import zipfile
from pathlib import Path

import msgspec

from tallystick.documents.store import MAX_DOCUMENT_BYTES, DocumentStore
from tallystick.kernel.core import codec
from tallystick.kernel.core.fields import Anchor
from tallystick.node.anchoring import SALT_BYTES, Salted, anchors, find_anchor, keep_salt, read_document
from tallystick.node.home import Home, write_private
from tallystick.wire.errors import DecodeError

ANCHOR_MEMBER = "anchor.json"
DOCUMENT_MEMBER = "document"
MAX_SALT_FILE_BYTES = 16_384
MAX_FILE_NAME = 255
LEAST_TYPED = 8  # characters of a hash

_SALT = re.compile(rf"[0-9a-f]{{{2 * SALT_BYTES}}}", re.ASCII)
_ZIP_DAY = (1980, 1, 1, 0, 0, 0)  # a shared file says nothing about when it was made


def named(home: Home, text: str) -> Salted:
    """The anchor whose hash, or whose document's plain SHA-256, begins with `text`. Raises `DecodeError`."""
    found = [one for one in anchors(home) if one.hash.startswith(text) or one.content.startswith(text)]
    if not found or len(text) < LEAST_TYPED:
        raise DecodeError(
            f"no anchor kept here begins with it (at least {LEAST_TYPED} characters; tally document list)", text[:64]
        )
    if len({one.content or one.hash for one in found}) > 1:
        raise DecodeError(f"fits {len(found)} anchors: {', '.join(one.hash[:16] for one in found[:10])}", text[:64])
    return found[0]


def content_of(home: Home, known: Salted) -> bytes:
    """The kept copy of an anchored document, proven to be it. Raises `DecodeError`."""
    store = DocumentStore(home.documents)
    if not known.content or not store.has(known.content):
        raise DecodeError("only its salt is kept here, not the document", known.hash)
    content = store.get(known.content)
    if not known.fits(content):
        raise DecodeError("the salt kept here does not belong to the document", known.hash)
    return content


def share(home: Home, known: Salted, out: Path) -> None:
    """Write a document with its salt into one file, which its owner alone may read. Raises `DecodeError`."""
    content = content_of(home, known)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as made:
        for name, member in ((ANCHOR_MEMBER, msgspec.json.encode(known)), (DOCUMENT_MEMBER, content)):
            made.writestr(zipfile.ZipInfo(name, _ZIP_DAY), member)
    write_private(out, packed.getvalue())


def take(home: Home, path: Path) -> Salted:
    """Keep a document and its salt that somebody shared. Raises `DecodeError` naming it, and keeps nothing then."""
    raw_anchor, content = _members(path)
    known = _checked(raw_anchor, str(path))
    if not known.fits(content):
        raise DecodeError("its document is not the one that its salt and hash are of", str(path))
    stored = DocumentStore(home.documents).put(content)
    known = msgspec.structs.replace(known, content=stored)
    before = find_anchor(home, known.hash)
    if before is None:
        keep_salt(home, known)
    return before or known


def _members(path: Path) -> tuple[bytes, bytes]:
    """The two members, each read no further than it may be long: a ZIP file can claim any size."""
    read_document(path)  # says what is wrong with a file that can't be read
    try:
        with zipfile.ZipFile(path) as packed:
            names = packed.namelist()
            if sorted(names) != [ANCHOR_MEMBER, DOCUMENT_MEMBER]:
                raise DecodeError("not a shared document (tally document share)", str(path))
            return _read(packed, ANCHOR_MEMBER, MAX_SALT_FILE_BYTES), _read(packed, DOCUMENT_MEMBER, MAX_DOCUMENT_BYTES)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise DecodeError(f"not a shared document: {error}", str(path)) from None


def _read(packed: zipfile.ZipFile, name: str, most: int) -> bytes:
    if packed.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise DecodeError("a shared document is not compressed", name)
    with packed.open(name) as member:
        content = member.read(most + 1)
    if len(content) > most:
        raise DecodeError(f"longer than {most} bytes", name)
    return content


def _checked(raw: bytes, where: str) -> Salted:
    """The salt file of a shared document, of which every field came from outside."""
    try:
        known = msgspec.json.decode(raw, type=Salted)
        codec.decoder(Anchor).decode(codec.encode(known.anchor))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise DecodeError(f"its {ANCHOR_MEMBER} can't be read: {error}", where) from None
    name = known.file
    if not _SALT.fullmatch(known.salt) or not (name + known.media_type).isprintable() or len(name) > MAX_FILE_NAME:
        raise DecodeError(f"its {ANCHOR_MEMBER} is not a salt file", where)
    return msgspec.structs.replace(known, file=Path(name).name or DOCUMENT_MEMBER)
