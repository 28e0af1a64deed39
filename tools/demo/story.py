"""The story, from an empty directory to the last redemption: the demo's table of contents."""

import datetime
from pathlib import Path

from tallystick.kernel.genesis import Genesis
from tallystick.node.composition import create_chain
from tallystick.node.genesis_file import GenesisFile
from tallystick.node.key_store import LIGHT_COST, Passphrases
from tallystick.node.session import open_home
from tools.demo import financing, issuing, joining, law, maturity, mishaps, passing, recourse, summary
from tools.demo.home import PASSPHRASE, new_home
from tools.demo.papers import Papers
from tools.demo.published import Published
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
            _play(Stage(session, Papers(home), telling), published, genesis, horizon)


def _play(stage: Stage, published: Published, genesis: Genesis, horizon: datetime.timedelta) -> None:
    telling = stage.telling
    telling.chapter("Chapter 1: pounds, under the law pack gb")
    summary.founded(stage, genesis)
    joining.publish_missing_years(stage, horizon)
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
    telling.chapter("Chapter 2: renminbi, under the law pack cn")
    judged = law.three_dates(stage)
    financing.leave_open(stage, judged[0].receivable)
    summary.close(stage, judged, demo_debt)
