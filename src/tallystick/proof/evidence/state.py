"""That records stand, or do not stand, in the state at the bundle's height, whose app hash the next header attests."""

from tallystick.proof.evidence.blocks import Headers
from tallystick.proof.evidence.bundle import Bundle, Json
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.inclusion import check_roots
from tallystick.proof.state_proof import key_hash, value_hash


def prove_records(bundle: Bundle, headers: Headers, tree_depth: int | None) -> dict[str, Json]:
    """The records by key, None where absence is proven. Raises NotProven.

    `tree_depth` comes from the genesis. Without one it is the proof's own: buckets and inner nodes are hashed apart, so
    a proof of another depth would be a collision.
    """
    where = f"state {bundle.height}"
    following = headers.at(bundle.height + 1, where)
    check_roots(bundle.roots, following.app_hash, where)
    asked: dict[bytes, bytes | None] = {
        key_hash(one.key): None if one.value is None else value_hash(one.blind, one.raw) for one in bundle.records
    }
    depth = bundle.proof.depth if tree_depth is None else tree_depth
    if not bundle.proof.holds(state_root=bundle.roots.state, depth=depth, asked=asked):
        raise NotProven("state", "the proof does not show these records under the state root", where)
    found: dict[str, Json] = {}
    for one in bundle.records:
        if one.value is not None and not _stands_under(one.value, one.key):
            raise NotProven("state", "the record is not the one that its key names", f"record {one.key}")
        found[one.key] = one.value
    return found


def _stands_under(value: Json, key: str) -> bool:
    """A record's own id is its key's, after the table's name."""
    return isinstance(value, dict) and value.get("id") == key.partition("/")[2]
