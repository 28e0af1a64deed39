"""An evidence bundle as it is written: read strictly, nothing verified yet. Format: docs/spec/evidence.md.

Rules kept here:
1. The file is the one written form of what it holds: compact JSON, fields sorted, none unknown or missing. So no byte
   of it is free.
2. Lists that have an order are in it, strictly: blocks and due work by height, transactions by place, records by key.
   So are those of its table of contents, to which `contents` holds them.
3. What was signed or hashed stands as JSON and is hashed from its canonical bytes, which an object has but one of.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self, TypeAlias

from tallystick.proof.comet import Commit, Header, ValidatorSet
from tallystick.proof.comet_json import (
    commit_from_json,
    commit_to_json,
    header_from_json,
    header_to_json,
    validators_from_json,
    validators_to_json,
)
from tallystick.proof.evidence.reading import (
    Object,
    each,
    fields,
    hexadecimal,
    items,
    number,
    parse_json,
    text,
    write_json,
)
from tallystick.proof.multiproof import MultiProof
from tallystick.wire import canonical
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import bytes_from_base64, to_base64

FORMAT = "tallystick-evidence-v2"
MAX_BYTES = 256 << 20
MAX_BLOCKS = 100_000
MAX_SETS = 10_000
MAX_TRANSACTIONS = 50_000
MAX_RECORDS = 50_000
MAX_DOCUMENTS = 1_000
MAX_PATH = 32
MAX_IN_BLOCK = 1_000_000

Json: TypeAlias = object


@dataclass(frozen=True, slots=True)
class Block:
    """A header; its commit, unless the next block of the bundle follows it and so attests it."""

    header: Header
    commit: Commit | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """An envelope in its block, and what became of it. The paths are Merkle aunts, from the leaf's sibling up."""

    height: int
    index: int
    total: int
    envelope: Json
    path: tuple[bytes, ...]
    code: int
    data: Json
    result_path: tuple[bytes, ...]
    events: Json

    @property
    def raw(self) -> bytes:
        """The bytes that were ordered."""
        return canonical.encode(self.envelope)

    @property
    def where(self) -> str:
        """Its place, as messages name it."""
        return f"transaction {self.height}/{self.index}"


@dataclass(frozen=True, slots=True)
class Roots:
    """What an app hash is made of."""

    state: bytes
    receipts: bytes


@dataclass(frozen=True, slots=True)
class DueWork:
    """The events of what a block did at its start by itself, with the links of the receipts chain around it.

    `digests` is, for each transaction of the block, SHA-256 of its body's hash and its result's data.
    """

    height: int
    events: Json
    before: Roots
    after: Roots
    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ProvenRecord:
    """A record at the bundle's height, or that none stands under its key."""

    key: str
    blind: bytes = b""
    value: Json = None

    @property
    def raw(self) -> bytes:
        """The record's bytes in the state: canonical JSON in which, other than in what is signed, null may stand."""
        return write_json(self.value)


@dataclass(frozen=True, slots=True)
class Document:
    """A document's bytes with the salt under which it was anchored."""

    hash: bytes
    salt: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """What a bundle was made to hold, by name: record keys, places of steps, heights, hashes of documents."""

    records: tuple[str, ...] = ()
    transactions: tuple[tuple[int, int], ...] = ()
    due_work: tuple[int, ...] = ()
    blocks: tuple[int, ...] = ()
    documents: tuple[bytes, ...] = ()

    def to_json(self) -> Object:
        """What is written, as JSON values."""
        return {
            "records": list(self.records),
            "transactions": [list(place) for place in self.transactions],
            "due_work": list(self.due_work),
            "blocks": list(self.blocks),
            "documents": [digest.hex() for digest in self.documents],
        }

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """Read a table of contents. Raises DecodeError."""
        names = ("records", "transactions", "due_work", "blocks", "documents")
        found = fields(value, where, names)
        return cls(
            records=each(found["records"], f"{where}.records", MAX_RECORDS, _key_from_json),
            transactions=each(found["transactions"], f"{where}.transactions", MAX_TRANSACTIONS, _place_from_json),
            due_work=each(found["due_work"], f"{where}.due_work", MAX_BLOCKS, _height_from_json),
            blocks=each(found["blocks"], f"{where}.blocks", MAX_BLOCKS, _height_from_json),
            documents=each(found["documents"], f"{where}.documents", MAX_DOCUMENTS, hexadecimal),
        )


