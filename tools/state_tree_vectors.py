"""Writes tests/vectors/state_tree.json: `python -m tools.state_tree_vectors`.

It computes the format of docs/spec/state-tree.md in the plainest way, from the whole state each time, and shares no
code with the package: what the two agree on is the format and not one program's habit.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent.parent / "tests" / "vectors" / "state_tree.json"
HEX = "0123456789abcdef"

State = Mapping[str, str]
"""Key hash to value hash, both in hexadecimal."""


def sha256(*parts: bytes) -> str:
    """SHA-256 of the concatenation, in hexadecimal."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def listing(state: State) -> str:
    """The entries of one bucket."""
    return "".join(key + state[key] for key in sorted(state))


@cache
def empty(levels_below: int) -> str:
    """The hash of a subtree without entries, so many levels above the buckets."""
    if levels_below == 0:
        return sha256(b"tallystick-state-bucket-v1\n")
    return sha256(b"tallystick-state-inner-v1\n", bytes.fromhex(empty(levels_below - 1)) * 16)


def node(state: State, depth: int, level: int = 0) -> str:
    """The hash of the node at `level` whose subtree holds exactly `state`."""
    if not state:
        return empty(depth - level)
    if level == depth:
        return sha256(b"tallystick-state-bucket-v1\n", bytes.fromhex(listing(state)))
    children = [node(below(state, level, nibble), depth, level + 1) for nibble in HEX]
    return sha256(b"tallystick-state-inner-v1\n", bytes.fromhex("".join(children)))


def below(state: State, level: int, nibble: str) -> dict[str, str]:
    """The part of `state` under one child of a node at `level`."""
    return {key: value for key, value in state.items() if key[level] == nibble}


def proof(state: State, depth: int, key: str) -> str:
    """The written proof of what stands at `key`."""
    groups: list[str] = []
    for level in range(depth):
        siblings = [node(below(state, level, n), depth, level + 1) for n in HEX if n != key[level]]
        groups.insert(0, "".join(siblings))
        state = below(state, level, key[level])
    return f"01{depth:02x}" + "".join(groups) + listing(state)


def proof_of_many(state: State, depth: int, keys: list[str]) -> str:
    """The written proof of what stands at each of `keys`."""
    paths = [sorted({key[:level] for key in keys}) for level in range(depth + 1)]
    buckets = []
    for path in paths[depth]:
        entries = listing({key: value for key, value in state.items() if key.startswith(path)})
        buckets.append(f"{int(path, 16):06x}{len(entries) // 128:08x}{entries}")
    levels = []
    for level in range(depth - 1, -1, -1):
        text = ""
        for path in paths[level]:
            within = {key: value for key, value in state.items() if key.startswith(path)}
            beside = {
                n: node(below(within, level, n), depth, level + 1) for n in HEX if path + n not in paths[level + 1]
            }
            written = [n for n in HEX if beside.get(n, empty(depth - level - 1)) != empty(depth - level - 1)]
            text += f"{int(''.join('01'[n in written] for n in HEX), 2):04x}" + "".join(beside[n] for n in written)
        levels.append(f"{len(text) // 2:08x}{text}")
    return f"01{depth:02x}{len(buckets):08x}" + "".join(buckets) + "".join(levels)


def link(previous: str, height: int, digest: str) -> str:
    """The receipts root after one more block with receipts."""
    number = height.to_bytes(8, "big")
    return sha256(b"tallystick-receipts-root-v1\n", bytes.fromhex(previous), number, bytes.fromhex(digest))


def tree_vector(depth: int, steps: list[dict[str, str | None]], asked: list[str]) -> dict[str, Any]:
    """A tree through some blocks of changes by key, and the proofs of the keys `asked` at its end."""
    state: dict[str, str] = {}
    blocks = []
    for changes in steps:
        hashed = [(sha256(key.encode()), value and sha256(value.encode())) for key, value in changes.items()]
        for key, value in hashed:
            state.pop(key, None)
            if value is not None:
                state[key] = value
        blocks.append({"changes": hashed, "root": node(state, depth)})
    keys = [sha256(key.encode()) for key in asked]
    proofs = [{"key_hash": k, "value_hash": state.get(k), "proof": proof(state, depth, k)} for k in keys]
    together = {"keys": sorted(keys), "proof": proof_of_many(state, depth, keys)}
    return {"depth": depth, "blocks": blocks, "proofs": proofs, "proof_of_many": together}


def vectors() -> dict[str, Any]:
    """The whole file."""
    many: dict[str, str | None] = {f"key/{n}": f"value/{n}" for n in range(40)}
    fewer: dict[str, str | None] = {f"key/{n}": None if n % 3 else "changed" for n in range(0, 40, 2)}
    none: dict[str, str | None] = dict.fromkeys(many)
    blind, digest = bytes(range(32)), sha256(b"receipts")
    first = link("00" * 32, 1, digest)
    return {
        "generator": "tools/state_tree_vectors.py",
        "format": "docs/spec/state-tree.md, version 1",
        "empty_roots": {str(depth): empty(depth) for depth in range(1, 7)},
        "key_hashes": [{"key": k, "key_hash": sha256(k.encode())} for k in ("key/0", "合符")],
        "value_hashes": [
            {"blind": blind.hex(), "value": v.hex(), "value_hash": sha256(blind, v)} for v in (b"", b"{}")
        ],
        "trees": [
            tree_vector(1, [many, fewer, none], ["key/0", "absent"]),
            tree_vector(2, [many, fewer], ["key/0", "key/1", "key/2", "absent"]),
            tree_vector(5, [many, {}, fewer], ["key/0", "key/2"]),
            tree_vector(6, [{"key/0": "value/0"}], ["key/0", "absent"]),
        ],
        "receipts_roots": [
            {"previous": "00" * 32, "height": 1, "digest": digest, "root": first},
            {"previous": first, "height": 2**53, "digest": "ff" * 32, "root": link(first, 2**53, "ff" * 32)},
        ],
        "app_hashes": [
            {
                "state_root": empty(5),
                "receipts_root": first,
                "app_hash": sha256(b"tallystick-app-hash-v1\n", bytes.fromhex(empty(5)), bytes.fromhex(first)),
            }
        ],
    }


if __name__ == "__main__":
    OUT.write_text(json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
