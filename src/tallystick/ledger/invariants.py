"""What must never happen, checked over a whole ledger from its records and blocks alone (DESIGN section 9).

Each check reads what an engine shows to anybody and none of the kernel's own arithmetic: parcels partition what is
neither redeemed nor cancelled; assets equal liabilities; plans' money is in their escrow; invoices are used no more
than they amount to; nothing was ordered twice; each block follows the one before and its commit is signed. The first
record that breaks a rule is named. Execution again from the genesis is `fsck`'s, not this module's.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tallystick.kernel.accounts.bank_references import BankReference
from tallystick.kernel.accounts.book import ASSETS
from tallystick.kernel.accounts.records import Account, AccountState, Balance
from tallystick.kernel.chain_rows import Predecessor
from tallystick.kernel.core.fields import Interval
from tallystick.kernel.core.record import TABLES
from tallystick.kernel.financing.records import Financing
from tallystick.kernel.governance.records import Engine as Ordering
from tallystick.kernel.governance.records import ValidatorSet
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
from tallystick.ledger import plan_invariants as plans
from tallystick.ledger.engine import Cursor, Engine, HeightUnavailable, NotYet, Pruned, StateProof
from tallystick.ledger.violations import Check, Violation, rows_of
from tallystick.proof import comet
from tallystick.proof.state_proof import app_hash, key_hash, proof_holds, value_hash
from tallystick.wire.keys import verifies

PROVEN_PER_TABLE = 2_000
_TURNED_AWAY = b'{"at_door":true,'  # canonical: no other field goes before it (ADR 0010)
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
class Checked:
    """One rule over the whole ledger: how many things it looked at, and the first that breaks it."""

    name: str
    looked_at: int
    violation: Violation | None = None


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


def check_records(engine: Engine) -> Iterator[Violation | None]:
    """Every record of every table can be read, and stands under its own key."""
    for table, kind in sorted(TABLES.items()):
        last = ""
        for row in rows_of(engine, kind):
            if row.table != table or row.id <= last:
                yield Violation(row.key, f"found in table {table} after id {last}")
            last = row.id
            yield None


def check_parcels(engine: Engine) -> Iterator[Violation | None]:
    """Live parcels ascend, never overlap, and add up to what is neither redeemed nor cancelled (9.2)."""
    rows: dict[str, list[Parcel]] = defaultdict(list)
    for row in rows_of(engine, ParcelRow):
        rows[row.receivable].append(row.parcel)
    for receivable in rows_of(engine, Receivable):
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
    parcels = [(row.id, row.parcels) for row in rows_of(engine, Receivable)]
    parcels.extend((row.receivable, (row.parcel,)) for row in rows_of(engine, ParcelRow))
    for receivable, live in parcels:
        for parcel in live:
            for one in parcel.locks:
                if one.by in held:
                    yield Violation(f"receivable/{receivable}", f"{one.by} holds units twice")
                held[one.by] = (receivable, one.interval, one.kind)
    for transfer in rows_of(engine, Transfer):
        if transfer.state in PENDING_TRANSFERS:
            yield _lock_fault(transfer.key, held.pop(transfer.id, None), transfer.receivable, transfer.interval)
    for financing in rows_of(engine, Financing):
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
    for row in rows_of(engine, Balance):
        side = assets if row.id.partition("/")[0] in ASSETS else liabilities
        side[row.custodian, row.currency] += int(row.units)
        yield Violation(row.key, f"it holds {row.units}") if row.units < 0 else None
    for custodian, currency in sorted({*assets, *liabilities}):
        own, owed = assets[custodian, currency], liabilities[custodian, currency]
        what = f"assets of {own} and liabilities of {owed} {currency}"
        yield None if own == owed else Violation(f"member/{custodian}", what)


def check_accounts(engine: Engine) -> Iterator[Violation | None]:
    """A closed or refused account holds nothing."""
    for account in rows_of(engine, Account):
        row = engine.query(f"balance/{account.ledger_account}").record
        holds = isinstance(row, Balance) and row.units > 0
        wrong = holds and account.state is not AccountState.OPEN
        yield Violation(account.key, f"it is {account.state.value} and holds money") if wrong else None


def check_money_set_aside(engine: Engine) -> Iterator[Violation | None]:
    """What is held for a receivable's redeemed units is there, unit for unit, and earmarks name their receivable."""
    wanted: dict[str, int] = defaultdict(int)
    earmarks: set[str] = set()
    for row in rows_of(engine, Redemption):
        for share in row.held:
            wanted[f"hold/{share.custodian}/{row.currency}/{row.id}"] += int(share.interval.length)
        if row.earmarked_at is not None:
            earmarks.add(f"earmark/{row.earmarked_at}/{row.currency}/{row.id}")
    for money in rows_of(engine, Balance):
        if money.id.startswith("earmark/"):
            what = "money is set aside for a receivable that does not say so"
            yield None if money.units == 0 or money.id in earmarks else Violation(money.key, what)
        elif money.id.startswith("hold/") and money.id.count("/") == 3 and "/rcv_" in money.id:
            due = wanted.pop(money.id, 0)
            what = f"it holds {money.units}, {due} are held for holders"
            yield None if due == money.units else Violation(money.key, what)
    for name, units in sorted(wanted.items()):
        yield None if units == 0 else Violation(f"balance/{name}", f"{units} are held for holders and not there")


