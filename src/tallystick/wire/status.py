"""What became of a transaction: one append-only table of numbers, names and meanings.

0 is success. A number is never reused and a name never changes. Hundreds group the causes and state the order of
precedence: the form of a transaction before who may, before the state of the record, before values, law, money, limits;
within one operation the documented order of its checks decides. `is_transient` says that the same step may succeed
later without being changed (under a new transaction id once it was ordered).
Source: OPERATIONS, "Status codes"; the reference page docs/reference/statuses.md is generated from here.
"""

import enum
from typing import Self


class Status(enum.Enum):
    """A result: its number, whether it may pass by itself, and the rule that was broken."""

    number: int
    is_transient: bool
    meaning: str

    def __new__(cls, number: int, meaning: str, transient: bool = False) -> Self:
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
    ALREADY_ORDERED = 116, "The same transaction was ordered before; its receipt stands, and nothing is done again."
    WAKE = 117, "A node asked for a block because work was due; the request itself does nothing."

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
    NOT_ENDORSED = 220, "A role that others must trust lacks the governors' consent."
    NOT_INVITED = 250, "The funder was not invited to this financing."

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
    STILL_LIVE = 320, "The organisation holds, owes or is named in something that is still live.", True
    STILL_NEEDED = 321, "Without this organisation the chain's quorum for a role could not be met."
    LAST_ADMIN_KEY = 322, "This is the organisation's last admin key."
    NOT_ON_THIS_ENGINE = 323, "The chain's engine does not do this."
    SUPERSEDED = 324, "A later version of this document stands on the ledger."
    ALREADY_TRANSFERRED = 330, "The receivable has been in other hands than its creditor's."
    PARTLY_REDEEMED = 331, "Part of the receivable is redeemed or cancelled."
    INVOICE_FLAGGED = 332, "An invoice behind the receivable was flagged; what is pending on it stands still.", True
    UNITS_NOT_LIVE = 333, "Some of these units are redeemed, cancelled or outside the face."
    FREEZE_NOT_FIRST = 334, "A judgment executes the freeze that is first in the queue on all of its units."
    EARMARK_BINDING = 340, "Money set aside for a receivable may not be taken back from the due date on."
    PAYMENT_PENDING = 341, "A bank payment of these units awaits the answers of their holders.", True
    NO_RECOURSE = (
        342,
        "Nobody answers for these units to their holder: the hop was without recourse, or there was none.",
    )
    NOT_EVALUATED = 350, "The funder has not evaluated this financing and accepted it."
    QUOTE_NOT_OPEN = 351, "The quote is sealed, was left unrevealed, has lapsed, or was awarded in vain."
    NOT_FUNDED = 370, "The payer's money for this tranche has not come yet.", True
    CONDITION_NOT_MET = 371, "What the plan asks for before this release does not hold yet.", True
    ALREADY_RELEASED = 372, "The tranche was released."
    IN_DISPUTE = 373, "The amount is disputed.", True
    CONTRACTS_DIFFER = 380, "The two sides' copies of the contract differ."
    ALREADY_SIGNED = 381, "The organisation has signed this contract."
    PLANS_LIVE = 382, "Plans under the product have not ended.", True

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
    UNSOUND_KEY = 420, "The public key is not a canonical point of Ed25519's main subgroup."
    BAD_IDENTIFIER = 421, "The identifier is of a kind that is not accepted here, or its check characters are wrong."
    POLICY_UNMEETABLE = 422, "The organisation's live keys could not meet its signing policy."
    RETROACTIVE = 423, "A rule may hold only from a day, or a block, that has not begun."
    INVOICES_NOT_FACE = 430, "The invoice amounts used do not add up to the face."
    SET_OFF_ONLY = 431, "To the debtor a parcel passes only as set-off, and as set-off only to the debtor."
    NOT_SPLITTABLE = 432, "The receivable may be handed on only in whole parcels."
    UNDER_MINIMUM_SPLIT = 433, "A part would be smaller than the least split that the policies allow."
    TOO_MANY_HOPS = 434, "The parcel has passed through as many hands as the policies allow."
    FINGERPRINTS_MISSING = 435, "The approval does not carry one recomputed fingerprint for each invoice."
    FINGERPRINTS_DIFFER = 436, "Reviewers recomputed different fingerprints for the same invoice."
    UNDER_ONE_UNIT_EACH = 440, "The amount is less than one minor unit for each live parcel."
    COMMITMENT_DIFFERS = 450, "What is revealed is not what was sealed."
    CONTRACT_DIFFERS = 451, "The contract is not the one that the other side signed."
    NOTHING_TO_PAY_OUT = 452, "No day is left to discount, or cost would take the whole amount."
    AMOUNT_DIFFERS = 453, "The stated amount is not the one that the ledger computes."
    OVER_PRODUCT = 470, "The plan does not keep within what its product allows."
    CONDITION_TOO_DEEP = 471, "The condition's tree is nested too deep or has too many parts."
    NO_WAY_TO_BE_MET = 472, "The tranche's condition could never be met, or nobody could certify its amount."
    MATERIAL_DIFFERS = 473, "A material is of a kind that was not asked for, has another hash, or is missing."
    OVER_DISPUTED = 474, "More than the disputed amount would be divided."
    AMENDMENT_TAKES_BACK = 475, "The amendment touches what was released, is disputed or is under verification."
    PLAN_DIFFERS = 476, "What is signed is not the plan that stands proposed."
    OVER_CONTRACT = 480, "The product would release more than its business contract is worth."
    LINES_DIFFER = 485, "The lines do not add up to their stated count and sum, or a line is not as it must be."

    # 5xx: law, one per rule; the clause stands in the facts. 500-509 is the dated data that rules rest on.
    CALENDAR_MISSING = 500, "No published calendar covers this day.", True
    REFERENCE_RATE_MISSING = 501, "No reference rate is published for this day.", True
    TENOR_OVER_CAP = 510, "The receivable runs longer than the law allows."
    TENOR_REASON_MISSING = 511, "A receivable that runs this long needs a stated business reason."
    SCRUTINY_MISSING = 512, "A receivable that runs this long is financed only after the funder's stated scrutiny."
    PLATFORM_UNLICENSED = 513, "A platform without the licence for it may not be payer, payee, funder or hold money."
    NOT_THE_DEBTORS_PROMISE = 514, "A receivable is issued by a core enterprise's own confirmed promise to pay."
    SEARCH_MISSING = 515, "The central registry must be searched before the assignment is registered."
    REGISTRATION_MISSING = 516, "The assignment must be registered before money is paid for it."
    REGISTRATION_NOT_CANCELLED = 517, "The registration of a failed settlement must be cancelled first."
    FUNDS_OUTSIDE_BANKS = 518, "Funds must pass through a licensed bank, whose booking is the receipt."
    DEBTOR_IN_ARREARS = 519, "The debtor is in arrears; it may issue again once they are cleared."
    PAY_WHEN_PAID = 520, "Payment to a small or medium seller may not depend on a third party's payment."
    PAYMENT_TERM_REASON_MISSING = 521, "A payment term longer than the law's needs a stated reason."
    PAYMENT_TERM_TOO_LONG = 522, "The payment term is longer than the law allows."
    WAGE_ACCOUNT_MISUSED = 523, "Wages are paid only as the rules of wage accounts say."
    SPLIT_TOO_DEEP = 524, "The receivable has been handed on or split over more layers than is allowed."

    # 6xx: money.
    ACCOUNT_FROZEN = 600, "The account's free money is frozen.", True
    INSUFFICIENT_FUNDS = 601, "The account does not hold enough.", True
    BANK_REFERENCE_USED = 602, "This bank reference was booked before."
    ACCOUNT_MISSING = 603, "The organisation has no open account in this currency.", True
    CUSTODIAN_DIFFERS = 640, "Payer and payee have no accounts with the same custodian."
    ACCOUNT_NOT_EMPTY = 641, "The account holds money, or something is still to be paid from or into it."

    # 7xx: limits.
    BLOCK_FULL = 700, "The block can take no more.", True
    TOO_MANY_OPERATIONS = 701, "The transaction holds more operations than the chain allows."
    TOO_MANY_PARCELS = 702, "The receivable would have more live parcels than the chain allows."
    BUCKET_FULL = 703, "The state tree's bucket for this key is full."
    TOO_MANY = 704, "A list is longer than the chain allows."


BY_NUMBER = {status.number: status for status in Status}
BY_LABEL = {status.label: status for status in Status}
