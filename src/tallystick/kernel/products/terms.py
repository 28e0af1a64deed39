"""Whether a product may stand on its terms: the business contract, who keeps, judges and bears, days, money, wages.

Asked at the application, at the platform's approval and by the last signature, so that what opens is fit on that day.
"""

from tallystick.kernel.accounts import book
from tallystick.kernel.arithmetic import share_of
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.currencies import check_currency
from tallystick.kernel.law.facts import WageFacts
from tallystick.kernel.law.judge import judge_wages
from tallystick.kernel.law.records import Judgement
from tallystick.kernel.membership.records import Member, Role
from tallystick.kernel.membership.rules import check_party, check_role, is_insolvent, present_party
from tallystick.kernel.products.records import (
    ContractTerms,
    FeePayer,
    ProductTerms,
    contract_label,
)
from tallystick.kernel.wages.rules import check_product
from tallystick.wire.amounts import RATE_SCALE, Rate, fits
from tallystick.wire.status import Status

TRI_PARTY_AGREEMENT = "tri_party_agreement"
WHOLE = Rate(100 * RATE_SCALE)


def check_parties(step: Step, payer: str, payee: str, platform: str) -> Refusal | None:
    """Three different members in good standing, a solvent payer, a platform by role that sponsored neither side.

    The platform alone reviews the product, and whoever sponsored a party recuses (DOMAIN section 3, "Review").
    """
    if len({payer, payee, platform}) < len((payer, payee, platform)):
        return refuse(Status.SAME_PARTY, payer=payer, payee=payee, platform=platform)
    refusal = (
        check_party(step, payer)
        or check_party(step, payee)
        or check_party(step, platform)
        or check_role(step, platform, Role.PLATFORM)
    )
    if refusal is not None:
        return refusal
    if is_insolvent(step, payer):
        return refuse(Status.WRONG_STATE, organisation=payer, state="insolvent")
    for side in (payer, payee):
        sponsor = step.get(Member, side).sponsor
        if sponsor is not None and present_party(step, sponsor) == platform:
            return refuse(Status.MUST_RECUSE, organisation=platform, sponsored=side)
    return None


def check_contract(step: Step, payer: str, payee: str, terms: ProductTerms, contract: ContractTerms) -> Refusal | None:
    """Whether the payee's reading of the business contract can carry the product."""
    for field, stated, expected in (("payer", contract.payer, payer), ("payee", contract.payee, payee)):
        if stated != expected:
            return refuse(Status.BAD_VALUE, field=field, contract=stated, product=expected)
    if contract.currency != terms.currency:
        return refuse(Status.CURRENCY_MISMATCH, contract=contract.currency, product=terms.currency)
    if not contract.value:
        return refuse(Status.AMOUNT_ZERO, field="value")
    if terms.cap > contract.value:
        return refuse(Status.OVER_CONTRACT, cap=terms.cap, value=contract.value)
    if contract.signed_on > step.today or contract.starts_on > contract.ends_on:
        return refuse(
            Status.BAD_DATES,
            signed_on=contract.signed_on,
            starts_on=contract.starts_on,
            ends_on=contract.ends_on,
        )
    return None


def check_unused(step: Step, payer: str, payee: str, contract: ContractTerms, product_id: str) -> Refusal | None:
    """record_exists where another live product stands on the same business contract, whose value counts once."""
    for row in step.index_range(f"{contract_label(payer, payee, contract.number)}/"):
        other = row.rpartition("/")[2]
        if other != product_id:
            return refuse(Status.RECORD_EXISTS, product=other, contract=contract.number)
    return None


def check_terms(step: Step, payer: str, payee: str, platform: str, terms: ProductTerms) -> Refusal | None:
    """Whether the product's own terms are fit today. Order: currency, money, days, methods, roles, accounts, wages."""
    return (
        check_currency(step, terms.currency)
        or _check_money(terms)
        or _check_days(step, terms)
        or _check_named(step, (payer, payee, platform), terms)
        or _check_accounts(step, payer, payee, terms)
        or _check_wages(step, payer, terms)
    )


