"""`tally board` and the funder's side of sealed quotes: what is asked for, what it would cost, best first."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tallystick.cli.cards import fields_card, interval_text, struct_card, structs_table
from tallystick.cli.context import NO_OPTIONS, Common, Desk, desk
from tallystick.cli.output import pairs, table
from tallystick.cli.who import Who
from tallystick.kernel.financing.records import Financing, FinancingState
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tallystick.kernel.financing.records import QuoteTerms, Ranked

ON_THE_BOARD = frozenset({FinancingState.PUBLISHED, FinancingState.REVEALING, FinancingState.QUOTED})
MOST_SHOWN = 100
PART_OF_THE_CARD = frozenset({"quotes", "award", "payment", "contract"})

FinancingName = Annotated[str, Parameter(metavar="FINANCING", help="The financing's id, or its beginning.")]


def board(*, common: Common = NO_OPTIONS) -> None:
    """Financings that are published and not yet awarded, each with its quotes ranked by all-in cost.

    The cost counts discount and fee on the money received, per year on one basis (ACT/365), as if paid out today; the
    award ranks them again in the same way.
    """
    from tallystick.kernel.core import codec
    from tallystick.node.lineage import find_rows

    with desk(common, reading=True) as at:
        session = at.session
        rows = find_rows(
            session.engine, "financing", lambda row: getattr(row, "state", None) in ON_THE_BOARD, MOST_SHOWN
        )
        found = sorted((row for row in rows if isinstance(row, Financing)), key=lambda one: one.closes_at)
        at.output.data(
            [{"record": codec.plain(one), "ranking": [codec.plain(r) for r in _ranking(at, one)]} for one in found]
        )
        for one in found:
            at.output.show(_headline(at, one), *_quotes(at, one))
        if not found:
            at.output.note("nothing is on the board")


def _headline(at: Desk, one: Financing) -> "RenderableType":
    days = (one.discount_until_on - at.session.today()).days
    return pairs(
        [
            ("financing", f"[bold]{one.id}[/]  {one.state.value}"),
            (
                "amount",
                f"[bold]{at.money(one.face, one.currency)}[/] of {one.receivable}, units {interval_text(one.interval)}",
            ),
            ("client", at.name(one.client)),
            ("debtor", at.name(one.debtor)),
            ("due", f"{one.discount_until_on}, {days} days"),
            ("closes", at.time(one.closes_at)),
            ("quotes", "sealed until they close" if one.sealed else "open"),
            ("settlement", one.settlement.value),
        ]
    )


def _ranking(at: Desk, one: Financing) -> "tuple[Ranked, ...]":
    from tallystick.kernel.financing.lifecycle import ranking

    return ranking(at.session.reading_step(), one)


def _quotes(at: Desk, one: Financing) -> "Iterator[RenderableType]":
    """The quotes, best first; those that can't be ranked follow."""
    if not one.quotes:
        yield "  no quotes yet\n"
        return
    ranking, days = _ranking(at, one), (one.discount_until_on - at.session.today()).days
    if one.award is not None:  # then the ranking is the one that was stored with the choice
        ranking, days = one.award.ranking, one.award.actual_days
    order = {entry.quote: (place, entry) for place, entry in enumerate(ranking, 1)}
    rows = table(
        "",
        "quote",
        "terms",
        "cost",
        "you receive",
        "a year",
        right=("", "cost", "you receive", "a year"),
        keep=("quote",),
    )
    for quote in sorted(one.quotes, key=lambda quote: order.get(quote.id, (len(order) + 1, None))[0]):
        place, entry = order.get(quote.id, (0, None))
        named = f"{quote.id}\n[bold]{at.name(quote.funder)}[/]"
        terms = "" if quote.terms is None else _terms_text(at, one, quote.terms)
        if entry is None:
            rows.add_row("-", named, f"{quote.state.value}\n{terms}".strip(), "-", "-", "-")
            continue
        rows.add_row(
            str(place),
            named,
            terms,
            at.amount(entry.cost, one.currency),
            at.amount(entry.net, one.currency),
            _yearly(entry, days),
        )
    yield rows


def _terms_text(at: Desk, one: Financing, terms: "QuoteTerms") -> str:
    least = f", least {at.amount(terms.minimum_fee, one.currency)}" if terms.minimum_fee else ""
    recourse = "with" if terms.with_recourse else "without"
    return f"{terms.rate} % {terms.day_count.value}\nfee {terms.fee_rate} %{least}\n{recourse} recourse"


def _yearly(entry: "Ranked", days: int) -> str:
    """Yearly cost on the money received in percent, to three places, for the eye: the ranking itself is exact."""
    thousandths = int(entry.cost) * 365 * 100_000 // (int(entry.net) * days) if entry.net and days > 0 else 0
    return f"{thousandths // 1000}.{thousandths % 1000:03d} %"


