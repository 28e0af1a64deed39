"""The composition root: how this machine gets at a ledger.

Where a node is running, its socket answers and commands talk to it; else the embedded engine is opened in this process,
for as long as the command lives. Only here is an engine made.
"""

import socket
import time
from collections.abc import Callable
from pathlib import Path

from nacl.signing import SigningKey

from tallystick.kernel.core import codec
from tallystick.kernel.genesis import Genesis
from tallystick.kernel.genesis import read_genesis as parse_genesis
from tallystick.kernel.governance.records import Engine as EngineKind
from tallystick.ledger.engine import Engine
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.engines.reading import ReadingEngine
from tallystick.ledger.process import settle_collector, wall_clock_ms
from tallystick.ledger.signing_guard import SigningGuard
from tallystick.ledger.socket_client import EngineClient
from tallystick.ledger.store import RocksStore, StoreLocked
from tallystick.node.genesis_file import GenesisFile
from tallystick.node.home import PRIVATE_DIRECTORY, Home
from tallystick.node.key_store import USUAL_COST, Cost, Passphrases, StoredKey, check_name, create_key, read_key
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant
from tallystick.wire.keys import to_base64

NODE = "node"
LOCK_SECONDS = 2.0


class Unreachable(OSError):
    """A node's socket is there, and the node does not answer."""


class LedgerInUse(DecodeError):
    """Another process has this ledger open, and no node answers in its place."""


class DamagedLedger(DecodeError):
    """The ledger here can't be opened: it is damaged, or is not the one that the home's other files belong to."""


def read_genesis(home: Home) -> Genesis:
    """The genesis that this home's chain began with. Raises `DecodeError`."""
    try:
        raw = home.genesis.read_bytes()
    except FileNotFoundError:
        raise DecodeError("no chain was created here yet (tally chain init)", str(home.path)) from None
    except OSError as error:
        raise DecodeError(f"can't be read: {error.strerror}", str(home.genesis)) from None
    return parse_genesis(raw, str(home.genesis))


def create_chain(
    home: Home, file: GenesisFile, passphrases: Passphrases, cost: Cost = USUAL_COST, now: Instant | None = None
) -> Genesis:
    """Write a new chain's genesis into `home`, making the keys that the file asks for, and the operator's node's key.

    The file is checked whole before anything is written. Keys that stand already are taken over, so that an interrupted
    creation is simply run again. Raises `DecodeError`.
    """
    if home.is_initialised:
        raise DecodeError("a chain was created here already", str(home.path))
    began = now or Instant(wall_clock_ms())
    is_embedded = file.engine is EngineKind.EMBEDDED
    file.build(trial_key, trial_validator_key if is_embedded else _key_needed, began)
    home.path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)

    def made(folder: str, name: str) -> str:
        return ensure_key(home.keys / folder / f"{name}.key", folder, name, passphrases, cost).public

    def node_key(_: str) -> str:
        return ensure_key(home.node_key, NODE, NODE, passphrases, cost).public

    genesis = file.build(made, node_key if is_embedded else _key_needed, began)
    write_genesis(home, genesis)
    return genesis


def write_genesis(home: Home, genesis: Genesis) -> None:
    """The home's genesis, whole or not at all."""
    draft = home.genesis.with_suffix(".new")
    draft.write_bytes(codec.encode(genesis))
    draft.replace(home.genesis)


def trial_key(folder: str, name: str) -> str:
    """A sound public key whose secret nobody keeps, to check a genesis file before keys are made."""
    check_name(folder, "folder")
    check_name(name, "name")
    return trial_validator_key(name)


def trial_validator_key(_name: str) -> str:
    """The same for a validator, who may be called anything."""
    return to_base64(bytes(SigningKey.generate().verify_key))


def _key_needed(name: str) -> str:
    raise DecodeError(f"the key of {name!r} is needed: `tally node id` prints it where its node will run")


