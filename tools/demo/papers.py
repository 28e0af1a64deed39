"""Documents stay off the ledger: they lie in the demo's `documents`, and only their salted hashes are anchored.

The salts are kept where `tally` looks for them, so that every document can be checked against the ledger afterwards.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tallystick.kernel.core.fields import Anchor
from tallystick.node.anchoring import SALT_BYTES, Salted, anchor_hash, find_anchor
from tallystick.node.fingerprints import fingerprint
from tallystick.node.home import Home
from tallystick.node.importing import own_fingerprint_key
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
        self._folder = home.path / "documents"
        self._folder.mkdir()
        home.anchors.mkdir(exist_ok=True)
        self.fingerprint_key = own_fingerprint_key(home)

    def anchored(self, kind: str, content: Mapping[str, object]) -> Anchor:
        """Write a document and return its anchor."""
        raw = json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"
        salt = secrets.token_bytes(SALT_BYTES)
        made = Salted(anchor_hash(salt, raw), salt.hex(), kind, "application/json", len(raw), f"{kind}.json")
        self._path(made.hash).write_bytes(raw)
        (self._home.anchors / f"{made.hash}.json").write_bytes(msgspec.json.encode(made) + b"\n")
        return Anchor(hash=made.hash, kind=kind, media_type=made.media_type, size=made.size)

    def stand_in(self, kind: str, of: str) -> Anchor:
        """A paper that the story needs and nobody ever wrote."""
        return self.anchored(
            kind, {"document": kind, "of": of, "note": "Made up for the demo; stands for a real paper."}
        )

    def invoice(self, anchor: Anchor) -> Invoice:
        """An invoice's document, once its bytes are found to be those that were anchored. Raises `DecodeError`."""
        raw = self._path(anchor.hash).read_bytes()
        kept = find_anchor(self._home, anchor.hash)
        if kept is None or anchor_hash(bytes.fromhex(kept.salt), raw) != anchor.hash:
            raise DecodeError("the document is not the one that was anchored", str(self._path(anchor.hash)))
        said = json.loads(raw)
        return Invoice(said["seller"], said["buyer"], said["number"])

    def recomputed(self, anchor: Anchor) -> str:
        """The fingerprint of the invoice in a document, as an auditor computes it."""
        return self.fingerprint(self.invoice(anchor))

    def fingerprint(self, invoice: Invoice) -> str:
        """The keyed fingerprint of an invoice."""
        return fingerprint(self.fingerprint_key, invoice.seller, invoice.buyer, "", invoice.number)

    def _path(self, hash: str) -> Path:
        return self._folder / f"{hash}.json"
