"""What a forger can do to a bundle: change any part of it, and make every digest above it fit again.

`reseal` recomputes all that needs no key, the table of contents too. Given the node's key it signs the commits anew as
well: that is the operator of an embedded chain who colludes, and against whom only the members' own signatures and the
genesis stand.
"""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

from nacl.signing import SigningKey as Ed25519

from tallystick.proof import comet
from tallystick.proof.evidence.bundle import Block, Bundle, Roots
from tallystick.proof.evidence.inclusion import RECEIPTS_DIGEST_TAG
from tallystick.proof.evidence.reading import write_json
from tallystick.proof.merkle import leaf_hash
from tallystick.proof.multiproof import MultiProof
from tallystick.proof.state_proof import (
    ENTRY_BYTES,
    HASH_BYTES,
    app_hash,
    bucket_index,
    key_hash,
    next_receipts_root,
    value_hash,
)
from tallystick.wire import canonical, envelope
from tallystick.wire.errors import DecodeError

Path = tuple[str | int, ...]

DIGITS = frozenset("0123456789")
HEXADECIMAL = frozenset("0123456789abcdefABCDEF")


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all values that hold no others, empty lists and objects among them."""
    if isinstance(value, dict) and value:
        for name in value:
            yield from leaves(value[name], (*path, name))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def at(value: Any, path: Path) -> Any:
    """What stands at a path."""
    for name in path:
        value = value[name]
    return value


def put(value: Any, path: Path, new: Any) -> Any:
    """A copy with something else at a path; what is beside the path is shared."""
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = put(value[path[0]], path[1:], new)
    return changed


def another(value: Any) -> Any:
    """A value of the same kind that is not the same, as near as can be."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str() if value and set(value) <= DIGITS and (value == "0" or value[0] != "0"):
            return str(int(value) + 1)
        case str() if value and set(value) <= HEXADECIMAL and len(value) % 2 == 0:
            last = "0" if value[-1] != "0" else "1"
            return value[:-1] + last
        case str() if value:
            middle = len(value) // 2
            return value[:middle] + ("b" if value[middle] != "b" else "c") + value[middle + 1 :]
        case "":
            return "a"
        case None:
            return {}
        case list():
            return ["a"]
        case dict():
            return {"a": "a"}
    raise AssertionError(value)


def reread(value: Any) -> Bundle:
    """The bundle that a changed value is. Raises DecodeError."""
    return Bundle.from_bytes(write_json(value))


def reseal(bundle: Bundle, key: Ed25519 | None = None) -> Bundle:
    """The bundle with every digest made to fit what it is over; with `key`, its commits signed anew.

    Raises DecodeError where the changed parts have no digests at all.
    """
    headers = {block.header.height: block.header for block in bundle.blocks}

    def edit(height: int, **fields: Any) -> None:
        if height in headers:
            headers[height] = replace(headers[height], **fields)

    transactions = []
    for step in bundle.transactions:
        data = step.data
        if isinstance(data, dict) and "events" in data:
            data = {**data, "events": sha256(canonical.encode(step.events)).hexdigest()}
        one = replace(step, data=data)
        leaf = comet.result_leaf(one.code, canonical.encode(data))
        edit(one.height, data_hash=_root(one.index, one.total, one.path, sha256(one.raw).digest()))
        edit(one.height + 1, last_results_hash=_root(one.index, one.total, one.result_path, leaf))
        transactions.append(one)
    proof, state = _state(bundle)
    roots = Roots(state, bundle.roots.receipts)
    edit(bundle.height + 1, app_hash=app_hash(roots.state, roots.receipts))
    due_work = []
    for work in bundle.due_work:
        digests = list(work.digests)
        for one in transactions:
            if one.height == work.height and one.index < len(digests):
                body = envelope.parse(one.raw).body_hash
                digests[one.index] = sha256(body + canonical.encode(one.data)).digest()
        digest = sha256(RECEIPTS_DIGEST_TAG + sha256(canonical.encode(work.events)).digest() + b"".join(digests))
        receipts = next_receipts_root(work.before.receipts, work.height, digest.digest())
        after = Roots(work.after.state, receipts)
        if work.height == bundle.height:  # the same header states both
            after = roots = Roots(state, receipts)
        edit(work.height, app_hash=app_hash(work.before.state, work.before.receipts))
        edit(work.height + 1, app_hash=app_hash(after.state, after.receipts))
        due_work.append(replace(work, digests=tuple(digests), after=after))
    return replace(
        bundle,
        transactions=tuple(transactions),
        due_work=tuple(due_work),
        roots=roots,
        proof=proof,
        blocks=_linked(bundle, headers, key),
    ).listed()


