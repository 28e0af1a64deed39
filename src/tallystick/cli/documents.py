"""`tally document find | store | get | list | share | take | forget`: the paper behind the ledger's anchors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Desk, desk
from tallystick.cli.output import pairs, table

if TYPE_CHECKING:
    from tallystick.node.anchoring import Salted
    from tallystick.node.tracing import Brought, Trace

DocumentFile = Annotated[Path, Parameter(metavar="FILE", help="The document.")]
HashName = Annotated[
    str,
    Parameter(metavar="HASH", help="The anchor's hash or the document's own SHA-256, or the beginning of either."),
]
SHOWN_OF_HASH = 16


def find(file: DocumentFile, /, *, common: Common = NO_OPTIONS) -> None:
    """Say what on the ledger anchors a file: kind, record, who, height and time; or that nothing does.

    Anchors are salted, so only those can be found whose salts are kept here: made on this machine, or taken (tally
    document take). There is no index by hash; the whole ledger is read through.
    """
    import hashlib

    from tallystick.cli.progress import progress
    from tallystick.node.anchoring import fitting, read_document
    from tallystick.node.tracing import trace

    content = read_document(file)
    with desk(common, reading=True) as at:
        known = fitting(at.session.home, content)
        hashes = tuple(one.hash for one in known)
        with progress(at.output, "reading the ledger", at.session.engine.health().height) as advance:
            found = trace(at.session, hashes, advance)
        on_ledger = {one.hash for one in found.brought} | {one.hash for one in found.standing}
        at.output.data(
            {
                "file": str(file),
                "sha256": hashlib.sha256(content).hexdigest(),
                "anchored": bool(on_ledger),
                "anchors": [_found_json(at, one, found) for one in known],
                "transactions_read_from_height": found.first_height,
            }
        )
        for one in known:
            if one.hash in on_ledger:
                at.output.show(*_found(at, one, found))
            else:
                at.output.show(
                    pairs([("anchor", one.hash), ("kind", one.kind)]),
                    "  made or taken here, but nothing on the ledger names it\n",
                )
        if not known:
            at.output.show("nothing anchored this file that could be found: no salt kept here makes an anchor of it")
            at.output.note("if somebody else anchored it, take what they share first (tally document share, take)")
        elif not on_ledger:
            at.output.show("nothing on the ledger anchors this file")
        if found.first_height > 1:
            at.output.note(f"transactions before block {found.first_height} are not kept here; records were all read")


def _found_json(at: Desk, one: "Salted", found: "Trace") -> dict[str, Any]:
    return {
        "hash": one.hash,
        "kind": one.kind,
        "media_type": one.media_type,
        "size": one.size,
        "transactions": [
            {
                "height": tx.height,
                "index": tx.index,
                "header_time": str(tx.time),
                "actor": tx.actor,
                "organisation": at.name(tx.actor),
                "id": tx.transaction_id,
                "operations": list(tx.operations),
                "status": tx.status.label,
            }
            for tx in found.brought
            if tx.hash == one.hash
        ],
        "records": [
            {"record": row.key.partition("/")[2], "table": row.key.partition("/")[0], "field": row.field}
            for row in found.standing
            if row.hash == one.hash
        ],
    }


def _found(at: Desk, one: "Salted", found: "Trace") -> list[Any]:
    from rich.markup import escape
    from rich.text import Text

    shown: list[Any] = [
        pairs(
            [
                ("anchor", one.hash),
                ("kind", one.kind),
                ("type, size", escape(f"{one.media_type}, {one.size:,} bytes")),
            ]
        )
    ]
    brought = [tx for tx in found.brought if tx.hash == one.hash]
    if brought:
        rows = table("anchored by", "in", "block", "time", "outcome", right=("block",), keep=("time",))
        for tx in brought:
            outcome = "done" if _is_done(tx) else f"refused: {tx.status.label}"
            time = at.block_time(tx.height, tx.time)
            rows.add_row(Text(at.name(tx.actor)), ", ".join(tx.operations), str(tx.height), time, outcome)
        shown.append(rows)
    standing = [row for row in found.standing if row.hash == one.hash]
    if standing:
        rows = table("stands in", "record", "as", keep=("record",))
        for row in standing:
            kind, _, record = row.key.partition("/")
            rows.add_row(kind, record, row.field)
        shown.append(rows)
    return shown


def _is_done(tx: "Brought") -> bool:
    from tallystick.wire.status import Status

    return tx.status is Status.OK


def store(
    file: DocumentFile,
    /,
    *,
    kind: Annotated[str, Parameter(help="What the document is, as its anchor will say.")] = "document",
    common: Common = NO_OPTIONS,
) -> None:
    """Keep a copy of a file and make its anchor, without handing anything in.

    `tally document anchor --anchor KIND:FILE` and any other option that takes a document then use the same anchor.
    """
    from rich.markup import escape

    from tallystick.node.anchoring import anchor_file, find_anchor

    _check_kind(kind)
    home = common.find_home()
    anchor = anchor_file(home, file, kind)
    known = find_anchor(home, anchor.hash)
    common.output.data({"anchor": _anchor_json(known)} if known is not None else {})
    common.output.show(pairs([("anchor", anchor.hash), ("kind", kind), ("kept in", escape(str(home.documents)))]))


def _check_kind(kind: str) -> None:
    import msgspec

    from tallystick.kernel.core.fields import Code
    from tallystick.wire.errors import DecodeError

    try:
        msgspec.convert(kind, Code)
    except msgspec.ValidationError:
        raise DecodeError(f"{kind[:70]!r} is not a kind like order or delivery_note", "--kind") from None


def _anchor_json(one: "Salted") -> dict[str, Any]:
    return {
        "hash": one.hash,
        "kind": one.kind,
        "media_type": one.media_type,
        "size": one.size,
        "file": one.file,
        "sha256": one.content,
    }


def get(
    hash: HashName,
    /,
    *,
    out: Annotated[Path, Parameter(metavar="FILE", help="Where to write it; never written over.")],
    common: Common = NO_OPTIONS,
) -> None:
    """Write a kept document to a file. Its bytes are proven to be those of its anchor first."""
    from tallystick.node.home import write_private
    from tallystick.node.sharing import content_of, named

    home = common.find_home()
    known = named(home, hash)
    write_private(out, content_of(home, known))
    common.output.data({"file": str(out), "anchor": _anchor_json(known)})
    common.output.note(f"{out}: {known.kind}, {known.size:,} bytes, as anchored under {known.hash}")


def list_documents(*, common: Common = NO_OPTIONS) -> None:
    """List the anchors whose salts are kept here, and whether the document is kept too."""
    from rich.text import Text

    from tallystick.documents.store import DocumentStore
    from tallystick.node.anchoring import anchors

    home = common.find_home()
    documents = DocumentStore(home.documents)
    known = list(anchors(home))
    kept = {one.hash: bool(one.content) and documents.has(one.content) for one in known}
    common.output.data([{**_anchor_json(one), "kept": kept[one.hash]} for one in known])
    rows = table("anchor", "kind", "file", "bytes", "kept", right=("bytes",), keep=("anchor",))
    for one in known:
        is_kept = "yes" if kept[one.hash] else "salt only"
        rows.add_row(one.hash[:SHOWN_OF_HASH], one.kind, Text(one.file), f"{one.size:,}", is_kept)
    if known:
        common.output.show(rows)
    else:
        common.output.note("no document was anchored or taken here yet")


def share(
    hash: HashName,
    /,
    *,
    out: Annotated[Path, Parameter(metavar="FILE", help="Where to write it; never written over.")],
    common: Common = NO_OPTIONS,
) -> None:
    """Write a document with its salt into one file, for somebody who is to check it against the ledger.

    Whoever has the file can prove the document to others. Hand it on as you would the document itself.
    """
    from tallystick.node.sharing import named, share

    home = common.find_home()
    known = named(home, hash)
    share(home, known, out)
    common.output.data({"file": str(out), "anchor": _anchor_json(known)})
    common.output.note(f"{out}: {known.kind} with its salt; the other side runs `tally document take {out.name}`")


def take(
    file: Annotated[Path, Parameter(metavar="FILE", help="What `tally document share` wrote.")],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> None:
    """Keep a document and its salt that somebody shared, once the one is proven to fit the other.

    `tally document find` then says what on the ledger anchors it.
    """
    from rich.markup import escape

    from tallystick.node.sharing import take

    home = common.find_home()
    known = take(home, file)
    common.output.data({"anchor": _anchor_json(known)})
    common.output.show(pairs([("anchor", known.hash), ("kind", known.kind), ("file", escape(known.file))]))


def forget(hash: HashName, /, *, common: Common = NO_OPTIONS) -> None:
    """Delete this machine's copy of a document. Its salt stays, so that the file can still be checked elsewhere."""
    from tallystick.documents.store import DocumentStore
    from tallystick.node.sharing import named

    home = common.find_home()
    known = named(home, hash)
    DocumentStore(home.documents).remove(known.content)
    common.output.data({"anchor": _anchor_json(known), "kept": False})
    common.output.note(f"the copy of {known.file} is deleted; its salt is kept")
