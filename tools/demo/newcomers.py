"""Who comes in for the release plans, under which currencies, and whose account is opened, or is not."""

import datetime
from dataclasses import dataclass

from tallystick.kernel.accounts.opening import ApplyForAccount
from tallystick.kernel.accounts.records import Account, AccountState
from tallystick.kernel.governance.operations import AddCurrency
from tallystick.kernel.membership.records import Role, SizeClass
from tallystick.node.genesis_file import folder_of
from tools.demo.joining import CN_BUYER, CN_SUPPLIER, Applicant, admit, apply_all
from tools.demo.published_plans import PublishedContract, PublishedPlan
from tools.demo.stage import BANK, GOVERNORS, PLATFORM, Stage, StoryFault, Vote

LABOUR = "Demo Labour CN"
SUBCONTRACTOR = "Demo Subcontractor CN"
SURVEYORS = ("Demo Surveyor North", "Demo Surveyor South", "Demo Surveyor East")
PROJECT = "Demo Warehouse"
REFUSED_REASON = "licence_out_of_date"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An account that is asked for."""

    owner: str
    currency: str
    project: str | None = None


def adopt_currency(stage: Stage, plan: PublishedPlan) -> None:
    """The governors let the chain know a further currency, from the next day on."""
    with stage.telling.step("Currency") as step:
        from_on = stage.today() + datetime.timedelta(days=1)
        added = AddCurrency(currency=plan.currency, minor_digits=2, from_on=from_on)
        stage.do(added, by=GOVERNORS[0], also=GOVERNORS[1:])
        stage.advance_days(1)
        step.say(f"The governors add {plan.currency}, from {from_on} on")


def join(stage: Stage, plan: PublishedPlan, contract: PublishedContract) -> None:
    """The contract's payer and payee, and demo organisations: surveyors, a labour company, a subcontractor."""
    with stage.telling.step("Members") as step:
        applicants = [
            Applicant(plan.payer, contract.payer_id, "siasi", SizeClass.PUBLIC, currency=plan.currency),
            Applicant(plan.payee, plan.payee_id, "rfc", currency=plan.currency),
            *(Applicant(name, folder_of(name), roles=(Role.VERIFIER,), currency="CNY") for name in SURVEYORS),
            *(Applicant(name, folder_of(name), currency="CNY") for name in (LABOUR, SUBCONTRACTOR)),
        ]
        admit(stage, apply_all(stage, applicants, PLATFORM, step).values(), step)
        step.say(f"{plan.payer}; {plan.payee}; and {len(applicants) - 2} demo organisations, 3 of them surveyors")


def open_accounts(stage: Stage, plan: PublishedPlan) -> None:
    """The bank opens an account for each that trades, after its review, and refuses one."""
    with stage.telling.step("Accounts") as step:
        wanted = [
            *(Wanted(owner, plan.currency) for owner in (plan.payer, plan.payee)),
            *(Wanted(owner, "CNY") for owner in (CN_BUYER, CN_SUPPLIER, LABOUR, SUBCONTRACTOR)),
            Wanted(CN_SUPPLIER, "CNY", PROJECT),
        ]
        asked = {one: _apply(stage, one) for one in wanted}
        refused = next(one for one in wanted if one.owner == SUBCONTRACTOR)
        votes = [Vote(_review(stage, account)) for one, account in asked.items() if one is not refused]
        stage.approve_as(BANK, votes, step)
        stage.turn_down_as(BANK, _review(stage, asked[refused]), REFUSED_REASON)
        if stage.get(Account, asked[refused]).state is not AccountState.REFUSED:
            raise StoryFault(f"the account of {SUBCONTRACTOR} was not refused")
        step.say(
            f"{BANK} reviews {len(wanted)} applications and opens {len(votes)} accounts, one of them a special account "
            f"for wages; that of {SUBCONTRACTOR} it refuses ({REFUSED_REASON.replace('_', ' ')})"
        )


def _apply(stage: Stage, one: Wanted) -> str:
    papers = stage.papers.stand_in("account_application", f"{one.owner}, {one.currency}")
    asked = ApplyForAccount(currency=one.currency, custodian=stage.id(BANK), papers=(papers,), project=one.project)
    return stage.do(asked, by=one.owner).records[0]


def _review(stage: Stage, account: str) -> str:
    review = stage.get(Account, account).review
    if review is None:
        raise StoryFault(f"{account} came without a review")
    return review