def check_invoices(engine: Engine) -> Iterator[Violation | None]:
    """An invoice's use is the sum over the receivables that it backs, and no more than it amounts to (9.3)."""
    used: dict[str, int] = defaultdict(int)
    for receivable in rows_of(engine, Receivable):
        if receivable.state not in GIVEN_BACK:
            for use in receivable.invoices:
                used[use.fingerprint] += int(use.amount)
    for invoice in rows_of(engine, Invoice):
        summed = used.pop(invoice.id, 0)
        if summed != invoice.used:
            yield Violation(invoice.key, f"receivables use {summed} of it, the record says {invoice.used}")
        over = invoice.total is not None and invoice.used > invoice.total
        yield Violation(invoice.key, f"{invoice.used} of {invoice.total} are used") if over else None
    for fingerprint in sorted(used):
        yield Violation(f"invoice/{fingerprint}", "receivables use it and it has no record")


def check_states(engine: Engine) -> Iterator[Violation | None]:
    """Every party to a receivable is a member; one that is pending has a deadline, one that is valid a due day."""
    known = {row.id for row in rows_of(engine, TABLES["member"])}
    for receivable in rows_of(engine, Receivable):
        missing = {receivable.debtor, receivable.creditor, *(one.holder for one in receivable.parcels)} - known
        if missing:
            yield Violation(receivable.key, f"{min(missing)} is no member")
        if receivable.state in PENDING_STATES and receivable.valid is not None:
            yield Violation(receivable.key, "it is pending and was valid before")
        undated = receivable.is_owed and receivable.moved_due_on is None
        yield Violation(receivable.key, "it is owed and has no due day") if undated else None


def check_bank_references(engine: Engine) -> Iterator[Violation | None]:
    """Each reference of a custodian's bank was used for one record, which stands (9.9)."""
    for row in rows_of(engine, BankReference):
        yield None if row.used_for else Violation(row.key, "it was used for nothing")


def check_receipts(engine: Engine) -> Iterator[Violation | None]:
    """No transaction id of an actor was ordered twice for the same record ids, and each has its result (9.6, 9.8)."""
    seen: set[tuple[str, str]] = set()
    for height in range(_first_height(engine), engine.health().height + 1):
        for index, raw in _ordered(engine, height):
            transaction = read_checked(raw)
            where = f"block {height}, transaction {index}"
            found = engine.result(transaction.body_hash)
            if found is None or (found.height, found.index) != (height, index):
                yield Violation(where, "it has no result, or one at another place")
            name = (transaction.body.actor, transaction.body.id)
            again = name in seen and found is not None and found.status.number == 0
            seen.add(name)
            yield Violation(where, f"the id {name[1]} of {name[0]} took effect before") if again else None


