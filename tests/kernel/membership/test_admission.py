"""Joining the chain: application, endorsement, review, expiry."""

import datetime
import hashlib

from nacl import bindings

from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.admission import EndorseRoles
from tallystick.kernel.membership.identifiers import identifier_holds
from tallystick.kernel.membership.records import (
    KeyOffer,
    KeyRole,
    Member,
    MemberState,
    Permission,
    Permitted,
    Role,
    SigningKey,
)
from tallystick.kernel.reviews.records import Review, ReviewState
from tallystick.wire import envelope
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.keys import from_base64, to_base64
from tallystick.wire.status import Status
from tests.support.members import application, apply_as, approve, key_of, lei, offer, open_review_of, public, turn_down
from tests.support.world import World

ISSUE = Permission(may=Permitted.ISSUE, currency="CNY", ceiling=Units(1_000_000))


def consortium(policies: Policies | None = None) -> tuple[World, str, str, str]:
    """A world with a sponsor, an auditor and a governor."""
    world = World(policies=policies)
    return (
        world,
        world.member("Sponsor", Role.CLIENT),
        world.member("Auditor", Role.AUDITOR),
        world.member("Governor", Role.GOVERNOR),
    )


def test_an_applicant_is_reviewed_and_admitted() -> None:
    world, sponsor, auditor, _ = consortium()
    supplier = apply_as(
        world, "Supplier", sponsor, vector="member.apply/applied", roles=(Role.CLIENT,), permissions=(ISSUE,)
    )
    assert world.row(Member, supplier).state is MemberState.APPLIED
    assert f"key/{public(key_of('Supplier'))}" not in world.state.rows
    approve(world, supplier, auditor, vector="review.decide/admitted")
    member = world.row(Member, supplier)
    assert member.state is MemberState.ADMITTED
    assert member.has_role(Role.CLIENT)
    assert [grant.permission for grant in member.permissions] == [ISSUE]
    assert member.admin_keys == 1
    assert member.asked is None
    assert world.row(SigningKey, public(key_of("Supplier"))).member == supplier
    assert world.told(supplier) == ["member.applied", "review.requested", "review.approved", "member.admitted"]
    # It acts with its own key from then on: it sponsors in its turn.
    apply_as(world, "Workshop", supplier)


def test_an_applicant_does_not_act_before_it_is_admitted() -> None:
    world, sponsor, _, _ = consortium()
    supplier = apply_as(world, "Supplier", sponsor)
    world.do(application("Workshop"), by=supplier, keys=(key_of("Workshop"),), expect=Status.KEY_UNKNOWN)


def test_a_refused_applicant_may_apply_anew() -> None:
    world, sponsor, auditor, _ = consortium()
    supplier = apply_as(world, "Supplier", sponsor)
    turn_down(world, supplier, auditor, vector="review.decide/not_admitted")
    assert world.row(Member, supplier).state is MemberState.REFUSED
    assert world.told(sponsor)[-1] == "member.refused"
    assert apply_as(world, "Supplier", sponsor) != supplier


def test_an_application_expires() -> None:
    world, sponsor, _, _ = consortium()
    supplier = apply_as(world, "Supplier", sponsor)
    review = open_review_of(world, supplier)
    world.wait(10 * DAY_MS)  # the window is open at its very end
    assert world.row(Member, supplier).state is MemberState.APPLIED
    world.wait(1)
    assert world.row(Member, supplier).state is MemberState.EXPIRED
    assert world.told(supplier)[-2:] == ["review.expired", "member.expired"]
    assert world.row(Review, review).state is ReviewState.EXPIRED
    assert apply_as(world, "Supplier", sponsor)


def test_a_stranger_cannot_apply_alone() -> None:
    world, _, _, _ = consortium()
    stranger = World().member("Stranger")
    world.keys[stranger] = key_of("Stranger")
    result = world.submit(world.sign(application("Stranger"), by=stranger), "member.apply/no_sponsor")
    assert result.status is Status.POLICY_NOT_MET


