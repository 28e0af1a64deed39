"""A client of CometBFT's RPC: JSON-RPC 2.0 over HTTP, what a node asks the CometBFT beside it.

Rules kept here:
1. Nobody answers, in time or at all: `RpcUnreachable`. An answer that can't be read: DecodeError. CometBFT says no:
   `RpcRefused`, except where a method says what it makes of it. Nothing else leaves.
2. Every request may be sent twice: those that read change nothing, and a transaction that CometBFT has seen is
   `IN_CACHE`. So a request that meets a connection that was closed meanwhile is sent once more on a new one.
3. Nothing is verified: light blocks go to `proof.light_client`.

The JSON is that of CometBFT v0.38 and v0.39 (rpc/core, rpc/jsonrpc/types, libs/json): 64-bit numbers are strings.
"""

import http.client
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec
from msgspec import Raw

from tallystick.ledger.comet.rpc_json import (
    BlockForm,
    BroadcastForm,
    Call,
    CommitForm,
    Error,
    Form,
    NetForm,
    ParamsForm,
    QueryForm,
    Reply,
    StatusForm,
    WaitingForm,
    read,
)
from tallystick.proof.comet import Commit, Header
from tallystick.proof.comet_json import commit_from_json, header_from_json
from tallystick.proof.timestamps import TimeNs, parse_time
from tallystick.wire.errors import DecodeError

BATCH_TRANSACTIONS = 1_000  # a request; config.toml's rpc.max_request_batch_size is no less
BATCH_BYTES = 2 << 20  # a request's body; config.toml's rpc.max_body_bytes is no less
MAX_ANSWER_BYTES = 64 << 20
TIMEOUT_SECONDS = 10.0

_CALL_BYTES = 100  # of a call's JSON around its transaction
_INTERNAL_ERROR = -32603
_HEADERS = {"Content-Type": "application/json"}
_ADDRESS = re.compile(r"(?:(?:tcp|http)://)?(?:\[([0-9A-Fa-f:.]+)\]|([^\s/:\[\]]+)):([0-9]{1,5})", re.ASCII)
_NO_SUCH_HEIGHT = re.compile(r"height [0-9]+ (?:must be less than or equal to|is not available)", re.ASCII)


class RpcUnreachable(OSError):
    """CometBFT does not answer: not started, stopped, hung up half-way, or too slow."""


class RpcRefused(Exception):
    """CometBFT read the request and answered with an error."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"CometBFT refuses the request: {reason} ({code})")


class Entry(Enum):
    """What became of a transaction at the mempool's entry. None of these says that it will be in a block."""

    CHECKED = "checked"  # the application answered; with code 0 it waits in the mempool, unless that just filled up
    PASSED_ON = "passed_on"  # on its way to the application; what that said is not waited for
    IN_CACHE = "in_cache"  # seen before: it waits, it is in a block, or it was there
    FULL = "full"  # the mempool is full: later perhaps
    TOO_LARGE = "too_large"
    CATCHING_UP = "catching_up"  # this node is behind and takes none: later, or another node
    FAILED = "failed"  # anything else, as `log` says


_ENTRY_REFUSED = {
    "tx already exists in cache": Entry.IN_CACHE,
    "mempool is ": Entry.FULL,  # full, or still rechecking
    "Tx too large": Entry.TOO_LARGE,
    "endpoint is closed while node is catching up": Entry.CATCHING_UP,
}


@dataclass(frozen=True, slots=True)
class Broadcast:
    """The answer to one transaction; `code` and `data` are the application's where it was CHECKED."""

    entry: Entry
    code: int = 0
    data: bytes = b""
    log: str = ""


@dataclass(frozen=True, slots=True)
class SignedHeader:
    """A header and the commit under it, canonical when it is the one that the next block holds."""

    header: Header
    commit: Commit
    is_canonical: bool


@dataclass(frozen=True, slots=True)
class FullBlock:
    """A header and the transactions under its data hash."""

    header: Header
    transactions: list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """`/status`: where CometBFT is. `app_hash` is the one that the block at `height` states; height 0: no block."""

    node_id: str
    moniker: str
    chain_id: str
    version: str
    height: int
    earliest_height: int
    app_hash: bytes
    time: TimeNs
    is_catching_up: bool
    validator_address: bytes
    voting_power: int


