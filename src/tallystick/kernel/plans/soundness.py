"""Whether the tranches of a proposed plan make sense in themselves: amounts, days, conditions, who is named in them.

These are the checks of form, made at once when a plan or an amendment is proposed and again when it is confirmed; what
the product allows is `against_product`'s. Each refusal names the tranche and the field.
"""

from collections.abc import Iterator

from tallystick.kernel.arithmetic import PERCENT
from tallystick.kernel.core import codec
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.rules import check_party, check_role
from tallystick.kernel.plans.conditions import (
    BRANCHES,
    MAX_CONDITIONS,
    MAX_DEPTH,
    Condition,
    DataStated,
    VerifiersAccept,
    can_be_met,
    certifier_needed,
    days_of,
    leaves,
)
from tallystick.kernel.plans.days import fresh, long_stop_of
from tallystick.kernel.plans.escrow import fee_on
from tallystick.kernel.plans.records import MAX_NAMED, TrancheTerms, Unmet, named_in
from tallystick.kernel.products.records import FeePayer, Product
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.wages import rules as wages
from tallystick.wire.amounts import MAX_UNITS, Units, fits
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status

MAX_TERMS_BYTES = 128 * 1024  # canonical bytes of all tranches together: a hundred with verifiers and materials fit


def is_dropped(terms: TrancheTerms) -> bool:
    """Whether an amendment has dropped the tranche: with no amounts left it keeps its number and does nothing more."""
    return not terms.units and not terms.fund_units


def check_sums(
    step: Step, product: Product, tranches: tuple[TrancheTerms, ...], currency: str, total: Units, had: int = 0
) -> Refusal | None:
    """How many tranches there are, and whether they add up to the stated total: the most that may be released.

    A plan that was confirmed with more tranches than are allowed by now keeps the `had` ones.

    Order: too_many, currency_mismatch, bad_value, amount_overflow, amount_differs.
    """
    most = max(policies(step).max_tranches, had)
    if len(tranches) > most:
        return refuse(Status.TOO_MANY, field="tranches", limit=most)
    if currency != product.terms.currency:
        return refuse(Status.CURRENCY_MISMATCH, currency=product.terms.currency)
    for number, terms in enumerate(tranches, 1):
        if terms.fund_units < terms.units:
            return refuse(Status.BAD_VALUE, tranche=number, field="fund_units", least=terms.units)
    summed = sum(terms.units for terms in tranches)
    deposits = sum(terms.fund_units for terms in tranches)
    fee = product.terms.fee
    reserve = fee_on(Units(min(summed, MAX_UNITS)), fee) if fee.paid_by is FeePayer.PAYER else 0
    if not fits(deposits, reserve):
        return refuse(Status.AMOUNT_OVERFLOW, field="fund_units")
    if total != summed:
        return refuse(Status.AMOUNT_DIFFERS, amount=Units(summed))
    return None


def check_whole(product: Product, tranches: tuple[TrancheTerms, ...]) -> Refusal | None:
    """too_many where the terms are larger than what every step on a plan should read, or more verifiers and data
    sources are named than its row, written at every step, should hold.

    It walks the conditions, so it comes after `check_tranche`.
    """
    size = len(codec.encode(tranches))
    if size > MAX_TERMS_BYTES:
        return refuse(Status.TOO_MANY, field="tranches", bytes=size, limit=MAX_TERMS_BYTES)
    if len(named_in(tranches, product.payer, product.platform)) > MAX_NAMED:
        return refuse(Status.TOO_MANY, field="condition", limit=MAX_NAMED)
    return None


def check_tranche(
    step: Step,
    product: Product,
    tranches: tuple[TrancheTerms, ...],
    number: int,
    before: TrancheTerms | None = None,
) -> Refusal | None:
    """Whether tranche `number` is sound; `before` is what the plan's present version says of it, if it has it.

    Order: amount, condition, days, materials, those it names, optional terms, wages, calendar and long stop.
    """
    terms = tranches[number - 1]
    return _at(
        number,
        _check_amount_and_size(terms)
        or _check_condition(terms)
        or _check_days(step, terms, before)
        or _check_materials(terms)
        or _check_named(step, product, terms.condition, before)
        or _check_rates(tranches, number)
        or _check_choices(terms)
        or wages.check_tranche(step, product, terms)
        or _check_redeemed(step, product, terms, before)
        or _check_calendar(step, product, number, terms),
    )


def _at(number: int, refusal: Refusal | None) -> Refusal | None:
    return None if refusal is None else Refusal(refusal.status, {"tranche": number, **refusal.facts})


def _check_amount_and_size(terms: TrancheTerms) -> Refusal | None:
    """Nothing else walks a tree that is too deep."""
    if not terms.units:
        return refuse(Status.AMOUNT_ZERO, field="units")
    if not _is_small(terms.condition):
        return refuse(Status.CONDITION_TOO_DEEP, depth=MAX_DEPTH, parts=MAX_CONDITIONS)
    return None


def _check_condition(terms: TrancheTerms) -> Refusal | None:
    for leaf in leaves(terms.condition):
        if isinstance(leaf, VerifiersAccept) and len(set(leaf.verifiers)) < len(leaf.verifiers):
            return refuse(Status.BAD_VALUE, field="condition", reason="a verifier is named twice")
    if not can_be_met(terms.condition, terms.kinds):
        return refuse(Status.NO_WAY_TO_BE_MET, field="condition")
    if terms.up_to and not certifier_needed(terms.condition):
        return refuse(Status.NO_WAY_TO_BE_MET, field="up_to")
    return None


