"""Chapter 5: wages out of a project's special account: a payroll, its release, and one line that the bank returns.

No worker exists; names, papers and accounts are numbers.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from tallystick.kernel.plans.conditions import PlatformAccepts
from tallystick.kernel.plans.funding import FundPlan
from tallystick.kernel.plans.records import Plan, Unmet
from tallystick.kernel.products.records import Business, Method, Silence
from tallystick.kernel.wages.records import LineState, SheetState
from tallystick.node.home import own_secret
from tallystick.node.wage_lines import Committing, read_corrections, read_payroll, read_results
from tallystick.node.wage_sheets import Sheet, Upload, corrections_of, report_of
from tallystick.wire.amounts import Units
from tools.demo import plans, products
from tools.demo.issuing import book
from tools.demo.joining import CN_SUPPLIER
from tools.demo.newcomers import LABOUR, PROJECT
from tools.demo.products import Deal
from tools.demo.stage import BANK, PLAN_PLATFORM, Stage, StoryFault
from tools.demo.telling import Step

CNY = "CNY"
WORKERS = 600
RETURNED = 137
RETURN_REASON = "account_closed"
MOST = Units(4_000_000_00)
WINDOW_DAYS = 30
PAYROLL_COLUMNS = ("name", "identity", "identity_kind", "account", "bank", "amount")


def run(stage: Stage) -> str:
    """From the special account to the last worker. Returns the plan's id."""
    plan = _agree(stage)
    folder = stage.home.path / "payroll"
    folder.mkdir()
    contractor = stage.houses.of(CN_SUPPLIER)
    committing = Committing(own_secret(contractor.home.wage_key), contractor.engine.chain_id, plan, 1)
    _upload(stage, plan, committing, folder)
    _release(stage, plan)
    _repair(stage, plan, committing, folder)
    return plan


def _sheet(stage: Stage, plan: str) -> Sheet:
    return Sheet(stage.session, stage.get(Plan, plan), 1)


def _agree(stage: Stage) -> str:
    today = stage.today()
    deal = Deal(
        name="wages",
        payer=CN_SUPPLIER,
        payee=LABOUR,
        number="DEMO-W-1",
        title="Labour for a warehouse (made up)",
        currency=CNY,
        value=MOST,
        signed_on=today - plans.days(5),
        starts_on=today,
        ends_on=today + plans.days(90),
        methods=(Method.PLATFORM,),
        business=Business.WAGES,
        payment_days=WINDOW_DAYS,
        objection_days=1,
        long_stop_days=3 * WINDOW_DAYS,
        project=PROJECT,
    )
    with stage.telling.step("Special account") as step:
        book(stage, CN_SUPPLIER, MOST, currency=CNY, project=PROJECT)
        product = products.apply(stage, deal)
        products.counter(stage, product, deal)
        products.open_product(stage, product, deal, step)
        month = plans.tranche(
            "Wages of a month",
            MOST,
            today,
            0,
            WINDOW_DAYS - 5,
            condition=PlatformAccepts(),
            wages=True,
            up_to=True,
            on_silence=Silence.ACCEPT,
            if_unmet=Unmet.REFUND,
        )
        plan = plans.agree(stage, CN_SUPPLIER, product, CNY, (month,))
        stage.do(FundPlan(plan=plan, currency=CNY, units=MOST), by=CN_SUPPLIER)
        step.say(
            f"{CN_SUPPLIER}, the general contractor, pays the workers of {LABOUR} out of the project's special "
            f"account, up to {stage.money(MOST, CNY)} a month; no fee, no retention, no dispute may touch it"
        )
    return plan


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def _worker(number: int) -> tuple[str, str, str]:
    return f"Demo Worker {number:03d}", f"DEMO{number:05d}", "other"


def _upload(stage: Stage, plan: str, committing: Committing, folder: Path) -> None:
    """What `tally wage lines` does."""
    with stage.telling.step("Payroll") as step:
        rows = (
            (*_worker(number), f"9000{number:012d}", BANK, f"{4_000 + number * 37 % 2_500}.{number % 100:02d}")
            for number in range(1, WORKERS + 1)
        )
        file = _write(folder / "payroll.csv", PAYROLL_COLUMNS, rows)
        with stage.working(CN_SUPPLIER) as session:
            lines = read_payroll(file, session.lookup.minor_digits(CNY))
            upload = Upload(session, Sheet(session, stage.get(Plan, plan), 1), lines, committing)
            step.expect(upload.chunks)
            done = upload.run(stage.id(CN_SUPPLIER), step.advance)
        row = _sheet(stage, plan).standing()
        if row.state is not SheetState.COMPLETE:
            raise StoryFault(f"the sheet is {row.state.value} after {done.handed_in} chunks: {done.outcome}")
        step.say(
            f"{row.lines} lines, {stage.money(row.units, CNY)}, in {upload.chunks} chunks, each signed by maker and "
            "checker. On the ledger stand salted commitments to worker and account, and the amounts"
        )


def _release(stage: Stage, plan: str) -> None:
    with stage.telling.step("Wages released") as step:
        stage.do(plans.acceptance(stage, plan, 1, _sheet(stage, plan).standing().units), by=PLAN_PLATFORM)
        plans.pass_objections(stage, plan, 1)
        row = stage.get(Plan, plan)
        step.say(
            f"{PLAN_PLATFORM} certifies the sheet's sum; {stage.money(row.released, CNY)} leave escrow for the "
            f"workers, {stage.money(row.refunded, CNY)} that the month did not need go back into the special account"
        )


def _repair(stage: Stage, plan: str, committing: Committing, folder: Path) -> None:
    with stage.telling.step("A returned line") as step:
        results = (
            (number, "returned", RETURN_REASON) if number == RETURNED else (number, "paid", "")
            for number in range(1, WORKERS + 1)
        )
        _report(stage, plan, _write(folder / "results.csv", ("line", "result", "reason"), results), "DEMO-WAGES-1")
        returned = _sheet(stage, plan).standing().sum_of(LineState.RETURNED)
        corrected = _write(
            folder / "corrected.csv",
            ("line", "name", "identity", "identity_kind", "account", "bank"),
            [(RETURNED, *_worker(RETURNED), f"9100{RETURNED:012d}", BANK)],
        )
        _, corrections, _ = read_corrections(corrected)
        stage.do(*corrections_of(_sheet(stage, plan), corrections, committing).operations, by=CN_SUPPLIER)
        again = _write(folder / "results-again.csv", ("line", "result", "reason"), [(RETURNED, "paid", "")])
        _report(stage, plan, again, "DEMO-WAGES-2")
        _tell(stage, plan, returned.units, step)


def _report(stage: Stage, plan: str, file: Path, reference: str) -> None:
    """What `tally wage line-result` does."""
    _, results, _ = read_results(file)
    stage.do(report_of(_sheet(stage, plan), results, reference), by=BANK)


def _tell(stage: Stage, plan: str, returned: Units, step: Step) -> None:
    row = _sheet(stage, plan).standing()
    if row.state is not SheetState.DONE or row.sum_of(LineState.PAID).lines != WORKERS:
        raise StoryFault(f"the sheet is {row.state.value}: {row.standing}")
    step.say(
        f"The bank pays {WORKERS - 1} and returns line {RETURNED} over {stage.money(returned, CNY)} "
        f"({RETURN_REASON.replace('_', ' ')}). It alone is corrected, to the same worker's other account, and sent "
        f"again: {WORKERS} of {WORKERS} paid"
    )