def test_an_introduced_key_must_sign() -> None:
    world, sponsor, _, _ = consortium()
    world.do(application("Supplier"), by=sponsor, expect=Status.BAD_SIGNATURE, vector="member.apply/key_did_not_sign")


def test_identifiers_are_checked_and_stand_once() -> None:
    world, sponsor, auditor, _ = consortium()
    bad = Status.BAD_IDENTIFIER
    apply_as(world, "Supplier", sponsor, bad, "member.apply/bad_identifier", identifier=lei("Supplier")[:-2] + "00")
    apply_as(world, "Supplier", sponsor, bad, identifier_kind="club_number")
    supplier = apply_as(world, "Supplier", sponsor)
    again = {"identifier": lei("Supplier"), "vector": "member.apply/identifier_taken"}
    apply_as(world, "Impostor", sponsor, Status.RECORD_EXISTS, **again)
    approve(world, supplier, auditor)
    apply_as(world, "Impostor", sponsor, Status.RECORD_EXISTS, identifier=lei("Supplier"))


def test_published_identifiers_hold() -> None:
    assert identifier_holds("uscc", "91110000600037341L")
    assert not identifier_holds("uscc", "91110000600037342L")
    assert not identifier_holds("uscc", "91110000600037341I")
    assert identifier_holds("lei", "5493001KJTIIGC8Y1R12")
    assert identifier_holds("lei", "213800KUD8LAJWSQ9D15")
    assert not identifier_holds("lei", "5493001KJTIIGC8Y1R21")
    assert not identifier_holds("lei", "5493001kjtiigc8y1r12")


def test_what_is_asked_must_make_sense() -> None:
    world, sponsor, _, _ = consortium()
    refused: list[tuple[Status, str, dict[str, object]]] = [
        (Status.BAD_VALUE, "role_twice", {"roles": (Role.CLIENT, Role.CLIENT)}),
        (Status.BAD_VALUE, "permission_twice", {"permissions": (ISSUE, ISSUE)}),
        (Status.BAD_VALUE, "no_admin_key", {"keys": (offer("Supplier", KeyRole.MAKER),)}),
        (Status.BAD_VALUE, "key_twice", {"keys": (offer("Supplier"), offer("Supplier", KeyRole.MAKER))}),
        (Status.BAD_DATES, "papers_run_out", {"papers_until_on": datetime.date(2026, 3, 1)}),
        (
            Status.UNKNOWN_CURRENCY,
            "unknown_currency",
            {"permissions": (Permission(may=Permitted.ISSUE, currency="XTS", ceiling=Units(1)),)},
        ),
        (
            Status.AMOUNT_ZERO,
            "amount_zero",
            {"permissions": (Permission(may=Permitted.ISSUE, currency="CNY", ceiling=Units(0)),)},
        ),
        (
            Status.BAD_DATES,
            "permission_run_out",
            {
                "permissions": (
                    Permission(
                        may=Permitted.ISSUE, currency="CNY", ceiling=Units(1), until_on=datetime.date(2026, 3, 1)
                    ),
                )
            },
        ),
    ]
    for status, case, fields in refused:
        raw = world.sign(application("Supplier", **fields), by=sponsor, keys=(key_of("Supplier"),))
        result = world.submit(raw, f"member.apply/{case}")
        assert result.status is status, case


def test_a_key_of_another_organisation_is_refused() -> None:
    world, sponsor, _, _ = consortium()
    asked = application("Supplier", keys=(offer("Supplier"), offer("Auditor", KeyRole.MAKER)))
    keys = (key_of("Supplier"), key_of("Auditor"))
    world.do(asked, by=sponsor, keys=keys, expect=Status.RECORD_EXISTS, vector="member.apply/key_taken")


def mixed_order_key(seed: bytes) -> tuple[str, bytes]:
    """A public key outside the main subgroup, and its scalar: it signs one message in eight."""
    scalar = bindings.crypto_core_ed25519_scalar_reduce(seed * 2)
    point = bindings.crypto_scalarmult_ed25519_base_noclamp(scalar)
    order_two = (2**255 - 20).to_bytes(32, "little")  # y = -1
    return to_base64(bindings.crypto_core_ed25519_add(point, order_two)), scalar


