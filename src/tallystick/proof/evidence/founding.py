"""What the genesis itself put into the state: its rows, the first app hash over them, and what the founders are.

The genesis is the one thing that the verifier's user trusts, so whatever a record says of [0, 0] must be the genesis's.
Rules kept here:
1. The header of height 1 states the app hash over the genesis's own rows (docs/spec/genesis.md,
   "Rows of height 0"; blinds: docs/spec/block.md); that of a successor, the roots that its genesis states.
2. A member, key or currency of the genesis is in the state as the genesis has it: identity, and every state, role,
   permission, signing policy and key of [0, 0]. No other row claims to stand since then.
"""

import datetime
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.genesis import Genesis
from tallystick.proof.evidence.rows import GENESIS, Row
from tallystick.proof.state_proof import (
    FANOUT,
    NO_RECEIPTS,
    app_hash,
    bucket_hash,
    bucket_index,
    empty_hashes,
    inner_hash,
    key_hash,
    value_hash,
)
from tallystick.wire import canonical
from tallystick.wire.errors import DecodeError
from tallystick.wire.ids import record_id
from tallystick.wire.instants import DAY_MS, MINUTE_MS, Instant

BLIND_TAG = b"tallystick-blind-v1\n"
ENTROPY_TAG = b"entropy"
_START: list[Any] = [0, 0]
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_KEY_ROLES = ("maker", "checker", "admin")
_IDENTITY = ("identifier", "identifier_kind")
_SINCE_THEN = ("states", "roles", "permissions", "policies")


def check_first_app_hash(genesis: Genesis, stated: bytes) -> None:
    """The first header states the state that the genesis makes, or takes over. Raises NotProven."""
    if first_app_hash(genesis) != stated:
        what = "its app hash is not that of the state that the genesis begins with"
        raise NotProven("genesis", what, f"block {genesis.first_height}")


def first_app_hash(genesis: Genesis) -> bytes:
    """The app hash over the rows of height 0, before any receipt; or that of the state taken from a predecessor."""
    if genesis.predecessor is not None:
        return app_hash(genesis.predecessor.state_root, genesis.predecessor.receipts_root)
    seed = genesis.hash
    leaves: list[tuple[bytes, bytes]] = []
    for key, value in initial_rows(genesis).items():
        blind = sha256(BLIND_TAG + seed + bytes(8) + key.encode()).digest()
        leaves.append((key_hash(key), value_hash(blind, canonical.encode(value))))
    return app_hash(state_root(leaves, genesis.tree_depth), NO_RECEIPTS)


