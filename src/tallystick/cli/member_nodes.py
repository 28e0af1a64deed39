"""`tally node init | id`: a consortium member's node on a machine of its own."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common
from tallystick.cli.output import Output, pairs
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from tallystick.node.cometbft.settings import NodeSettings, Signer, StateSync
    from tallystick.node.consortium.member_home import MemberHome

_TRUSTED = re.compile(r"([1-9][0-9]{0,15}):([0-9A-Fa-f]{64})", re.ASCII)
_Address = Annotated[str, Parameter(metavar="HOST:PORT", show_default=False)]


@Parameter(name="*")
@dataclass(frozen=True)
class NodeOptions:
    """What may be set of node.toml from the command line; what is not given stays."""

    name: Annotated[
        str, Parameter(show_default=False, help="What the others see it called, as the genesis file does.")
    ] = ""
    peer: Annotated[
        tuple[str, ...],
        Parameter(
            metavar="ID@HOST:PORT",
            negative="",
            show_default=False,
            help="Another member's node (its `tally node id`); once for each.",
        ),
    ] = ()
    listen: Annotated[_Address, Parameter(help="Where the other members reach it. Else 0.0.0.0:26656.")] = ""
    external: Annotated[_Address, Parameter(help="What they dial, where that differs.")] = ""
    rpc: Annotated[_Address, Parameter(help="CometBFT's RPC, for this machine alone. Else 127.0.0.1:26657.")] = ""
    one_machine: Annotated[
        bool, Parameter(negative="", show_default=False, help="Several members are on this machine, to try it.")
    ] = False
    state_sync: Annotated[
        str,
        Parameter(metavar="RPC,RPC", show_default=False, help="Begin from a snapshot: two members' RPC, as HOST:PORT."),
    ] = ""
    trust: Annotated[
        str,
        Parameter(
            metavar="HEIGHT:HASH",
            show_default=False,
            help="A recent block, as a member that you trust tells you: `tally node status` there.",
        ),
    ] = ""
    signer: Annotated[
        str,
        Parameter(
            metavar="HOST:PORT=KEY", show_default=False, help="A remote signer: where it reports, and its public key."
        ),
    ] = ""

    def applied(self, settings: "NodeSettings") -> "NodeSettings":
        """The settings with what was given. Raises `DecodeError`."""
        from msgspec.structs import replace

        peers = replace(
            settings.peers,
            listen=self.listen or settings.peers.listen,
            external=self.external or settings.peers.external,
            persistent=self.peer or settings.peers.persistent,
            one_machine=self.one_machine or settings.peers.one_machine,
        )
        return replace(
            settings,
            moniker=self.name or settings.moniker,
            peers=peers,
            rpc=replace(settings.rpc, listen=self.rpc or settings.rpc.listen),
            state_sync=_state_sync(self.state_sync, self.trust) or settings.state_sync,
            signer=_signer(self.signer) or settings.signer,
        )


NOTHING_SET = NodeOptions()


def init(
    *,
    join: Annotated[
        Path | None, Parameter(metavar="GENESIS", help="The chain's genesis.json, to join it.", show_default=False)
    ] = None,
    node: NodeOptions = NOTHING_SET,
    blocks: Annotated[
        Path | None,
        Parameter(
            metavar="DIR", help="Joining a closed chain's successor: its ledger or a backup, for the old blocks."
        ),
    ] = None,
    common: Common = NO_OPTIONS,
) -> None:
    """Set up a consortium member's node: its keys and settings; with --join it joins a chain.

    Before there is a chain: its validator's key, printed here, goes into the genesis file. Afterwards, --join takes the
    genesis. Whose key is not in it takes part without a vote, until the governors add it (`tally validator add`). Run
    it again to change what is given; keys that stand stay.
    """
    from tallystick.node.consortium.member_home import join as join_chain
    from tallystick.node.consortium.member_home import prepare
    from tallystick.node.home import new_home

    home = new_home(common.home)
    if blocks is not None and node.state_sync:
        raise DecodeError("a snapshot takes the place of the whole ledger: join from the beginning instead", "--blocks")
    if join is not None:
        show_member(common.output, join_chain(home, join, node.applied, blocks))
        return
    if blocks is not None:
        raise DecodeError("there are blocks to carry over only where a chain is joined (--join)", "--blocks")
    show_member(common.output, prepare(home, node.applied))


def show_id(
    *,
    only: Annotated[
        Literal["peer", "validator-key"] | None, Parameter(show_default=False, help="Print this alone, for scripts.")
    ] = None,
    common: Common = NO_OPTIONS,
) -> None:
    """Print what the other members need to know of this node: its id and address, and its validator's key."""
    from tallystick.node.consortium.member_home import read_member_home

    member = read_member_home(common.find_home())
    if only is None:
        show_member(common.output, member)
        return
    value = member.peer if only == "peer" else member.identity.validator_key
    common.output.data(value)
    if not common.json:
        common.output.console.print(value, soft_wrap=True, markup=False)


def show_member(output: Output, member: "MemberHome") -> None:
    """The node's own lines, and what to do with them."""
    genesis, key = member.genesis, member.identity.validator_key
    output.data(
        {
            "home": str(member.home.path),
            "name": member.settings.moniker,
            "node_id": member.identity.node_id,
            "peer": member.peer,
            "validator_key": key,
            "validator_address": member.identity.validator_address,
            "chain_id": None if genesis is None else genesis.chain_id,
            "founding_validator": member.is_founding_validator,
        }
    )
    rows = [
        ("home", str(member.home.path)),
        ("chain", "none yet" if genesis is None else genesis.chain_id),
        ("node", member.settings.moniker),
        ("peer", member.peer),
        ("validator key", key),
        ("address", member.identity.validator_address),
    ]
    output.show(pairs(rows))
    if output.as_json:
        return
    if not member.settings.peers.external and member.address.startswith("0.0.0.0:"):
        output.note("peer: put the host that the others reach in the place of 0.0.0.0, or set it: --external HOST:PORT")
    if genesis is None:
        output.note("for whoever assembles the genesis file:")
        output.console.print(f'\n[[validators]]\nname = "{member.settings.moniker}"\nkey = "{key}"', markup=False)
    elif member.is_founding_validator:
        output.note("a validator since the genesis; `tally node run` starts it")
    else:
        output.note(
            "not among the genesis's validators: it follows the chain without a vote, until the governors add it:\n"
            f"tally validator add {member.settings.moniker} --key {key} --as GOVERNOR"
        )


def _signer(text: str) -> "Signer | None":
    from tallystick.node.cometbft.settings import Signer

    if not text:
        return None
    listen, _, key = text.partition("=")
    return Signer(listen=listen, key=key)


def _state_sync(servers: str, trust: str) -> "StateSync | None":
    from tallystick.node.cometbft.settings import StateSync

    if not servers and not trust:
        return None
    found = _TRUSTED.fullmatch(trust)
    if not servers or found is None:
        raise DecodeError("a snapshot needs both: --state-sync HOST:PORT,HOST:PORT and --trust HEIGHT:HASH", "--trust")
    return StateSync(rpc_servers=tuple(servers.split(",")), trust_height=int(found[1]), trust_hash=found[2])