def _check_money(terms: ProductTerms) -> Refusal | None:
    if not terms.cap:
        return refuse(Status.AMOUNT_ZERO, field="cap")
    fee = terms.fee
    if fee.rate > WHOLE or fee.minimum > terms.cap:
        return refuse(Status.BAD_RATE, rate=fee.rate, minimum=fee.minimum, cap=terms.cap)
    if fee.paid_by is FeePayer.PAYER and not fits(terms.cap, max(share_of(terms.cap, fee.rate), fee.minimum)):
        return refuse(Status.AMOUNT_OVERFLOW, cap=terms.cap)
    return None


def _check_days(step: Step, terms: ProductTerms) -> Refusal | None:
    """Payments end in the future, and what is verified at the last moment has its windows before the long stop."""
    if terms.payment_from_on > terms.payment_until_on or terms.payment_until_on < step.today:
        return refuse(Status.BAD_DATES, payment_from_on=terms.payment_from_on, payment_until_on=terms.payment_until_on)
    windows = terms.answer_days + terms.objection_days
    if terms.long_stop_on.toordinal() <= terms.payment_until_on.toordinal() + windows:
        return refuse(
            Status.BAD_DATES,
            payment_until_on=terms.payment_until_on,
            long_stop_on=terms.long_stop_on,
            windows_days=windows,
        )
    return None


def _check_named(step: Step, parties: tuple[str, ...], terms: ProductTerms) -> Refusal | None:
    """Methods each once; a custodian that is not a side; an arbitrator that depends on nobody in it."""
    if len(set(terms.methods)) < len(terms.methods):
        return refuse(Status.BAD_VALUE, field="methods", reason="named twice")
    if terms.custodian in parties[:2]:
        return refuse(Status.SAME_PARTY, custodian=terms.custodian)
    if terms.arbitrator in (*parties, terms.custodian):
        return refuse(Status.SAME_PARTY, arbitrator=terms.arbitrator)
    return (
        check_party(step, terms.custodian)
        or check_role(step, terms.custodian, Role.CUSTODIAN)
        or check_party(step, terms.arbitrator)
        or check_role(step, terms.arbitrator, Role.ARBITRATOR)
    )


def _check_accounts(step: Step, payer: str, payee: str, terms: ProductTerms) -> Refusal | None:
    """Payer and payee both have an account with the custodian, and refunds go to the payer's.

    For wages that is the project's special account, which `check_product` looks at.
    """
    for side in (payee, payer) if terms.wages is None else (payee,):
        account = book.open_account(step, side, terms.currency, terms.custodian)
        if account is None:
            return refuse(Status.ACCOUNT_MISSING, organisation=side, currency=terms.currency, custodian=terms.custodian)
        if side == payer and account.id != terms.refund_account:
            return refuse(Status.BAD_VALUE, field="refund_account", account=account.id)
    return None


def _check_wages(step: Step, payer: str, terms: ProductTerms) -> Refusal | None:
    refusal = check_product(step, payer, terms)
    if refusal is not None:
        return refusal
    judged = judge(step, terms)
    return judged if isinstance(judged, Refusal) else None


def judge(step: Step, terms: ProductTerms, closure_notice_days: int | None = None) -> Judgement | Refusal | None:
    """What the law of wage accounts says; None for another business."""
    wages = terms.wages
    if wages is None:
        return None
    return judge_wages(
        step,
        WageFacts(
            currency=terms.currency,
            special_account=True,  # `check_product` looks at it, and it is not closed before the product
            tri_party_agreement=wages.tri_party_agreement.kind == TRI_PARTY_AGREEMENT,
            to_workers_own_accounts=True,  # a wage tranche pays by lines only, each to its worker's own account
            closure_notice_days=closure_notice_days,
        ),
    )
