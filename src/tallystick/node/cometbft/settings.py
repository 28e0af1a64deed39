"""How a member's node runs: `HOME/node.toml`, read and written. Its fields: docs/operations.md.

Only what may differ from member to member is here; what all must have alike is in the genesis, or fixed in
`configuration`. Every fault names the file and the field, and its line where the text shows it.
"""

import ipaddress
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from tallystick.node.genesis_file import line_of
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import KEY_BYTES, from_base64, is_sound_key

P2P_PORT = 26656
RPC_PORT = 26657
MAX_PEERS = 200
MIN_RPC_SERVERS = 2  # CometBFT's light client wants a witness beside the primary (config.go, StateSyncConfig)

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_NODE_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
_HASH = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_MONIKER = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?", re.ASCII)
_LEVEL = re.compile(r"(?:[a-z0-9]+:)?(?:debug|info|error|none)", re.ASCII)
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`")

_Milliseconds = Annotated[int, Meta(ge=10, le=60_000)]
_Blocks = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class Peers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the others' CometBFTs are. The members know each other: addresses are written here, never found out."""

    listen: str = f"0.0.0.0:{P2P_PORT}"
    external: str = ""
    """What others dial where it is not what is listened on."""
    persistent: tuple[str, ...] = ()
    """The other members, as `id@host:port`."""
    one_machine: bool = False
    """Whether members share this machine, and so its address."""


class Rpc(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where CometBFT answers the node. Whoever reaches it can read all blocks and hand in transactions."""

    listen: str = f"127.0.0.1:{RPC_PORT}"


class Blocks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long CometBFT waits: after a commit for more votes and transactions, and for a proposal."""

    commit_wait_ms: _Milliseconds = 300
    proposal_wait_ms: _Milliseconds = 3_000


class Keeping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of the past; 0 means no snapshots, and all blocks."""

    snapshot_every_blocks: _Blocks = 1_000
    snapshots: Annotated[int, Meta(ge=1, le=100)] = 2
    retain_blocks: _Blocks = 0


class StateSync(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a new member catches up from a snapshot: whom it asks, and the block it was told to trust."""

    rpc_servers: tuple[str, ...]
    trust_height: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    trust_hash: str


class Signer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signer that keeps the validator's key on another machine: where it reports, and whose key it has, in base64."""

    listen: str
    key: str


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member's settings; the defaults suit a machine of its own."""

    moniker: str = "member"
    """What the others see this node called."""
    log_level: str = "info"
    metrics: str = ""
    """Where CometBFT shows its figures to Prometheus, if anywhere."""
    peers: Peers = Peers()
    rpc: Rpc = Rpc()
    blocks: Blocks = Blocks()
    keeping: Keeping = Keeping()
    state_sync: StateSync | None = None
    signer: Signer | None = None

    @property
    def rpc_address(self) -> str:
        """Where this machine reaches its CometBFT, as host:port."""
        host, _, port = self.rpc.listen.rpartition(":")
        reached = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - any address, also this one
        return f"{reached}:{port}"


def read_settings(path: Path) -> NodeSettings:
    """The settings in the file at `path`. Raises `DecodeError` naming line and field."""
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        raise DecodeError(f"can't be read: {error.strerror}", str(path)) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DecodeError(f"not TOML: {error}", str(path)) from None
    try:
        settings = msgspec.convert(content, NodeSettings)
        check_settings(settings)
    except msgspec.ValidationError as error:
        found = _PLACE.search(str(error))
        raise _fault(path, text, _PLACE.sub("", str(error)), found["path"] if found else "") from None
    except DecodeError as error:
        raise _fault(path, text, error.what, error.where) from None
    return settings


def check_settings(settings: NodeSettings) -> None:
    """Raise `DecodeError`, naming the field, where CometBFT could not run with the settings."""
    _require(_MONIKER.fullmatch(settings.moniker), "not 1 to 64 printable ASCII characters", "moniker")
    levels = settings.log_level.split(",")
    _require(all(map(_LEVEL.fullmatch, levels)), "not a level like info, or p2p:error,info", "log_level")
    _check_address(settings.metrics, "metrics", optional=True)
    _check_address(settings.peers.listen, "peers.listen")
    _check_address(settings.peers.external, "peers.external", optional=True)
    _check_address(settings.rpc.listen, "rpc.listen")
    named = settings.peers.persistent
    _require(len(named) <= MAX_PEERS, f"more than {MAX_PEERS}", "peers.persistent")
    for number, peer in enumerate(named):
        where = f"peers.persistent[{number}]"
        node_id, _, address = peer.partition("@")
        _require(_NODE_ID.fullmatch(node_id), f"{peer[:100]!r} is not id@host:port (tally node id)", where)
        _check_address(address, where)
    ids = [peer.partition("@")[0] for peer in named]
    _require(len(set(ids)) == len(ids), "one is named twice", "peers.persistent")
    if settings.signer is not None:
        _check_address(settings.signer.listen, "signer.listen")
        sound = is_sound_key(from_base64(settings.signer.key, KEY_BYTES, "signer.key"))
        _require(sound, "not a sound Ed25519 key", "signer.key")
    if settings.state_sync is not None:
        servers = settings.state_sync.rpc_servers
        enough = MIN_RPC_SERVERS <= len(set(servers)) == len(servers)
        _require(enough, f"at least {MIN_RPC_SERVERS} different ones are needed", "state_sync.rpc_servers")
        for number, server in enumerate(servers):
            _check_address(server, f"state_sync.rpc_servers[{number}]")
        _require(_HASH.fullmatch(settings.state_sync.trust_hash), "not 64 hexadecimal digits", "state_sync.trust_hash")


def settings_text(settings: NodeSettings) -> str:
    """The file that `read_settings` reads as `settings`."""
    peers = "\n".join(["", *(f"    {_quoted(peer)}," for peer in settings.peers.persistent), ""])
    text = f"""\
# How this member's node runs. A change holds from the next start.

moniker = {_quoted(settings.moniker)}
log_level = {_quoted(settings.log_level)}
metrics = {_quoted(settings.metrics)}    # host:port for Prometheus, or ""

[peers]
listen = {_quoted(settings.peers.listen)}
external = {_quoted(settings.peers.external)}    # what others dial, where it differs
one_machine = {_word(settings.peers.one_machine)}
persistent = [{peers}]    # the other members: id@host:port

[rpc]
listen = {_quoted(settings.rpc.listen)}    # for this machine alone: who reaches it reads everything

[blocks]
commit_wait_ms = {settings.blocks.commit_wait_ms}
proposal_wait_ms = {settings.blocks.proposal_wait_ms}

[keeping]
snapshot_every_blocks = {settings.keeping.snapshot_every_blocks}    # 0: no snapshots
snapshots = {settings.keeping.snapshots}
retain_blocks = {settings.keeping.retain_blocks}    # 0: all
"""
    if settings.signer is not None:
        text += f"""
[signer]
listen = {_quoted(settings.signer.listen)}    # where the signer reports that has the validator's key
key = {_quoted(settings.signer.key)}
"""
    if settings.state_sync is not None:
        servers = ", ".join(map(_quoted, settings.state_sync.rpc_servers))
        text += f"""
[state_sync]
rpc_servers = [{servers}]
trust_height = {settings.state_sync.trust_height}
trust_hash = {_quoted(settings.state_sync.trust_hash)}
"""
    return text


def write_settings(path: Path, settings: NodeSettings) -> None:
    """Write `settings` to the file at `path`. Raises `DecodeError` where they can't be read again."""
    check_settings(settings)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(settings_text(settings), encoding="utf-8")
    draft.replace(path)


def _check_address(text: str, where: str, *, optional: bool = False) -> None:
    host, _, port = text.rpartition(":")
    fits = _is_host(host) and _PORT.fullmatch(port) and int(port) < 65_536
    _require(fits or (optional and not text), f"{text[:100]!r} is not host:port", where)


def _is_host(text: str) -> bool:
    if not text.startswith("["):
        return _HOST.fullmatch(text) is not None
    try:
        ipaddress.IPv6Address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return text.endswith("]")


def _require(holds: object, what: str, where: str) -> None:
    if not holds:
        raise DecodeError(what, where)


def _fault(path: Path, text: str, what: str, field: str) -> DecodeError:
    line = line_of(text, field)
    place = f"{path}, line {line}" if line else str(path)
    return DecodeError(what, f"{place}, {field}" if field else place)


def _quoted(text: str) -> str:
    """A TOML basic string; what it may hold was checked."""
    return json.dumps(text)


def _word(value: bool) -> str:
    return "true" if value else "false"