def _ordered(engine: Engine, height: int) -> Iterator[tuple[int, bytes]]:
    """A block's transactions with their places, without those that were turned away in it and have no receipt."""
    results = engine.results(height).data
    for index, (raw, data) in enumerate(zip(engine.transactions(height), results, strict=True)):
        if not data.startswith(_TURNED_AWAY):
            yield index, raw


def check_blocks(engine: Engine) -> Iterator[Violation | None]:
    """Each header follows the one before, covers its transactions, and its commit is signed by the validators (9.8)."""
    validators = engine.query("validators/chain").record
    decided = isinstance(validators, ValidatorSet) and validators.engine is Ordering.CONSORTIUM
    former = engine.query("predecessor/chain").record
    before: comet.LightBlock | None = None
    for height in range(_first_height(engine), engine.health().height + 1):
        if isinstance(former, Predecessor) and height == former.height + 1:
            before = None  # a chain's first block names none, also where it goes on from another
        try:
            block = engine.light_block(height)
        except HeightUnavailable:
            if decided:
                return  # the newest headers of a consortium's node come a moment after their blocks
            raise
        what = _block_fault(engine, block, before, height)
        if what is None and not decided:  # of a consortium's, fsck names those that lack votes here
            what = _last_commit_fault(block, before) if block.has_two_thirds else "too few validators signed"
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
    if header.data_hash != comet.data_hash(engine.transactions(height)):
        return "its header does not cover its transactions"
    if header.validators_hash != block.validators.hash():
        return "its header names other validators"
    if commit.block_id.hash != header.hash():
        return "its commit is for another header"
    return _commit_fault(block)


def _last_commit_fault(block: comet.LightBlock, before: comet.LightBlock | None) -> str | None:
    """Whether it covers the commit before it. Under CometBFT that is the proposer's; each node archives its own."""
    if before is None or block.header.last_commit_hash == before.commit.hash():
        return None
    return "it does not cover the commit before it"


def _commit_fault(block: comet.LightBlock) -> str | None:
    """Whether each vote for the block holds."""
    header, commit = block.header, block.commit
    for index, (validator, signature) in enumerate(zip(block.validators.validators, commit.signatures, strict=False)):
        if signature.flag is not comet.BlockIdFlag.COMMIT:
            continue
        message = commit.vote_sign_bytes(header.chain_id, index)
        if not verifies(validator.public_key, message, signature.signature):
            return f"the signature of validator {index} does not hold"
    return None


def check_proofs(engine: Engine) -> Iterator[Violation | None]:
    """The records are those under the app hash of a signed header: each of a table's first ones is proven (9.8)."""
    if _rests_unattested(engine):
        return
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


def _rests_unattested(engine: Engine) -> bool:
    """Whether a consortium's stopped node has not seen the header, or not fetched it, that covers its last block."""
    validators = engine.query("validators/chain").record
    if not isinstance(validators, ValidatorSet) or validators.engine is not Ordering.CONSORTIUM:
        return False
    try:
        engine.light_block(engine.prove("validators/chain").height + 1)
    except (NotYet, HeightUnavailable):
        return bool(engine.health().problem)
    return False


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
    "plans' money is in escrow": plans.check_plans,
    "wages in transit are those that sheets owe": plans.check_wages,
    "releases are certified, and once": plans.check_certificates,
    "products count what their plans may release": plans.check_products,
    "invoices back no more than they amount to": check_invoices,
    "parties are members, states fit": check_states,
    "bank references are used once": check_bank_references,
    "no transaction took effect twice": check_receipts,
    "blocks follow each other and are signed": check_blocks,
    "records are those that the validators signed": check_proofs,
}
"""The rules, in the order in which they are checked."""