@dataclass(frozen=True, slots=True)
class Bundle:
    """All that a bundle holds. `height` is that of the state which `records` show; header `height + 1` attests it.

    `contents` is what it says that it holds, which `held` is to be.
    """

    about: str
    genesis: bytes
    height: int
    validators: tuple[ValidatorSet, ...]
    blocks: tuple[Block, ...]
    transactions: tuple[Transaction, ...]
    due_work: tuple[DueWork, ...]
    records: tuple[ProvenRecord, ...]
    roots: Roots
    proof: MultiProof
    documents: tuple[Document, ...] = ()
    contents: Contents = Contents()

    @property
    def held(self) -> Contents:
        """What it does hold."""
        return Contents(
            records=tuple(one.key for one in self.records),
            transactions=tuple((one.height, one.index) for one in self.transactions),
            due_work=tuple(one.height for one in self.due_work),
            blocks=tuple(block.header.height for block in self.blocks),
            documents=tuple(one.hash for one in self.documents),
        )

    def listed(self) -> Self:
        """The same with a table of contents of what it holds."""
        return replace(self, contents=self.held)

    def to_bytes(self) -> bytes:
        """The one written form."""
        return write_json(self.to_json())

    def to_json(self) -> Object:
        """What is written, as JSON values."""
        return {
            "format": FORMAT,
            "about": self.about,
            "genesis": self.genesis.hex(),
            "height": self.height,
            "contents": self.contents.to_json(),
            "validators": [validators_to_json(each) for each in self.validators],
            "blocks": [_block_to_json(block) for block in self.blocks],
            "transactions": [_transaction_to_json(one) for one in self.transactions],
            "due_work": [_due_work_to_json(one) for one in self.due_work],
            "records": [_record_to_json(one) for one in self.records],
            "state": {**_roots_to_json(self.roots), "proof": to_base64(self.proof.to_bytes())},
            "documents": [
                {"hash": one.hash.hex(), "salt": one.salt.hex(), "content": to_base64(one.content)}
                for one in self.documents
            ],
        }

    @classmethod
    def from_bytes(cls, raw: bytes, where: str = "bundle") -> Self:
        """Read a bundle. Raises DecodeError naming the field; says nothing yet about truth."""
        parts = ("validators", "blocks", "transactions", "due_work", "records", "state", "documents")
        names = ("format", "about", "genesis", "height", "contents", *parts)
        value = fields(parse_json(raw, MAX_BYTES, where), where, names)
        if value["format"] != FORMAT:
            raise DecodeError(f"not {FORMAT}", "format")
        state = fields(value["state"], "state", ("state_root", "receipts_root", "proof"))
        bundle = cls(
            about=text(value["about"], "about"),
            genesis=hexadecimal(value["genesis"], "genesis"),
            height=number(value["height"], "height"),
            validators=each(value["validators"], "validators", MAX_SETS, validators_from_json),
            blocks=each(value["blocks"], "blocks", MAX_BLOCKS, _block_from_json),
            transactions=each(value["transactions"], "transactions", MAX_TRANSACTIONS, _transaction_from_json),
            due_work=each(value["due_work"], "due_work", MAX_BLOCKS, _due_work_from_json),
            records=each(value["records"], "records", MAX_RECORDS, _record_from_json),
            roots=_roots_from_json(state, "state"),
            proof=MultiProof.from_bytes(bytes_from_base64(state["proof"], "state.proof")),
            documents=each(value["documents"], "documents", MAX_DOCUMENTS, _document_from_json),
            contents=Contents.from_json(value["contents"], "contents"),
        )
        _check_order(bundle)
        again = bundle.to_json()
        if write_json(again) != raw:
            part = next((name for name in value if again[name] != value[name]), where)
            raise DecodeError("not in its one written form", part)
        return bundle


def _check_order(bundle: Bundle) -> None:
    for where, listed in (("", bundle.held), ("contents.", bundle.contents)):
        orders: tuple[tuple[str, tuple[object, ...]], ...] = (
            ("blocks", listed.blocks),
            ("transactions", listed.transactions),
            ("due_work", listed.due_work),
            ("records", listed.records),
            ("documents", listed.documents),
        )
        for name, places in orders:
            if any(not first < second for first, second in pairwise(places)):  # type: ignore[operator]
                raise DecodeError("not in strictly ascending order", f"{where}{name}")


def _block_to_json(block: Block) -> Object:
    header: Object = {"header": header_to_json(block.header)}
    return header if block.commit is None else {**header, "commit": commit_to_json(block.commit)}


