"""What must never happen, checked over a whole ledger from its records and blocks alone (DESIGN section 9).

Each check reads what an engine shows to anybody and none of the kernel's own arithmetic: parcels partition what is
neither redeemed nor cancelled; assets equal liabilities; plans' money is in their escrow; invoices are used no more
than they amount to; nothing was ordered twice; each block follows the one before and its commit is signed. The first
record that breaks a rule is named. Execution again from the genesis is `fsck`'s, not this module's.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tallystick.kernel.accounts.bank_references import BankReference
from tallystick.kernel.accounts.book import ASSETS
from tallystick.kernel.accounts.records import Account, AccountState, Balance
from tallystick.kernel.core.fields import Interval
from tallystick.kernel.core.record import TABLES, Record
from tallystick.kernel.financing.records import Financing
from tallystick.kernel.plans.records import Certificate, Dispute, Plan, TrancheState
from tallystick.kernel.products.records import Product
from tallystick.kernel.receivables.records import (
    PENDING_STATES,
    Invoice,
    LockKind,
    Parcel,
    ParcelRow,
    Receivable,
    ReceivableState,
)
from tallystick.kernel.redemption.records import Redemption
from tallystick.kernel.transaction import read_checked
from tallystick.kernel.transfers.records import PENDING_STATES as PENDING_TRANSFERS
from tallystick.kernel.transfers.records import Transfer
from tallystick.ledger.engine import Cursor, Engine, NotYet, Pruned, StateProof
from tallystick.proof import comet
from tallystick.proof.state_proof import app_hash, key_hash, proof_holds, value_hash
from tallystick.wire.keys import verifies

R = TypeVar("R", bound=Record)

PAGE = 2_000
PROVEN_PER_TABLE = 2_000
HEADER_SECONDS = 10.0
GIVEN_BACK = frozenset(
    {
        ReceivableState.DECLINED,
        ReceivableState.REFUSED,
        ReceivableState.WITHDRAWN,
        ReceivableState.EXPIRED,
        ReceivableState.VOID,
    }
)
"""How a receivable ends without using up its invoices (DOMAIN section 7)."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold, and the record that shows it."""

    record: str
    what: str

    def __str__(self) -> str:
        return f"{self.record}: {self.what}"


@dataclass(frozen=True, slots=True)
class Checked:
    """One rule over the whole ledger: how many things it looked at, and the first that breaks it."""

    name: str
    looked_at: int
    violation: Violation | None = None


Check = Callable[[Engine], Iterator[Violation | None]]
"""Looks at one thing after another: None where it holds, and ends at the first `Violation`."""


def audit(engine: Engine) -> Iterator[Checked]:
    """Check rule after rule; the first that is broken is the last that is given."""
    for name, check in CHECKS.items():
        looked_at = 0
        for violation in check(engine):
            looked_at += 1
            if violation is not None:
                yield Checked(name, looked_at, violation)
                return
        yield Checked(name, looked_at)


def _rows(engine: Engine, kind: type[R]) -> Iterator[R]:
    after = ""
    while True:
        page = engine.scan(kind.table, after, PAGE)
        yield from (row for row in page if isinstance(row, kind))
        if len(page) < PAGE:
            return
        after = page[-1].id


def check_records(engine: Engine) -> Iterator[Violation | None]:
    """Every record of every table can be read, and stands under its own key."""
    for table, kind in sorted(TABLES.items()):
        last = ""
        for row in _rows(engine, kind):
            if row.table != table or row.id <= last:
                yield Violation(row.key, f"found in table {table} after id {last}")
            last = row.id
            yield None


def check_parcels(engine: Engine) -> Iterator[Violation | None]:
    """Live parcels ascend, never overlap, and add up to what is neither redeemed nor cancelled (9.2)."""
    rows: dict[str, list[Parcel]] = defaultdict(list)
    for row in _rows(engine, ParcelRow):
        rows[row.receivable].append(row.parcel)
    for receivable in _rows(engine, Receivable):
        parcels = rows.pop(receivable.id, []) if receivable.in_rows else list(receivable.parcels)
        parcels.sort(key=lambda parcel: parcel.interval.first)
        what = _parcels_fault(receivable, parcels)
        yield None if what is None else Violation(receivable.key, what)
    for name in sorted(rows):
        yield Violation(f"receivable/{name}", "parcels stand in rows of their own, and the receivable says otherwise")


