"""The vocabulary is whole: every operation that the specification names, and the order of the status codes.

That every status is reached and every operation has an accepted vector is held in test_vectors.py.
"""

import re

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.operations import DUE_WORK, OPERATIONS
from tallystick.wire.status import Status

SPECIFIED = {
    "Membership": """member.apply review.decide review.note member.update member.set_permissions member.suspend
        member.reinstate member.leave member.succeed member.insolvent key.add key.revoke signing_policy.set
        limit.set""",
    "Receivables": """receivable.request receivable.confirm receivable.decline receivable.withdraw receivable.void
        parcel.freeze parcel.unfreeze parcel.cancel_by_judgment parcel.assign_by_judgment invoice.flag
        redemption.earmark receivable.redeem receivable.confirm_payment receivable.set_off""",
    "Transfers": "transfer.request transfer.accept transfer.decline transfer.withdraw",
    "Financing": """financing.request financing.publish financing.evaluate financing.quote financing.reveal
        financing.award financing.sign_contract financing.register financing.settle financing.confirm_receipt
        financing.dispute_receipt financing.rule financing.withdraw recourse.claim recourse.pay recourse.refuse
        receivable.write_off""",
    "Accounts and money": """account.apply account.freeze account.unfreeze account.deduct_by_order account.close
        deposit.announce deposit.book deposit.assign deposit.return deposit.reverse funds.transfer""",
    "Products": """product.apply product.counter_contract product.correct product.authorise product.decline
        product.draft_contracts product.sign_contract product.suspend product.resume product.close""",
    "Plans": """plan.propose plan.check plan.confirm plan.decline plan.fund evidence.submit evidence.accept
        evidence.send_back tranche.release tranche.object plan.amend plan.confirm_amendment plan.cancel_unfunded
        plan.cancel refund.request refund.consent dispute.open dispute.offer dispute.accept_offer dispute.rule
        wage.lines wage.line_result wage.line_correct""",
    "Documents, time, rules": """document.anchor law.adopt calendar.adopt reference_rate.adopt debtor.flag policy.set
        currency.add validator.add validator.remove protocol.adopt chain.close clock.advance""",
}
"""The specified operations, by section. Payouts and the custodian's attestation come later."""

ADDED = {
    "member.endorse": "the governors' consent to a trusted role, which review.decide alone could not carry",
    "member.withdraw_update": "a member takes back a change of its details, or stops a thief's bank account",
    "key.recover": "recovery by governors after a waiting time (specified under key.add)",
    "key.contest_recovery": "the organisation's objection in the waiting time",
    "invoice.unflag": "a flag set in error is lifted",
    "financing.consent": "the auditor's fresh consent after a suspension (specified under Suspension)",
    "financing.cancel_registration": "the cancellation number after a failure (specified under financing.register)",
    "plan.withdraw": "the payer's way back before the payee has confirmed",
    "plan.decline_amendment": "the other answer to plan.amend",
    "refund.decline": "the other answer to refund.request, before its deadline",
    "wage.line_withdraw": "the payer takes back a returned line that it will not pay again",
    "product.withdraw": "the payee's way back before the payer has authorised its application",
}
"""What the kernel has besides, and why."""


def name_of(kind: type[Operation]) -> str:
    return str(kind.__struct_config__.tag)


def test_every_specified_operation_is_there_and_nothing_unexplained() -> None:
    specified = {name for names in SPECIFIED.values() for name in names.split()}
    listed = [name_of(kind) for kind in OPERATIONS]
    assert specified - set(listed) == set()
    assert set(listed) - specified == ADDED.keys()
    assert len(listed) == len(set(listed))


def test_every_subclass_of_operation_is_listed() -> None:
    """An operation that was written and forgotten in the table of contents could not be asked for."""
    written = {kind for kind in _leaves(Operation) if kind.__module__.startswith("tallystick.kernel")}
    assert written - set(OPERATIONS) == set()


def _leaves(kind: type[Operation]) -> list[type[Operation]]:
    """The classes that nothing is derived from: the others hold what several operations share."""
    below = kind.__subclasses__()
    return [leaf for each in below for leaf in _leaves(each)] if below else [kind]


def test_every_operation_says_what_it_does_and_who_signs() -> None:
    for kind in OPERATIONS:
        text = kind.__doc__ or ""
        assert re.search(r"[Ss]ign(ed\s+by|ature)", text), f"{name_of(kind)} does not say who signs"


def test_every_record_that_waits_has_its_due_work() -> None:
    """A record whose class can be due has a handler for at least one queue."""
    from tallystick.kernel.core.record import TABLES, Record

    handled = {table for _, table in DUE_WORK}
    waiting = {
        table
        for table, kind in TABLES.items()
        if kind.due is not Record.due and kind.__module__.startswith("tallystick")
    }
    assert waiting == handled


def test_statuses_are_numbered_named_and_grouped() -> None:
    numbers = [status.number for status in Status]
    assert len(numbers) == len(set(numbers))
    assert [number // 100 for number in numbers] == sorted(number // 100 for number in numbers)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", status.label) for status in Status)
    assert all(status.meaning.endswith(".") for status in Status)
