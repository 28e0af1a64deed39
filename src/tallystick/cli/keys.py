"""`tally key new | list | show`: the keys on this machine."""

from typing import Annotated

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common
from tallystick.cli.output import pairs, table


def new(
    organisation: Annotated[
        str, Parameter(help="A folder name for the organisation, like harbour-mill.", metavar="FOLDER")
    ],
    /,
    *,
    name: Annotated[str, Parameter(help="What the key is called here.")] = "admin",
    common: Common = NO_OPTIONS,
) -> None:
    """Make a key on this machine, encrypted under a passphrase.

    The key signs nothing until it stands on the ledger: in a genesis, by `tally member apply`, or by `tally key add`.
    """
    from tallystick.node.home import new_home
    from tallystick.node.key_store import check_name, create_key

    home = new_home(common.home)
    check_name(organisation, "FOLDER")
    check_name(name, "--name")
    passphrases = common.passphrases(home, confirm=True)
    path = home.keys / organisation / f"{name}.key"
    stored, _ = create_key(path, organisation, name, passphrases.choose(f"{organisation}/{name}"))
    common.output.data({"organisation": organisation, "name": name, "public": stored.public, "file": str(path)})
    common.output.show(pairs([("key", f"{organisation}/{name}"), ("public", stored.public), ("file", str(path))]))


def list_keys(*, common: Common = NO_OPTIONS) -> None:
    """List the keys on this machine. No passphrase is needed."""
    from tallystick.node.key_store import stored_keys

    keys = list(stored_keys(common.find_home().keys))
    common.output.data(
        [{"organisation": k.organisation, "name": k.name, "public": k.public, "file": str(k.path)} for k in keys]
    )
    rows = table("organisation", "key", "public", keep=("public",))
    for key in keys:
        rows.add_row(key.organisation, key.name, key.public)
    common.output.show(rows if keys else "no keys here yet (tally key new FOLDER)")


def show(
    key: Annotated[str, Parameter(help="FOLDER/NAME of a key kept here, or its public half.", metavar="KEY")],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> None:
    """Show one key and what it is on the ledger. Opens the ledger."""
    from tallystick.cli.context import desk
    from tallystick.kernel.membership.records import SigningKey
    from tallystick.wire.errors import DecodeError

    with desk(common, reading=True) as at:
        stored = next((k for k in at.session.keys if key in (k.public, f"{k.organisation}/{k.name}")), None)
        public = key if stored is None else stored.public
        row = at.session.state.find(f"key/{public}")
        if stored is None and row is None:
            raise DecodeError("there is no such key, here or on the ledger", key[:80])
        shown = [("public", public)]
        if stored is not None:
            shown += [("kept here as", f"{stored.organisation}/{stored.name}"), ("file", str(stored.path))]
        if isinstance(row, SigningKey):
            shown += [
                ("signs for", at.name(row.member)),
                ("role", row.role.value),
                ("since", f"block {row.since.height}"),
                ("until", "-" if row.until is None else f"block {row.until.height} (revoked)"),
            ]
        else:
            shown.append(("signs for", "nobody on the ledger yet"))
        at.output.data(dict(shown))
        at.output.show(pairs(shown))