def financing_card(at: Desk, one: Financing) -> "Iterator[RenderableType]":
    """A financing with its quotes, award, contract and payment."""
    from tallystick.kernel.core.fields import Struct

    yield fields_card(at, one, leave_out=PART_OF_THE_CARD)
    yield from _quotes(at, one)
    for name in ("award", "contract", "payment", "dispute"):
        value = getattr(one, name)
        if isinstance(value, Struct):
            yield struct_card(at, name, value, one.currency, leave_out=frozenset({"ranking"}))
    for name in ("evaluations", "registrations"):
        if getattr(one, name):
            yield structs_table(at, name, getattr(one, name), one.currency)


def seal(
    financing: FinancingName,
    /,
    *,
    terms: Annotated[
        str,
        Parameter(
            metavar="KEY=VALUE,...",
            help="rate=,day_count=,fee_rate=,minimum_fee=,valid_until=,[with_recourse=]; or JSON, or @FILE",
        ),
    ],
    who: Who,
    common: Common = NO_OPTIONS,
) -> None:
    """Make a sealed quote: its commitment goes to the ledger, its terms stay here until they are revealed.

    The terms and the 32 random bytes are kept in HOME/seals. Without that file the quote can't be revealed: it is out
    then, and counted.
    """
    from tallystick.cli.operations import signing_of
    from tallystick.cli.submitting import submit_operations
    from tallystick.kernel.core import codec
    from tallystick.kernel.financing.quotes import QuoteFinancing
    from tallystick.kernel.financing.sealed import commitment_of
    from tallystick.node.home import write_private

    with desk(common) as at:
        signing = signing_of(at, who)
        one = _financing_named(at, financing)
        read = _terms(at, one, terms)
        path = at.session.home.seals / f"{one.id}.{signing.actor}.json"
        nonce = secrets.token_hex(32)
        if path.exists():
            kept, nonce = _kept(path)
            if kept != read:
                raise DecodeError("other terms were sealed for this financing already", str(path))
        elif not signing.dry_run:
            content = {"financing": one.id, "funder": signing.actor, "terms": codec.plain(read), "nonce": nonce}
            write_private(path, json.dumps(content, indent=1).encode() + b"\n")
        commitment = commitment_of(at.session.engine.chain_id, one.id, signing.actor, read, nonce)
        made = QuoteFinancing(financing=one.id, currency=one.currency, units=one.face, commitment=commitment)
        submit_operations(at, (made,), signing)


def reveal_sealed(financing: FinancingName, /, *, who: Who, common: Common = NO_OPTIONS) -> None:
    """Reveal a quote that was sealed on this machine, after the financing has closed."""
    from tallystick.cli.operations import signing_of
    from tallystick.cli.submitting import submit_operations
    from tallystick.kernel.financing.quotes import RevealQuote

    with desk(common) as at:
        signing = signing_of(at, who)
        one = _financing_named(at, financing)
        path = at.session.home.seals / f"{one.id}.{signing.actor}.json"
        if not path.exists():
            raise DecodeError("nothing was sealed here for this financing and funder", str(path))
        terms, nonce = _kept(path)
        made = RevealQuote(financing=one.id, currency=one.currency, units=one.face, terms=terms, nonce=nonce)
        submit_operations(at, (made,), signing)


def _kept(path: Path) -> "tuple[QuoteTerms, str]":
    """Terms and random bytes of a quote that was sealed here. Raises `DecodeError` naming the file."""
    from tallystick.kernel.financing.records import QuoteTerms

    try:
        kept = json.loads(path.read_bytes())
        terms, nonce = kept["terms"], str(kept["nonce"])
    except (OSError, ValueError, KeyError, TypeError):
        raise DecodeError("not a sealed quote that can be read", str(path)) from None
    return _decode(QuoteTerms, terms), nonce


def _financing_named(at: Desk, text: str) -> Financing:
    record = at.session.lookup.record(text)
    if not isinstance(record, Financing):
        raise DecodeError(f"this is a {record.table}, not a financing", text[:40])
    return record


def _terms(at: Desk, one: Financing, text: str) -> "QuoteTerms":
    from msgspec import inspect

    from tallystick.cli import values
    from tallystick.cli.operations import Words
    from tallystick.kernel.financing.records import QuoteTerms

    reader = values.Reader(Words(at), one.currency)
    return _decode(QuoteTerms, reader.read(inspect.type_info(QuoteTerms), text, "--terms"))


def _decode(kind: "type[QuoteTerms]", value: Any) -> "QuoteTerms":
    from tallystick.cli.values import decoded

    read: QuoteTerms = decoded(kind, value, {})
    return read