def _is_small(condition: Condition) -> bool:
    """Whether the tree keeps within depth and size; it looks no deeper than is allowed."""
    level: list[Condition] = [condition]
    parts = 0
    for _ in range(MAX_DEPTH):
        parts += len(level)
        if parts > MAX_CONDITIONS:
            return False
        level = [inner for outer in level if isinstance(outer, BRANCHES) for inner in outer.of]
        if not level:
            return True
    return False


def _check_days(step: Step, terms: TrancheTerms, before: TrancheTerms | None) -> Refusal | None:
    """In order, and none in the past but what stands so already."""
    for field in ("fund_by_on", "release_from_on"):
        if getattr(terms, field) > terms.release_until_on:
            return refuse(Status.BAD_DATES, field="release_until_on", earliest=getattr(terms, field), because=field)
    for field in ("fund_by_on", "release_from_on", "release_until_on"):
        day = getattr(terms, field)
        if day < step.today and (before is None or getattr(before, field) != day):
            return refuse(Status.BAD_DATES, field=field, today=step.today)
    known = () if before is None else days_of(before.condition)
    for day in days_of(terms.condition):
        if day > terms.release_until_on:
            return refuse(Status.BAD_DATES, field="condition", latest=terms.release_until_on)
        if day < step.today and day not in known:
            return refuse(Status.BAD_DATES, field="condition", today=step.today)
    if terms.retention is not None and terms.retention.until_on < terms.release_until_on:
        return refuse(Status.BAD_DATES, field="retention", earliest=terms.release_until_on)
    return None


def _check_materials(terms: TrancheTerms) -> Refusal | None:
    if len(set(terms.kinds)) < len(terms.materials):
        return refuse(Status.BAD_VALUE, field="materials", reason="a kind is listed twice")
    return None


def _check_named(step: Step, product: Product, condition: Condition, before: TrancheTerms | None) -> Refusal | None:
    """Verifiers and data sources are admitted, hold their role, and are neither payer nor payee nor their arbitrator.

    Whom the present version names already is not asked again: one that is gone must not bar other changes.
    """
    known = () if before is None else tuple(_named(before.condition))
    for member, role in _named(condition):
        if (member, role) in known:
            continue
        if member in (product.payer, product.payee, product.terms.arbitrator):
            return refuse(Status.SAME_PARTY, organisation=member, role=role.value)
        refusal = check_party(step, member) or check_role(step, member, role)
        if refusal is not None:
            return refusal
    return None


def _named(condition: Condition) -> Iterator[tuple[str, Role]]:
    for leaf in leaves(condition):
        if isinstance(leaf, VerifiersAccept):
            for member in leaf.verifiers:
                yield member, Role.VERIFIER
        elif isinstance(leaf, DataStated):
            yield leaf.source, Role.DATA_SOURCE


def _check_rates(tranches: tuple[TrancheTerms, ...], number: int) -> Refusal | None:
    """Retention is less than the whole; with the recovery of an advance, which came earlier, at most the whole."""
    terms = tranches[number - 1]
    retained = 0 if terms.retention is None else int(terms.retention.rate)
    if terms.retention is not None and not 0 < retained < PERCENT:
        return refuse(Status.BAD_RATE, field="retention", rate=terms.retention.rate)
    if terms.recovery is None:
        return None
    if not 0 < terms.recovery <= PERCENT - retained:
        return refuse(Status.BAD_RATE, field="recovery", rate=terms.recovery)
    if terms.advance:
        return refuse(Status.BAD_VALUE, field="recovery", reason="an advance is not recovered from an advance")
    if not any(earlier.advance for earlier in tranches[: number - 1]):
        return refuse(Status.BAD_VALUE, field="recovery", reason="no earlier tranche is an advance")
    return None


def _check_choices(terms: TrancheTerms) -> Refusal | None:
    if (terms.if_unmet is Unmet.EXTEND) is not (terms.extend_days > 0):
        return refuse(Status.BAD_VALUE, field="extend_days", if_unmet=terms.if_unmet.value)
    return None


def _check_redeemed(step: Step, product: Product, terms: TrancheTerms, before: TrancheTerms | None) -> Refusal | None:
    """The receivable is owed by the payer, was issued to the payee, and is still to be paid in the plan's currency."""
    if terms.redeems is None or (before is not None and terms.redeems == before.redeems):
        return None
    receivable = step.find(Receivable, terms.redeems)
    if receivable is None:
        return refuse(Status.NOT_FOUND, field="redeems", receivable=terms.redeems)
    if (receivable.debtor, receivable.creditor) != (product.payer, product.payee):
        return refuse(Status.BAD_VALUE, field="redeems", reason="not owed by the payer to the payee")
    if receivable.currency != product.terms.currency:
        return refuse(Status.CURRENCY_MISMATCH, field="redeems", currency=receivable.currency)
    if not receivable.is_owed:
        return refuse(Status.WRONG_STATE, field="redeems", state=receivable.state.value)
    return None


def _check_calendar(step: Step, product: Product, number: int, terms: TrancheTerms) -> Refusal | None:
    """A published calendar covers every day, and once moved they lie before the long stop.

    The last instant of the release window leaves time to answer evidence and to object to it.
    """
    instants = fresh(step, number, terms)
    if isinstance(instants, Refusal):
        return instants
    long_stop_at = long_stop_of(step, product.terms.long_stop_on)
    windows = (product.terms.answer_days + product.terms.objection_days) * DAY_MS
    ends = (
        ("release_until_on", None if instants.unmet_at is None else instants.unmet_at.plus(windows)),
        ("retention", instants.retained_until),
    )
    for field, at in ends:
        if at is not None and at > long_stop_at:
            return refuse(Status.BAD_DATES, field=field, long_stop_on=product.terms.long_stop_on)
    return None