def _block_from_json(value: object, where: str) -> Block:
    found = fields(value, where, ("header",), ("commit",))
    commit = commit_from_json(found["commit"], f"{where}.commit") if "commit" in found else None
    return Block(header_from_json(found["header"], f"{where}.header"), commit)


def _transaction_to_json(one: Transaction) -> Object:
    return {
        "height": one.height,
        "index": one.index,
        "total": one.total,
        "envelope": one.envelope,
        "path": [aunt.hex() for aunt in one.path],
        "code": one.code,
        "data": one.data,
        "result_path": [aunt.hex() for aunt in one.result_path],
        "events": one.events,
    }


def _transaction_from_json(value: object, where: str) -> Transaction:
    names = ("height", "index", "total", "envelope", "path", "code", "data", "result_path", "events")
    found = fields(value, where, names)
    return Transaction(
        height=number(found["height"], f"{where}.height", 1),
        index=number(found["index"], f"{where}.index", 0, MAX_IN_BLOCK),
        total=number(found["total"], f"{where}.total", 1, MAX_IN_BLOCK),
        envelope=_canonical(found["envelope"], f"{where}.envelope"),
        path=each(found["path"], f"{where}.path", MAX_PATH, hexadecimal),
        code=number(found["code"], f"{where}.code"),
        data=_canonical(found["data"], f"{where}.data"),
        result_path=each(found["result_path"], f"{where}.result_path", MAX_PATH, hexadecimal),
        events=_canonical(found["events"], f"{where}.events"),
    )


def _due_work_to_json(one: DueWork) -> Object:
    return {
        "height": one.height,
        "events": one.events,
        "before": _roots_to_json(one.before),
        "after": _roots_to_json(one.after),
        "digests": [digest.hex() for digest in one.digests],
    }


def _due_work_from_json(value: object, where: str) -> DueWork:
    found = fields(value, where, ("height", "events", "before", "after", "digests"))
    roots = ("state_root", "receipts_root")
    return DueWork(
        height=number(found["height"], f"{where}.height", 1),
        events=_canonical(found["events"], f"{where}.events"),
        before=_roots_from_json(fields(found["before"], f"{where}.before", roots), f"{where}.before"),
        after=_roots_from_json(fields(found["after"], f"{where}.after", roots), f"{where}.after"),
        digests=each(found["digests"], f"{where}.digests", MAX_IN_BLOCK, hexadecimal),
    )


def _roots_to_json(roots: Roots) -> Object:
    return {"state_root": roots.state.hex(), "receipts_root": roots.receipts.hex()}


def _roots_from_json(found: Object, where: str) -> Roots:
    return Roots(
        hexadecimal(found["state_root"], f"{where}.state_root"),
        hexadecimal(found["receipts_root"], f"{where}.receipts_root"),
    )


def _record_to_json(one: ProvenRecord) -> Object:
    if one.value is None:
        return {"key": one.key}
    return {"key": one.key, "blind": one.blind.hex(), "value": one.value}


def _record_from_json(value: object, where: str) -> ProvenRecord:
    found = fields(value, where, ("key",), ("blind", "value"))
    key = _key_from_json(found["key"], f"{where}.key")
    if "value" not in found and "blind" not in found:
        return ProvenRecord(key)
    fields(value, where, ("key", "blind", "value"))
    return ProvenRecord(key, hexadecimal(found["blind"], f"{where}.blind"), found["value"])


def _key_from_json(value: object, where: str) -> str:
    return text(value, where, 300)


def _height_from_json(value: object, where: str) -> int:
    return number(value, where, 1)


def _place_from_json(value: object, where: str) -> tuple[int, int]:
    found = items(value, where, 2)
    if len(found) != 2:
        raise DecodeError("not a height and an index", where)
    return number(found[0], f"{where}[0]", 1), number(found[1], f"{where}[1]", 0, MAX_IN_BLOCK)


def _document_from_json(value: object, where: str) -> Document:
    found = fields(value, where, ("hash", "salt", "content"))
    return Document(
        hexadecimal(found["hash"], f"{where}.hash"),
        hexadecimal(found["salt"], f"{where}.salt"),
        bytes_from_base64(found["content"], f"{where}.content"),
    )


def _canonical(value: object, where: str) -> Json:
    """A value that has canonical bytes."""
    try:
        canonical.encode(value)
    except DecodeError as error:
        raise DecodeError(error.what, f"{where}.{error.where}" if error.where else where) from None
    return value