def _parcels_fault(receivable: Receivable, parcels: list[Parcel]) -> str | None:
    end = spanned = 0
    for parcel in parcels:
        first, last = int(parcel.interval.first), int(parcel.interval.last)
        if first <= end or last < first or last > receivable.face:
            return f"the parcel {first}..{last} overlaps another or leaves the face of {receivable.face}"
        fault = _locks_fault(parcel)
        if fault is not None:
            return fault
        end = last
        spanned += last - first + 1
    if len(parcels) != receivable.parcel_count:
        return f"{len(parcels)} parcels are live, the record says {receivable.parcel_count}"
    if not receivable.is_owed:
        return None if not parcels else f"it is {receivable.state.value} and has live parcels"
    left = int(receivable.face) - int(receivable.redeemed) - int(receivable.cancelled)
    return None if spanned == left else f"live parcels span {spanned} units, {left} are neither redeemed nor cancelled"


def _locks_fault(parcel: Parcel) -> str | None:
    end = 0
    for held in parcel.locks:
        if held.interval.first <= end or not parcel.interval.contains(held.interval):
            return f"the lock of {held.by} overlaps another or leaves its parcel"
        end = int(held.interval.last)
    return None


def check_pending(engine: Engine) -> Iterator[Violation | None]:
    """Each lock is that of a step under way on exactly these units, and each such step holds its lock (9.3)."""
    held: dict[str, tuple[str, Interval, LockKind]] = {}
    parcels = [(row.id, row.parcels) for row in _rows(engine, Receivable)]
    parcels.extend((row.receivable, (row.parcel,)) for row in _rows(engine, ParcelRow))
    for receivable, live in parcels:
        for parcel in live:
            for one in parcel.locks:
                if one.by in held:
                    yield Violation(f"receivable/{receivable}", f"{one.by} holds units twice")
                held[one.by] = (receivable, one.interval, one.kind)
    for transfer in _rows(engine, Transfer):
        if transfer.state in PENDING_TRANSFERS:
            yield _lock_fault(transfer.key, held.pop(transfer.id, None), transfer.receivable, transfer.interval)
    for financing in _rows(engine, Financing):
        lock = held.pop(financing.id, None)
        if lock is not None:
            yield _lock_fault(financing.key, lock, financing.receivable, financing.interval, is_live=financing.pledges)
    for by, (receivable, _, _) in sorted(held.items()):
        yield Violation(f"receivable/{receivable}", f"{by} holds units and is not under way")


def _lock_fault(
    key: str, lock: tuple[str, Interval, LockKind] | None, receivable: str, interval: Interval, *, is_live: bool = True
) -> Violation | None:
    if lock is None:
        return Violation(key, "it is under way and holds no units")
    if not is_live:
        return Violation(key, "it has ended and still holds units")
    inside = lock[0] == receivable and interval.contains(lock[1])
    return None if inside else Violation(key, "it holds other units than it is about")


def check_balances(engine: Engine) -> Iterator[Violation | None]:
    """For each custodian and currency the bank mirror and claims equal what is owed; nothing is negative (9.1)."""
    assets: dict[tuple[str, str], int] = defaultdict(int)
    liabilities: dict[tuple[str, str], int] = defaultdict(int)
    for row in _rows(engine, Balance):
        side = assets if row.id.partition("/")[0] in ASSETS else liabilities
        side[row.custodian, row.currency] += int(row.units)
        yield Violation(row.key, f"it holds {row.units}") if row.units < 0 else None
    for custodian, currency in sorted({*assets, *liabilities}):
        own, owed = assets[custodian, currency], liabilities[custodian, currency]
        what = f"assets of {own} and liabilities of {owed} {currency}"
        yield None if own == owed else Violation(f"member/{custodian}", what)


def check_accounts(engine: Engine) -> Iterator[Violation | None]:
    """A closed or refused account holds nothing."""
    for account in _rows(engine, Account):
        row = engine.query(f"balance/{account.ledger_account}").record
        holds = isinstance(row, Balance) and row.units > 0
        wrong = holds and account.state is not AccountState.OPEN
        yield Violation(account.key, f"it is {account.state.value} and holds money") if wrong else None