def ensure_key(
    path: Path, organisation: str, name: str, passphrases: Passphrases, cost: Cost = USUAL_COST
) -> StoredKey:
    """The key at `path`, made now if it is not there."""
    if path.exists():
        return read_key(path)
    stored, key = create_key(path, organisation, name, passphrases.choose(f"{organisation}/{name}"), cost)
    passphrases.remember(stored.public, key)
    return stored


def node_answers(home: Home) -> bool:
    """Whether a running node listens on the home's socket. A socket that its node left behind is taken away."""
    if not home.socket.exists():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5.0)
        try:
            probe.connect(str(home.socket))
        except ConnectionRefusedError:
            home.socket.unlink(missing_ok=True)  # the node was killed; nobody listens any more
            return False
        except OSError as error:
            raise Unreachable(f"{home.socket}: the node's socket is there and does not answer: {error}") from error
    return True


def open_engine(home: Home, passphrases: Passphrases, *, reading: bool = False) -> Engine:
    """The running node's engine, else the embedded engine in this process; for `reading` one that needs no key.

    A ledger that was never opened is begun either way. Raises `DecodeError` (no chain here, locked by another process,
    damaged, wrong passphrase) and `Unreachable`.
    """
    genesis = read_genesis(home)
    if node_answers(home):
        return connect(home)
    if genesis.engine is EngineKind.CONSORTIUM and not reading:
        raise Unreachable(f"{home.path}: the node is not running (tally node run), and a consortium orders through it")
    if genesis.engine is EngineKind.CONSORTIUM or (reading and home.ledger.exists()):
        return open_reading(home, genesis)
    return open_embedded(home, genesis, passphrases)


def connect(home: Home) -> Engine:
    """The engine of the node that runs on this home."""
    return EngineClient(home.socket)


def open_reading(home: Home, genesis: Genesis) -> ReadingEngine:
    """The ledger of this home for looking at; it needs no key, and nothing is ordered."""
    if genesis.predecessor is not None and not home.ledger.exists():
        raise DecodeError("the ledger is not begun yet: the node begins it (tally node run)", str(home.ledger))
    store = open_store(home)
    try:
        engine = ReadingEngine(store, genesis)
    except DecodeError as error:
        store.close()
        raise DamagedLedger(error.what, error.where or str(home.ledger)) from None
    except BaseException:  # allow(broad-except): whatever it was, the directory is let go of, and it goes on up
        store.close()
        raise
    settle_collector()
    return engine


def open_store(home: Home) -> RocksStore:
    """The store of this home; another command that has it open usually lets go of it in a moment."""
    if home.signed.exists() and not home.ledger.exists():
        raise DamagedLedger(
            "the ledger is gone, and this node has signed blocks of it: bring it back with `tally node restore`",
            str(home.ledger),
        )
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return RocksStore(home.ledger)
        except StoreLocked as error:
            if time.monotonic() > until:
                raise LedgerInUse(f"{error.what}; where a node runs here, it does not answer", error.where) from None
            time.sleep(0.05)
        except DecodeError as error:
            raise DamagedLedger(error.what, error.where) from None


def open_embedded(
    home: Home, genesis: Genesis, passphrases: Passphrases, clock: Callable[[], int] = wall_clock_ms
) -> EmbeddedEngine:
    """The embedded engine over this home's store, in this process."""
    if not home.node_key.exists():
        raise DecodeError("the node's key is missing; without it no block can be signed", str(home.node_key))
    key = passphrases.unlock(read_key(home.node_key))
    store = open_store(home)
    try:
        engine = EmbeddedEngine(store, key, genesis, clock, SigningGuard(home.signed))
    except DecodeError as error:
        store.close()
        raise DamagedLedger(error.what, error.where or str(home.ledger)) from None
    except BaseException:  # allow(broad-except): whatever it was, the directory is let go of, and it goes on up
        store.close()
        raise
    settle_collector()
    return engine
