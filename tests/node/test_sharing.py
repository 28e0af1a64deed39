"""Handing a document with its salt on: what is taken is proven, and anything else in its place is refused."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from tallystick.documents.store import DocumentStore
from tallystick.node import sharing
from tallystick.node.anchoring import anchor_file, anchors, find_anchor
from tallystick.node.home import Home
from tallystick.node.sharing import content_of, named, share, take
from tallystick.wire.errors import DecodeError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def other(tmp_path: Path) -> Home:
    return Home(tmp_path / "other")


@pytest.fixture
def shared(home: Home, tmp_path: Path) -> Path:
    """A shared order."""
    file = tmp_path / "order.pdf"
    file.write_bytes(b"order 1")
    share(home, named(home, anchor_file(home, file, "order").hash), tmp_path / "shared.zip")
    return tmp_path / "shared.zip"


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def written(path: Path, members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", how) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return path


def test_what_is_shared_is_taken_with_the_same_anchor(home: Home, other: Home, shared: Path) -> None:
    taken = take(other, shared)
    assert [known.anchor for known in anchors(home)] == [taken.anchor]
    assert content_of(other, taken) == b"order 1"
    assert take(other, shared) == taken, "again is no harm"


def test_the_same_document_shares_to_the_same_bytes(home: Home, shared: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    share(home, next(anchors(home)), again)
    assert again.read_bytes() == shared.read_bytes()
    assert again.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hash", "0" * 64), ("hash", "../../../../tmp/x"), ("salt", "00" * 32), ("salt", "zz"), ("salt", ""),
        ("size", 8), ("size", -1), ("kind", "Not a kind"), ("media_type", "a\nb"),
        ("file", "x" * 300), ("file", "a\x1b[31m"),
    ],
)  # fmt: skip
def test_a_changed_salt_file_is_refused_and_nothing_kept(
    other: Home, shared: Path, tmp_path: Path, field: str, value: object
) -> None:
    members = members_of(shared)
    changed = {**json.loads(members["anchor.json"]), field: value}
    path = written(tmp_path / "changed.zip", {**members, "anchor.json": json.dumps(changed).encode()})
    with pytest.raises(DecodeError, match=r"changed\.zip"):
        take(other, path)
    assert not other.path.exists()


def test_another_document_is_refused(other: Home, shared: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "changed.zip", {**members_of(shared), "document": b"order 2"})
    with pytest.raises(DecodeError, match="not the one that its salt and hash are of"):
        take(other, path)
    assert not other.path.exists()


def test_a_path_in_its_file_name_is_dropped(other: Home, shared: Path, tmp_path: Path) -> None:
    members = members_of(shared)
    changed = {**json.loads(members["anchor.json"]), "file": "../../etc/order.pdf"}
    path = written(tmp_path / "changed.zip", {**members, "anchor.json": json.dumps(changed).encode()})
    assert take(other, path).file == "order.pdf"


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"not a zip", b"PK\x05\x06" + bytes(18)], ids=["empty", "short", "text", "no members"]
)
def test_what_is_no_shared_document_is_refused(other: Home, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.zip"
    path.write_bytes(content)
    with pytest.raises(DecodeError, match=r"file\.zip"):
        take(other, path)


def test_other_members_compression_and_size_are_refused(
    other: Home, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = members_of(shared)
    with pytest.raises(DecodeError, match="not a shared document"):
        take(other, written(tmp_path / "more.zip", {**members, "../evil": b""}))
    with pytest.raises(DecodeError, match="not compressed"):
        take(other, written(tmp_path / "packed.zip", members, zipfile.ZIP_DEFLATED))
    monkeypatch.setattr(sharing, "MAX_DOCUMENT_BYTES", 6)
    with pytest.raises(DecodeError, match="longer than 6"):
        take(other, shared)
    assert not other.path.exists()


def test_every_flipped_byte_is_refused_or_changes_nothing(other: Home, shared: Path, tmp_path: Path) -> None:
    raw = shared.read_bytes()
    path = tmp_path / "flipped.zip"
    for place in range(len(raw)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :])
        try:
            taken = take(other, path)
        except DecodeError:
            continue
        assert content_of(other, taken) == b"order 1", place


def test_names_are_hashes_or_their_beginnings(home: Home, shared: Path, tmp_path: Path) -> None:
    known = next(anchors(home))
    for text in (known.hash, known.hash[:8], known.content, known.content[:8]):
        assert named(home, text) == known
    for text in ("", known.hash[:7], "f" * 64, "*"):
        with pytest.raises(DecodeError, match="no anchor kept here"):
            named(home, text)
    copy = DocumentStore(home.documents)
    copy.remove(known.content)
    with pytest.raises(DecodeError, match="only its salt"):
        share(home, known, tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()
    assert find_anchor(home, known.hash) == known


def test_a_shared_document_can_be_opened_by_any_zip_reader(shared: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(shared.read_bytes())) as packed:
        assert packed.testzip() is None
        assert packed.namelist() == ["anchor.json", "document"]