def check_money_set_aside(engine: Engine) -> Iterator[Violation | None]:
    """What is held for a receivable's redeemed units is there, unit for unit, and earmarks name their receivable."""
    wanted: dict[str, int] = defaultdict(int)
    earmarks: set[str] = set()
    for row in _rows(engine, Redemption):
        for share in row.held:
            wanted[f"hold/{share.custodian}/{row.currency}/{row.id}"] += int(share.interval.length)
        if row.earmarked_at is not None:
            earmarks.add(f"earmark/{row.earmarked_at}/{row.currency}/{row.id}")
    for money in _rows(engine, Balance):
        if money.id.startswith("earmark/"):
            what = "money is set aside for a receivable that does not say so"
            yield None if money.units == 0 or money.id in earmarks else Violation(money.key, what)
        elif money.id.startswith("hold/") and money.id.count("/") == 3 and "/rcv_" in money.id:
            due = wanted.pop(money.id, 0)
            what = f"it holds {money.units}, {due} are held for holders"
            yield None if due == money.units else Violation(money.key, what)
    for name, units in sorted(wanted.items()):
        yield None if units == 0 else Violation(f"balance/{name}", f"{units} are held for holders and not there")


def check_plans(engine: Engine) -> Iterator[Violation | None]:
    """Deposited = held + released + refunded + fees + reversed, for each plan; what it holds is in its escrow (9.1).

    The same for each tranche, with what rolled on. What open disputes are about is what is disputed, no more and no
    less, and a plan that has ended holds nothing.
    """
    disputed: dict[tuple[str, int], int] = defaultdict(int)
    for dispute in _rows(engine, Dispute):
        if dispute.is_open:
            disputed[dispute.plan, dispute.tranche] += int(dispute.units)
    escrows = {row.id: int(row.units) for row in _rows(engine, Balance) if row.id.startswith("escrow/")}
    for plan in _rows(engine, Plan):
        held = int(plan.fee_reserve) + sum(int(tranche.held) for tranche in plan.tranches)
        name = f"escrow/{plan.custodian}/{plan.currency}/{plan.id}"
        what = _plan_fault(plan, held, escrows.pop(name, 0))
        for number, tranche in enumerate(plan.tranches, 1):
            what = what or _tranche_fault(number, tranche, disputed.pop((plan.id, number), 0))
        yield None if what is None else Violation(plan.key, what)
    for name, units in sorted(escrows.items()):
        yield None if units == 0 else Violation(f"balance/{name}", f"{units} stand in escrow for no plan")
    for (plan_id, number), units in sorted(disputed.items()):
        yield Violation(f"plan/{plan_id}", f"{units} of tranche {number}, which it does not have, are disputed")


def _plan_fault(plan: Plan, held: int, in_escrow: int) -> str | None:
    gone = int(plan.released) + int(plan.refunded) + int(plan.fees) + int(plan.reversed)
    if int(plan.deposited) != held + gone:
        return f"{plan.deposited} were deposited, {held} are held and {gone} have left"
    if in_escrow != held:
        return f"it says that it holds {held}, {in_escrow} stand in its escrow"
    if held and (plan.ended is not None or not plan.version):
        return f"it is {plan.state.value} and holds {held}"
    return None


def _tranche_fault(number: int, tranche: TrancheState, disputed: int) -> str | None:
    gone = (tranche.released, tranche.refunded, tranche.fees, tranche.reversed, tranche.rolled)
    left = sum(int(units) for units in gone)
    if int(tranche.deposited) != int(tranche.held) + left:
        return f"tranche {number} got {tranche.deposited}, holds {tranche.held}, and {left} have left it"
    if int(tranche.disputed) + int(tranche.retained) > int(tranche.held):
        return f"more of tranche {number} is disputed and retained than it holds"
    if int(tranche.disputed) != disputed:
        return f"{tranche.disputed} of tranche {number} are disputed, open disputes are about {disputed}"
    return None


