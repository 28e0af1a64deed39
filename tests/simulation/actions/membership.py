"""Joining, reviews, standing, keys and limits."""

import datetime
import hashlib
from typing import Any

from nacl.signing import SigningKey as Ed25519

from tallystick.kernel.accounts.records import Account
from tallystick.kernel.membership.admission import ApplyForMembership, EndorseRoles
from tallystick.kernel.membership.details import UpdateMember, WithdrawUpdate
from tallystick.kernel.membership.keys import (
    AddKey,
    ContestRecovery,
    RecoverKeys,
    Recovery,
    RecoveryState,
    RevokeKey,
    SetSigningPolicy,
)
from tallystick.kernel.membership.limits import LimitScope, SetLimit
from tallystick.kernel.membership.records import (
    TRUSTED_ROLES,
    Details,
    KeyOffer,
    KeyRole,
    Member,
    MemberState,
    Permission,
    Permitted,
    Role,
    SigningKey,
    SizeClass,
)
from tallystick.kernel.membership.standing import (
    DeclareInsolvent,
    LeaveChain,
    ReinstateMember,
    SetPermissions,
    SucceedMember,
    SuspendMember,
)
from tallystick.kernel.products.records import Product
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.reviews.operations import DecideReview, NoteReview
from tallystick.kernel.reviews.records import (
    ChecklistItem,
    Finding,
    Review,
    ReviewResult,
    ReviewState,
)
from tallystick.wire.amounts import Units
from tallystick.wire.keys import to_base64
from tests.simulation.actions.proposals import (
    Proposal,
    action,
    admitted,
    governors,
    holder_of,
    pick,
    propose,
    today,
    traders,
)
from tests.simulation.founding import FOUR_EYES, paper
from tests.simulation.town import Town
from tests.support.members import lei


def new_key(town: Town) -> tuple[Ed25519, str]:
    """A fresh key of the town, and its public half."""
    key = Ed25519(hashlib.sha256(f"{town.genesis.chain_id}:{len(town.keys)}".encode()).digest())
    public = to_base64(key.verify_key.encode())
    town.keys[public] = key
    return key, public


def _permissions(town: Town) -> tuple[Permission, ...]:
    return tuple(
        Permission(may=may, currency=code.currency, ceiling=Units(town.rng.choice((10**6, 10**9))))
        for may in Permitted
        for code in town.genesis.currencies
        if town.rng.random() < 0.9
    )


@action(3)
def apply_for_membership(town: Town) -> Proposal | None:
    sponsor = pick(town.rng, admitted(town))
    if sponsor is None or len(town.rows(Member)) > 60:
        return None
    key, public = new_key(town)
    name = f"Newcomer {len(town.keys)}"
    roles: tuple[Role, ...] = (
        town.rng.choice((Role.CLIENT, Role.FUNDER, Role.CORE_ENTERPRISE, Role.AUDITOR, Role.VERIFIER)),
    )
    asked = ApplyForMembership(
        legal_name=name,
        identifier=lei(name + town.genesis.chain_id),
        identifier_kind="lei",
        size_class=town.rng.choice(list(SizeClass)),
        keys=(KeyOffer(key=public, role=KeyRole.ADMIN),),
        roles=roles,
        permissions=_permissions(town),
        papers=(paper("licence", name),),
        papers_until_on=today(town) + datetime.timedelta(days=town.rng.choice((30, 900))),
    )
    return propose(sponsor, asked, keys=(key,))


@action(2)
def endorse_roles(town: Town) -> Proposal | None:
    signers = governors(town)
    wanting = [
        row
        for row in town.rows(Member)
        if row.asked is not None
        and any(role in TRUSTED_ROLES for role in row.asked.roles)
        and not row.endorsed
        and row.state is MemberState.APPLIED
    ]
    member = pick(town.rng, wanting)
    if signers is None or member is None or member.asked is None:
        return None
    roles = tuple(role for role in member.asked.roles if role in TRUSTED_ROLES)
    return propose(signers[0], EndorseRoles(member=member.id, roles=roles), also=signers[1])


