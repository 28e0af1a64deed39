"""The home directory of a ledger: where each thing lies, and how a command finds it."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from tallystick.wire.errors import DecodeError

HOME_VARIABLE = "TALLYSTICK_HOME"
USUAL_PLACES = ("tallystick", "var/demo")
PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Home:
    """A ledger's directory. The names in it are part of the documented layout (docs/cli.md)."""

    path: Path

    @property
    def genesis(self) -> Path:
        """The canonical genesis, which verifiers pin."""
        return self.path / "genesis.json"

    @property
    def ledger(self) -> Path:
        """The store; one process at a time."""
        return self.path / "ledger"

    @property
    def node_key(self) -> Path:
        """The key with which this node signs blocks."""
        return self.path / "node.key"

    @property
    def keys(self) -> Path:
        """Organisations' keys kept on this machine: `<organisation>/<key name>.key`."""
        return self.path / "keys"

    @property
    def socket(self) -> Path:
        """The local socket on which a running node answers."""
        return self.path / "engine.sock"

    @property
    def signed(self) -> Path:
        """The highest height that this node has signed."""
        return self.path / "signed"

    @property
    def passphrase(self) -> Path:
        """Where an unattended node keeps its passphrase, if it must; readable by its owner alone."""
        return self.path / "passphrase"

    @property
    def anchors(self) -> Path:
        """Salts of anchored files, by anchor hash: without its salt an anchor proves nothing."""
        return self.path / "anchors"

    @property
    def documents(self) -> Path:
        """Copies of anchored and received documents, by content; their owner's alone."""
        return self.path / "documents"

    @property
    def seals(self) -> Path:
        """What sealed quotes hold until they are revealed."""
        return self.path / "seals"

    @property
    def fingerprint_key(self) -> Path:
        """This machine's key of invoice fingerprints."""
        return self.path / "fingerprint.key"

    @property
    def wage_key(self) -> Path:
        """What the salts of wage lines are made from."""
        return self.path / "wages.key"

    @property
    def unsettled(self) -> Path:
        """Transactions whose outcome is not known yet, to be submitted again as they are."""
        return self.path / "unsettled"

    @property
    def settings(self) -> Path:
        """How a consortium member's node runs: addresses, peers, snapshots, pruning."""
        return self.path / "node.toml"

    @property
    def comet(self) -> Path:
        """The home of the CometBFT that runs beside a consortium member's node."""
        return self.path / "cometbft"

    @property
    def application_socket(self) -> Path:
        """The local socket on which CometBFT finds the node."""
        return self.path / "abci.sock"

    @property
    def snapshots(self) -> Path:
        """Snapshots for members that join: `<height>/`."""
        return self.path / "snapshots"

    @property
    def comet_log(self) -> Path:
        """What CometBFT says; older parts beside it."""
        return self.path / "logs" / "cometbft.log"

    @property
    def is_initialised(self) -> bool:
        """Whether a chain was created here."""
        return self.genesis.exists()

    @property
    def is_begun(self) -> bool:
        """Whether this is a home at all; a directory may be named like one, as a clone of this repository is."""
        return self.is_initialised or self.keys.is_dir()

    def read_passphrase(self) -> str | None:
        """The passphrase kept for an unattended node, or None. Refuses a file that others may read."""
        return read_secret_line(self.passphrase) if self.passphrase.exists() else None


def find_home(given: Path | None) -> Home:
    """The home a command works in: as given, else TALLYSTICK_HOME, else the usual places below the present directory.

    Raises `DecodeError` where none of them is one.
    """
    if given is not None:
        return Home(given)
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Home(Path(named))
    for place in USUAL_PLACES:
        if Home(Path(place)).is_begun:
            return Home(Path(place))
    raise DecodeError(
        f"no ledger found: give --home DIR, set {HOME_VARIABLE}, or create one with `tally chain init` "
        f"(looked for {' and '.join(USUAL_PLACES)})"
    )


def new_home(given: Path | None) -> Home:
    """Where a chain or a key that is made now goes: as given, else TALLYSTICK_HOME, else ./tallystick."""
    return Home(given or Path(os.environ.get(HOME_VARIABLE) or USUAL_PLACES[0]))


def read_secret_line(path: Path) -> str:
    """The first line of a file that its owner alone may read. Raises `DecodeError`."""
    return read_private(path).partition("\n")[0]


def read_private(path: Path) -> str:
    """The text of a file that its owner alone may read. Raises `DecodeError`."""
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise DecodeError(f"can't be read: {why}", str(path)) from None
    if mode & 0o077:
        raise DecodeError(f"others may read this file (mode {mode:03o}); chmod 600 it first", str(path))
    return text


def own_secret(path: Path) -> bytes:
    """The secret in the file at `path` (hexadecimal), 32 random bytes made on first use. Raises `DecodeError`."""
    if not path.exists():
        write_private(path, secrets.token_hex(SECRET_BYTES).encode() + b"\n")
    return read_secret(path)


def read_secret(path: Path) -> bytes:
    """A secret of at least 32 bytes from its file. Raises `DecodeError`."""
    try:
        secret = bytes.fromhex(read_secret_line(path))
    except ValueError as error:
        raise error if isinstance(error, DecodeError) else DecodeError("not hexadecimal", str(path)) from None
    if len(secret) < SECRET_BYTES:
        raise DecodeError(f"shorter than {SECRET_BYTES} bytes", str(path))
    return secret


def write_private(path: Path, content: bytes, *, replace: bool = False) -> None:
    """Write a file that its owner alone may read, all of it or none. Raises `DecodeError` where it stands already."""
    path.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    if path.exists() and not replace:
        raise DecodeError("the file exists already and is not written over", str(path))
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
