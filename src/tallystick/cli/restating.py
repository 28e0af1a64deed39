"""Amounts and hashes of products and plans that are signed, but that the ledger or the file at hand states already.

A clerk need not type them; each is printed before it is signed, and a plan's tranches with it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tallystick.cli.cards import HASH_SHOWN
from tallystick.cli.context import Desk
from tallystick.cli.vocabulary import shown_name
from tallystick.kernel.accounts.deposits import Deposit
from tallystick.kernel.core import codec
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.plans import escrow
from tallystick.kernel.plans.cancelling import unfunded
from tallystick.kernel.plans.cases import Dispute, Refund
from tallystick.kernel.plans.proposing import terms_hash, total_of
from tallystick.kernel.plans.records import Phase, Plan, PlanVersion, TrancheState, TrancheTerms
from tallystick.kernel.plans.rounds import open_round, verified
from tallystick.kernel.plans.sums import sums_of
from tallystick.kernel.products.records import Product, ProductContract
from tallystick.kernel.wages.releasing import sheet_claim
from tallystick.wire.amounts import Units
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from tallystick.kernel.core.record import Record

WHOLE_PLAN = frozenset({"plan.propose", "plan.amend", "plan.check", "plan.confirm", "plan.confirm_amendment"})
"""Operations by which somebody takes all tranches of a plan upon itself: they are printed first."""
AMENDING = frozenset({"plan.amend", "plan.confirm_amendment"})
"""Those of them of which also is printed what becomes another than it is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of an operation while it is built: the records that it names by field, and its fields so far."""

    at: Desk
    actor: str
    records: "dict[str, Record]"
    plain: dict[str, Any]

    def find(self, kind: type[Any], name: str) -> Any:
        """The record of a kind that field `name` names, or None."""
        found = self.records.get(name)
        return found if isinstance(found, kind) else None

    @property
    def plan(self) -> Plan | None:
        """The plan that it is about."""
        found: Plan | None = self.find(Plan, "plan")
        return found

    @property
    def version(self) -> PlanVersion | None:
        """The version in force of the plan that it is about."""
        plan = self.plan
        found = None if plan is None else self.at.session.state.find(f"plan_version/{plan.id}/{plan.version}")
        return found if isinstance(found, PlanVersion) else None

    @property
    def tranches(self) -> tuple[TrancheTerms, ...]:
        """The tranches that are signed: those of the file, else those that wait for this signature."""
        given = self.plain.get("tranches")
        if given is not None:
            return _read_tranches(given)
        plan = self.plan
        if plan is None:
            return ()
        return plan.draft if plan.amendment is None else plan.amendment.tranches


def _read_tranches(given: Any) -> tuple[TrancheTerms, ...]:
    """The tranches of a file as the kernel reads them; none while they can't be, which is said later."""
    try:
        read: tuple[TrancheTerms, ...] = codec.decoder(tuple[TrancheTerms, ...]).decode(msgspec.json.encode(given))
    except codec.UNREADABLE:
        return ()
    return read


def _total(asked: Asked) -> Units | None:
    return total_of(asked.tranches) if asked.tranches else None


def _terms(asked: Asked) -> str | None:
    return terms_hash(asked.tranches) if asked.tranches else None


def _missing(asked: Asked) -> Units | None:
    return None if asked.plan is None or asked.version is None else escrow.missing(asked.plan, asked.version)


def _unfunded(asked: Asked) -> Units | None:
    """What goes back when the tranches without their money end, from the named one on."""
    plan, version, first = asked.plan, asked.version, asked.plain.get("tranche")
    if plan is None or version is None or not isinstance(first, int):
        return None
    return Units(sum(plan.tranches[number - 1].free for number in unfunded(plan, version, first)))


def _leaving(asked: Asked) -> Units | None:
    plan = asked.plan
    return None if plan is None else Units(sum(one.free + one.retained for one in plan.tranches))


def _retained(asked: Asked) -> Units | None:
    return None if asked.plan is None else Units(sum(one.retained for one in asked.plan.tranches))


def _refund(asked: Asked) -> Units | None:
    found = asked.find(Refund, "refund")
    return None if found is None else Units(found.units)


def _offered(asked: Asked) -> Units | None:
    found = asked.find(Dispute, "dispute")
    return None if found is None or found.offer is None else Units(found.offer.to_payee)


def _rest(asked: Asked) -> Units | None:
    """What of the disputed amount is left for the payer."""
    found, typed = asked.find(Dispute, "dispute"), asked.plain.get("to_payee")
    if found is None or not isinstance(typed, str) or int(typed) > found.units:
        return None
    return Units(int(found.units) - int(typed))


