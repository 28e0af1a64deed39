"""The ledger's vocabulary: every operation, and what each due queue does to each kind of record."""

from collections.abc import Callable, Iterator

from tallystick.kernel.accounts.deposits import (
    AnnounceDeposit,
    AssignDeposit,
    BookDeposit,
    lapse_announcement,
)
from tallystick.kernel.accounts.freezes import DeductByOrder, FreezeAccount, UnfreezeAccount, end_freezes
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.holds import pay_out_holds
from tallystick.kernel.accounts.opening import ApplyForAccount, CloseAccount
from tallystick.kernel.accounts.reversing import ReturnDeposit, ReverseDeposit
from tallystick.kernel.calendar.adopt import AdoptCalendar
from tallystick.kernel.core.events import Event
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.record import Queue, Record, make_decoders
from tallystick.kernel.core.step import Step
from tallystick.kernel.documents.anchors import AnchorDocument
from tallystick.kernel.financing.award import AwardFinancing
from tallystick.kernel.financing.contract import ConsentToSettlement, SignFinancingContract
from tallystick.kernel.financing.deadlines import pass_deadline as pass_financing_deadline
from tallystick.kernel.financing.quotes import EvaluateFinancing, QuoteFinancing, RevealQuote
from tallystick.kernel.financing.registration import CancelRegistration, RegisterFinancing, overdue_cancellations
from tallystick.kernel.financing.request import PublishFinancing, RequestFinancing, WithdrawFinancing
from tallystick.kernel.financing.settlement import (
    ConfirmFinancingReceipt,
    DisputeFinancingReceipt,
    RuleOnFinancing,
    SettleFinancing,
)
from tallystick.kernel.governance.operations import (
    AddCurrency,
    AddValidator,
    AdoptProtocol,
    AdvanceClock,
    CloseChain,
    RemoveValidator,
    SetPolicy,
)
from tallystick.kernel.law.adopt import AdoptLaw
from tallystick.kernel.law.flags import FlagDebtor
from tallystick.kernel.law.rates import AdoptReferenceRate
from tallystick.kernel.membership.admission import ApplyForMembership, EndorseRoles
from tallystick.kernel.membership.business import carry_on_walk
from tallystick.kernel.membership.details import UpdateMember, WithdrawUpdate, use_bank_account
from tallystick.kernel.membership.keys import (
    AddKey,
    ContestRecovery,
    RecoverKeys,
    RevokeKey,
    SetSigningPolicy,
    carry_out_recovery,
)
from tallystick.kernel.membership.limits import SetLimit
from tallystick.kernel.membership.standing import (
    DeclareInsolvent,
    LeaveChain,
    ReinstateMember,
    SetPermissions,
    SucceedMember,
    SuspendMember,
)
from tallystick.kernel.plans import parties as parties_of_plans  # noqa: F401 - it registers what becomes of them
from tallystick.kernel.plans.amending import AmendPlan, ConfirmAmendment, DeclineAmendment
from tallystick.kernel.plans.answering import AcceptEvidence, SendBackEvidence
from tallystick.kernel.plans.cancelling import CancelPlan, CancelUnfunded
from tallystick.kernel.plans.deadlines import pass_plan_deadline
from tallystick.kernel.plans.disputes import ObjectToRelease, OfferSettlement, OpenDispute, go_to_arbitration
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.funding import FundPlan
from tallystick.kernel.plans.proposing import CheckPlan, ConfirmPlan, DeclinePlan, ProposePlan, WithdrawPlan
from tallystick.kernel.plans.refunds import ConsentToRefund, DeclineRefund, RequestRefund, lapse_refund
from tallystick.kernel.plans.releasing import ReleaseTranche, release_due
from tallystick.kernel.plans.rulings import AcceptOffer, RuleOnDispute
from tallystick.kernel.products.applying import ApplyForProduct, CorrectContract, CounterContract, WithdrawProduct
from tallystick.kernel.products.authorising import AuthoriseProduct, DeclineProduct
from tallystick.kernel.products.contracts import DraftContracts, SignContract
from tallystick.kernel.products.deadlines import expire_product
from tallystick.kernel.products.standing import CloseProduct, ResumeProduct, SuspendProduct, resume_product
from tallystick.kernel.receivables.freezes import FreezeParcel, UnfreezeParcel, lapse_freezes
from tallystick.kernel.receivables.invoices import FlagInvoice, UnflagInvoice
from tallystick.kernel.receivables.issue import (
    ConfirmReceivable,
    DeclineReceivable,
    RequestReceivable,
    WithdrawReceivable,
    expire_request,
)
from tallystick.kernel.receivables.judgments import AssignByJudgment, CancelByJudgment
from tallystick.kernel.receivables.void import VoidReceivable
from tallystick.kernel.recourse.claims import ClaimRecourse, PayRecourse, RefuseRecourse, WriteOff, lapse_claim
from tallystick.kernel.redemption.bank import ConfirmPayment, dispute_silence
from tallystick.kernel.redemption.maturity import mark_overdue, pay_maturity, pay_on_funding
from tallystick.kernel.redemption.redeem import Earmark, Redeem, SetOff
from tallystick.kernel.reviews.operations import DecideReview, NoteReview
from tallystick.kernel.reviews.operations import expire as expire_review
from tallystick.kernel.transfers.agreed import (
    AcceptTransfer,
    DeclineTransfer,
    RequestTransfer,
    WithdrawTransfer,
    expire_transfer,
)
from tallystick.kernel.wages.correcting import CorrectWageLines, WithdrawWageLines
from tallystick.kernel.wages.lines import UploadWageLines
from tallystick.kernel.wages.releasing import tell_unfinished
from tallystick.kernel.wages.results import ReportWages

