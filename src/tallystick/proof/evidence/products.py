"""Payout products: the payee applies, both sides' contract copies agree, the payer authorises, three contracts are
signed by their two parties each (DOMAIN section 3, "Product").
"""

from collections.abc import Iterator

from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.reviews import approved
from tallystick.proof.evidence.rows import Row
from tallystick.proof.evidence.story import Act, Claim, Story, Told, pick

SIGNATORIES = {
    "payer_platform": ("payer", "platform"),
    "payee_platform": ("payee", "platform"),
    "payer_payee": ("payer", "payee"),
}
"""Whose signatures each of the three contracts carries."""

BROUGHT_BY = ("product.apply", "product.counter_contract", "product.correct")


def product(row: Row, story: Story) -> Iterator[Claim]:
    """Every copy, the authorisation and each signature by whom it names; open only with all six."""
    terms, about = row.row("terms") or row, {"product": row.id}
    payee = (row.text("payee"),)
    said = pick(row, "payer", "platform", "terms")
    yield Act("product.applied", row.needed_place("applied"), ("product.apply",), payee, said, row.id)
    for one in (*row.rows("payee_copies"), *row.rows("payer_copies")):
        said = {"document": one.get("document"), "contract": one.get("terms")}
        yield Act("product.copy", one.needed_place("at"), BROUGHT_BY, (one.text("by"),), said)
    said = {**about, **pick(terms, "currency", "cap")}
    authorised = row.place("authorised")
    yield Act("product.authorised", authorised, ("product.authorise",), (row.text("payer"),), said)
    if authorised is not None:
        approved("product.reviewed", None, row.text("review"), row.id, story, row.where)
    for one in row.rows("contracts"):
        kind, signed = one.text("kind"), one.rows("signatures")
        said = {**about, **pick(one, "kind", "terms_hash"), **pick(terms, "currency", "cap")}
        anchor = one.row("document")
        said["document"] = anchor.get("hash") if anchor is not None else None
        drafted = pick(one, "kind", "template", "terms_hash", "document")
        by_platform, listed = (row.text("platform"),), {"contracts": drafted}
        draft = Act("product.drafted", None, ("product.draft_contracts",), by_platform, about, lists=listed)
        story.miss_unless_asked(draft, row.where)
        for signature in signed:
            by = (signature.text("member"),)
            yield Act("product.signed", signature.needed_place("at"), ("product.sign_contract",), by, said)
        if row.place("opened") is not None:
            _check_signed_by_both(row, kind, tuple(signature.text("member") for signature in signed), story)
    opened = row.place("opened")
    if opened is not None and (authorised is None or len(row.rows("contracts")) != len(SIGNATORIES)):
        raise NotProven("product.opened", "it is open without an authorisation and three contracts", row.where)
    yield Told("product.opened", opened, ("product.opened",), row.id, by_step=True)


def _check_signed_by_both(row: Row, kind: str, signed: tuple[str, ...], story: Story) -> None:
    parties = tuple(row.text(name) for name in SIGNATORIES.get(kind, ()))
    if len(parties) != 2 or not all(story.names(signed, party) for party in parties):
        raise NotProven("product.signed", f"not both parties signed its contract {kind}", row.where)
