"""Documents stay off the ledger: they lie in the home's document store, and only their salted hashes are anchored.

The salts are kept where `tally` looks for them, so that every document can be checked against the ledger afterwards.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from tallystick.documents.store import DocumentStore
from tallystick.kernel.core.fields import Anchor
from tallystick.node.anchoring import SALT_BYTES, Salted, anchor_hash, find_anchor, media_type_of
from tallystick.node.fingerprints import fingerprint
from tallystick.node.home import PRIVATE_DIRECTORY, Home, own_secret
from tallystick.wire.errors import DecodeError


@dataclass(frozen=True, slots=True)
class Invoice:
    """What a document says about an invoice: enough for its identity."""

    seller: str
    buyer: str
    number: str


class Papers:
    """The demo's documents, and the auditors' key of invoice fingerprints, which never goes onto the ledger."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._store = DocumentStore(home.documents)
        home.anchors.mkdir(exist_ok=True)
        self.fingerprint_key = own_secret(home.fingerprint_key)

    def anchored(self, kind: str, content: Mapping[str, object]) -> Anchor:
        """Write a document and return its anchor."""
        return self.kept(kind, json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n", f"{kind}.json")

    def kept(self, kind: str, raw: bytes, file_name: str) -> Anchor:
        """Keep a document and return its anchor.

        It goes where the node's store would put it, but is not synced to disk: what a power cut takes, a new run makes.
        """
        salt = secrets.token_bytes(SALT_BYTES)
        content = hashlib.sha256(raw).hexdigest()
        made = Salted(anchor_hash(salt, raw), salt.hex(), kind, media_type_of(file_name), len(raw), file_name, content)
        path = self._store.path_of(content)
        path.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        path.write_bytes(raw)
        (self._home.anchors / f"{made.hash}.json").write_bytes(msgspec.json.encode(made) + b"\n")
        return made.anchor

    def stand_in(self, kind: str, of: str) -> Anchor:
        """A paper that the story needs and nobody ever wrote."""
        return self.anchored(
            kind, {"document": kind, "of": of, "note": "Made up for the demo; stands for a real paper."}
        )

    def invoice(self, anchor: Anchor) -> Invoice:
        """An invoice's document, once its bytes are found to be those that were anchored. Raises `DecodeError`."""
        known = find_anchor(self._home, anchor.hash)
        if known is None:
            raise DecodeError("its salt is not kept here", anchor.hash)
        path = self._store.path_of(known.content)
        raw = path.read_bytes()
        if not known.fits(raw):
            raise DecodeError("the document is not the one that was anchored", str(path))
        said = json.loads(raw)
        return Invoice(said["seller"], said["buyer"], said["number"])

    def recomputed(self, anchor: Anchor) -> str:
        """The fingerprint of the invoice in a document, as an auditor computes it."""
        return self.fingerprint(self.invoice(anchor))

    def fingerprint(self, invoice: Invoice) -> str:
        """The keyed fingerprint of an invoice."""
        return fingerprint(self.fingerprint_key, invoice.seller, invoice.buyer, "", invoice.number)