OPERATIONS: tuple[type[Operation], ...] = (
    # membership and reviews
    ApplyForMembership,
    EndorseRoles,
    DecideReview,
    NoteReview,
    UpdateMember,
    WithdrawUpdate,
    SetPermissions,
    SuspendMember,
    ReinstateMember,
    LeaveChain,
    SucceedMember,
    DeclareInsolvent,
    AddKey,
    RevokeKey,
    RecoverKeys,
    ContestRecovery,
    SetSigningPolicy,
    SetLimit,
    # receivables
    RequestReceivable,
    ConfirmReceivable,
    DeclineReceivable,
    WithdrawReceivable,
    VoidReceivable,
    FreezeParcel,
    UnfreezeParcel,
    CancelByJudgment,
    AssignByJudgment,
    FlagInvoice,
    UnflagInvoice,
    Earmark,
    Redeem,
    ConfirmPayment,
    SetOff,
    # transfers
    RequestTransfer,
    AcceptTransfer,
    DeclineTransfer,
    WithdrawTransfer,
    # financing
    RequestFinancing,
    PublishFinancing,
    EvaluateFinancing,
    QuoteFinancing,
    RevealQuote,
    AwardFinancing,
    SignFinancingContract,
    ConsentToSettlement,
    RegisterFinancing,
    CancelRegistration,
    SettleFinancing,
    ConfirmFinancingReceipt,
    DisputeFinancingReceipt,
    RuleOnFinancing,
    WithdrawFinancing,
    ClaimRecourse,
    PayRecourse,
    RefuseRecourse,
    WriteOff,
    # accounts and money
    ApplyForAccount,
    FreezeAccount,
    UnfreezeAccount,
    DeductByOrder,
    CloseAccount,
    AnnounceDeposit,
    BookDeposit,
    AssignDeposit,
    ReturnDeposit,
    ReverseDeposit,
    TransferFunds,
    # products
    ApplyForProduct,
    CounterContract,
    CorrectContract,
    WithdrawProduct,
    AuthoriseProduct,
    DeclineProduct,
    DraftContracts,
    SignContract,
    SuspendProduct,
    ResumeProduct,
    CloseProduct,
    # plans
    ProposePlan,
    CheckPlan,
    ConfirmPlan,
    DeclinePlan,
    WithdrawPlan,
    FundPlan,
    SubmitEvidence,
    AcceptEvidence,
    SendBackEvidence,
    ReleaseTranche,
    ObjectToRelease,
    AmendPlan,
    ConfirmAmendment,
    DeclineAmendment,
    CancelUnfunded,
    CancelPlan,
    RequestRefund,
    ConsentToRefund,
    DeclineRefund,
    OpenDispute,
    OfferSettlement,
    AcceptOffer,
    RuleOnDispute,
    # wages
    UploadWageLines,
    ReportWages,
    CorrectWageLines,
    WithdrawWageLines,
    # documents, time, rules
    AnchorDocument,
    AdoptLaw,
    AdoptCalendar,
    AdoptReferenceRate,
    FlagDebtor,
    SetPolicy,
    AddCurrency,
    AdoptProtocol,
    AddValidator,
    RemoveValidator,
    CloseChain,
    AdvanceClock,
)

DUE_WORK: dict[tuple[Queue, str], Callable[[Step, Record], Iterator[Event]]] = {
    (Queue.EXPIRE, "review"): expire_review,
    (Queue.EXPIRE, "walk"): carry_on_walk,
    (Queue.EXPIRE, "receivable"): expire_request,
    (Queue.EXPIRE, "transfer"): expire_transfer,
    (Queue.EXPIRE, "financing"): pass_financing_deadline,
    (Queue.EXPIRE, "deposit"): lapse_announcement,
    (Queue.EXPIRE, "redemption"): dispute_silence,
    (Queue.EXPIRE, "recourse"): lapse_claim,
    (Queue.EXPIRE, "product"): expire_product,
    (Queue.EXPIRE, "refund"): lapse_refund,
    (Queue.UNLOCK, "receivable"): lapse_freezes,
    (Queue.UNLOCK, "balance"): end_freezes,
    (Queue.UNLOCK, "account"): pay_out_holds,
    (Queue.EXPIRE, "plan"): pass_plan_deadline,
    (Queue.EXPIRE, "dispute"): go_to_arbitration,
    (Queue.UNLOCK, "product"): resume_product,
    (Queue.PAY, "receivable"): pay_maturity,
    (Queue.PAY, "balance"): pay_on_funding,
    (Queue.RELEASE, "plan"): release_due,
    (Queue.OVERDUE, "receivable"): mark_overdue,
    (Queue.LAPSE, "financing"): overdue_cancellations,
    (Queue.LAPSE, "member"): use_bank_account,
    (Queue.LAPSE, "wage_sheet"): tell_unfinished,
    (Queue.LAPSE, "recovery"): carry_out_recovery,
}

make_decoders()  # whoever executes or serves has all tables by now
