"""One member's home: its node's keys and settings made, and a chain joined.

A home is prepared before there is a chain, because the genesis names its validators' keys; it joins once the genesis
is there. Both may be done again, to change a setting: keys that stand are never made anew.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tallystick.kernel.genesis import Genesis
from tallystick.kernel.genesis import read_genesis as parse_genesis
from tallystick.kernel.governance.records import Engine
from tallystick.node import growth
from tallystick.node.cometbft.identity import Identity, own_identity, read_identity, validator_key_file
from tallystick.node.cometbft.settings import NodeSettings, check_settings, read_settings, write_settings
from tallystick.node.composition import read_genesis, write_genesis
from tallystick.node.home import PRIVATE_DIRECTORY, Home
from tallystick.proof.comet import address_of
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import KEY_BYTES, from_base64


@dataclass(frozen=True, slots=True)
class MemberHome:
    """What a home was set up for; `genesis` is None until it joins a chain."""

    home: Home
    identity: Identity
    settings: NodeSettings
    genesis: Genesis | None

    @property
    def address(self) -> str:
        """What the other members dial."""
        return self.settings.peers.external or self.settings.peers.listen

    @property
    def peer(self) -> str:
        """What the other members write into their settings."""
        return f"{self.identity.node_id}@{self.address}"

    @property
    def is_founding_validator(self) -> bool:
        """Whether the genesis names this home's key."""
        return self.genesis is not None and self.identity.validator_key in {
            validator.key for validator in self.genesis.validators
        }


def prepare(home: Home, change: Callable[[NodeSettings], NodeSettings]) -> MemberHome:
    """Make the home's keys and settings, or change the settings that stand. Raises `DecodeError`."""
    if home.node_key.exists():
        raise DecodeError("this home is an embedded ledger's: take another for a consortium's node", str(home.path))
    settings = change(read_settings(home.settings) if home.settings.exists() else NodeSettings())
    check_settings(settings)
    home.path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    identity = own_identity(home)
    write_settings(home.settings, settings)
    return MemberHome(home, _signing(identity, settings), settings, _genesis_of(home))


def join(
    home: Home, source: Path, change: Callable[[NodeSettings], NodeSettings], former_ledger: Path | None = None
) -> MemberHome:
    """`prepare`, and take the chain's genesis into the home. Raises `DecodeError` where another one stands.

    Where that chain goes on from another, what it begins with is taken from beside the genesis, and the old blocks from
    `former_ledger`, if that is given.
    """
    try:
        genesis = parse_genesis(source.read_bytes(), str(source))
    except OSError as error:
        raise DecodeError(f"can't be read: {error.strerror}", str(source)) from None
    if genesis.engine is not Engine.CONSORTIUM:
        raise DecodeError("the genesis is that of an embedded ledger, which has one node", str(source))
    if home.is_initialised and read_genesis(home) != genesis:
        raise DecodeError("this home belongs to another chain already", str(home.genesis))
    if former_ledger is not None and genesis.predecessor is None:
        raise DecodeError("this chain goes on from no other, so there are no blocks to carry over", str(former_ledger))
    prepare(home, change)
    if genesis.predecessor is None:
        if not home.is_initialised:
            write_genesis(home, genesis)
        return read_member_home(home)
    if not home.is_initialised:
        growth.hand_out(source.parent, home)
    if not home.ledger.exists():
        growth.begin(home, former_ledger)
    return read_member_home(home)


def read_member_home(home: Home) -> MemberHome:
    """What stands in a home. Raises `DecodeError`."""
    if not home.settings.exists() or not validator_key_file(home).exists():
        raise DecodeError("no node of a consortium was set up here yet (tally node init)", str(home.path))
    settings = read_settings(home.settings)
    return MemberHome(home, _signing(read_identity(home), settings), settings, _genesis_of(home))


def _signing(identity: Identity, settings: NodeSettings) -> Identity:
    """The home's own key, or that of the signer that keeps it elsewhere."""
    if settings.signer is None:
        return identity
    address = address_of(from_base64(settings.signer.key, KEY_BYTES, "signer.key")).hex().upper()
    return replace(identity, validator_key=settings.signer.key, validator_address=address)


def _genesis_of(home: Home) -> Genesis | None:
    return read_genesis(home) if home.is_initialised else None
