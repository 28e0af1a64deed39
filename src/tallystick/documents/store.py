"""Content-addressed files on disk: a document lies under the SHA-256 of its bytes, is written once and never changed.

`ROOT/sha256/ab/cdef...`. A read recomputes the hash, so a damaged file is found out before it is used. A put returns
once file and folders are synced. The plain hash stays on this machine: what stands on the ledger is salted
(docs/spec/anchors.md), as the hash of a short or standard document can be guessed.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tallystick.wire.errors import DecodeError

MAX_DOCUMENT_BYTES = 1 << 30
PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
ALGORITHM = "sha256"

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


class DamagedDocument(DecodeError):
    """A kept document is not the one that was put there."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A document in the store."""

    hash: str
    size: int


class DocumentStore:
    """The documents below one folder. Folder and files can be read by their owner alone."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, content: bytes) -> str:
        """Keep `content` and return its SHA-256; a copy that is there and whole is left as it is.

        A damaged one, as a power cut may leave behind, is written anew: the name says what belongs there. Raises
        `DecodeError` where it is too large.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError
        from obstore.store import LocalStore

        if len(content) > MAX_DOCUMENT_BYTES:
            raise DecodeError(f"larger than {MAX_DOCUMENT_BYTES} bytes", "document")
        name = hashlib.sha256(content).hexdigest()
        path = self.path_of(name)
        made = _make_folders(path.parent)
        files = LocalStore(self.root)
        try:
            obstore.put(files, _key_of(name), content, mode="create")
        except AlreadyExistsError:
            if self._is_whole(name):
                return name
            obstore.put(files, _key_of(name), content, mode="overwrite")
        path.chmod(PRIVATE_FILE)
        for synced in (path, path.parent, *made):
            _sync(synced)
        return name

    def get(self, hash: str) -> bytes:
        """The document with this SHA-256. Raises `DecodeError` naming it, `DamagedDocument` naming its file."""
        import obstore
        from obstore.store import LocalStore

        path = self.path_of(hash)
        if not path.is_file():
            raise DecodeError("no such document is kept here (tally document list)", hash)
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise DamagedDocument("the document's file was changed: it is larger than any document", str(path))
        content = bytes(obstore.get(LocalStore(self.root), _key_of(hash)).bytes())
        if hashlib.sha256(content).hexdigest() != hash:
            raise DamagedDocument("the document's file was changed: its bytes are not those of its name", str(path))
        return content

    def _is_whole(self, hash: str) -> bool:
        try:
            self.get(hash)
        except DamagedDocument:
            return False
        return True

    def has(self, hash: str) -> bool:
        """Whether a document with this SHA-256 was put here."""
        return self.path_of(hash).is_file()

    def remove(self, hash: str) -> None:
        """Delete this machine's copy. Raises `DecodeError` where there is none."""
        try:
            self.path_of(hash).unlink()
        except FileNotFoundError:
            raise DecodeError("no such document is kept here (tally document list)", hash) from None

    def kept(self) -> Iterator[Kept]:
        """All documents in the order of their hashes."""
        for path in sorted((self.root / ALGORITHM).glob("??/*")):
            name = path.parent.name + path.name
            if _HASH.fullmatch(name):
                yield Kept(name, path.stat().st_size)

    def path_of(self, hash: str) -> Path:
        """Where the document with this SHA-256 lies, or would. Raises `DecodeError` unless it is a hash."""
        if not _HASH.fullmatch(hash):
            raise DecodeError("not a SHA-256 in lower-case hexadecimal", hash[:80])
        return self.root / _key_of(hash)


def _key_of(hash: str) -> str:
    return f"{ALGORITHM}/{hash[:2]}/{hash[2:]}"


def _make_folders(path: Path) -> list[Path]:
    """Make `path` and what is missing above it; returns the folders that got a new entry."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
    return [folder.parent for folder in missing]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