def _root(index: int, total: int, aunts: tuple[bytes, ...], leaf: bytes) -> bytes:
    """The root that a path leads to, as far as it goes."""
    digest, number, last, used = leaf_hash(leaf), index, total - 1, 0
    while last > 0 and used < len(aunts):
        if number ^ 1 <= last:
            pair = aunts[used] + digest if number & 1 else digest + aunts[used]
            digest, used = sha256(b"\x01" + pair).digest(), used + 1
        number, last = number >> 1, last >> 1
    return digest


def _state(bundle: Bundle) -> tuple[MultiProof, bytes]:
    """The proof with the records' own entries in their buckets, and the root that it leads to."""
    buckets = dict(bundle.proof.buckets)
    depth = bundle.proof.depth
    wanted: dict[int, dict[bytes, bytes | None]] = {}
    for one in bundle.records:
        key = key_hash(one.key)
        value = None if one.value is None else value_hash(one.blind, one.raw)
        wanted.setdefault(bucket_index(key, depth), {})[key] = value
    for index, entries in wanted.items():
        listing = buckets.get(index, b"")
        found: dict[bytes, bytes] = {}
        for start in range(0, len(listing), ENTRY_BYTES):
            found[listing[start : start + HASH_BYTES]] = listing[start + HASH_BYTES : start + ENTRY_BYTES]
        for key, value in entries.items():
            found.pop(key, None)
            if value is not None:
                found[key] = value
        buckets[index] = b"".join(key + value for key, value in sorted(found.items()))
    proof = MultiProof(depth, buckets, bundle.proof.beside)
    try:
        return proof, proof._root() or bundle.roots.state
    except (DecodeError, KeyError):
        return proof, bundle.roots.state


def _linked(bundle: Bundle, headers: dict[int, comet.Header], key: Ed25519 | None) -> tuple[Block, ...]:
    """The blocks with each header's hash in the next one and in its commit."""
    linked: dict[int, comet.Header] = {}
    blocks = []
    for block in bundle.blocks:
        height = block.header.height
        header = headers[height]
        before = linked.get(height - 1)
        if before is not None:
            header = replace(header, last_block_id=comet.embedded_block_id(before))
        linked[height] = header
        commit = block.commit
        if commit is not None:
            named = comet.embedded_block_id(header)
            signed = None if key is None else comet.sign_commit(header, named, key)
            commit = signed or replace(commit, block_id=named)
        blocks.append(Block(header, commit))
    return tuple(blocks)


def with_record(bundle: Bundle, key: str, change: Callable[[dict[str, Any]], Any]) -> Bundle:
    """The bundle with one record changed."""
    records = []
    for one in bundle.records:
        value: Any = copy.deepcopy(one.value)
        records.append(replace(one, value=change(value) or value) if one.key == key else one)
    return replace(bundle, records=tuple(records))


def with_step(bundle: Bundle, place: tuple[int, int], body: dict[str, Any], *keys: Ed25519) -> Bundle:
    """The bundle with another body at a place, signed by these keys."""
    raw = envelope.sign(canonical.encode(body), *keys).to_bytes()
    changed = [
        replace(one, envelope=json.loads(raw)) if (one.height, one.index) == place else one
        for one in bundle.transactions
    ]
    return replace(bundle, transactions=tuple(changed))


def body_at(bundle: Bundle, place: tuple[int, int]) -> dict[str, Any]:
    """The body of the step at a place."""
    found = next(one.envelope for one in bundle.transactions if (one.height, one.index) == place)
    assert isinstance(found, dict)
    body: dict[str, Any] = copy.deepcopy(found["body"])
    return body
