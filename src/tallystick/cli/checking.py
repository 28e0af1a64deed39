"""`tally check`: what must never happen has not happened, read from the records of the whole ledger."""

from tallystick.cli.context import NO_OPTIONS, Common, Stop, desk
from tallystick.cli.output import Exit, table
from tallystick.cli.progress import progress


def check(*, common: Common = NO_OPTIONS) -> None:
    """Check the whole ledger: parcels, balances, invoices, receipts, the chain of blocks. Stops at the first fault.

    Exit code 4 where something does not hold.
    """
    with desk(common, reading=True) as at:
        results = []
        with progress(at.output, "checking", len(at.session.rules)) as advance:
            for done in at.session.audit():
                results.append(done)
                advance(1)
        fault = next((one for one in results if one.violation is not None), None)
        at.output.data(
            {
                "height": at.session.engine.health().height,
                "holds": fault is None,
                "checks": [{"name": one.name, "looked_at": one.looked_at} for one in results],
                "violation": None if fault is None else str(fault.violation),
            }
        )
        rows = table("what must hold", "looked at", "", right=("looked at",))
        for one in results:
            rows.add_row(
                one.name, f"{one.looked_at:,}", "[green]holds[/]" if one.violation is None else "[red]broken[/]"
            )
        at.output.show(rows)
        if fault is not None:
            at.output.problem(f"{fault.name}: {fault.violation}")
            raise Stop(Exit.DAMAGED)