@dataclass(frozen=True, slots=True)
class Peer:
    """A node that this one is connected to."""

    node_id: str
    moniker: str
    remote_ip: str
    is_outbound: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in the mempool."""

    transactions: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ConsensusLimits:
    """The consensus parameters that limit blocks, and evidence of misbehaviour by its age."""

    max_block_bytes: int
    max_gas: int
    evidence_max_blocks: int
    evidence_max_ns: int


class CometRpc:
    """CometBFT's RPC at `address` (host:port, also as tcp://host:port). Threads may share it: each request has a
    connection to itself, and connections are kept for the next.
    """

    def __init__(self, address: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Connects at the first request. Raises DecodeError."""
        found = _ADDRESS.fullmatch(address)
        if found is None or not 0 < int(found[3]) < 1 << 16:
            raise DecodeError(f"not an address like 127.0.0.1:26657: {address[:80]!r}", "rpc address")
        self.address = address
        self._host, self._port = found[1] or found[2], int(found[3])
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Hang up where no request is under way."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    # Handing in

    def broadcast(self, raws: list[bytes], *, is_checked: bool = True) -> list[Broadcast]:
        """Offer transactions to the mempool; answers in the same order.

        CometBFT takes up those of a request one after the other: with `is_checked`, each waits for what the application
        says to it (2 to 9 ms). Without, they follow each other at once, and what the application said stays unknown.
        After RpcUnreachable any of them may have been taken.
        """
        method = "broadcast_tx_sync" if is_checked else "broadcast_tx_async"
        answers: list[Broadcast] = []
        for batch in _batches(raws):
            calls = [Call(number, method, {"tx": raw}) for number, raw in enumerate(batch)]
            answers.extend(_broadcast_of(reply, is_checked) for reply in self._replies(calls))
        return answers

    # Asking

    def signed_header(self, height: int) -> SignedHeader | None:
        """Header and commit at `height`; None if it is pruned or not there yet."""
        result = self._result_at("commit", height)
        if result is None:
            return None
        found = read(result, CommitForm, "commit")
        header = header_from_json(found.signed_header.header, "commit.header")
        if header.height != height:
            raise DecodeError(f"asked for height {height}, told {header.height}", "commit.header")
        commit = commit_from_json(found.signed_header.commit, "commit.commit")
        return SignedHeader(header, commit, found.canonical)

    def block(self, height: int) -> FullBlock | None:
        """The block at `height` with its transactions; None if it is pruned or not there yet."""
        result = self._result_at("block", height)
        found = None if result is None else read(result, BlockForm, "block").block
        if found is None:
            return None
        return FullBlock(header_from_json(found.header, "block.header"), found.data.txs or [])

    def status(self) -> NodeStatus:
        """Where this CometBFT is, and who."""
        form = self.ask("status", StatusForm)
        return NodeStatus(
            node_id=form.node_info.id,
            moniker=form.node_info.moniker,
            chain_id=form.node_info.network,
            version=form.node_info.version,
            height=int(form.sync_info.latest_block_height),
            earliest_height=int(form.sync_info.earliest_block_height),
            app_hash=bytes.fromhex(form.sync_info.latest_app_hash),
            time=parse_time(form.sync_info.latest_block_time, "status.latest_block_time"),
            is_catching_up=form.sync_info.catching_up,
            validator_address=bytes.fromhex(form.validator_info.address),
            voting_power=int(form.validator_info.voting_power),
        )

    def net_info(self) -> list[Peer]:
        """The peers."""
        return [
            Peer(peer.node_info.id, peer.node_info.moniker, peer.remote_ip, peer.is_outbound)
            for peer in self.ask("net_info", NetForm).peers or []
        ]

    def consensus_params(self, height: int) -> ConsensusLimits | None:
        """The parameters that hold for the block at `height`; None if it is pruned or not there yet."""
        result = self._result_at("consensus_params", height)
        if result is None:
            return None
        form = read(result, ParamsForm, "consensus_params").consensus_params
        ages = form.evidence
        return ConsensusLimits(
            int(form.block.max_bytes), int(form.block.max_gas), int(ages.max_age_num_blocks), int(ages.max_age_duration)
        )

    def num_unconfirmed_txs(self) -> Waiting:
        """What waits in this node's mempool."""
        form = self.ask("num_unconfirmed_txs", WaitingForm)
        return Waiting(int(form.total), int(form.total_bytes))

    def abci_query(self, path: str, data: bytes = b"") -> bytes:
        """What the application beside that CometBFT answers; unproven, and empty where it knows nothing."""
        answer = self.ask("abci_query", QueryForm, path=path, data=data.hex()).response
        return answer.value or b"" if answer.code == 0 else b""

    def health(self) -> bool:
        """Whether it answers."""
        try:
            self.ask("health", dict[str, Any])
        except RpcUnreachable:
            return False
        return True

    def ask(self, method: str, form: type[Form], **params: str) -> Form:
        """The result of any one call, read as `form`. Raises RpcUnreachable, RpcRefused, DecodeError."""
        return read(self._result(method, params), form, method)

    def _result_at(self, method: str, height: int) -> Raw | None:
        """The result for a height; None if that is pruned or not there yet."""
        try:
            result = self._result(method, {"height": str(height)})
        except RpcRefused as refused:
            if _NO_SUCH_HEIGHT.match(refused.reason):
                return None
            raise
        return None if bytes(result) == b"null" else result

    def _result(self, method: str, params: dict[str, str]) -> Raw:
        reply = self._replies([Call(0, method, params)])[0]
        if reply.error is not None:
            raise _refused(reply.error)
        return reply.result

    def _replies(self, calls: list[Call]) -> list[Reply]:
        """A reply to each call, in the order of the calls."""
        raw = self._post(msgspec.json.encode(calls))
        # one reply comes without a list: to one call, or to a request that is refused as a whole
        if raw.startswith(b"["):
            replies = read(raw, list[Reply], "rpc")
        else:
            replies = [read(raw, Reply, "rpc")]
            if (error := replies[0].error) is not None and replies[0].id != calls[0].id:
                raise _refused(error)
        if [reply.id for reply in replies] != [call.id for call in calls]:
            raise DecodeError("not the answers to what was asked", "rpc")
        return replies

    def _post(self, body: bytes) -> bytes:
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        try:
            if kept is not None:
                try:
                    return self._exchange(kept, body)
                except (BrokenPipeError, ConnectionResetError):  # rule 2; CometBFT hangs up after 10 idle seconds
                    self.close()  # the others are as old
            fresh = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
            return self._exchange(fresh, body)
        except (OSError, http.client.IncompleteRead) as error:
            raise RpcUnreachable(f"no answer from CometBFT at {self.address}: {error}") from error
        except (http.client.HTTPException, ValueError) as error:  # http.client lets some ValueErrors through
            raise DecodeError(f"not an HTTP answer: {error!r:.200}", "rpc") from error

    def _exchange(self, connection: http.client.HTTPConnection, body: bytes) -> bytes:
        """Send and receive; the connection is kept only after a whole answer."""
        is_whole = False
        try:
            connection.request("POST", "/", body, _HEADERS)
            response = connection.getresponse()
            answer = response.read(MAX_ANSWER_BYTES)
            if len(answer) == MAX_ANSWER_BYTES:
                raise DecodeError(f"an answer of {MAX_ANSWER_BYTES} bytes or more", "rpc")
            if response.length:
                raise http.client.IncompleteRead(answer, response.length)
            is_whole = response.isclosed()
        finally:
            if not is_whole:
                connection.close()
        if is_whole:
            with self._lock:
                self._idle.append(connection)
        return answer


