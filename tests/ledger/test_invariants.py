"""The checks over a whole ledger: each finds the fault that it is for, and names the record."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallystick.kernel.accounts.records import Account, AccountState, Balance
from tallystick.kernel.calendar.records import Convention
from tallystick.kernel.core.fields import Interval, Position
from tallystick.kernel.core.record import Record
from tallystick.kernel.plans.cases import Certificate, Dispute, DisputeState
from tallystick.kernel.plans.records import Plan, PlanState, TrancheState
from tallystick.kernel.products.records import (
    Business,
    FeePayer,
    FeeTerms,
    Method,
    Product,
    ProductState,
    ProductTerms,
)
from tallystick.kernel.receivables.records import (
    Invoice,
    InvoiceUse,
    Lock,
    LockKind,
    Parcel,
    ParcelRow,
    Receivable,
    ReceivableState,
)
from tallystick.kernel.redemption.records import HeldShare, Redemption
from tallystick.kernel.transfers.records import Transfer, TransferKind, TransferState
from tallystick.ledger import invariants, plan_invariants
from tallystick.ledger.engine import Committed, NotYet, Read, StateProof
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.store import RocksStore
from tallystick.ledger.violations import Check, Violation
from tallystick.proof.comet import BlockId, LightBlock
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.ledger import NODE_KEY, Consortium, OwnClock, genesis
from tests.support.world import World

HERE = Position(1, 0)


class Rows:
    """An engine that shows these records and no blocks."""

    def __init__(self, *rows: Record) -> None:
        self.rows = {row.key: row for row in rows}

    def scan(self, table: str, after: str = "", limit: int = 1_000) -> list[Record]:
        own = sorted((row for row in self.rows.values() if row.table == table and row.id > after), key=lambda r: r.id)
        return own[:limit]

    def query(self, key: str) -> Read:
        return Read(1, self.rows.get(key))


def first_violation(check: Check, *rows: Record) -> Violation | None:
    found: Iterator[Violation | None] = check(Rows(*rows))  # type: ignore[arg-type] # only reading is asked of it
    return next((one for one in found if one is not None), None)


@pytest.fixture
def world() -> World:
    world = World()
    for name in ("debtor", "creditor", "custodian"):
        world.member(name)
    return world


def members(world: World) -> list[Record]:
    return [row for row in world.state.rows.values() if row.table == "member"]


def named(world: World, name: str) -> str:
    return next(key for key, value in world.names.items() if value == name)


def interval(first: int, last: int) -> Interval:
    return Interval(Units(first), Units(last))


def receivable(world: World, *parts: tuple[int, int], **fields: Any) -> Receivable:
    """A valid receivable of 100 units, whole but for what `fields` say."""
    creditor = named(world, "creditor")
    parcels = tuple(
        Parcel(holder=creditor, interval=interval(*part), origin="rcv_0000000000000001")
        for part in parts or ((1, 100),)
    )
    made = Receivable(
        id="rcv_0000000000000001",
        debtor=named(world, "debtor"),
        creditor=creditor,
        requester=creditor,
        currency="GBP",
        face=Units(100),
        issue_on=world.today(),
        due_on=world.today(),
        convention=Convention.FOLLOWING,
        invoices=(InvoiceUse(fingerprint="1" * 64, amount=Units(100), total=Units(100)),),
        state=ReceivableState.VALID,
        requested=HERE,
        confirm_by=world.now,
        valid=HERE,
        moved_due_on=world.today(),
        parcels=parcels,
        parcel_count=len(parcels),
    )
    return msgspec.structs.replace(made, **fields)


def test_parcels_that_partition_hold(world: World) -> None:
    assert first_violation(invariants.check_parcels, receivable(world, (1, 40), (41, 100))) is None
    partly = receivable(world, (41, 100), redeemed=Units(30), cancelled=Units(10))
    assert first_violation(invariants.check_parcels, partly) is None


@pytest.mark.parametrize(
    ("parts", "fields", "said"),
    [
        (((1, 40), (40, 100)), {}, "overlaps"),
        (((1, 40), (42, 100)), {}, "span 99 units, 100"),
        (((1, 101),), {}, "leaves the face"),
        (((1, 100),), {"redeemed": Units(1)}, "span 100 units, 99"),
        (((1, 100),), {"parcel_count": 2}, "the record says 2"),
        (((1, 100),), {"state": ReceivableState.REDEEMED}, "has live parcels"),
        (((1, 100),), {"in_rows": True}, "0 parcels are live"),
    ],
)
def test_parcels_that_do_not_are_found(
    world: World, parts: tuple[tuple[int, int], ...], fields: dict[str, Any], said: str
) -> None:
    found = first_violation(invariants.check_parcels, receivable(world, *parts, **fields))
    assert found is not None
    assert said in found.what
    assert found.record == "receivable/rcv_0000000000000001"


def test_stray_parcel_rows_are_found(world: World) -> None:
    one = receivable(world)
    stray = ParcelRow(id=f"{one.id}.1", receivable=one.id, parcel=one.parcels[0])
    assert first_violation(invariants.check_parcels, one, stray) is not None


def transfer(world: World, state: TransferState) -> Transfer:
    return Transfer(
        id="trf_0000000000000001",
        receivable="rcv_0000000000000001",
        interval=interval(1, 50),
        currency="GBP",
        sender=named(world, "creditor"),
        receiver=named(world, "custodian"),
        kind=TransferKind.ORDINARY,
        state=state,
        prior="rcv_0000000000000001",
        hop=1,
        basis=Units(50),
        requested=HERE,
        deadline=Instant(1),
    )


def locked(world: World, first: int, last: int) -> Receivable:
    one = receivable(world)
    lock = Lock(interval=interval(first, last), by="trf_0000000000000001", kind=LockKind.TRANSFER)
    return msgspec.structs.replace(one, parcels=(msgspec.structs.replace(one.parcels[0], locks=(lock,)),))


def test_locks_and_steps_belong_together(world: World) -> None:
    pending = transfer(world, TransferState.REQUESTED)
    assert first_violation(invariants.check_pending, locked(world, 1, 50), pending) is None
    for rows, said in (
        ((receivable(world), pending), "holds no units"),
        ((locked(world, 1, 51), pending), "other units"),
        ((locked(world, 1, 50), transfer(world, TransferState.DONE)), "not under way"),
    ):
        found = first_violation(invariants.check_pending, *rows)
        assert found is not None
        assert said in found.what


def money(world: World, name: str, units: int) -> Balance:
    return Balance(id=name, custodian=named(world, "custodian"), currency="GBP", units=Units(units))


def test_assets_equal_liabilities(world: World) -> None:
    custodian = named(world, "custodian")
    bank, claim = money(world, f"bank/{custodian}/GBP", 70), money(world, f"claim/{custodian}/GBP/x", 30)
    free, hold = money(world, "available/acc_1", 60), money(world, f"hold/{custodian}/GBP/p", 40)
    assert first_violation(invariants.check_balances, bank, claim, free, hold) is None
    found = first_violation(invariants.check_balances, bank, free, hold)
    assert found is not None
    assert "assets of 70 and liabilities of 100 GBP" in found.what


def test_a_closed_account_with_money_is_found(world: World) -> None:
    account = Account(
        id="acc_0000000000000001",
        owner=named(world, "debtor"),
        currency="GBP",
        custodian=named(world, "custodian"),
        state=AccountState.OPEN,
    )
    balance = money(world, account.ledger_account, 1)
    assert first_violation(invariants.check_accounts, account, balance) is None
    closed = msgspec.structs.replace(account, state=AccountState.CLOSED)
    assert first_violation(invariants.check_accounts, closed, balance) is not None


def test_held_money_is_there_unit_for_unit(world: World) -> None:
    custodian = named(world, "custodian")
    share = HeldShare(interval=interval(1, 40), holder=named(world, "creditor"), custodian=custodian)
    row = Redemption(
        id="rcv_0000000000000001",
        debtor=named(world, "debtor"),
        currency="GBP",
        due_on=world.today(),
        held=(share,),
    )
    name = f"hold/{custodian}/GBP/{row.id}"
    assert first_violation(invariants.check_money_set_aside, row, money(world, name, 40)) is None
    assert first_violation(invariants.check_money_set_aside, row, money(world, name, 39)) is not None
    assert first_violation(invariants.check_money_set_aside, row) is not None
    stray = money(world, f"earmark/{custodian}/GBP/{row.id}", 5)
    assert first_violation(invariants.check_money_set_aside, stray) is not None


def funded_plan(world: World, **fields: Any) -> Plan:
    """A plan of two tranches: 60 and 40 deposited, 20 of the first released, 5 of the second disputed."""
    debtor, creditor, custodian = (named(world, name) for name in ("debtor", "creditor", "custodian"))
    first = TrancheState(deposited=Units(60), held=Units(40), released=Units(19), fees=Units(1))
    second = TrancheState(deposited=Units(40), held=Units(40), disputed=Units(5))
    made = Plan(
        id="pln_0000000000000001",
        product="prd_0000000000000001",
        payer=debtor,
        payee=creditor,
        platform=custodian,
        custodian=custodian,
        arbitrator=custodian,
        currency="GBP",
        state=PlanState.ACTIVE,
        proposed=HERE,
        version=1,
        tranches=(first, second),
        committed=Units(100),
        deposited=Units(100),
        released=Units(19),
        fees=Units(1),
    )
    return msgspec.structs.replace(made, **fields)


def dispute(world: World, **fields: Any) -> Dispute:
    plan = funded_plan(world)
    made = Dispute(
        id="dsp_0000000000000001",
        plan=plan.id,
        version=1,
        tranche=2,
        payer=plan.payer,
        payee=plan.payee,
        arbitrator=plan.arbitrator,
        currency="GBP",
        units=Units(5),
        state=DisputeState.OPEN,
        opened=HERE,
        cause="opened",
    )
    return msgspec.structs.replace(made, **fields)


def test_plans_money_is_in_escrow_and_adds_up(world: World) -> None:
    plan, open_dispute = funded_plan(world), dispute(world)
    escrow = money(world, plan.escrow, 80)
    first, second = plan.tranches
    assert first_violation(plan_invariants.check_plans, plan, open_dispute, escrow) is None
    for rows, said in (
        ((funded_plan(world, deposited=Units(101)), open_dispute, escrow), "101 were deposited"),
        ((funded_plan(world, fees=Units(2)), open_dispute, escrow), "21 have left"),
        ((plan, open_dispute, money(world, plan.escrow, 79)), "79 stand in its escrow"),
        ((plan, open_dispute), "0 stand in its escrow"),
        ((funded_plan(world, state=PlanState.COMPLETED, ended=HERE), open_dispute, escrow), "and holds 80"),
        ((changed(plan, first, released=Units(18)), open_dispute, escrow), "tranche 1 got 60"),
        ((changed(plan, second, disputed=Units(41)), open_dispute, escrow), "more of tranche 2"),
        ((plan, escrow), "open disputes are about 0"),
        ((plan, dispute(world, units=Units(6)), escrow), "open disputes are about 6"),
        ((plan, dispute(world, state=DisputeState.RULED), escrow), "open disputes are about 0"),
        ((plan, open_dispute, dispute(world, id="dsp_0000000000000002", tranche=3), escrow), "does not have"),
        ((money(world, plan.escrow, 1),), "for no plan"),
    ):
        found = first_violation(plan_invariants.check_plans, *rows)
        assert found is not None, said
        assert said in found.what


def changed(plan: Plan, tranche: TrancheState, **fields: Any) -> Plan:
    """`plan` with one of its tranches otherwise."""
    other = msgspec.structs.replace(tranche, **fields)
    tranches = tuple(other if each is tranche else each for each in plan.tranches)
    return msgspec.structs.replace(plan, tranches=tranches)


def certificate(world: World, **fields: Any) -> Certificate:
    made = Certificate(
        id="crt_0000000000000001",
        plan=funded_plan(world).id,
        version=1,
        tranche=1,
        at=HERE,
        conditions=(),
        certified=Units(25),
        released=Units(19),
        recovered=Units(3),
        retained=Units(2),
        fees=Units(1),
    )
    return msgspec.structs.replace(made, **fields)


def test_releases_are_certified_and_once(world: World) -> None:
    plan, said = funded_plan(world), certificate(world)
    second = {"id": "crt_0000000000000002"}
    assert first_violation(plan_invariants.check_certificates, plan, said) is None
    for rows, why in (
        ((plan, certificate(world, certified=Units(26))), "add up to something else"),
        ((plan, said, certificate(world, **second)), "was released before"),
        ((plan,), "its certificates say (0, 0)"),
        ((plan, said, certificate(world, **second, cause="ruling")), "its certificates say (38, 2)"),
        ((plan, said, certificate(world, **second, tranche=3)), "tranche 3"),
    ):
        found = first_violation(plan_invariants.check_certificates, *rows)
        assert found is not None, why
        assert why in found.what


def product(world: World, **fields: Any) -> Product:
    """An open product with a cap of 100, one plan under it."""
    plan = funded_plan(world)
    terms = ProductTerms(
        business=Business.SERVICES,
        currency="GBP",
        cap=Units(100),
        custodian=plan.custodian,
        refund_account="acc_0000000000000001",
        payment_from_on=world.today(),
        payment_until_on=world.today(),
        methods=tuple(Method),
        objection_days=0,
        answer_days=1,
        arbitrator=plan.arbitrator,
        fee=FeeTerms(rate=Rate(0), minimum=Units(0), paid_by=FeePayer.PAYEE),
        long_stop_on=world.today(),
        default_split=50,
    )
    made = Product(
        id=plan.product,
        payer=plan.payer,
        payee=plan.payee,
        platform=plan.platform,
        state=ProductState.OPEN,
        terms=terms,
        payee_copies=(),
        applied=HERE,
        committed=Units(100),
        live_plans=1,
    )
    return msgspec.structs.replace(made, **fields)


def test_a_product_counts_what_its_plans_count_for(world: World) -> None:
    plan = funded_plan(world)
    ended = msgspec.structs.replace(plan, ended=HERE)
    pending = msgspec.structs.replace(plan, id="pln_0000000000000002", version=0, committed=Units(0))
    assert first_violation(plan_invariants.check_products, product(world), plan, pending) is None
    assert first_violation(plan_invariants.check_products, product(world, live_plans=0), ended) is None
    more = msgspec.structs.replace(plan, committed=Units(101))
    for rows, said in (
        ((product(world), more), "its plans count for 101"),
        ((product(world), ended), "0 live"),
        ((product(world, committed=Units(101)), more), "its cap of 100"),
        ((product(world),), "count for 0"),
        ((plan,), "has no record"),
    ):
        found = first_violation(plan_invariants.check_products, *rows)
        assert found is not None, said
        assert said in found.what


def test_an_invoices_use_is_the_sum_of_what_it_backs(world: World) -> None:
    invoice = Invoice(id="1" * 64, currency="GBP", total=Units(100), used=Units(100))
    assert first_violation(invariants.check_invoices, receivable(world), invoice) is None
    redeemed = receivable(world, state=ReceivableState.REDEEMED)
    assert first_violation(invariants.check_invoices, redeemed, invoice) is None
    void = receivable(world, state=ReceivableState.VOID)
    for rows in (
        (receivable(world), msgspec.structs.replace(invoice, used=Units(99))),
        (receivable(world), msgspec.structs.replace(invoice, total=Units(99))),
        (void, invoice),
        (receivable(world),),
    ):
        assert first_violation(invariants.check_invoices, *rows) is not None


def test_parties_are_members_and_states_fit(world: World) -> None:
    known = members(world)
    assert first_violation(invariants.check_states, receivable(world), *known) is None
    assert first_violation(invariants.check_states, receivable(world)) is not None
    undated = receivable(world, moved_due_on=None)
    assert first_violation(invariants.check_states, undated, *known) is not None


class Told:
    """A real engine, but for what a test lets it tell otherwise."""

    def __init__(self, engine: EmbeddedEngine, **told: Any) -> None:
        self._engine = engine
        self._told = told

    def __getattr__(self, name: str) -> Any:
        return self._told.get(name) or getattr(self._engine, name)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    consortium = Consortium()
    running = EmbeddedEngine(RocksStore(tmp_path / "ledger"), NODE_KEY, genesis(), OwnClock())
    for content in ("one", "two", "three"):
        running.submit(consortium.anchoring(content))
    yield running
    running.close()


def found_in(check: Check, engine: object) -> str:
    return "".join(str(one) for one in check(engine) if one is not None)  # type: ignore[arg-type] # stands in for it


@pytest.mark.engine
def test_blocks_receipts_and_proofs_of_an_untouched_ledger_hold(engine: EmbeddedEngine) -> None:
    assert [one for one in invariants.audit(engine) if one.violation is not None] == []


@pytest.mark.engine
def test_blocks_that_were_changed_are_found(engine: EmbeddedEngine) -> None:
    def changed(**fields: Any) -> Any:
        def light_block(height: int) -> LightBlock:
            block = engine.light_block(height)
            return replace(block, header=replace(block.header, **fields)) if height == 3 else block

        return light_block

    def unsigned(height: int) -> LightBlock:
        block = engine.light_block(height)
        signatures = tuple(replace(one, signature=bytes(64)) for one in block.commit.signatures)
        return replace(block, commit=replace(block.commit, signatures=signatures)) if height == 3 else block

    def other(height: int) -> list[bytes]:
        return [] if height == 1 else engine.transactions(height)

    for told, said in (
        ({"light_block": changed(time=1)}, "time is not after"),
        ({"light_block": changed(height=9)}, "says height 9"),
        ({"light_block": changed(app_hash=bytes(32))}, "for another header"),
        ({"light_block": changed(last_block_id=BlockId())}, "does not name the block before"),
        ({"light_block": unsigned}, "signature of validator 0 does not hold"),
        ({"transactions": other}, "does not cover its transactions"),
    ):
        assert said in found_in(invariants.check_blocks, Told(engine, **told))


@pytest.mark.engine
def test_a_transaction_that_took_effect_twice_is_found(engine: EmbeddedEngine) -> None:
    told = Told(engine, transactions=lambda _: engine.transactions(1))
    assert "took effect before" in found_in(invariants.check_receipts, told)
    told = Told(engine, result=lambda _: Committed(99, 0, Status.OK))
    assert "at another place" in found_in(invariants.check_receipts, told)


@pytest.mark.engine
def test_records_that_no_header_covers_are_found(engine: EmbeddedEngine) -> None:
    def forged(key: str) -> StateProof:
        proof = until_proven(engine, key)
        return replace(proof, value=(proof.value or b"") + b" ")

    assert "does not cover the record" in found_in(invariants.check_proofs, Told(engine, prove=forged))


def until_proven(engine: EmbeddedEngine, key: str) -> StateProof:
    until = time.monotonic() + 10
    while True:
        try:
            return engine.prove(key)
        except NotYet:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_an_audit_ends_at_the_first_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fine(engine: object) -> Iterator[Violation | None]:
        yield None

    def broken(engine: object) -> Iterator[Violation | None]:
        yield None
        yield Violation("receivable/x", "wrong")
        raise AssertionError("the fault before ends the check")

    monkeypatch.setattr(invariants, "CHECKS", {"fine": fine, "broken": broken, "never": fine})
    done = list(invariants.audit(Rows()))  # type: ignore[arg-type] # no check asks it anything
    assert [(one.name, one.looked_at, one.violation is None) for one in done] == [
        ("fine", 1, True),
        ("broken", 2, False),
    ]
    assert str(done[1].violation) == "receivable/x: wrong"
    assert replace(done[0], looked_at=2) != done[0]