@action(170)
def decide_review(town: Town) -> Proposal | None:
    review = pick(town.rng, [row for row in town.rows(Review) if row.state is ReviewState.REQUESTED])
    if review is None:
        return None
    reviewer = _reviewer_for(town, review)
    if reviewer is None:
        return None
    if town.rng.random() < 0.07:
        return propose(reviewer, DecideReview(review=review.id, result=ReviewResult.REFUSE, reason="papers_missing"))
    fingerprints: tuple[str, ...] = ()
    if review.subject_kind == "receivable":
        receivable: Any = town.find(Receivable, review.subject)
        fingerprints = tuple(use.fingerprint for use in receivable.invoices)
        if fingerprints and town.rng.random() < 0.05:
            fingerprints = (hashlib.sha256(fingerprints[0].encode()).hexdigest(), *fingerprints[1:])
    passed = (ChecklistItem(item="trade_background", finding=Finding.PASSED),)
    vote = DecideReview(review=review.id, result=ReviewResult.APPROVE, checklist=passed, fingerprints=fingerprints)
    return propose(reviewer, vote)


def _reviewer_for(town: Town, review: Review) -> str | None:
    """Somebody who may still vote, on a panel that still wants votes."""
    voted = {decision.reviewer for decision in review.decisions}
    out = {*voted, *review.parties, *review.recused}
    if review.subject_kind == "account" and town.rng.random() < 0.9:
        account: Any = town.find(Account, review.subject)
        if account.custodian not in voted:
            return str(account.custodian)
    if review.subject_kind == "product" and town.rng.random() < 0.95:
        product: Any = town.find(Product, review.subject)
        return str(product.platform) if product.platform not in voted else None
    panel = town.rng.choice(review.panels)
    return holder_of(town, panel.role, *out)


@action(1)
def note_review(town: Town) -> Proposal | None:
    review = pick(town.rng, [row for row in town.rows(Review) if row.decisions and row.decided is not None])
    if review is None:
        return None
    return propose(review.decisions[0].reviewer, NoteReview(review=review.id, code="later_finding"))


@action(2)
def update_member(town: Town) -> Proposal | None:
    member = pick(town.rng, [row for row in town.rows(Member) if row.is_admitted and row.coming_details is None])
    if member is None:
        return None
    count = town.rng.randrange(10**6)
    details = Details(legal_name=f"{member.legal_name[:40]} {count % 100}", bank_account=paper("account", count))
    return propose(member.id, UpdateMember(details=details))


@action(1)
def withdraw_update(town: Town) -> Proposal | None:
    changing = [row for row in town.rows(Member) if row.is_member and (row.coming_details or row.coming_bank_account)]
    member = pick(town.rng, changing)
    return None if member is None else propose(member.id, WithdrawUpdate())


@action(2)
def set_permissions(town: Town) -> Proposal | None:
    name = pick(town.rng, traders(town))
    auditor = holder_of(town, Role.AUDITOR, *(() if name is None else (name,)))
    if name is None or auditor is None:
        return None
    return propose(auditor, SetPermissions(member=name, permissions=_permissions(town)))


@action(1)
def suspend_member(town: Town) -> Proposal | None:
    held = [row.id for row in town.rows(Member) if row.state is MemberState.SUSPENDED]
    name = pick(town.rng, traders(town))
    auditor = holder_of(town, Role.AUDITOR, *(() if name is None else (name,)))
    if name is None or auditor is None or len(held) > 1:
        return None
    return propose(auditor, SuspendMember(member=name, reason="under_investigation"))


@action(6)
def reinstate_member(town: Town) -> Proposal | None:
    member = pick(town.rng, [row for row in town.rows(Member) if row.state is MemberState.SUSPENDED])
    auditor = holder_of(town, Role.AUDITOR)
    if member is None or auditor is None:
        return None
    return propose(auditor, ReinstateMember(member=member.id))


