"""Anchors of files: salted, kept, and the same for the same file."""

import hashlib
import json
from pathlib import Path

import pytest

from tallystick.documents.store import DocumentStore
from tallystick.node.anchoring import anchor_file, anchor_hash, find_anchor
from tallystick.node.home import Home
from tallystick.wire.errors import DecodeError


def test_an_anchor_is_salted_and_its_salt_is_kept(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    file = tmp_path / "order.pdf"
    file.write_bytes(b"order 1")
    anchor = anchor_file(home, file, "order")
    kept = find_anchor(home, anchor.hash)
    assert kept is not None
    assert anchor_hash(bytes.fromhex(kept.salt), b"order 1") == anchor.hash
    assert anchor.hash != hashlib.sha256(b"order 1").hexdigest()
    assert (anchor.kind, anchor.media_type, anchor.size) == ("order", "application/pdf", 7)
    assert (home.anchors / f"{anchor.hash}.json").stat().st_mode & 0o777 == 0o600


def test_the_same_file_keeps_its_hash_and_another_does_not(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    file = tmp_path / "order.pdf"
    file.write_bytes(b"order 1")
    first = anchor_file(home, file, "order")
    assert anchor_file(home, file, "order") == first
    assert anchor_file(home, file, "contract").hash != first.hash
    file.write_bytes(b"order 2")
    assert anchor_file(home, file, "order").hash != first.hash


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="absent"):
        anchor_file(Home(tmp_path), tmp_path / "absent", "order")


def test_a_copy_is_kept_and_an_old_salt_file_still_fits(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    file = tmp_path / "order.pdf"
    file.write_bytes(b"order 1")
    anchor = anchor_file(home, file, "order")
    known = find_anchor(home, anchor.hash)
    assert known is not None
    assert DocumentStore(home.documents).get(known.content) == b"order 1"
    salt_file = home.anchors / f"{anchor.hash}.json"
    old = json.loads(salt_file.read_text())
    del old["content"]
    salt_file.write_text(json.dumps(old))
    assert anchor_file(home, file, "order") == anchor
    assert find_anchor(home, anchor.hash) == known
    salt_file.write_text(salt_file.read_text().replace(old["salt"], "not hexadecimal"))
    with pytest.raises(DecodeError, match="not a salt file"):
        find_anchor(home, anchor.hash)
