"""`tally evidence`, `tally verify`, `tally prove-document`: one file that a stranger can check offline."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Desk, Stop, desk
from tallystick.cli.output import Exit
from tallystick.cli.progress import progress

if TYPE_CHECKING:
    from tallystick.proof.evidence.bundle import Document

OutFile = Annotated[
    Path | None, Parameter(name=("--out", "-o"), metavar="FILE", help="Where it goes. [ID.evidence.json]")
]


def evidence(
    record: Annotated[str, Parameter(metavar="ID", help="What it is about; the beginning of the id is enough.")],
    /,
    *,
    out: OutFile = None,
    with_documents: Annotated[
        bool, Parameter(help="Put in the documents kept here that are anchored in it, with their salts.")
    ] = False,
    with_members: Annotated[
        bool, Parameter(help="Show, too, how each signer became a member and got its keys, back to the founders.")
    ] = False,
    common: Common = NO_OPTIONS,
) -> None:
    """Write the evidence bundle of a record: its steps, results, signers and present state, with all proofs.

    Whoever has the chain's genesis checks it offline: tally verify FILE --genesis FILE.
    """
    from tallystick.kernel.plans.cases import Certificate, Dispute, Evidence, Refund

    with desk(common, reading=True) as at:
        found = at.session.lookup.record(record)
        name = found.id
        if isinstance(found, Certificate | Evidence | Dispute | Refund):
            name = found.plan
            at.output.note(f"a {found.table} is proven with its plan: this is the evidence of {name}")
        _write(at, name, out or Path(f"{name}.evidence.json"), with_documents=with_documents, with_members=with_members)


def prove_document(
    file: Annotated[Path, Parameter(metavar="FILE", help="The document.")],
    /,
    *,
    out: OutFile = None,
    common: Common = NO_OPTIONS,
) -> None:
    """Find what anchors a file and write the evidence bundle of it, with the file and its salt inside."""
    from tallystick.node.anchoring import fitting, read_document
    from tallystick.node.evidence import can_be_about
    from tallystick.node.tracing import trace
    from tallystick.proof.evidence.bundle import Document
    from tallystick.wire.errors import DecodeError

    content = read_document(file)
    with desk(common, reading=True) as at:
        known = fitting(at.session.home, content)
        with progress(at.output, "reading the ledger", at.session.engine.health().height) as advance:
            found = trace(at.session, tuple(one.hash for one in known), advance)
        for standing in found.standing:
            name = standing.key.partition("/")[2]
            if can_be_about(name):
                salt = next(one.salt for one in known if one.hash == standing.hash)
                document = Document(bytes.fromhex(standing.hash), bytes.fromhex(salt), content)
                _write(at, name, out or Path(f"{file.name}.evidence.json"), documents=(document,))
                return
    raise DecodeError("no record on the ledger anchors this file by a salt that is kept here", str(file))


def _write(
    at: Desk,
    name: str,
    out: Path,
    *,
    with_documents: bool = False,
    with_members: bool = False,
    documents: "tuple[Document, ...]" = (),
) -> None:
    from dataclasses import replace

    from tallystick.node.evidence import bundle_about, documents_of
    from tallystick.proof.evidence.bundle import FORMAT
    from tallystick.proof.evidence.genesis import Genesis

    session = at.session
    genesis = session.home.genesis.read_bytes()
    with progress(at.output, "reading the ledger", session.engine.health().height) as advance:
        bundle = bundle_about(session.engine, genesis, name, documents, advance, with_members=with_members)
    if with_documents:
        kept = documents_of(session.home, bundle)
        bundle = replace(bundle, documents=tuple(sorted(kept, key=lambda one: one.hash))).listed()
    raw = bundle.to_bytes()
    out.write_bytes(raw)
    at.output.data(
        {
            "file": str(out),
            "format": FORMAT,
            "about": bundle.about,
            "height": bundle.height,
            "bytes": len(raw),
            "transactions": len(bundle.transactions),
            "records": len(bundle.records),
            "documents": [one.hash.hex() for one in bundle.documents],
        }
    )
    at.output.show(
        f"{out}: {bundle.about} as of block {bundle.height}, {len(bundle.transactions)} steps, "
        f"{len(bundle.records)} records, {len(bundle.documents)} documents, {len(raw) / 1000:,.0f} kB"
    )
    if Genesis.from_bytes(genesis).first_height in bundle.contents.blocks:
        at.output.note(f"check it with: tally verify {out} --genesis {session.home.genesis}")
    else:
        at.output.note("the chain's first block is not kept here: the file holds against a --trusted-header only")


def verify(
    file: Annotated[Path, Parameter(metavar="FILE", help="The evidence bundle.")],
    /,
    *,
    genesis: Annotated[
        Path | None, Parameter(metavar="FILE", help="The chain's genesis, from a source you trust.")
    ] = None,
    trusted_header: Annotated[
        Path | None, Parameter(metavar="FILE", help="Or a header with its commit and validators, as JSON.")
    ] = None,
    successor: Annotated[
        Path | None,
        Parameter(metavar="FILE", help="The genesis of the chain that went on when that one was closed."),
    ] = None,
    predecessor: Annotated[
        Path | None, Parameter(metavar="FILE", help="The genesis of the closed chain that that one goes on from.")
    ] = None,
    documents: Annotated[
        Path | None, Parameter(metavar="DIR", help="Write the bundle's documents into this directory.")
    ] = None,
    common: Common = NO_OPTIONS,
) -> None:
    """Check an evidence bundle offline: what happened, what stands, and who attests it. No ledger is opened.

    Exit code 1 where something is not proven, 2 where a file can't be read, 3 where what is shown holds but steps of
    the record are missing.
    """
    from tallystick.verifier.command import main
    from tallystick.wire.errors import DecodeError

    if (genesis is None) is (trusted_header is None):
        raise DecodeError("give the --genesis that you trust, or a --trusted-header")
    if successor is not None and predecessor is not None:
        raise DecodeError("give either the --successor or the --predecessor of the chain")
    given = {
        "--genesis": genesis,
        "--trusted-header": trusted_header,
        "--successor": successor,
        "--predecessor": predecessor,
        "--documents": documents,
    }
    words = [str(file), *(word for name, path in given.items() if path is not None for word in (name, str(path)))]
    code = main([*words, "--json"] if common.json else words)
    if code:
        raise Stop(Exit(code))
