"""From a closed embedded ledger to a consortium on one machine that goes on with it.

It takes two runs, because the chain is closed in between: the first makes the members' homes and keys, the governors
then close the old chain and name those keys (`chain.close`), and the second hands every home what it begins with.
"""

from pathlib import Path

from tallystick.kernel.genesis import Genesis
from tallystick.node import growth
from tallystick.node.cometbft.settings import NodeSettings
from tallystick.node.composition import open_reading, read_genesis
from tallystick.node.consortium.founding import members_of, settle
from tallystick.node.consortium.member_home import MemberHome
from tallystick.node.genesis_file import USUAL_MEMBERS
from tallystick.node.home import Home

CLOSED = "closed/chain"


def prepare_homes(directory: Path, members: int | None, ports: list[int]) -> list[MemberHome]:
    """The members' homes, with keys; those that stand are left as they are. Raises `DecodeError`."""
    if not any(directory.glob("*/node.toml")):
        names = [f"member-{number}" for number in range(1, (members or USUAL_MEMBERS) + 1)]
        settle({name: Home(directory / name) for name in names}, ports, NodeSettings())
    return members_of(directory)


def is_closed(former: Home) -> bool:
    """Whether the governors have closed the chain of this home. Raises `DecodeError`."""
    engine = open_reading(former, read_genesis(former))
    try:
        return engine.query(CLOSED).record is not None
    finally:
        engine.close()


def succeed(directory: Path, former: Home) -> Genesis:
    """Give every home the successor's genesis and its ledger, with the old blocks. May be run again.

    Raises `DecodeError`.
    """
    members = members_of(directory)
    if not Home(directory).is_initialised:
        growth.prepare(former, directory, {one.identity.validator_key: one.settings.moniker for one in members})
    for member in members:
        if not member.home.is_initialised:
            growth.hand_out(directory, member.home)
        if not member.home.ledger.exists():
            growth.begin(member.home, former.ledger)
    return read_genesis(Home(directory))
