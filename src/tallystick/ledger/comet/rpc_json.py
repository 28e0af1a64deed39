"""The JSON of CometBFT's RPC, as far as it is read; what else is in an answer is passed over.

Names are CometBFT's: rpc/core/types/responses.go, rpc/jsonrpc/types. Numbers of 64 bits are strings, and an empty
list may be null (libs/json).
"""

import threading
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from tallystick.wire.errors import DecodeError

Decimal = Annotated[str, Meta(pattern=r"\A(?:0|[1-9][0-9]{0,18})\Z")]
SignedDecimal = Annotated[str, Meta(pattern=r"\A(?:0|-?[1-9][0-9]{0,18})\Z")]
Hex = Annotated[str, Meta(pattern=r"\A(?:[0-9A-F]{2})*\Z")]

Form = TypeVar("Form")


_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}
_making = threading.Lock()


def _decoder(form: type[Form]) -> msgspec.json.Decoder[Form]:
    """Made by one thread at a time: msgspec (0.22) crashes the process where two work out a struct's form at once."""
    with _making:
        if form not in _DECODERS:
            _DECODERS[form] = msgspec.json.Decoder(form)
        return _DECODERS[form]


def read(raw: bytes | Raw, form: type[Form], where: str) -> Form:
    """`raw` as a `form`. Raises DecodeError."""
    try:
        return _decoder(form).decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"not the answer that CometBFT gives: {error!s:.200}", where) from error


class Call(Struct):
    """A request. The bytes among `params` are written in base64."""

    id: int
    method: str
    params: dict[str, str] | dict[str, bytes]
    jsonrpc: str = "2.0"


class Error(Struct):
    """Why CometBFT did not do it."""

    code: int
    message: str
    data: str = ""

    @property
    def reason(self) -> str:
        """What it says about this call; `message` tells the kind of error only."""
        return self.data or self.message


class Reply(Struct):
    """What came of a call."""

    id: int | None = None
    result: Raw = Raw(b"null")
    error: Error | None = None


class BroadcastForm(Struct):
    """`/broadcast_tx_sync` and `_async`."""

    code: int
    data: Hex
    log: str


class _SignedHeader(Struct):
    header: object
    commit: object


class CommitForm(Struct):
    """`/commit`."""

    signed_header: _SignedHeader
    canonical: bool


class _BlockData(Struct):
    txs: list[bytes] | None


class _Block(Struct):
    header: object
    data: _BlockData


class BlockForm(Struct):
    """`/block`."""

    block: _Block | None


class _NodeInfo(Struct):
    id: str
    network: str
    version: str
    moniker: str


class _SyncInfo(Struct):
    latest_block_height: Decimal
    latest_app_hash: Hex
    latest_block_time: str
    earliest_block_height: Decimal
    catching_up: bool


class _ValidatorInfo(Struct):
    address: Hex
    voting_power: Decimal


class StatusForm(Struct):
    """`/status`."""

    node_info: _NodeInfo
    sync_info: _SyncInfo
    validator_info: _ValidatorInfo


class _Peer(Struct):
    node_info: _NodeInfo
    is_outbound: bool
    remote_ip: str


class NetForm(Struct):
    """`/net_info`."""

    peers: list[_Peer] | None


class _BlockParams(Struct):
    max_bytes: SignedDecimal
    max_gas: SignedDecimal


class _EvidenceParams(Struct):
    max_age_num_blocks: Decimal
    max_age_duration: Decimal


class _Params(Struct):
    block: _BlockParams
    evidence: _EvidenceParams


class ParamsForm(Struct):
    """`/consensus_params`."""

    consensus_params: _Params


class WaitingForm(Struct):
    """`/num_unconfirmed_txs`."""

    total: Decimal
    total_bytes: Decimal


class _Answer(Struct):
    code: int = 0
    value: bytes | None = None


class QueryForm(Struct):
    """`/abci_query`."""

    response: _Answer
