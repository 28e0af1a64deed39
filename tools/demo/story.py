"""The story, from an empty directory to evidence for strangers: the demo's table of contents."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from tallystick.kernel.genesis import Genesis
from tallystick.node.composition import create_chain
from tallystick.node.genesis_file import GenesisFile
from tallystick.node.key_store import LIGHT_COST, Passphrases
from tallystick.node.session import open_home
from tools.demo import (
    construction,
    evidence,
    financing,
    issuing,
    joining,
    law,
    maturity,
    mishaps,
    newcomers,
    passing,
    payroll,
    public_works,
    reckoning,
    recourse,
    summary,
)
from tools.demo.home import PASSPHRASE, new_home
from tools.demo.houses import Houses
from tools.demo.published import Published
from tools.demo.published_plans import CARE, HOSPITAL, hospital_contract, published_plan
from tools.demo.stage import Stage
from tools.demo.telling import Telling

GENESIS = Path(__file__).with_name("genesis.toml")


def tell(path: Path, telling: Telling, horizon: datetime.timedelta = joining.HORIZON) -> None:
    """Tell the whole story on a new ledger in `path`. `horizon`: how far ahead business days must be known."""
    published = Published()
    passphrases = Passphrases((PASSPHRASE,))
    file = GenesisFile(GENESIS.read_text(encoding="utf-8"), str(GENESIS))
    with new_home(path) as home:
        telling.show(*summary.opening(published))
        genesis = create_chain(home, file, passphrases, LIGHT_COST)
        with open_home(home.path, passphrases) as session:
            stage = Stage(Houses([session]), home, telling)
            told = play(stage, published, genesis, horizon)
            summary.look(stage, told.judged, told.demo_debt, told.plans)


@dataclass(frozen=True, slots=True)
class Told:
    """What the story came to: what the law said on three days, the debt that went wrong, the plans."""

    judged: list[law.Judged]
    demo_debt: str
    plans: reckoning.Plans


def play(stage: Stage, published: Published, genesis: Genesis, horizon: datetime.timedelta) -> Told:
    """The story itself, on a stage that stands."""
    stage.telling.chapter("Chapter 1: pounds, under the law pack gb")
    summary.founded(stage, genesis)
    joining.publish_missing_years(stage, horizon)
    judged, demo_debt = _receivables(stage, published)
    told = _plans(stage)
    financing.leave_open(stage, judged[0].receivable)
    summary.close(stage, judged)
    reckoning.close(stage, told)
    evidence.prove(stage, told, demo_debt)
    return Told(judged, demo_debt, told)


def _receivables(stage: Stage, published: Published) -> tuple[list[law.Judged], str]:
    """The first business. Returns what the law said on three days, and the debt that went wrong."""
    joining.join(stage, published)
    joining.open_accounts(stage)
    issuing.issue_published(stage, published)
    issuing.deposit(stage, published)
    demo_debt = mishaps.befall(stage)
    stage.advance_days(1)
    passing.three_hops(stage)
    passing.hand_on_demo_debt(stage, demo_debt)
    financing.two_ways(stage)
    maturity.redeem(stage)
    recourse.run(stage, demo_debt)
    stage.telling.chapter("Chapter 2: renminbi, under the law pack cn")
    return law.three_dates(stage), demo_debt


def _plans(stage: Stage) -> reckoning.Plans:
    """The second business. Returns its plans."""
    telling = stage.telling
    hospital, contract, care = published_plan(HOSPITAL), hospital_contract(), published_plan(CARE)
    telling.chapter("Chapter 3: release plans, on published payments")
    newcomers.adopt_currency(stage, hospital)
    newcomers.join(stage, hospital, contract)
    newcomers.open_accounts(stage, hospital)
    product = public_works.open_hospital(stage, hospital, contract)
    documents = public_works.release_payments(stage, product, hospital)
    by_date = public_works.pay_by_date(stage, care)
    telling.chapter("Chapter 4: a release plan in which things go wrong")
    building = construction.run(stage)
    telling.chapter("Chapter 5: wages out of a special account")
    wages = payroll.run(stage)
    telling.chapter("Chapter 6: what goes on")
    public_works.go_on(stage, by_date, care)
    return reckoning.Plans(hospital=documents, recurring=by_date, building=building, wages=wages)
