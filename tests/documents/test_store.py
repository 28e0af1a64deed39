"""The document store: content is its name, written once, found damaged before it is used, private to its owner."""

import hashlib
from pathlib import Path

import pytest

from tallystick.documents import store as store_module
from tallystick.documents.store import DamagedDocument, DocumentStore
from tallystick.wire.errors import DecodeError


def test_a_document_lies_under_its_hash_and_comes_back(tmp_path: Path) -> None:
    store = DocumentStore(tmp_path / "documents")
    name = store.put(b"delivery note")
    assert name == hashlib.sha256(b"delivery note").hexdigest()
    assert store.get(name) == b"delivery note"
    assert (tmp_path / "documents/sha256" / name[:2] / name[2:]).read_bytes() == b"delivery note"
    assert [(kept.hash, kept.size) for kept in store.kept()] == [(name, 13)]


def test_putting_it_again_changes_nothing(tmp_path: Path) -> None:
    store = DocumentStore(tmp_path)
    name = store.put(b"once")
    before = store.path_of(name).stat()
    assert store.put(b"once") == name
    assert store.path_of(name).stat().st_mtime_ns == before.st_mtime_ns
    assert store.path_of(name).stat().st_ino == before.st_ino


def test_files_and_folders_are_their_owners_alone(tmp_path: Path) -> None:
    store = DocumentStore(tmp_path / "documents")
    path = store.path_of(store.put(b"wages"))
    assert path.stat().st_mode & 0o777 == 0o600
    for folder in (path.parent, path.parent.parent, tmp_path / "documents"):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_damaged_document_is_named_and_never_given_out(tmp_path: Path) -> None:
    store = DocumentStore(tmp_path)
    name = store.put(b"contract over 100.00")
    path = store.path_of(name)
    path.write_bytes(b"contract over 900.00")
    with pytest.raises(DamagedDocument, match=path.name):
        store.get(name)
    path.write_bytes(b"")
    with pytest.raises(DamagedDocument):
        store.get(name)
    assert store.put(b"contract over 100.00") == name, "whoever has the document mends it"
    assert store.get(name) == b"contract over 100.00"
    assert path.stat().st_mode & 0o777 == 0o600


def test_too_large_a_document_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_DOCUMENT_BYTES", 10)
    store = DocumentStore(tmp_path)
    name = store.put(b"0123456789")
    with pytest.raises(DecodeError, match="larger than 10"):
        store.put(b"01234567890")
    store.path_of(name).write_bytes(b"0123456789a")
    with pytest.raises(DamagedDocument, match="larger than any"):
        store.get(name)


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "a" * 63, "", "a" * 62 + "/."])
def test_only_a_hash_names_a_document(tmp_path: Path, name: str) -> None:
    with pytest.raises(DecodeError, match="not a SHA-256"):
        DocumentStore(tmp_path).get(name)


def test_what_is_not_there_is_said_and_other_homes_are_not_asked(tmp_path: Path) -> None:
    one, other = DocumentStore(tmp_path / "one"), DocumentStore(tmp_path / "other")
    name = one.put(b"mine")
    assert not other.has(name)
    with pytest.raises(DecodeError, match="no such document is kept here"):
        other.get(name)
    assert other.put(b"mine") == name
    one.remove(name)
    assert not one.has(name)
    assert other.get(name) == b"mine"
    with pytest.raises(DecodeError, match="no such document"):
        one.remove(name)
