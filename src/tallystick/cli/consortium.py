"""`tally consortium init | up | status | down`: a whole consortium on one machine, to try it and to test."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Stop
from tallystick.cli.output import Exit, Output, pairs, table
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from rich.table import Table

    from tallystick.node.consortium.watching import MemberState
    from tallystick.node.home import Home

app = App(name="consortium", help="A whole consortium on this machine: init, up, status, down.")

FOLLOW_SECONDS = 1.0
HASH_SHOWN = 16

Directory = Annotated[Path, Parameter(metavar="DIR", help="Where its members' homes are.")]


@app.command
def init(
    directory: Directory,
    /,
    *,
    genesis: Annotated[
        Path | None, Parameter(help="The genesis file (TOML; docs/cli.md describes it).", metavar="FILE")
    ] = None,
    from_embedded: Annotated[
        Path | None, Parameter(help="The home of an embedded ledger, to go on with it.", metavar="HOME")
    ] = None,
    members: Annotated[
        int | None, Parameter(show_default=False, help="How many nodes, where the file names none. Else 4.")
    ] = None,
    base_port: Annotated[
        int | None, Parameter(show_default=False, help="The first of two ports a node. Else the first free from 26656.")
    ] = None,
    common: Common = NO_OPTIONS,
) -> None:
    """Found a consortium on this machine: a home for each node, its keys, and one genesis.

    Each organisation's keys are in one home: that of the node that the genesis file names for it (node = "..."), else
    the nodes in turn. All keys are encrypted under one passphrase, which is asked for. Run it again if it was
    interrupted.

    With --from-embedded it goes on with a ledger that its governors close. Run it twice: it makes the homes and prints
    the command that closes the chain; after that it hands every home the state and the blocks. Where the chain is
    closed already, for members on machines of their own, it writes what each of them joins with.
    """
    from tallystick.node.consortium.founding import Plan, found, free_ports
    from tallystick.node.genesis_file import read_genesis_file
    from tallystick.node.home import Home

    if from_embedded is not None and genesis is None:
        _succeed(directory, Home(from_embedded), members, base_port, common)
        return
    if genesis is None or from_embedded is not None:
        raise DecodeError("either the genesis file of a new chain or the home of one to go on with", "--genesis")
    file = read_genesis_file(genesis).on_one_machine(members)
    plan = Plan(file, free_ports(len(file.validators), base_port))
    made = found(directory, plan, common.passphrases(Home(directory), confirm=True))
    _tell_founded(directory, made.chain_id, file.custody(), common)


def _succeed(directory: Path, former: "Home", members: int | None, base_port: int | None, common: Common) -> None:
    from tallystick.node.consortium.founding import free_ports
    from tallystick.node.consortium.succeeding import is_closed, prepare_homes, succeed
    from tallystick.node.genesis_file import USUAL_MEMBERS
    from tallystick.node.growth import prepare

    if is_closed(former) and not any(directory.glob("*/node.toml")):
        made = prepare(former, directory, {})
        common.output.data({"chain_id": made.chain_id, "genesis": str(directory / "genesis.json"), "nodes": []})
        common.output.show(pairs([("chain", made.chain_id), ("genesis", str(directory / "genesis.json"))]))
        common.output.note(f"give {directory} to every member named by chain.close; each joins by its genesis.json")
        return
    homes = prepare_homes(directory, members, free_ports(members or USUAL_MEMBERS, base_port))
    if is_closed(former):
        _tell_founded(directory, succeed(directory, former).chain_id, {}, common)
        common.output.note(f"the organisations' keys are still in {former.keys}: move each into the home it works in")
        return
    keys = [one.identity.validator_key for one in homes]
    common.output.data({"closed": False, "validator_keys": keys})
    if not common.json:
        common.output.note("the homes stand. Now the governors close the chain, and then this is run again:")
        words = " ".join(f"--validators {key}" for key in keys)
        common.output.show(f"tally chain close --home {former.path} --as GOVERNOR --successor NEW-CHAIN-ID {words}")


def _tell_founded(directory: Path, chain_id: str, kept: "dict[str, str]", common: Common) -> None:
    from tallystick.node.consortium.founding import members_of

    homes = members_of(directory)
    common.output.data(
        {
            "chain_id": chain_id,
            "genesis": str(directory / "genesis.json"),
            "nodes": [
                {
                    "name": one.settings.moniker,
                    "home": str(one.home.path),
                    "peer": one.peer,
                    "rpc": one.settings.rpc_address,
                    "validator_key": one.identity.validator_key,
                    "keys_of": [folder for folder, node in kept.items() if node == one.settings.moniker],
                }
                for one in homes
            ],
        }
    )
    common.output.show(pairs([("chain", chain_id), ("genesis", str(directory / "genesis.json"))]))
    rows = table("node", "home", "ports", *(["keeps the keys of"] if kept else []), keep=("node", "ports"))
    for one in homes:
        settings = one.settings
        ports = " ".join(address.rpartition(":")[2] for address in (settings.peers.listen, settings.rpc.listen))
        own = ", ".join(folder for folder, node in kept.items() if node == settings.moniker)
        rows.add_row(settings.moniker, str(one.home.path), ports, *([own or "-"] if kept else []))
    common.output.show(rows)
    if not common.json:
        common.output.note(f"tally consortium up {directory} starts it")


@app.command
def up(directory: Directory, /, *, common: Common = NO_OPTIONS) -> None:
    """Start every node that does not run yet, as a process that stays, and wait until each answers."""
    from tallystick.node.consortium.founding import members_of
    from tallystick.node.consortium.processes import up as start

    members = members_of(directory)
    started = [member.settings.moniker for member in start(members, common.output.note)]
    if not common.json:
        common.output.note(f"started: {', '.join(started)}" if started else "all of them are running already")
    _show(directory, common)


@app.command
def status(
    directory: Directory,
    /,
    *,
    follow: Annotated[bool, Parameter(negative="", show_default=False, help="Go on until Ctrl-C.")] = False,
    common: Common = NO_OPTIONS,
) -> None:
    """How every node is: height, app hash, peers, what is wrong. Exit code 3 where one does not take transactions.

    With --follow and --json, one JSON value a line and second.
    """
    if not follow:
        if not all(state.is_well for state in _show(directory, common)):
            raise Stop(Exit.UNKNOWN)
        return
    _follow(directory, common)


@app.command
def down(directory: Directory, /, *, common: Common = NO_OPTIONS) -> None:
    """End the nodes that `tally consortium up` started: each finishes its block; one that does not end is killed."""
    from tallystick.node.composition import node_answers
    from tallystick.node.consortium.founding import members_of
    from tallystick.node.consortium.processes import down as stop

    members = members_of(directory)
    stopped = [member.settings.moniker for member in stop(members, common.output.note)]
    others = [member.settings.moniker for member in members if node_answers(member.home)]
    common.output.data({"stopped": stopped, "still_running": others})
    common.output.show(f"stopped: {', '.join(stopped)}" if stopped else "none of them was running")
    if others:
        raise DecodeError(f"started otherwise, and left alone: {', '.join(others)}", str(directory))


def _show(directory: Path, common: Common) -> "list[MemberState]":
    from tallystick.node.consortium.founding import members_of
    from tallystick.node.consortium.watching import watching

    with watching(members_of(directory)) as watch:
        states = watch.look()
    common.output.data([_plain(state) for state in states])
    common.output.show(state_table(states))
    return states


def _follow(directory: Path, common: Common) -> None:
    from tallystick.node.consortium.founding import members_of
    from tallystick.node.consortium.watching import watching

    output: Output = common.output
    with watching(members_of(directory)) as watch:
        if not output.console.is_terminal or output.as_json:
            while True:
                states = watch.look()
                output.line([_plain(state) for state in states])
                output.show(*map(state_line, states))
                time.sleep(FOLLOW_SECONDS)
        from rich.live import Live

        with Live(state_table(watch.look()), console=output.console, auto_refresh=False) as live:
            while True:
                time.sleep(FOLLOW_SECONDS)
                live.update(state_table(watch.look()), refresh=True)


def state_table(states: "list[MemberState]") -> "Table":
    """How every node is, side by side."""
    rows = table("node", "block", "app hash", "peers", "state", "CometBFT", "problem", right=("block", "peers"))
    for state in states:
        health, comet = state.health, state.comet
        rows.add_row(
            state.name,
            f"{health.height:,}" if health else "-",
            health.app_hash.hex()[:HASH_SHOWN] if health else "-",
            str(comet.peers) if comet else "-",
            _word(state),
            comet.version if comet else "-",
            state.problem or "none",
        )
    return rows


def state_line(state: "MemberState") -> str:
    """The same of one node, on one line."""
    if state.health is None:
        return f"{state.name}  down  {state.problem}"
    peers = state.comet.peers if state.comet else "-"
    app_hash = state.health.app_hash.hex()[:HASH_SHOWN]
    return f"{state.name}  block {state.health.height}  {app_hash}  {peers} peers  {state.problem or _word(state)}"


def _word(state: "MemberState") -> str:
    if state.health is None:
        return "down"
    if state.comet is None:
        return "without CometBFT"
    if state.comet.is_catching_up:
        return "catching up"
    return "validator" if state.comet.is_validator else "no vote"


def _plain(state: "MemberState") -> dict[str, object]:
    health, comet = state.health, state.comet
    return {
        "name": state.name,
        "running": health is not None,
        "height": health.height if health else None,
        "app_hash": health.app_hash.hex() if health else None,
        "header_time": str(health.time) if health else None,
        "peers": comet.peers if comet else None,
        "catching_up": comet.is_catching_up if comet else None,
        "validator": comet.is_validator if comet else None,
        "in_mempool": comet.waiting if comet else None,
        "cometbft": comet.version if comet else None,
        "problem": state.problem,
    }