def _suspended(asked: Asked) -> Units | None:
    """What came in and belongs to nobody yet: it is assigned or returned whole."""
    found = asked.find(Deposit, "deposit")
    return None if found is None else Units(found.units)


def _cap(asked: Asked) -> Units | None:
    found = asked.find(Product, "product")
    return None if found is None else Units(found.terms.cap)


def _contract(asked: Asked) -> ProductContract | None:
    found = asked.find(Product, "product")
    contracts: Iterable[ProductContract] = () if found is None else found.contracts
    return next((one for one in contracts if one.kind.value == asked.plain.get("kind")), None)


def _contract_terms(asked: Asked) -> str | None:
    found = _contract(asked)
    return None if found is None else found.terms_hash


def _contract_document(asked: Asked) -> str | None:
    found = _contract(asked)
    return None if found is None else found.document.hash


def _tranche(asked: Asked) -> tuple[TrancheState, TrancheTerms] | None:
    """The tranche that it is about: its state and terms."""
    plan, version, number = asked.plan, asked.version, asked.plain.get("tranche")
    if plan is None or version is None or not isinstance(number, int) or not 1 <= number <= len(plan.tranches):
        return None
    return plan.tranches[number - 1], version.tranches[number - 1]


def _open_round(asked: Asked) -> str | None:
    """The round of evidence that waits for answers; none while nothing was submitted in it."""
    found = _tranche(asked)
    evidence = None if found is None else open_round(asked.at.session.reading_step(), found[0])
    return evidence.id if evidence is not None and (evidence.claimed is not None or evidence.materials) else None


def _fixed(asked: Asked) -> Units | None:
    """The amount of a tranche that has a fixed one. What is certified up to an amount is for people to say."""
    found = _tranche(asked)
    if found is not None and found[1].wages and asked.plan is not None:  # certified whole, as the sum of the lines
        return sheet_claim(asked.at.session.reading_step(), asked.plan.id, int(asked.plain["tranche"]))
    return None if found is None or found[1].up_to else escrow.amount_of(*found)


def _claim(asked: Asked) -> Units | None:
    """The payee claims a fixed amount whole; others submit without a claim."""
    claims = asked.plan is not None and asked.actor == asked.plan.payee and "statement" not in asked.plain
    return _fixed(asked) if claims else None


def _payable(asked: Asked) -> Units | None:
    """What goes to the payee when the tranche is released now."""
    found = _tranche(asked)
    if found is None or asked.plan is None or asked.version is None:
        return None
    plan, number, step = asked.plan, int(asked.plain["tranche"]), asked.at.session.reading_step()
    if found[0].phase is not Phase.VERIFIED:
        holds = verified(step, plan, asked.version, number, step.now)
        if holds is None:
            return None
        plan = escrow.with_tranche(plan, number, msgspec.structs.replace(found[0], certified=holds.certified))
    return sums_of(plan, asked.version, number, step.now).paid


def _version(asked: Asked) -> int | None:
    """The plan's version that is read, where no round says what is answered; 1 need not be said."""
    plan = asked.plan
    return plan.version if plan is not None and plan.version > 1 and _open_round(asked) is None else None


SAID_BY_PEOPLE = {
    ("evidence.accept", "units"): "what you certify, at most what is claimed",
    ("dispute.rule", "to_payer"): "more than the disputed amount would go to the payee",
}
"""Why a field can't be filled in although its time has come, by operation and field."""

Filler = Callable[[Asked], Units | int | str | None]

FILLERS: dict[str, dict[str, Filler]] = {
    "deposit.assign": {"units": _suspended},
    "deposit.return": {"units": _suspended},
    "product.authorise": {"cap": _cap},
    "product.sign_contract": {"terms_hash": _contract_terms, "document": _contract_document, "cap": _cap},
    "plan.propose": {"total": _total},
    "plan.check": {"terms": _terms},
    "plan.confirm": {"total": _total, "terms": _terms},
    "plan.amend": {"total": _total},
    "plan.confirm_amendment": {"total": _total, "terms": _terms},
    "plan.fund": {"units": _missing},
    "plan.cancel_unfunded": {"units": _unfunded},
    "plan.cancel": {"units": _leaving, "to_payee": _retained},
    "evidence.submit": {"units": _claim},
    "evidence.accept": {"units": _fixed, "evidence": _open_round, "version": _version},
    "evidence.send_back": {"evidence": _open_round},
    "tranche.release": {"units": _payable},
    "refund.consent": {"units": _refund},
    "dispute.accept_offer": {"to_payee": _offered},
    "dispute.rule": {"to_payer": _rest},
}
"""By operation and field: what is signed where nothing else is typed."""


