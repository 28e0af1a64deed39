"""`tally chain init`: create a chain from a genesis file."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common
from tallystick.cli.output import pairs, table
from tallystick.wire.errors import DecodeError


def init(
    *,
    genesis: Annotated[Path, Parameter(help="The genesis file (TOML; docs/cli.md describes it).", metavar="FILE")],
    common: Common = NO_OPTIONS,
) -> None:
    """Create a chain: its genesis, the node's key, and the keys that the genesis file asks for.

    Run it again if it was interrupted. The keys are encrypted under one passphrase, which is asked for.
    """
    from tallystick.kernel.genesis import member_id
    from tallystick.node.composition import create_chain
    from tallystick.node.genesis_file import GenesisFile
    from tallystick.node.home import new_home
    from tallystick.node.session import open_home

    home = new_home(common.home)
    try:
        text = genesis.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise DecodeError(f"can't be read: {why}", str(genesis)) from None
    passphrases = common.passphrases(home, confirm=True)
    made = create_chain(home, GenesisFile(text, str(genesis)), passphrases)
    with open_home(home.path, passphrases) as session:
        chain_id = session.engine.chain_id
    members = [(member_id(chain_id, one), one) for one in made.members]
    common.output.data(
        {
            "chain_id": chain_id,
            "home": str(home.path),
            "genesis": str(home.genesis),
            "members": [{"id": name, "legal_name": one.legal_name} for name, one in members],
        }
    )
    common.output.show(pairs([("chain", chain_id), ("home", str(home.path)), ("genesis", str(home.genesis))]))
    rows = table("member", "id", "roles", keep=("id",))
    for name, one in members:
        rows.add_row(one.legal_name, name, ", ".join(role.value for role in one.roles))
    common.output.show(rows)
