"""`tally fsck`: replay the ledger from its genesis and name the first thing that does not hold."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Stop
from tallystick.cli.output import Exit
from tallystick.cli.progress import progress


def fsck(
    *,
    ledger: Annotated[
        Path | None, Parameter(metavar="DIR", help="Another ledger of the same genesis, as a backup. Else the home's.")
    ] = None,
    scratch: Annotated[
        Path | None,
        Parameter(metavar="DIR", help="Where the replica is built, and an interrupted check goes on. [HOME/fsck]"),
    ] = None,
    common: Common = NO_OPTIONS,
) -> None:
    """Replay the whole ledger from its genesis and compare every header, result and row with what is kept.

    A ledger that came by state sync is replayed from the oldest snapshot of the home on.

    The node must be stopped. The replica needs about as much room as the ledger without its blocks, and is removed at
    the end. Exit code 4 where something does not hold.
    """
    from tallystick.node.replaying import replay_ledger

    home, output = common.find_home(), common.output
    found = replay_ledger(
        home, ledger or home.ledger, scratch or home.path / "fsck", lambda what, steps: progress(output, what, steps)
    )
    fault, snapshot = found.fault, found.snapshot
    output.data(
        {
            "height": found.height,
            "blocks": found.blocks,
            "from_snapshot": None if snapshot is None else {"height": snapshot.height, "digest": snapshot.digest},
            "unattested": found.unattested,
            "short_of_votes": list(found.short_of_votes),
            "holds": fault is None,
            "fault": None if fault is None else {"height": fault.height, "where": fault.where, "what": fault.what},
        }
    )
    if fault is None and found.unattested:
        output.note(
            f"the newest {found.unattested:,} have no header here yet: this node was stopped before it fetched them"
        )
    if fault is None and found.short_of_votes:
        heights = ", ".join(f"{height:,}" for height in found.short_of_votes[:20])
        output.note(
            f"{len(found.short_of_votes):,} of them ({heights}) have too few votes here that every verifier takes; the"
            " header after each names it"
        )
    if fault is None and snapshot is not None:
        output.show(
            f"all blocks from {snapshot.height + 1:,} to {found.height:,} and every row that follows from them and from"
            f" the snapshot of height {snapshot.height:,} hold ({found.blocks:,} replayed now). Its receipts are as"
            f" true as whoever stands for its digest, {snapshot.digest}"
        )
        return
    if fault is None:
        output.show(
            f"all {found.height:,} blocks and every row that follows from them hold ({found.blocks:,} replayed now)"
        )
        return
    output.problem(f"at height {fault.height}: {fault}")
    raise Stop(Exit.DAMAGED)
