"""What CometBFT is told: `config/config.toml` and `config/genesis.json` below `HOME/cometbft`.

`genesis.json` follows from our genesis alone, to the byte: the same on every member. `config.toml` is written anew at
each start from `node.toml` and from what is fixed here; keys that are not written keep CometBFT's defaults, which
both releases fill in (cmd/cometbft/commands/root.go, ParseConfig). The figures: docs/performance.md.
"""

import json
import os
from collections.abc import Mapping

from tallystick.kernel.genesis import Genesis
from tallystick.kernel.governance.records import Engine
from tallystick.ledger.comet.rpc import BATCH_BYTES, BATCH_TRANSACTIONS
from tallystick.ledger.socket_server import MAX_PATH_BYTES
from tallystick.node.cometbft.identity import PUBLIC_TYPE
from tallystick.node.cometbft.settings import NodeSettings, check_settings
from tallystick.node.home import PRIVATE_DIRECTORY, Home
from tallystick.proof.comet import address_of
from tallystick.proof.timestamps import format_time
from tallystick.wire import envelope
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import KEY_BYTES, from_base64

VALIDATOR_POWER = 1  # all have the same: DESIGN section 6
MAX_BLOCK_BYTES = 2 << 20
MAX_EVIDENCE_BYTES = 128 << 10  # a light-client attack names all validators: some 30 kB for a hundred

# Evidence of misbehaviour is taken until it is older by both measures (evidence/verify.go). A node may not forget
# blocks that are younger (`ledger.comet.snapshots.retain_height`).
EVIDENCE_MAX_AGE_BLOCKS = 100_000
EVIDENCE_MAX_AGE_NS = 7 * 24 * 3600 * 1_000_000_000

RATE_BYTES = 20_000_000  # a second, to and from each peer
MEMPOOL_TRANSACTIONS = 200_000
MEMPOOL_BYTES = 128 << 20
SEEN_TRANSACTIONS = 400_000
TRUST_PERIOD = "720h"  # without new transactions no block is made: the last may be of before the holidays
_MS_NS = 1_000_000


def write_configuration(home: Home, settings: NodeSettings, genesis: Genesis) -> None:
    """Write both files. Raises `DecodeError` where CometBFT can't have them so, or another chain's genesis stands."""
    check_settings(settings)
    path = os.fsencode(home.application_socket.absolute())
    if len(path) > MAX_PATH_BYTES:
        raise DecodeError(f"a socket's path has at most {MAX_PATH_BYTES} bytes: take a shorter home", str(home.path))
    directory = home.comet / "config"
    directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    founding = directory / "genesis.json"
    content = comet_genesis(genesis)
    if founding.exists() and founding.read_bytes() != content:
        raise DecodeError("the CometBFT here began with another genesis", str(founding))
    for file, text in ((founding, content), (directory / "config.toml", _config(home, settings).encode())):
        draft = file.with_name(f".{file.name}.new")
        draft.write_bytes(text)
        draft.replace(file)


def comet_genesis(genesis: Genesis) -> bytes:
    """CometBFT's genesis of our chain (types/genesis.go, types/params.go). Raises `DecodeError`.

    The state's first hash is not in it: the application answers InitChain with it, computed from our own genesis.
    """
    if genesis.engine is not Engine.CONSORTIUM:
        raise DecodeError("this chain is ordered by the embedded engine, not by CometBFT", "genesis: engine")
    parameters = {
        "block": {"max_bytes": str(MAX_BLOCK_BYTES), "max_gas": "-1"},
        "evidence": {
            "max_age_num_blocks": str(EVIDENCE_MAX_AGE_BLOCKS),
            "max_age_duration": str(EVIDENCE_MAX_AGE_NS),
            "max_bytes": str(MAX_EVIDENCE_BYTES),
        },
        "validator": {"pub_key_types": ["ed25519"]},
        "version": {"app": "0"},
        "abci": {"vote_extensions_enable_height": "0"},
    }
    value = {
        "genesis_time": format_time(genesis.time * _MS_NS),
        "chain_id": genesis.chain_id,
        "initial_height": str(genesis.initial_height),
        "consensus_params": parameters,
        "validators": [_validator(one.key, one.name) for one in genesis.validators],
        "app_hash": "",
    }
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"


