"""Snapshots on the disk: bounded chunks, and no altered byte gets into a ledger."""

import json
import shutil
from pathlib import Path

import pytest

from tallystick.ledger import snapshots
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.opening import open_ledger
from tallystick.ledger.snapshots import read_manifest, restore, take_snapshot
from tallystick.ledger.store import Family, RocksStore
from tallystick.wire.errors import DecodeError
from tests.support.ledger import NODE_KEY, Consortium, OwnClock, genesis


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a ledger with 200 documents."""
    path = tmp_path_factory.mktemp("ledger")
    engine = EmbeddedEngine(RocksStore(path), NODE_KEY, genesis(), OwnClock())
    engine.submit_many([Consortium(prefix="s").anchoring(f"paper {n}", name=f"s{n}") for n in range(200)])
    engine.close()
    return path


@pytest.fixture
def snapshot(ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A snapshot of it in chunks of at most 20 kB."""
    monkeypatch.setattr(snapshots, "CHUNK_BYTES", 20_000)
    store = RocksStore(ledger)
    take_snapshot(store, tmp_path / "snapshot")
    store.close()
    return tmp_path / "snapshot"


def restored(snapshot: Path, into: Path, digest: str = "") -> Path:
    store = RocksStore(into)
    try:
        restore(snapshot, store, digest)
    finally:
        store.close()
    return into


def rows(path: Path) -> dict[tuple[Family, bytes], bytes]:
    """All rows but those of the archive, which a snapshot leaves out, and the mark of a copy."""
    store = RocksStore(path)
    families = [family for family in Family if family not in (Family.BLOCKS, Family.LIGHTS)]
    found = {(family, key): value for family in families for key, value in store.range(family, b"")}
    store.close()
    found.pop((Family.META, b"copy"), None)
    return found


def test_index_and_tree_are_rebuilt_as_they_were(ledger: Path, snapshot: Path, tmp_path: Path) -> None:
    assert rows(restored(snapshot, tmp_path / "restored")) == rows(ledger)


def test_chunks_are_bounded_and_in_order(snapshot: Path) -> None:
    manifest = read_manifest(snapshot)
    assert len(manifest.chunks) > 4
    assert all(0 < chunk.size <= 20_000 for chunk in manifest.chunks)
    assert [chunk.name for chunk in manifest.chunks] == sorted(chunk.name for chunk in manifest.chunks)
    assert sorted({chunk.family for chunk in manifest.chunks}) == ["hashes", "receipts", "state"]
    assert snapshots.CHUNK_BYTES <= snapshots.MAX_CHUNK_BYTES < 16_000_000


def test_every_altered_or_cut_file_is_refused_by_name(snapshot: Path, tmp_path: Path) -> None:
    for name in sorted(path.name for path in snapshot.iterdir()):
        content = (snapshot / name).read_bytes()
        middle = len(content) // 2
        spoilt = {
            "altered": content[:middle] + bytes((content[middle] ^ 1,)) + content[middle + 1 :],
            "cut": content[:middle],
            "longer": content + b"\x00",
            "empty": b"",
            "gone": None,
        }
        for damage, bad in spoilt.items():
            case = tmp_path / f"{name} {damage}"
            shutil.copytree(snapshot, case)
            if bad is None:
                (case / name).unlink()
            else:
                (case / name).write_bytes(bad)
            into = tmp_path / f"into {name} {damage}"
            with pytest.raises(DecodeError) as refused:
                restored(case, into)
            assert str(case / name) in str(refused.value), f"{damage}: {refused.value}"
            store = RocksStore(into)
            assert not list(store.range(Family.STATE, b"")), "rows of a bad snapshot were written"
            store.close()


def resealed(snapshot: Path, changes: dict[str, object]) -> None:
    """Alter the manifest the way a forger would: with a digest that fits."""
    manifest = json.loads((snapshot / "manifest.json").read_bytes())
    manifest.update(changes)
    manifest.pop("digest")
    raw = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    manifest["digest"] = snapshots.hashlib.sha256(raw).hexdigest()
    (snapshot / "manifest.json").write_bytes(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode())


def test_a_resealed_manifest_cannot_state_another_root(snapshot: Path, tmp_path: Path) -> None:
    resealed(snapshot, {"state_root": "00" * 32})
    with pytest.raises(DecodeError, match="contradict"):
        restored(snapshot, tmp_path / "into")


def test_a_resealed_manifest_cannot_leave_rows_out(snapshot: Path, tmp_path: Path) -> None:
    chunks = json.loads((snapshot / "manifest.json").read_bytes())["chunks"]
    resealed(snapshot, {"chunks": chunks[1:]})
    with pytest.raises(DecodeError, match="do not have the state root"):
        restored(snapshot, tmp_path / "into")
    store = RocksStore(tmp_path / "into")
    with pytest.raises(DecodeError, match="not restored to its end"):
        open_ledger(store, genesis())
    store.close()


def test_a_resealed_manifest_cannot_repeat_or_reorder_chunks(snapshot: Path, tmp_path: Path) -> None:
    chunks = json.loads((snapshot / "manifest.json").read_bytes())["chunks"]
    resealed(snapshot, {"chunks": [*chunks, chunks[-1]]})
    with pytest.raises(DecodeError, match="out of order"):
        restored(snapshot, tmp_path / "into")


def test_only_the_snapshot_that_was_asked_for(snapshot: Path, tmp_path: Path) -> None:
    """The state root says nothing of receipts; who restores from a stranger compares the digest."""
    digest = read_manifest(snapshot).digest
    with pytest.raises(DecodeError, match="asked for"):
        restored(snapshot, tmp_path / "other", "00" * 32)
    restored(snapshot, tmp_path / "right", digest)


def test_a_snapshot_goes_into_an_empty_store_only(ledger: Path, snapshot: Path, tmp_path: Path) -> None:
    into = restored(snapshot, tmp_path / "into")
    for occupied in (into, ledger):
        with pytest.raises(DecodeError, match="empty"):
            restored(snapshot, occupied)


def test_a_path_in_a_chunk_name_is_refused(snapshot: Path, tmp_path: Path) -> None:
    chunks = json.loads((snapshot / "manifest.json").read_bytes())["chunks"]
    resealed(snapshot, {"chunks": [{**chunks[0], "name": "../000001-state.rows"}]})
    with pytest.raises(DecodeError, match=r"manifest\.json"):
        restored(snapshot, tmp_path / "into")


def test_a_snapshot_that_fails_leaves_nothing_behind(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots, "_write_synced", full)
    store = RocksStore(ledger)
    with pytest.raises(OSError, match="No space"):
        take_snapshot(store, tmp_path / "snapshot")
    store.close()
    assert list(tmp_path.iterdir()) == []