def check_certificates(engine: Engine) -> Iterator[Violation | None]:
    """Each certificate's sums add up, a tranche is released once, and certificates name all that it paid (9.4)."""
    paid: dict[tuple[str, int], tuple[int, int]] = {}
    released: set[tuple[str, int]] = set()
    for row in _rows(engine, Certificate):
        parts = (row.recovered, row.retained, row.disputed, row.released, row.fees)
        if int(row.certified) != sum(int(part) for part in parts):
            yield Violation(row.key, f"{row.certified} were certified, its parts add up to something else")
        of = (row.plan, row.tranche)
        if row.cause == "release" and of in released:
            yield Violation(row.key, f"tranche {row.tranche} of {row.plan} was released before")
        if row.cause == "release":
            released.add(of)
        before = paid.get(of, (0, 0))
        paid[of] = (before[0] + int(row.released), before[1] + int(row.fees))
        yield None
    for plan in _rows(engine, Plan):
        for number, tranche in enumerate(plan.tranches, 1):
            said, counted = paid.pop((plan.id, number), (0, 0)), (int(tranche.released), int(tranche.fees))
            what = f"tranche {number} paid {counted}, its certificates say {said}"
            yield None if said == counted else Violation(plan.key, what)
    for plan_id, number in sorted(paid):
        yield Violation(f"plan/{plan_id}", f"a certificate is about its tranche {number}, which it does not have")


def check_products(engine: Engine) -> Iterator[Violation | None]:
    """What a product counts is what its plans say that they count for, and within its cap (DOMAIN section 3)."""
    counted: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for plan in _rows(engine, Plan):
        if plan.version:
            units, live = counted[plan.product]
            counted[plan.product] = (units + int(plan.committed), live + (plan.ended is None))
    for product in _rows(engine, Product):
        found = counted.pop(product.id, (0, 0))
        said = (int(product.committed), product.live_plans)
        if found != said:
            yield Violation(product.key, f"its plans count for {found[0]}, {found[1]} live; it says {said}")
        over = product.committed > product.terms.cap
        yield Violation(product.key, f"plans may release more than its cap of {product.terms.cap}") if over else None
    for name in sorted(counted):
        yield Violation(f"product/{name}", "plans name it and it has no record")


def check_invoices(engine: Engine) -> Iterator[Violation | None]:
    """An invoice's use is the sum over the receivables that it backs, and no more than it amounts to (9.3)."""
    used: dict[str, int] = defaultdict(int)
    for receivable in _rows(engine, Receivable):
        if receivable.state not in GIVEN_BACK:
            for use in receivable.invoices:
                used[use.fingerprint] += int(use.amount)
    for invoice in _rows(engine, Invoice):
        summed = used.pop(invoice.id, 0)
        if summed != invoice.used:
            yield Violation(invoice.key, f"receivables use {summed} of it, the record says {invoice.used}")
        over = invoice.total is not None and invoice.used > invoice.total
        yield Violation(invoice.key, f"{invoice.used} of {invoice.total} are used") if over else None
    for fingerprint in sorted(used):
        yield Violation(f"invoice/{fingerprint}", "receivables use it and it has no record")


def check_states(engine: Engine) -> Iterator[Violation | None]:
    """Every party to a receivable is a member; one that is pending has a deadline, one that is valid a due day."""
    known = {row.id for row in _rows(engine, TABLES["member"])}
    for receivable in _rows(engine, Receivable):
        missing = {receivable.debtor, receivable.creditor, *(one.holder for one in receivable.parcels)} - known
        if missing:
            yield Violation(receivable.key, f"{min(missing)} is no member")
        if receivable.state in PENDING_STATES and receivable.valid is not None:
            yield Violation(receivable.key, "it is pending and was valid before")
        undated = receivable.is_owed and receivable.moved_due_on is None
        yield Violation(receivable.key, "it is owed and has no due day") if undated else None


def check_bank_references(engine: Engine) -> Iterator[Violation | None]:
    """Each reference of a custodian's bank was used for one record, which stands (9.9)."""
    for row in _rows(engine, BankReference):
        yield None if row.used_for else Violation(row.key, "it was used for nothing")


def check_receipts(engine: Engine) -> Iterator[Violation | None]:
    """No transaction id of an actor was ordered twice for the same record ids, and each has its result (9.6, 9.8)."""
    seen: set[tuple[str, str]] = set()
    for height in range(_first_height(engine), engine.health().height + 1):
        for index, raw in enumerate(engine.transactions(height)):
            transaction = read_checked(raw)
            where = f"block {height}, transaction {index}"
            found = engine.result(transaction.body_hash)
            if found is None or (found.height, found.index) != (height, index):
                yield Violation(where, "it has no result, or one at another place")
            name = (transaction.body.actor, transaction.body.id)
            again = name in seen and found is not None and found.status.number == 0
            seen.add(name)
            yield Violation(where, f"the id {name[1]} of {name[0]} took effect before") if again else None


