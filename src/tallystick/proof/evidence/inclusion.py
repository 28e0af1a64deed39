"""That transactions were ordered with these results, and due work was done, in blocks whose headers are proven.

Rules kept here:
1. An envelope is canonical, its signatures hold, and it is under the data hash of its block at its index.
2. Its result (code, and the canonical JSON of status, facts and events' hash) is under the last-results hash of the
   next header at the same index; the status is the code's; the events are those hashed.
3. `total` is the least number of leaves for which the two paths have their shape: a root does not attest it.
4. Due work is one link of the receipts chain between the roots that the block's own and the next header attest.
"""

from hashlib import sha256

from tallystick.proof import comet
from tallystick.proof.evidence.blocks import Headers
from tallystick.proof.evidence.bundle import DueWork, Roots, Transaction
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.merkle import MerkleProof, least_total
from tallystick.proof.state_proof import app_hash, next_receipts_root
from tallystick.wire import canonical, envelope
from tallystick.wire.errors import DecodeError
from tallystick.wire.status import BY_NUMBER

RECEIPTS_DIGEST_TAG = b"tallystick-receipts-digest-v1\n"


def prove_transaction(one: Transaction, headers: Headers) -> envelope.Envelope:
    """The transaction's envelope, proven to be ordered at its place with its result. Raises NotProven."""
    header, following = headers.at(one.height, one.where), headers.at(one.height + 1, one.where)
    raw = one.raw
    try:
        read = envelope.parse(raw, one.where)
    except DecodeError as error:
        raise NotProven("transactions", error.what, error.where) from None
    fault = read.fault()
    if fault is not None:
        raise NotProven("signatures", fault, one.where)
    if one.total != least_total(one.index, len(one.path)) or len(one.path) != len(one.result_path):
        raise NotProven("inclusion", "its paths are not of the shape that its index and total give", one.where)
    if not MerkleProof(one.index, one.total, one.path).holds(header.data_hash, sha256(raw).digest()):
        raise NotProven("inclusion", "it is not in its block", one.where)
    leaf = comet.result_leaf(one.code, canonical.encode(one.data))
    if not MerkleProof(one.index, one.total, one.result_path).holds(following.last_results_hash, leaf):
        raise NotProven("results", "its result is not the one that the next block states", one.where)
    _check_result(one)
    return read


def _check_result(one: Transaction) -> None:
    """The result means what its parts say: the status is the code's, the events are those that were hashed."""
    data, status = one.data, BY_NUMBER.get(one.code)
    if not isinstance(data, dict) or data.keys() != {"status", "facts", "events"}:
        raise NotProven("results", "its result's data is not status, facts and events", one.where)
    if status is None or data["status"] != status.label:
        raise NotProven("results", "its code and its status differ", one.where)
    if not isinstance(one.events, list) or sha256(canonical.encode(one.events)).hexdigest() != data["events"]:
        raise NotProven("events", "its events are not those that its result names", one.where)


def prove_due_work(one: DueWork, headers: Headers) -> None:
    """The events of due work, proven to be the block's. Raises NotProven."""
    where = f"due work {one.height}"
    header, following = headers.at(one.height, where), headers.at(one.height + 1, where)
    check_roots(one.before, header.app_hash, where)
    check_roots(one.after, following.app_hash, where)
    if not isinstance(one.events, list) or not one.events:
        raise NotProven("due work", "no events", where)
    digest = sha256(RECEIPTS_DIGEST_TAG + sha256(canonical.encode(one.events)).digest())
    for each in one.digests:
        digest.update(each)
    if next_receipts_root(one.before.receipts, one.height, digest.digest()) != one.after.receipts:
        raise NotProven("due work", "these events are not those of the block's start", where)


def check_roots(roots: Roots, expected: bytes, where: str) -> None:
    """The two roots are those under an app hash."""
    if app_hash(roots.state, roots.receipts) != expected:
        raise NotProven("state", "the roots are not those under the header's app hash", where)
