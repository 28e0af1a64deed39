"""What the rules of wage accounts refuse (人社部发〔2021〕53号; DOMAIN section 6).

The template refuses it on every chain; where a law pack says it too, the facts name pack, rule and clause. Money for
wages comes from the project's special account and leaves escrow for workers' own accounts alone: no fee, retention,
recovery or receivable is taken from it, no dispute or seizure stops it.
"""

from enum import Enum

from tallystick.kernel.accounts.records import Account, AccountState
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.law.facts import WageFacts
from tallystick.kernel.law.judge import judge_wages
from tallystick.kernel.law.records import Judgement
from tallystick.kernel.plans.records import Failing, TrancheTerms, Unmet
from tallystick.kernel.products.records import Business, Product, ProductTerms, Silence
from tallystick.wire.status import Status


class Misuse(Enum):
    """What a step would do to wages that it must not; the reasons are those of the law's own predicate."""

    SPECIAL_ACCOUNT = "not_the_special_account"
    OWN_ACCOUNT = "not_a_workers_own_account"
    STOPPED = "frozen_for_other_reasons"
    DEDUCTED = "set_off"


def judge(step: Step, currency: str, breach: Misuse | None = None) -> Judgement | Refusal:
    """What the law says of a step on wages that does nothing wrong, or `breach` alone."""
    return judge_wages(
        step,
        WageFacts(
            currency=currency,
            special_account=breach is not Misuse.SPECIAL_ACCOUNT,
            tri_party_agreement=True,
            to_workers_own_accounts=breach is not Misuse.OWN_ACCOUNT,
            frozen_for_other_reasons=breach is Misuse.STOPPED,
            set_off=breach is Misuse.DEDUCTED,
        ),
    )


def misused(step: Step, currency: str, breach: Misuse, **facts: object) -> Refusal:
    """wage_account_misused, with the clause where the law of this chain holds it too."""
    judged = judge(step, currency, breach)
    if isinstance(judged, Refusal):
        return Refusal(judged.status, {**judged.facts, **refuse(judged.status, **facts).facts})
    return refuse(Status.WAGE_ACCOUNT_MISUSED, reason=breach.value, **facts)


def check_product(step: Step, payer: str, terms: ProductTerms) -> Refusal | None:
    """Whether a product for wages has what it needs: the project's special account, and no fee taken from wages.

    Nothing for a product of another business, but that it has no wage terms. The special account is the payer's, open
    with the custodian for this project, and what is not paid goes back into it.
    """
    wages = terms.wages
    if (terms.business is Business.WAGES) is not (wages is not None):
        return refuse(Status.BAD_VALUE, field="wages", business=terms.business.value)
    if wages is None:
        return None
    account = step.find(Account, wages.special_account)
    if account is None or account.state is not AccountState.OPEN or account.owner != payer:
        return misused(step, terms.currency, Misuse.SPECIAL_ACCOUNT, account=wages.special_account)
    if account.project != wages.project or terms.refund_account != account.id:
        return misused(step, terms.currency, Misuse.SPECIAL_ACCOUNT, account=account.id, project=wages.project)
    if (account.currency, account.custodian) != (terms.currency, terms.custodian):
        return misused(step, terms.currency, Misuse.SPECIAL_ACCOUNT, account=account.id, custodian=account.custodian)
    if terms.fee.rate or terms.fee.minimum:
        return misused(step, terms.currency, Misuse.DEDUCTED, field="fee")
    return None


def failing(product: Product, number: int, terms: TrancheTerms) -> tuple[Failing, ...]:
    """Where a product for wages has a tranche that is not for wages, or another one a tranche that is."""
    if terms.wages is (product.terms.wages is not None):
        return ()
    reason = "not_a_wage_product" if terms.wages else "wages_only"
    return (Failing(tranche=number, field="wages", reason=reason),)


def check_tranche(step: Step, product: Product, terms: TrancheTerms) -> Refusal | None:
    """wage_account_misused where a wage tranche takes something from the wages, or would let a dispute stop them."""
    if not terms.wages:
        return None
    currency = product.terms.currency
    for field, taken in (
        ("retention", terms.retention is not None),
        ("recovery", terms.recovery is not None),
        ("advance", terms.advance),
    ):
        if taken:
            return misused(step, currency, Misuse.DEDUCTED, field=field)
    if terms.redeems is not None:
        return misused(step, currency, Misuse.OWN_ACCOUNT, field="redeems")
    for field, disputed in (
        ("on_silence", terms.on_silence is Silence.DISPUTE),
        ("if_unmet", terms.if_unmet is Unmet.DISPUTE),
    ):
        if disputed:
            return misused(step, currency, Misuse.STOPPED, field=field)
    return None


def check_source(step: Step, product: Product, account_id: str) -> Refusal | None:
    """Whether money for a plan may come from this account: for wages only from the project's special account."""
    wages = product.terms.wages
    if wages is None or account_id == wages.special_account:
        return None
    return misused(step, product.terms.currency, Misuse.SPECIAL_ACCOUNT, account=account_id)


def check_seizure(step: Step, account: Account) -> Refusal | None:
    """wage_account_misused where a freeze or a deduction would reach a project's special account."""
    if account.project is None:
        return None
    return misused(step, account.currency, Misuse.STOPPED, account=account.id)


def check_dispute(step: Step, currency: str, terms: TrancheTerms) -> Refusal | None:
    """wage_account_misused where a dispute or an objection would stop wages."""
    if not terms.wages:
        return None
    return misused(step, currency, Misuse.STOPPED)