@action(1)
def leave_chain(town: Town) -> Proposal | None:
    free = [
        row.id
        for row in town.rows(Member)
        if row.is_admitted
        and not _is_live(town, row.id)
        and not any(r.until is None and r.role in TRUSTED_ROLES for r in row.roles)
    ]
    busy = admitted(town)
    name = pick(town.rng, free if town.rng.random() < 0.5 else busy)
    if name is None or (name in free and len(admitted(town)) < 16):
        return None
    return propose(name, LeaveChain())


def _is_live(town: Town, member: str) -> bool:
    return next(iter(town.state.index_range(f"live/{member}/", f"live/{member}0")), None) is not None


@action(1)
def succeed_member(town: Town) -> Proposal | None:
    names = traders(town)
    auditor = holder_of(town, Role.AUDITOR)
    if len(names) < 8 or auditor is None or town.rng.random() < 0.8:
        return None
    member, successor = town.rng.sample(names, 2)
    return propose(auditor, SucceedMember(member=member, successor=successor, order=paper("order", member)))


@action(1)
def declare_insolvent(town: Town) -> Proposal | None:
    solvent = [row.id for row in town.rows(Member) if row.is_admitted and row.insolvent_since is None]
    name = pick(town.rng, [name for name in solvent if name in traders(town)])
    auditor = holder_of(town, Role.AUDITOR)
    if name is None or auditor is None or town.rng.random() < 0.85:
        return None
    return propose(auditor, DeclareInsolvent(member=name, order=paper("order", name)))


@action(3)
def add_key(town: Town) -> Proposal | None:
    member = pick(town.rng, [row for row in town.rows(Member) if row.is_member])
    if member is None or member.admin_keys + member.maker_keys + member.checker_keys > 8:
        return None
    key, public = new_key(town)
    return propose(member.id, AddKey(key=public, role=town.rng.choice(list(KeyRole))), keys=(key,))


@action(2)
def revoke_key(town: Town) -> Proposal | None:
    key = pick(town.rng, [row for row in town.rows(SigningKey) if row.until is None])
    return None if key is None else propose(key.member, RevokeKey(key=key.id))


@action(1)
def recover_keys(town: Town) -> Proposal | None:
    signers = governors(town)
    member = pick(town.rng, [row for row in town.rows(Member) if row.is_member])
    if signers is None or member is None:
        return None
    key, public = new_key(town)
    return propose(signers[0], RecoverKeys(member=member.id, key=public), also=signers[1], keys=(key,))


@action(1)
def contest_recovery(town: Town) -> Proposal | None:
    recovery = pick(town.rng, [row for row in town.rows(Recovery) if row.state is RecoveryState.WAITING])
    return None if recovery is None else propose(recovery.member, ContestRecovery(recovery=recovery.id))


@action(2)
def set_signing_policy(town: Town) -> Proposal | None:
    member = pick(town.rng, [row for row in town.rows(Member) if row.is_member])
    if member is None:
        return None
    rules = FOUR_EYES if member.maker_keys and member.checker_keys and town.rng.random() < 0.7 else ()
    return propose(member.id, SetSigningPolicy(rules=rules))


@action(2)
def set_limit(town: Town) -> Proposal | None:
    debtor = pick(town.rng, traders(town))
    if debtor is None:
        return None
    fields: dict[str, Any] = {
        "debtor": debtor,
        "currency": "CNY",
        "units": Units(town.rng.choice((10**5, 10**8, 10**11))),
        "until_on": today(town) + datetime.timedelta(days=200),
    }
    if town.rng.random() < 0.5:
        funder = holder_of(town, Role.FUNDER, debtor)
        return None if funder is None else propose(funder, SetLimit(scope=LimitScope.FUNDER, **fields))
    signers = governors(town)
    if signers is None:
        return None
    return propose(signers[0], SetLimit(scope=LimitScope.CONSORTIUM, **fields), also=signers[1])
