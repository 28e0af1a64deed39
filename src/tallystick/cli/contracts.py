"""`tally product contracts | check-contracts` and `tally financing contract`: contracts drawn up from the ledger."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Desk, Stop, desk
from tallystick.cli.output import Exit, pairs, table
from tallystick.cli.who import WHO, Who
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from tallystick.kernel.products.records import Product
    from tallystick.node.contracts import Compared, Rendered

ProductName = Annotated[str, Parameter(metavar="PRODUCT", help="A product's id, or its beginning.")]


@Parameter(name="*", group=WHO)
@dataclass(frozen=True)
class MaybeWho(Who):
    """Who signs, where something is handed in at all."""

    actor: Annotated[str, Parameter(name="--as", help="The platform, for --hand-in.", metavar="ORG")] = ""


NOBODY = MaybeWho()


def product_contracts(
    product: ProductName,
    /,
    *,
    out: Annotated[Path | None, Parameter(metavar="DIR", help="Write the three PDFs and their terms here.")] = None,
    hand_in: Annotated[
        bool, Parameter(negative="", show_default=False, help="Hand them in as drafts (product.draft_contracts).")
    ] = False,
    who: MaybeWho = NOBODY,
    common: Common = NO_OPTIONS,
) -> None:
    """Draw up the three contracts of an authorised product from the ledger; keep, anchor and show them.

    The same terms give the same bytes on every machine with the same version of typst and of the font. With --hand-in
    the platform registers them as drafts.
    """
    from tallystick.node.anchoring import anchor_content
    from tallystick.node.contracts import document_kind, render_product

    if hand_in is not bool(who.actor):
        raise DecodeError("--hand-in needs --as PLATFORM, and --as is for --hand-in")
    with desk(common, reading=not hand_in or who.only_looks) as at:
        row = _product(at, product)
        made = render_product(at.session, row)
        home = at.session.home
        anchors = {
            one.kind: anchor_content(home, one.pdf, document_kind(one.kind), f"{row.id}-{one.kind.value}.pdf")
            for one in made
        }
        hashes = {kind: anchor.hash for kind, anchor in anchors.items()}
        files = _write(out, made) if out is not None else {}
        if not hand_in:
            at.output.data([{**_rendered_json(one), "document": hashes[one.kind]} for one in made])
        rows = table("contract", "terms hash", "document")
        for one in made:
            rows.add_row(one.contract.terms.template, one.contract.terms_hash, hashes[one.kind])
        at.output.show(rows)
        for path in files.values():
            at.output.note(f"written: {path}")
        if hand_in:
            _hand_in(at, row, made, anchors, who)


def _hand_in(at: Desk, product: "Product", made: "tuple[Rendered, ...]", anchors: dict[Any, Any], who: Who) -> None:
    from tallystick.cli.operations import signing_of
    from tallystick.cli.submitting import submit_operations
    from tallystick.kernel.products.contracts import ContractDraft, DraftContracts

    drafts = tuple(
        ContractDraft(
            kind=one.kind,
            template=one.contract.terms.template,
            terms_hash=one.contract.terms_hash,
            document=anchors[one.kind],
        )
        for one in made
    )
    submit_operations(at, (DraftContracts(product=product.id, contracts=drafts),), signing_of(at, who))


def _write(folder: Path, made: "tuple[Rendered, ...]") -> dict[str, Path]:
    """The PDFs and their terms in a folder; a file that stands there already must be the same."""
    from tallystick.kernel.core import codec

    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for one in made:
        for suffix, content in ((".pdf", one.pdf), (".terms.json", codec.encode(one.contract.terms))):
            path = folder / f"{one.kind.value}{suffix}"
            _write_same(path, content)
            files[path.name] = path
    return files


def _write_same(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() != content:
        raise DecodeError("another file stands here and is not written over", str(path))
    if not path.exists():
        path.write_bytes(content)


def _rendered_json(one: "Rendered") -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "template": one.contract.terms.template,
        "terms_hash": one.contract.terms_hash,
        "size": len(one.pdf),
    }


def check_contracts(
    product: ProductName,
    /,
    *files: Annotated[Path, Parameter(metavar="FILE", help="PDFs that you were sent, or a folder of them.")],
    common: Common = NO_OPTIONS,
) -> None:
    """Before you sign: whether the drafted contracts are what the ledger's own terms give.

    Draws them up anew and compares terms hash and document, byte for byte; and any files that you were sent. The
    documents' salts must be kept here (tally document take). Exit code 1 unless all of it is proven.
    """
    from tallystick.node.contracts import compare_drafts

    with desk(common, reading=True) as at:
        row = _product(at, product)
        compared = compare_drafts(at.session, row)
        given = _given(files)
        same = {path: _kind_of(content, compared) for path, content in given.items()}
        is_proven = all(one.same_terms and one.anchored for one in compared) and all(same.values())
        at.output.data(
            {
                "product": row.id,
                "proven": is_proven,
                "contracts": [
                    {
                        "kind": one.kind.value,
                        "terms_hash": one.drafted.terms_hash,
                        "document": one.drafted.document.hash,
                        "same_terms": one.same_terms,
                        "same_document": one.anchored,
                    }
                    for one in compared
                ],
                "files": [{"file": str(path), "contract": kind or None} for path, kind in same.items()],
            }
        )
        _show_checked(at, compared, same)
    if not is_proven:
        raise Stop(Exit.REFUSED)


def _show_checked(at: Desk, compared: "tuple[Compared, ...]", same: dict[Path, str]) -> None:
    from rich.text import Text

    from tallystick.documents.rendering import renderer

    rows = table("contract", "terms", "document")
    for one in compared:
        terms = "the ledger's" if one.same_terms else "[red]OTHER TERMS[/]"
        document = {True: "as drawn up here", False: "[red]ANOTHER DOCUMENT[/]", None: "its salt is not kept here"}
        rows.add_row(one.drafted.template, terms, document[one.anchored])
    at.output.show(rows)
    for path, kind in same.items():
        at.output.show(Text(f"{path}: {kind or 'none of the three'}", style="" if kind else "red"))
    if any(one.anchored is None for one in compared):
        at.output.note("have the platform share the documents (tally document share), and take them")
    if any(one.anchored is False for one in compared) or not all(same.values()):
        at.output.note(f"drawn up here with {renderer()}; another version of either gives other bytes")


def _given(files: tuple[Path, ...]) -> dict[Path, bytes]:
    from tallystick.node.anchoring import read_document

    paths = [inner for path in files for inner in (sorted(path.glob("*.pdf")) if path.is_dir() else [path])]
    return {path: read_document(path) for path in paths}


def _kind_of(content: bytes, compared: "tuple[Compared, ...]") -> str:
    return next((one.kind.value for one in compared if one.rendered.pdf == content), "")


def financing_contract(
    financing: Annotated[str, Parameter(metavar="FINANCING", help="A financing's id, or its beginning.")],
    /,
    *,
    out: Annotated[Path, Parameter(metavar="FILE", help="Where to write the PDF.")],
    arbitrator: Annotated[str | None, Parameter(metavar="ORG", help="Who rules on a dispute about payment.")] = None,
    without_ruling: Annotated[
        str | None, Parameter(metavar="OUTCOME", help="What holds where nobody rules: unlock (else) or hand_on.")
    ] = None,
    common: Common = NO_OPTIONS,
) -> None:
    """Draw up the contract of an awarded financing from the ledger; keep and anchor it.

    State the same arbitrator and outcome when you sign it.
    """
    from rich.markup import escape

    from tallystick.documents.rendering import render
    from tallystick.kernel.financing.records import Financing
    from tallystick.node.anchoring import anchor_content
    from tallystick.node.contracts import FINANCING_KIND, draw_up_financing

    with desk(common, reading=True) as at:
        row = at.session.lookup.record(financing)
        if not isinstance(row, Financing):
            raise DecodeError(f"this is a {row.table}, not a financing", financing[:40])
        judge = None if arbitrator is None else at.session.lookup.member(arbitrator).id
        contract = draw_up_financing(at.session, row, judge, _verdict(without_ruling))
        pdf = render(contract)
        _write_same(out, pdf)
        anchor = anchor_content(at.session.home, pdf, FINANCING_KIND, out.name)
        at.output.data(
            {
                "file": str(out),
                "financing": row.id,
                "template": contract.terms.template,
                "terms_hash": contract.terms_hash,
                "document": anchor.hash,
                "size": len(pdf),
            }
        )
        at.output.show(
            pairs(
                [
                    ("contract", escape(str(out))),
                    ("terms hash", contract.terms_hash),
                    ("document", anchor.hash),
                    (
                        "sign with",
                        f"tally financing sign-contract {row.id} --document {FINANCING_KIND}:{escape(str(out))} ...",
                    ),
                ]
            )
        )


def _verdict(text: str | None) -> Any:
    from tallystick.kernel.financing.records import Verdict

    if text is None:
        return None
    try:
        return Verdict(text.replace("-", "_"))
    except ValueError:
        raise DecodeError(f"{text[:40]!r} is neither unlock nor hand_on", "--without-ruling") from None


def _product(at: Desk, name: str) -> "Product":
    from tallystick.kernel.products.records import Product

    row = at.session.lookup.record(name)
    if not isinstance(row, Product):
        raise DecodeError(f"this is a {row.table}, not a product", name[:40])
    return row