def is_restated(operation: type[Operation], name: str) -> bool:
    """Whether a field of `operation` may be left out because it is known otherwise."""
    return name in FILLERS.get(str(operation.__struct_config__.tag), {})


def restate(asked: Asked, operation: type[Operation], currency: str) -> None:
    """Fill in what was not typed and print it, after the tranches that are signed with it."""
    tag = str(operation.__struct_config__.tag)
    _check_claim(asked, tag)
    if tag == "plan.confirm" and asked.plan is not None and asked.plan.amendment is not None:
        raise DecodeError(f"{asked.plan.id} is confirmed; what waits is an amendment: `tally plan confirm-amendment`")
    if tag in WHOLE_PLAN:
        for line in tranche_lines(asked.at, asked.tranches, currency):
            asked.at.output.note(line)
        version = asked.version
        if tag in AMENDING and version is not None:
            for line in change_lines(asked.at, version, asked.tranches, currency):
                asked.at.output.note(line)
    for name, fill in FILLERS.get(tag, {}).items():
        if name in asked.plain:
            continue
        value = fill(asked)
        if value is None:
            continue
        asked.plain[name] = value if type(value) is int else str(value)  # amounts are written as text
        words = asked.at.money(value, currency) if isinstance(value, Units) else value
        asked.at.output.note(f"{shown_name(name).replace('_', ' ')}: {words}")


def _check_claim(asked: Asked, tag: str) -> None:
    """The payee that brings papers claims an amount; without one they would be taken for a verifier's."""
    found = _tranche(asked) if tag == "evidence.submit" else None
    if found is None or asked.plan is None or asked.actor != asked.plan.payee:
        return
    if found[1].up_to and not found[1].wages and not {"units", "statement"} & asked.plain.keys():
        raise DecodeError("--amount must be given: the step pays up to an amount, and you say what you claim")


def unstated(operation: type[Operation], missing: "list[str]", records: "dict[str, Record]") -> str:
    """Why nothing could be filled in: the record that would state it stands elsewhere in its life."""
    if not any(is_restated(operation, name) for name in missing):
        return ""
    states = ((record, getattr(record, "state", None)) for record in records.values())
    said = [f"{record.table} {record.id} is {state.value.replace('_', ' ')}" for record, state in states if state]
    tag = str(operation.__struct_config__.tag)
    by_people = [(tag, name) for name in missing if (tag, name) in SAID_BY_PEOPLE]
    if by_people:
        return "" if "to_payee" in missing else f": {SAID_BY_PEOPLE[by_people[0]]}"
    return f"; nothing on the ledger waits for this step now: {', '.join(said)}" if said else ""


def tranche_lines(at: Desk, tranches: tuple[TrancheTerms, ...], currency: str) -> Iterator[str]:
    """Each tranche as a sentence: how much by when, what is released when and on which condition, and all its terms."""
    from tallystick.cli.tranche_card import optional_terms, silence_and_unmet
    from tallystick.node.condition_text import condition_text

    for number, terms in enumerate(tranches, 1):
        most = "up to " if terms.up_to else ""
        yield (
            f"tranche {number}, {terms.title}: {at.money(terms.fund_units, currency)} in by {terms.fund_by_on}; "
            f"{most}{at.money(terms.units, currency)} out from {terms.release_from_on} to {terms.release_until_on} "
            f"when {condition_text(terms.condition, at.name)}; "
            f"{'; '.join((*_papers(terms), silence_and_unmet(terms), *optional_terms(terms)))}"
        )


def _papers(terms: TrancheTerms) -> Iterator[str]:
    """What the payee is to bring, with the beginning of the hash where the very file is fixed."""
    kinds = [one.kind if one.hash is None else f"{one.kind} {one.hash[:HASH_SHOWN]}..." for one in terms.materials]
    if kinds:
        yield f"the payee brings {', '.join(kinds)}"


def change_lines(at: Desk, version: PlanVersion, tranches: tuple[TrancheTerms, ...], currency: str) -> Iterator[str]:
    """What `tranches` make of the version in force, a field a line."""
    from tallystick.cli.tranche_card import changes, field_text

    for number, field, before, after in changes(version.tranches, tranches):
        was, comes = (field_text(at, value, currency) for value in (before, after))
        yield f"changed, tranche {number}, {field}: {was} -> {comes}"