def state_root(leaves: Iterable[tuple[bytes, bytes]], depth: int) -> bytes:
    """The root of a state tree that holds these key and value hashes (docs/spec/state-tree.md)."""
    listings: dict[int, list[bytes]] = {}
    for key, value in sorted(leaves):
        listings.setdefault(bucket_index(key, depth), []).append(key + value)
    nodes = {index: bucket_hash(b"".join(entries)) for index, entries in listings.items()}
    empty = empty_hashes(depth)
    for level in range(depth, 0, -1):
        above: dict[int, bytes] = {}
        for node in sorted({index // FANOUT for index in nodes}):
            children = (nodes.get(node * FANOUT + child, empty[level]) for child in range(FANOUT))
            above[node] = inner_hash(b"".join(children))
        nodes = above
    return nodes.get(0, empty[0])


def initial_rows(genesis: Genesis) -> dict[str, dict[str, Any]]:
    """The rows of height 0 by key, the ledger's entropy row among them. Raises DecodeError."""
    try:
        return {f"{table}/{row['id']}": row for table, row in _rows(genesis)}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DecodeError(f"its rows can't be made ({type(error).__name__} {error})", "genesis") from None


def _rows(genesis: Genesis) -> Iterator[tuple[str, dict[str, Any]]]:
    said = genesis.said
    start = _first_day(said)
    yield "zone", {"id": "chain", "name": said["zone"]["name"], "transitions": said["zone"]["transitions"]}
    yield "policies", {"id": "chain", "versions": [{"from_on": start, "values": said.get("policies", {})}]}
    yield "protocol", {"id": "chain", "versions": [{"version": 1, "from_height": 0}]}
    yield "validators", {"id": "chain", "engine": said["engine"], "validators": said["validators"]}
    packs = said.get("packs", [])
    yield "law", _without_empty({"id": "chain", "adoptions": [_adoption(pack) for pack in packs]})
    if genesis.is_sandbox:
        yield "clock", {"id": "chain"}
    for one in said["currencies"]:
        yield "currency", {"id": one["currency"], "minor_digits": one["minor_digits"], "from_on": start}
    for one in said.get("calendars", []):
        yield "calendar", _calendar_year(one)
    for pack in packs:
        yield "law_pack", {"id": pack["version"], "rules": pack["rules"], "source": pack["source"]}
    for one in said.get("reference_rates", []):
        kept = {name: one[name] for name in ("values", "known_until_on", "source")}
        yield "reference_rate", {"id": one["rate"], **kept}
    for one in said["members"]:
        row = _member(genesis.chain_id, one)
        yield "member", row
        for offer in one["keys"]:
            yield "key", {"id": offer["key"], "member": row["id"], "role": offer["role"], "since": _START}
    yield "entropy", {"id": "chain", "value": sha256(ENTROPY_TAG + genesis.hash).hexdigest()}


def _first_day(said: dict[str, Any]) -> str:
    """The business day of the genesis's time."""
    time = int(Instant.parse(said["time"]))
    offset = 0
    for number, one in enumerate(said["zone"]["transitions"]):
        if number == 0 or int(Instant.parse(one["at"])) <= time:
            hours, minutes = one["offset"][1:].split(":")
            offset = (int(hours) * 60 + int(minutes)) * MINUTE_MS * (-1 if one["offset"][0] == "-" else 1)
    return datetime.date.fromordinal((time + offset) // DAY_MS + _EPOCH_DAY).isoformat()


def _adoption(pack: dict[str, Any]) -> dict[str, Any]:
    names = ("jurisdiction", "version", "from_on", "currencies")
    return {name: pack[name] for name in names if name in pack}


def _calendar_year(one: dict[str, Any]) -> dict[str, Any]:
    published = one["published"]
    version = {name: published[name] for name in ("days_off", "days_on") if name in published}
    from_on = f"{published['year']:04d}-01-01"
    return {"id": str(published["year"]), "versions": [{**version, "from_on": from_on, "source": one["source"]}]}


def _member(chain_id: str, one: dict[str, Any]) -> dict[str, Any]:
    count = {role: sum(offer["role"] == role for offer in one["keys"]) for role in _KEY_ROLES}
    as_they_are = ("legal_name", "identifier", "identifier_kind", "size_class", "licences", "papers", "papers_until_on")
    policy = one.get("signing_policy")
    return {
        "id": record_id("mbr", chain_id, "genesis", f"{one['identifier_kind']}/{one['identifier']}", 0),
        **{name: one[name] for name in as_they_are if name in one},
        "states": [{"state": "admitted", "since": _START}],
        **_without_empty(
            {
                "roles": [{"role": role, "since": _START} for role in one.get("roles", [])],
                "permissions": [{"permission": held, "since": _START} for held in one.get("permissions", [])],
                "policies": [{"rules": policy, "since": _START}] if policy else [],
            }
        ),
        **{f"{role}_keys": number for role, number in count.items() if number},
    }


def _without_empty(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value != []}


def check_founders(genesis: Genesis, records: dict[str, Any]) -> None:
    """Every proven record says of [0, 0] what the genesis says, no more and no less. Raises NotProven."""
    founding = initial_rows(genesis)
    for key, value in records.items():
        if isinstance(value, dict):
            _check_founder(key, Row(value, f"record {key}"), founding.get(key))


def _check_founder(key: str, row: Row, founding: dict[str, Any] | None) -> None:
    table = key.partition("/")[0]
    if table == "member":
        before = Row(founding or {}, row.where)
        for name in _SINCE_THEN:
            if _since_genesis(row, name) != _since_genesis(before, name):
                raise NotProven("genesis", f"its {name} of the beginning are not those of the genesis", row.where)
        if founding is not None and any(row.get(name) != founding[name] for name in _IDENTITY):
            raise NotProven("genesis", "it is not the founder that the genesis names", row.where)
    elif table == "key" and (row.place("since") == GENESIS or founding is not None):
        said = founding or {}
        if any(row.get(name) != said.get(name) for name in ("member", "role", "since")):
            raise NotProven("genesis", "it is no key of the genesis", row.where)
    elif table == "currency" and founding is not None and row.value != founding:
        raise NotProven("genesis", "it is not the currency that the genesis names", row.where)


def _since_genesis(row: Row, name: str) -> list[Any]:
    """What a member has had since [0, 0], whether or not it ended later."""
    found = (entry for entry in row.rows(name) if entry.place("since") == GENESIS)
    return [{field: value for field, value in entry.value.items() if field != "until"} for entry in found]
