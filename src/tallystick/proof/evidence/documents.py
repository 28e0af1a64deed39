"""That a document's bytes are those which were anchored: its salted hash stands in a proven record or transaction."""

from collections.abc import Iterable, Iterator
from hashlib import sha256

from tallystick.proof.evidence.bundle import Document, Json
from tallystick.proof.evidence.errors import NotProven

ANCHOR_TAG = b"tallystick-anchor-v1\n"


def prove_document(document: Document, anchored_in: dict[str, list[str]]) -> list[str]:
    """Where a document is anchored, by the names in `anchored_in`. Raises NotProven."""
    where = f"document {document.hash.hex()[:16]}"
    if sha256(ANCHOR_TAG + document.salt + document.content).digest() != document.hash:
        raise NotProven("documents", "its bytes are not those that were anchored", where)
    places = anchored_in.get(document.hash.hex())
    if not places:
        raise NotProven("documents", "nothing in the bundle anchors it", where)
    return places


def anchors_in(named: Iterable[tuple[str, Json]]) -> dict[str, list[str]]:
    """All anchors in proven values, by their hash: the names of the values that hold each."""
    found: dict[str, list[str]] = {}
    for name, value in named:
        for digest in sorted(set(_hashes(value))):
            found.setdefault(digest, []).append(name)
    return found


def _hashes(value: Json) -> Iterator[str]:
    """The hash of every anchor within: an object with `hash` and `kind`."""
    if isinstance(value, dict):
        digest = value.get("hash")
        if isinstance(digest, str) and "kind" in value:
            yield digest
        for inner in value.values():
            yield from _hashes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _hashes(inner)