def _batches(raws: list[bytes]) -> Iterator[list[bytes]]:
    """Runs of transactions that a request may carry; one that is too large for any goes alone, to be refused."""
    batch: list[bytes] = []
    room = BATCH_BYTES
    for raw in raws:
        size = len(raw) * 4 // 3 + _CALL_BYTES
        if batch and (size > room or len(batch) == BATCH_TRANSACTIONS):
            yield batch
            batch, room = [], BATCH_BYTES
        batch.append(raw)
        room -= size
    if batch:
        yield batch


def _broadcast_of(reply: Reply, is_checked: bool) -> Broadcast:
    if reply.error is not None:
        return _entry_refused(reply.error)
    form = read(reply.result, BroadcastForm, "broadcast")
    if not is_checked:
        return Broadcast(Entry.PASSED_ON)
    return Broadcast(Entry.CHECKED, form.code, bytes.fromhex(form.data), form.log)


def _entry_refused(error: Error) -> Broadcast:
    """What the mempool itself says: mempool/errors.go, rpc/core/mempool.go."""
    for start, entry in _ENTRY_REFUSED.items():
        if error.code == _INTERNAL_ERROR and error.data.startswith(start):
            return Broadcast(entry, log=error.data)
    return Broadcast(Entry.FAILED, log=error.reason)


def _refused(error: Error) -> RpcRefused:
    return RpcRefused(error.code, error.reason)
