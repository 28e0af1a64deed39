"""What the demo says at its beginning and its end; every figure at the end is read from the ledger."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tallystick.cli.output import pairs, table
from tallystick.kernel.accounts.deposits import Deposit
from tallystick.kernel.financing.records import Financing, FinancingState
from tallystick.kernel.genesis import Genesis
from tallystick.kernel.membership.records import Role
from tallystick.kernel.plans.records import Plan
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.recourse.records import Recourse
from tallystick.kernel.transfers.records import Transfer, TransferState
from tallystick.node.genesis_file import folder_of
from tools.demo.construction import FLOORS
from tools.demo.evidence import FOLDER
from tools.demo.home import PASSPHRASE, USUAL_HOME
from tools.demo.issuing import DUE_AFTER_DAYS
from tools.demo.joining import BUYER, CN_SUPPLIER, FUNDER_SOUTH, SUPPLIER, WORKSHOP
from tools.demo.law import Judged
from tools.demo.passing import largest
from tools.demo.products import CONTRACTS
from tools.demo.published import ATTRIBUTION, Published
from tools.demo.published_plans import ATTRIBUTION as PLAN_ATTRIBUTION
from tools.demo.reckoning import Plans
from tools.demo.stage import Stage, StoryFault

ENDED_WELL = (ReceivableState.REDEEMED, ReceivableState.VALID)


def opening(published: Published) -> Iterator[RenderableType]:
    """What is real, what is made up, and whose data it is."""
    said = Table.grid(padding=(0, 1))
    said.add_row(
        "[bold]Real[/]",
        f"{len(published.rows)} published invoices to {published.payer}, a year of its payments to one supplier, and "
        "a hospital's contract with its payments: parties, numbers, amounts",
    )
    said.add_row("[bold]Made up[/]", 'everything that happens to them here, and every organisation named "Demo ..."')
    said.add_row(
        "[bold]Derived[/]",
        f"all days: issue dates are the demo's own, due dates issue day + {DUE_AFTER_DAYS} days, others as said",
    )
    whose = Text(f"{ATTRIBUTION}\n{PLAN_ATTRIBUTION}", style="dim")
    title = "Tallystick 合符: a demo on a sandbox ledger"
    yield Panel(Group(said, whose), title=title, box=box.ROUNDED, padding=(0, 1))


def founded(stage: Stage, genesis: Genesis) -> None:
    """Who founded the chain."""
    with stage.telling.step("Genesis") as step:
        held = Counter(role for member in genesis.members for role in member.roles)
        words = (f"{count} {role.value}{'s' if count > 1 else ''}" for role, count in held.items())
        step.say(", ".join(words))
        policies = genesis.policies
        step.say(
            f"{policies.auditors_needed} of {held[Role.AUDITOR]} auditors decide a review, "
            f"{policies.governors_needed} of {held[Role.GOVERNOR]} governors the rules"
        )


def close(stage: Stage, judged: list[Judged]) -> None:
    """The invariants, and the figures of the first business."""
    tell = stage.telling
    tell.chapter("The whole ledger, checked")
    _check(stage)
    tell.chapter("What happened")
    tell.show(_receivables(stage), _business(stage))
    tell.chapter("One set of terms, three dates")
    tell.show(_law(judged))


def look(stage: Stage, judged: list[Judged], demo_debt: str, told: Plans) -> None:
    """Where to look next."""
    stage.telling.chapter("Look for yourself")
    stage.telling.show(*_commands(stage, judged, demo_debt, told))


def _check(stage: Stage) -> None:
    with stage.telling.step("Invariants") as step:
        step.expect(len(stage.session.rules))
        looked_at = 0
        for done in stage.session.audit():
            if done.violation is not None:
                raise StoryFault(f"{done.name}: {done.violation}")
            looked_at += done.looked_at
            step.advance(1)
        step.say(
            f"{len(stage.session.rules)} rules hold over {looked_at:,} records, transactions and blocks (tally check):"
        )
        step.say(
            "parcels partition their receivable, money balances, plans hold what is in escrow, no invoice backs more "
            "than its amount, ..."
        )


def _receivables(stage: Stage) -> RenderableType:
    rows = table("receivables", "number", "face", "paid", "given up", right=("number", "face", "paid", "given up"))
    found = sorted(stage.rows(Receivable), key=lambda row: (row.currency != "GBP", row.state not in ENDED_WELL))
    for currency, state in dict.fromkeys((row.currency, row.state) for row in found):
        some = [row for row in found if (row.currency, row.state) == (currency, state)]
        amounts = (sum(row.face for row in some), sum(row.redeemed for row in some), sum(row.cancelled for row in some))
        shown = (stage.money(units, currency) if units else "-" for units in amounts)
        rows.add_row(state.value.replace("_", " "), f"{len(some):,}", *shown)
    return rows


def _business(stage: Stage) -> RenderableType:
    transfers = [row for row in stage.rows(Transfer) if row.state is TransferState.DONE]
    financed = [row for row in stage.rows(Financing) if row.state is FinancingState.SETTLED]
    net = sum(row.payment.price.net for row in financed if row.payment is not None)
    face = sum(row.face for row in financed)
    deposits = list(stage.rows(Deposit))
    claims = list(stage.rows(Recourse))
    transactions, signatures, events = _counts(stage)
    kinds = Counter(row.kind.value for row in transfers)
    height = stage.session.engine.health().height
    refusals = "\n".join(f"{status.label}: {why}" for why, status in stage.refusals)
    return pairs(
        [
            ("deposits", f"{len(deposits)}: {_by_currency(stage, deposits)}"),
            ("transfers", ", ".join(f"{count} {kind}" for kind, count in kinds.items())),
            ("financings", f"{len(financed)}: {stage.money(net)} paid for {stage.money(face)}"),
            ("recourse", f"{len(claims)} claims, {stage.money(sum(row.units for row in claims))} paid"),
            ("refused by the ledger", refusals),
            (
                "on the ledger",
                f"{transactions:,} transactions with {signatures:,} signatures in {height:,} blocks; {events:,} events",
            ),
            ("business time", f"until {stage.today()}"),
            ("took", f"{stage.telling.seconds:.0f} seconds"),
        ]
    )


def _by_currency(stage: Stage, deposits: Sequence[Deposit]) -> str:
    units: Counter[str] = Counter()
    for row in deposits:
        units[row.currency] += row.units
    return ", ".join(stage.money(amount, currency) for currency, amount in units.items())


def _counts(stage: Stage) -> tuple[int, int, int]:
    """Transactions, their signatures, and events, from the archive."""
    engine = stage.session.engine
    blocks = (engine.transactions(height) for height in range(1, engine.health().height + 1))
    raws = [raw for block in blocks for raw in block if raw.startswith(b"{")]  # not the nodes' own calls for a block
    signatures = sum(raw.count(b'"signature":') for raw in raws)
    return len(raws), signatures, sum(1 for _ in stage.events())


def _law(judged: list[Judged]) -> RenderableType:
    rows = table("judged on", "pack", "outcome", keep=("judged on", "pack"))
    for one in judged:
        rows.add_row(str(one.on), one.pack, f"{one.outcome}\n{one.rule}: {one.clause}")
    return rows


def commands(stage: Stage, judged: list[Judged], demo_debt: str, told: Plans) -> list[tuple[str, str]]:
    """What to try next: what it shows, and the command with this ledger's own ids."""
    home = stage.home
    sealed = next(row for row in stage.rows(Financing) if row.sealed)
    on_board = next(row for row in stage.rows(Financing) if row.state is FinancingState.PUBLISHED)
    return [
        ("handed on three times", f"tally show {largest(stage, 0).id}"),
        ("sealed quotes", f"tally show {sealed.id}"),
        ("recourse, paid in part", f"tally show {demo_debt}"),
        ("judged in transition", f"tally show {judged[1].receivable}"),
        ("the board, ranked", "tally board"),
        ("what it would do", f"tally financing withdraw {on_board.id[:12]} --as {folder_of(CN_SUPPLIER)} --dry-run"),
        ("what stands where", f'tally accounts "{FUNDER_SOUTH}"'),
        ("what moved", f'tally statement "{WORKSHOP}"'),
        ("what one was told", f'tally notices "{SUPPLIER}"'),
        ("a plan along time", f"tally plan show {told.building}"),
        ("one under way", f"tally plan show {told.recurring}"),
        ("how it began", f"tally product show {stage.get(Plan, told.building).product}"),
        ("why money went out", f"tally certificate show {_certificate(stage, told.building)}"),
        ("escrow, line by line", f"tally statement {told.building}"),
        ("wages, line by line", f"tally wage show {told.wages} 1"),
        ("what anchored it", f"tally document find {home.path}/{CONTRACTS}/warehouse-payer_payee.pdf"),
        ("proof for strangers", f"tally verify {home.path}/{FOLDER}/plan.json --genesis {home.genesis}"),
        ("by party and state", f'tally list receivable --party "{BUYER}" --state redeemed'),
        ("check it all again", "tally check"),
    ]


def _certificate(stage: Stage, plan: str) -> str:
    """The certificate of the release with the most to it."""
    return stage.get(Plan, plan).tranches[FLOORS - 1].certificates[0]


def _commands(stage: Stage, judged: list[Judged], demo_debt: str, told: Plans) -> Iterator[RenderableType]:
    home = stage.home
    elsewhere = "" if home.path == USUAL_HOME else f"; export TALLYSTICK_HOME={home.path}"
    rows = [
        ("first, here", f"alias tally=.venv/bin/tally{elsewhere}"),
        *commands(stage, judged, demo_debt, told),
    ]
    yield pairs([(what, Text(command, style="cyan")) for what, command in rows])
    yield (
        f"\nThe ledger is in {home.path}; verifiers pin its genesis, {home.genesis}. Keys are in {home.keys}, encrypted"
        f' under the passphrase "{PASSPHRASE}", which stands in {home.passphrase} too.'
    )
