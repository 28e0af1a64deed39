"""`tally validator list`: who signs the chain's blocks, and who was caught breaking the consensus."""

from tallystick.cli.context import NO_OPTIONS, Common, desk
from tallystick.cli.output import table


def list_validators(*, common: Common = NO_OPTIONS) -> None:
    """List the validators: name, since which block, key, and every misbehaviour that the ledger recorded.

    One that the governors removed after it was caught stays in the list, without a key.
    """
    from tallystick.node.validators import validators

    with desk(common, reading=True) as at:
        found = validators(at.session.engine)
        at.output.data(
            [
                {
                    "name": one.name,
                    "address": one.address,
                    "key": one.key or None,
                    "since": one.since if one.is_validator else None,
                    "equivocations": [
                        {"kind": report.kind, "height": report.at_height, "at": str(report.at)}
                        for report in one.equivocations
                    ],
                }
                for one in found
            ]
        )
        rows = table("validator", "since", "key", "caught", keep=("key",))
        for one in found:
            since = f"block {one.since}" if one.since else "genesis"
            caught = "\n".join(
                f"{report.kind.replace('_', ' ')} at block {report.at_height}, {at.time(report.at)}"
                for report in one.equivocations
            )
            rows.add_row(one.name or one.address, since if one.is_validator else "removed", one.key, caught or "never")
        at.output.show(rows)
