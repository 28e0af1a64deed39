"""What became of a transaction: one append-only table of numbers, names and meanings.

0 is success. A number is never reused and a name never changes. Hundreds group the causes and state the order of
precedence: the form of a transaction before who may, before the state of the record, before values, law, money, limits;
within one operation the documented order of its checks decides. `is_transient` says that the same step may succeed
later without being changed (under a new transaction id once it was ordered).
Source: OPERATIONS, "Status codes"; the reference page docs/reference/statuses.md is generated from here.
"""

import enum


class Status(enum.Enum):
    """A result: its number, whether it may pass by itself, and the rule that was broken."""

    number: int
    is_transient: bool
    meaning: str

    def __new__(cls, number: int, meaning: str, transient: bool = False) -> "Status":
        member = object.__new__(cls)
        member._value_ = number
        member.number = number
        member.meaning = meaning
        member.is_transient = transient
        return member

    @property
    def label(self) -> str:
        """The name as it stands in results: lower case."""
        return self.name.lower()

    OK = 0, "The transaction took effect."
    KERNEL_FAULT = (
        1,
        "The ledger's own code failed on this transaction; nothing was changed and the operator is told.",
    )

    # 1xx: the form of the transaction. Decided at the door: not ordered, not final, nothing written.
    NOT_CANONICAL = 100, "The bytes are not the canonical form of a transaction."
    UNKNOWN_FIELD = 101, "A field is unknown, missing or of the wrong kind."
    UNKNOWN_OPERATION = 102, "No operation has this name."
    WRONG_CHAIN = 103, "The transaction was made for another chain."
    EXPIRED = 104, "The block's time is past the transaction's not_after."
    NOT_AFTER_TOO_FAR = 105, "not_after is more than 7 days after the block's time."
    DUPLICATE_ID_OTHER_CONTENT = 106, "This actor already used this transaction id for other content."
    BAD_SIGNATURE = 107, "A signature does not verify, or its key is of small order or not canonical."
    SUPERFLUOUS_SIGNATURE = 108, "A signature or a co-signer is not needed for any operation."
    KEY_UNKNOWN = 109, "A signing key is registered for none of the transaction's organisations."
    KEY_REVOKED = 110, "A signing key was revoked."
    POLICY_NOT_MET = 111, "The signatures of an organisation do not meet its own signing policy."
    SEEN_UNKNOWN = 112, "The block named in seen is not on this chain."
    UNSUPPORTED_FORMAT = 113, "The format version is not one that this chain reads."
    CHAIN_CLOSED = 114, "The chain was closed; its successor goes on."
    TOO_LARGE = 115, "The transaction is larger than the chain allows."

    # 2xx: entitlement.
    NOT_A_MEMBER = 200, "The organisation is not a member of this chain."
    SUSPENDED = 201, "The organisation is suspended and may not start anything new.", True
    PERMISSION_MISSING = 202, "The organisation lacks the permission for this operation."
    OVER_PERMISSION = 203, "The amount is above the ceiling of the organisation's permission."
    NOT_A_PARTY = 204, "The signing organisations are not those whom the operation needs."
    NOT_THE_REVIEWER = 205, "The organisation may not decide this review."
    MUST_RECUSE = 206, "The reviewer is a party to the subject, or its sponsor."
    ROLE_MISSING = 207, "The organisation lacks the role for this operation."
    PARTY_SUSPENDED = 208, "A party to the subject is suspended.", True
    PERMISSION_LAPSED = 209, "The permission, or the papers it rests on, ran out."
    NOT_A_SANDBOX = 210, "Only a sandbox chain allows this."

    # 3xx: the state of the record.
    NOT_FOUND = 300, "No record has this id."
    WRONG_STATE = 301, "The record is in another state than the operation needs."
    PARCEL_LOCKED = 302, "A pending step holds these units.", True
    RECEIVABLE_NOT_HELD = 303, "The organisation does not hold this parcel."
    ALREADY_DECIDED = 304, "The review is decided, or this reviewer has decided already."
    DEADLINE_PASSED = 305, "The window for this step has closed."
    PAST_CUTOFF = 306, "Too close to the due date for transfers and financings."
    RECORD_EXISTS = 307, "A record with this key exists already."
    TOO_EARLY = 308, "The window for this step has not opened.", True
    FROZEN = 309, "An authority's freeze covers these units.", True

    # 4xx: values.
    AMOUNT_ZERO = 400, "The amount is zero."
    OVER_AVAILABLE = 401, "The amount is more than is free."
    OVER_INVOICE = 402, "More of the invoice would be used than it amounts to."
    INVOICE_TOTAL_DIFFERS = 403, "The invoice stands on the ledger with another total."
    INTERVALS_OVERLAP = 404, "Intervals overlap, or leave the parcel."
    CURRENCY_MISMATCH = 405, "The currencies differ."
    BAD_RATE = 406, "The rate or fee is outside what is allowed."
    OVER_LIMIT = 407, "A limit granted for this debtor would be exceeded."
    AMOUNT_OVERFLOW = 408, "A sum would exceed 2^63 - 1 minor units."
    BAD_DATES = 409, "The dates contradict each other or the block's day."
    UNKNOWN_CURRENCY = 410, "The chain does not know this currency."
    BAD_VALUE = 411, "A field's value is not allowed here."
    SAME_PARTY = 412, "The parties must be different organisations."

    # 5xx: law, one per rule, are numbered with the packs.

    # 6xx: money.
    ACCOUNT_FROZEN = 600, "The account's free money is frozen.", True
    INSUFFICIENT_FUNDS = 601, "The account does not hold enough.", True
    BANK_REFERENCE_USED = 602, "This bank reference was booked before."
    ACCOUNT_MISSING = 603, "The organisation has no open account in this currency.", True

    # 7xx: limits.
    BLOCK_FULL = 700, "The block can take no more.", True
    TOO_MANY_OPERATIONS = 701, "The transaction holds more operations than the chain allows."
    TOO_MANY_PARCELS = 702, "The receivable would have more live parcels than the chain allows."
    BUCKET_FULL = 703, "The state tree's bucket for this key is full."
    TOO_MANY = 704, "A list is longer than the chain allows."


BY_NUMBER = {status.number: status for status in Status}
BY_LABEL = {status.label: status for status in Status}