def test_a_key_outside_the_main_subgroup_is_refused() -> None:
    world, sponsor, _, _ = consortium()
    key, scalar = mixed_order_key(b"\x07" * 32)
    asked = application("Supplier", keys=(KeyOffer(key=key, role=KeyRole.ADMIN),))
    signed = envelope.parse(world.sign(asked, by=sponsor))
    message = envelope.SIGNING_DOMAIN + signed.body
    public_bytes = from_base64(key, 32)
    for attempt in range(64):
        nonce = bindings.crypto_core_ed25519_scalar_reduce(hashlib.sha512(b"%d" % attempt).digest())
        point = bindings.crypto_scalarmult_ed25519_base_noclamp(nonce)
        challenge = bindings.crypto_core_ed25519_scalar_reduce(hashlib.sha512(point + public_bytes + message).digest())
        if challenge[0] % 2:
            continue
        product = bindings.crypto_core_ed25519_scalar_mul(challenge, scalar)
        response = bindings.crypto_core_ed25519_scalar_add(nonce, product)
        forged = signed.with_signatures(envelope.Signature(public_bytes, point + response))
        if forged.fault() is None:
            break
    else:
        raise AssertionError("no signature by the mixed-order key verifies")
    result = world.submit(forged.to_bytes(), "member.apply/unsound_key")
    assert result.status is Status.UNSOUND_KEY


def test_trusted_roles_need_the_governors_besides_the_review() -> None:
    world, sponsor, auditor, governor = consortium(Policies(governors_needed=2))
    second = world.member("Second governor", Role.GOVERNOR)
    bank = apply_as(world, "Bank", sponsor, roles=(Role.CUSTODIAN,))
    approve(world, bank, auditor, Status.NOT_ENDORSED, "review.decide/not_endorsed")
    endorse = EndorseRoles(member=bank, roles=(Role.CUSTODIAN,))
    world.do(endorse, by=governor, expect=Status.ROLE_MISSING, vector="member.endorse/quorum_missing")
    world.do(endorse, by=governor, also=(second,), vector="member.endorse/endorsed")
    approve(world, bank, auditor)
    member = world.row(Member, bank)
    assert member.has_role(Role.CUSTODIAN)
    assert member.endorsed == ()
    assert "member.endorsed" in world.told(bank)


def test_what_governors_cannot_endorse() -> None:
    world, sponsor, auditor, governor = consortium()
    supplier = apply_as(world, "Supplier", sponsor)
    endorse = EndorseRoles(member=supplier, roles=(Role.CLIENT,))
    world.do(endorse, by=governor, expect=Status.BAD_VALUE, vector="member.endorse/not_a_trusted_role")
    turn_down(world, supplier, auditor)
    endorse = EndorseRoles(member=supplier, roles=(Role.AUDITOR,))
    world.do(endorse, by=governor, expect=Status.WRONG_STATE, vector="member.endorse/wrong_state")
    nobody = EndorseRoles(member="mbr_" + "0" * 16, roles=(Role.AUDITOR,))
    world.do(nobody, by=governor, expect=Status.NOT_FOUND, vector="member.endorse/not_found")


def test_the_sponsor_recuses() -> None:
    world, _, auditor, _ = consortium()
    other = world.member("Second auditor", Role.AUDITOR)
    supplier = apply_as(world, "Supplier", auditor)
    approve(world, supplier, auditor, Status.MUST_RECUSE, "review.decide/sponsor_must_recuse")
    approve(world, supplier, other)


def test_two_applications_with_one_key_admit_one() -> None:
    world, sponsor, auditor, _ = consortium()
    first = apply_as(world, "Supplier", sponsor)
    second = apply_as(world, "Supplier", sponsor, identifier=lei("Other"))
    approve(world, first, auditor)
    approve(world, second, auditor, Status.RECORD_EXISTS, "review.decide/key_taken_meanwhile")