def _validator(key: str, name: str) -> dict[str, object]:
    return {
        "address": address_of(from_base64(key, KEY_BYTES, "genesis: validators")).hex().upper(),
        "pub_key": {"type": PUBLIC_TYPE, "value": key},
        "power": str(VALIDATOR_POWER),
        "name": name,
    }


def _config(home: Home, settings: NodeSettings) -> str:
    peers = settings.peers
    tables: dict[str, dict[str, object]] = {
        "rpc": {
            "laddr": f"tcp://{settings.rpc.listen}",
            "max_request_batch_size": BATCH_TRANSACTIONS,
            "max_body_bytes": 2 * BATCH_BYTES,
        },
        "p2p": {
            "laddr": f"tcp://{peers.listen}",
            "external_address": peers.external,
            "persistent_peers": ",".join(peers.persistent),
            "unconditional_peer_ids": ",".join(peer.partition("@")[0] for peer in peers.persistent),
            "pex": False,  # members are dialled as they are written down, and tell nobody of each other
            "addr_book_strict": False,  # an address of a private network is as good as another
            "allow_duplicate_ip": peers.one_machine,
            "send_rate": RATE_BYTES,
            "recv_rate": RATE_BYTES,
        },
        "mempool": {
            "recheck": True,  # by it an opened packet leaves the mempool; nothing else does
            "size": MEMPOOL_TRANSACTIONS,
            "max_txs_bytes": MEMPOOL_BYTES,
            "max_tx_bytes": envelope.MAX_BYTES,
            "cache_size": SEEN_TRANSACTIONS,
            "keep-invalid-txs-in-cache": False,
        },
        "statesync": _state_sync(home, settings),
        "blocksync": {"version": "v0"},
        "consensus": {
            "timeout_propose": f"{settings.blocks.proposal_wait_ms}ms",
            "timeout_commit": f"{settings.blocks.commit_wait_ms}ms",
            "create_empty_blocks": False,
            "peer_gossip_sleep_duration": "10ms",
        },
        "storage": {"discard_abci_responses": True},  # results are in our own archive
        "tx_index": {"indexer": "null"},
        "instrumentation": {"prometheus": bool(settings.metrics), "prometheus_listen_addr": settings.metrics},
    }
    top = {
        "proxy_app": f"unix://{home.application_socket.absolute()}",
        "moniker": settings.moniker,
        "log_level": settings.log_level,
        "abci": "socket",
        "priv_validator_laddr": "" if settings.signer is None else f"tcp://{settings.signer.listen}",
    }
    lines = ["# Written at each start of the node; what may be set is in ../../node.toml.", "", *_lines(top)]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *_lines(table)]
    return "\n".join(lines) + "\n"


def _state_sync(home: Home, settings: NodeSettings) -> dict[str, object]:
    if settings.state_sync is None:
        return {"enable": False}
    return {
        "enable": True,  # CometBFT itself leaves it where this node has blocks already
        "rpc_servers": ",".join(settings.state_sync.rpc_servers),
        "trust_height": settings.state_sync.trust_height,
        "trust_hash": settings.state_sync.trust_hash.upper(),
        "trust_period": TRUST_PERIOD,
        "discovery_time": "5s",
        "temp_dir": str((home.comet / "data").absolute()),  # chunks are big, and /tmp may be in memory
    }


def _lines(table: Mapping[str, object]) -> list[str]:
    """TOML: strings, whole numbers and words of JSON are the same there, but for the delete character."""
    return [
        f"{name} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f") for name, value in table.items()
    ]
