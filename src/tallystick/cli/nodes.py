"""`tally node init | id | run | status | accept-clock | backup | snapshot | restore`: this machine's node."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Desk, Stop, desk
from tallystick.cli.output import Exit, pairs

app = App(name="node", help="This machine's node: init, id, run, status, backup, snapshot, restore.")

TargetDirectory = Annotated[Path, Parameter(metavar="DIR", help="A new directory.")]


app.command("tallystick.cli.member_nodes:init", name="init", help="Set up a consortium member's node, or join.")
app.command("tallystick.cli.member_nodes:show_id", name="id", help="What the other members need to know of this node.")


@app.command
def run(*, common: Common = NO_OPTIONS) -> None:
    """Run the node: keep the ledger open and answer commands on the home's local socket, until Ctrl-C or SIGTERM."""
    from tallystick.node.server import run_node

    home = common.find_home()
    output = common.output

    def started(chain_id: str, height: int) -> None:
        output.line({"event": "started", "chain_id": chain_id, "height": height, "socket": str(home.socket)})
        output.show(f"node of [bold]{chain_id}[/] at block {height}, answering on {home.socket}; Ctrl-C stops it")

    problem = run_node(home, common.passphrases(home), started, output.note)
    if problem:
        output.problem(f"the node stopped: {problem}")
        raise Stop(Exit.DAMAGED)
    output.note("the node has stopped")


@app.command
def status(*, common: Common = NO_OPTIONS) -> None:
    """How the ledger and its node are. Exit code 3 while the node takes no transactions."""
    from tallystick.node.composition import node_answers

    with desk(common, reading=True) as at:
        session = at.session
        running = node_answers(session.home)
        health = session.engine.health()
        problem = "" if session.only_looks else health.problem
        member = _as_member(at, health.height) if session.home.settings.exists() else {}
        at.output.data(
            {
                "chain_id": session.engine.chain_id,
                "height": health.height,
                "header_time": str(health.time),
                "business_time": str(session.now()),
                "app_hash": health.app_hash.hex(),
                "node_running": running,
                "problem": problem,
                "faults": list(health.faults),
                "attested_by": health.attested_by,
                **member,
            }
        )
        at.output.show(
            pairs(
                [
                    ("chain", session.engine.chain_id),
                    ("node", "running" if running else "not running; this command opened the ledger to look"),
                    ("block", f"{health.height:,}"),
                    ("last block", at.time(health.time, seconds=True)),
                    ("business time", at.time(session.now(), seconds=True)),
                    ("app hash", health.app_hash.hex()),
                    ("attested by", health.attested_by),
                    *((name.replace("_", " "), str(value)) for name, value in member.items()),
                    ("problem", problem or "none"),
                    ("faults", "\n".join(health.faults) or "none"),
                ]
            )
        )
        if problem:
            raise Stop(Exit.UNKNOWN)


def _as_member(at: Desk, height: int) -> dict[str, str | int]:
    """What a consortium member's node says besides: its part in it, and the block that a newcomer may trust."""
    from tallystick.node.consortium.member_home import read_member_home
    from tallystick.node.consortium.watching import comet_of, trusted_block

    member = read_member_home(at.session.home)
    said: dict[str, str | int] = {"called": member.settings.moniker, "peer": member.peer}
    comet = comet_of(member)
    if comet is None:
        said["cometbft"] = "not running"
    else:
        part = "catching up" if comet.is_catching_up else "validator" if comet.is_validator else "no vote"
        said |= {"part": part, "peers": comet.peers, "in_mempool": comet.waiting, "cometbft": comet.version}
    said["trust"] = trusted_block(at.session.engine, height) or "no header here yet"
    return said


@app.command
def accept_clock(
    *,
    word: Annotated[str, Parameter(help="Why this machine's clock is right; it is recorded.", metavar="TEXT")],
    common: Common = NO_OPTIONS,
) -> None:
    """Give the operator's recorded word that this machine's clock is right, after it jumped by over 10 minutes."""
    from tallystick.node.server import leave_clock_word

    leave_clock_word(common.find_home(), word)
    common.output.data({"left": True})
    common.output.show("left for the running node, which records it and goes on")


@app.command
def backup(target: TargetDirectory, /, *, common: Common = NO_OPTIONS) -> None:
    """Copy the whole ledger into a new directory while it runs. The copy has every block."""
    with desk(common, reading=True) as at:
        height = at.session.engine.backup(target.resolve())
        at.output.data({"height": height, "target": str(target)})
        at.output.show(f"backed up to {target}, up to block {height}")


@app.command
def snapshot(target: TargetDirectory, /, *, common: Common = NO_OPTIONS) -> None:
    """Write the present state into a new directory, the same bytes on every node."""
    with desk(common, reading=True) as at:
        height = at.session.engine.snapshot(target.resolve())
        at.output.data({"height": height, "target": str(target)})
        at.output.show(f"snapshot of block {height} in {target}")


@app.command
def restore(
    source: Annotated[Path, Parameter(metavar="DIR", help="A backup or a snapshot.")],
    /,
    *,
    blocks: Annotated[
        Path | None, Parameter(metavar="DIR", help="A ledger directory with the complete block log, to catch up from.")
    ] = None,
    new_chain_id: Annotated[
        str, Parameter(metavar="ID", show_default=False, help="Go on under this new chain id, where blocks are lost.")
    ] = "",
    common: Common = NO_OPTIONS,
) -> None:
    """Put a backup or a snapshot in the place of a lost ledger, and make it fit for ordering again.

    A copy never signs a height twice: either it catches up from the complete block log (--blocks), or it goes on under
    a new chain id that names its predecessor (--new-chain-id). Without either it can be read, and nothing is ordered on
    it. A consortium's node needs neither: what is missing comes from the others.
    """
    from tallystick.node.restoring import restore as restored

    home = common.find_home()
    done = restored(home, source, blocks, new_chain_id)
    common.output.data({"height": done.height, "chain_id": done.chain_id, "orders": done.orders})
    common.output.show(
        pairs(
            [
                ("chain", done.chain_id),
                ("block", str(done.height)),
                ("orders", "yes" if done.orders else "no: a copy to read; see --blocks and --new-chain-id"),
            ]
        )
    )
