"""`tally chain init`: create a chain from a genesis file."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common
from tallystick.cli.output import pairs, table


def init(
    *,
    genesis: Annotated[Path, Parameter(help="The genesis file (TOML; docs/cli.md describes it).", metavar="FILE")],
    common: Common = NO_OPTIONS,
) -> None:
    """Create a chain: its genesis, the keys that the genesis file asks for, and the node's key.

    For a consortium (engine = "consortium"), whose nodes have their keys already: every member takes the genesis.json
    that this writes, and joins (`tally node init --join`).

    Run it again if it was interrupted. The keys are encrypted under one passphrase, which is asked for.
    """
    from tallystick.kernel.genesis import member_id
    from tallystick.kernel.governance.records import Engine
    from tallystick.node.composition import create_chain
    from tallystick.node.genesis_file import read_genesis_file
    from tallystick.node.home import new_home
    from tallystick.node.session import open_home

    home = new_home(common.home)
    file = read_genesis_file(genesis)
    passphrases = common.passphrases(home, confirm=True)
    made = create_chain(home, file, passphrases)
    chain_id = made.chain_id
    if made.engine is Engine.EMBEDDED:
        open_home(home.path, passphrases).close()  # writes its first rows
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
    if made.engine is Engine.CONSORTIUM and not common.json:
        common.output.note(
            f"give {home.genesis} to every member; each joins by: tally node init --join genesis.json --peer ..."
        )