def check_blocks(engine: Engine) -> Iterator[Violation | None]:
    """Each header follows the one before, covers its transactions, and its commit is signed by the validators (9.8)."""
    before: comet.LightBlock | None = None
    for height in range(_first_height(engine), engine.health().height + 1):
        block = engine.light_block(height)
        what = _block_fault(engine, block, before, height)
        yield None if what is None else Violation(f"block {height}", what)
        before = block


def _first_height(engine: Engine) -> int:
    """The lowest block that is kept; a ledger restored from a snapshot has none before it."""
    try:
        engine.events(Cursor(), limit=1)
    except Pruned as pruned:
        return pruned.first
    return 1


def _block_fault(engine: Engine, block: comet.LightBlock, before: comet.LightBlock | None, height: int) -> str | None:
    header, commit = block.header, block.commit
    if header.height != height or commit.height != height:
        return f"its header says height {header.height}, its commit {commit.height}"
    if before is not None:
        if header.last_block_id != before.commit.block_id:
            return "it does not name the block before it"
        if header.time <= before.header.time:
            return "its time is not after that of the block before"
        if header.last_commit_hash != before.commit.hash():
            return "it does not cover the commit before it"
    if header.data_hash != comet.data_hash(engine.transactions(height)):
        return "its header does not cover its transactions"
    if header.validators_hash != block.validators.hash():
        return "its header names other validators"
    if commit.block_id.hash != header.hash():
        return "its commit is for another header"
    return _commit_fault(block)


def _commit_fault(block: comet.LightBlock) -> str | None:
    """Whether over two thirds of the validators' power signed."""
    header, commit = block.header, block.commit
    power = 0
    for index, (validator, signature) in enumerate(zip(block.validators.validators, commit.signatures, strict=False)):
        if signature.flag is not comet.BlockIdFlag.COMMIT:
            continue
        message = commit.vote_sign_bytes(header.chain_id, index)
        if not verifies(validator.public_key, message, signature.signature):
            return f"the signature of validator {index} does not hold"
        power += validator.power
    return None if 3 * power > 2 * block.validators.total_power else "too few validators signed"


def check_proofs(engine: Engine) -> Iterator[Violation | None]:
    """The records are those under the app hash of a signed header: each of a table's first ones is proven (9.8)."""
    for table in sorted(TABLES):
        for row in engine.scan(table, limit=PROVEN_PER_TABLE):
            proof = _proof_of(engine, row.key)
            header = engine.light_block(proof.height + 1).header
            proven = (
                proof.value is not None
                and header.app_hash == app_hash(proof.state_root, proof.receipts_root)
                and proof_holds(
                    proof.proof,
                    state_root=proof.state_root,
                    depth=proof.proof.depth,
                    key_digest=key_hash(row.key),
                    value_digest=value_hash(proof.blind, proof.value),
                )
            )
            yield None if proven else Violation(row.key, "the signed header does not cover the record")


def _proof_of(engine: Engine, key: str) -> StateProof:
    """The proof, once the header that covers the present state exists."""
    until = time.monotonic() + HEADER_SECONDS
    while True:
        try:
            return engine.prove(key)
        except NotYet:
            if engine.health().problem or time.monotonic() > until:
                raise
            time.sleep(0.05)


CHECKS: dict[str, Check] = {
    "records can be read": check_records,
    "parcels partition their receivable": check_parcels,
    "locks are those of steps under way": check_pending,
    "assets equal liabilities": check_balances,
    "only open accounts hold money": check_accounts,
    "money set aside is there": check_money_set_aside,
    "plans' money is in escrow": check_plans,
    "releases are certified, and once": check_certificates,
    "products count what their plans may release": check_products,
    "invoices back no more than they amount to": check_invoices,
    "parties are members, states fit": check_states,
    "bank references are used once": check_bank_references,
    "no transaction took effect twice": check_receipts,
    "blocks follow each other and are signed": check_blocks,
    "records are those that the validators signed": check_proofs,
}
"""The rules, in the order in which they are checked."""
