"""Keys at rest: encrypted, private, never written over, and clear about what is wrong."""

import json
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from tallystick.node.key_store import (
    LIGHT_COST,
    Passphrases,
    WrongPassphrase,
    check_name,
    create_key,
    read_key,
    stored_keys,
)
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import to_base64


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, SigningKey]:
    path = tmp_path / "keys" / "askew" / "admin.key"
    _, key = create_key(path, "askew", "admin", "horse", LIGHT_COST)
    return path, key


def test_a_key_comes_back_under_its_passphrase_alone(made: tuple[Path, SigningKey]) -> None:
    path, key = made
    stored = read_key(path)
    assert stored.public == to_base64(bytes(key.verify_key))
    assert bytes(stored.unlock("horse")) == bytes(key)
    with pytest.raises(WrongPassphrase, match="does not open this key"):
        stored.unlock("house")


def test_the_file_is_private_and_holds_no_secret(made: tuple[Path, SigningKey]) -> None:
    path, key = made
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    assert to_base64(bytes(key)) not in path.read_text()
    assert bytes(key).hex() not in path.read_text()


def test_a_key_is_not_written_over(made: tuple[Path, SigningKey]) -> None:
    with pytest.raises(DecodeError, match="exists already"):
        create_key(made[0], "askew", "admin", "horse", LIGHT_COST)


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="not empty"):
        create_key(tmp_path / "a.key", "a", "a", "", LIGHT_COST)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "tallystick-key-v9"},
        {"cost": {"operations": 1, "memory_bytes": 1 << 40}},
        {"public": "AAAA"},
        {"extra": 1},
    ],
)
def test_a_changed_file_is_named(made: tuple[Path, SigningKey], change: dict[str, object]) -> None:
    path, _ = made
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DecodeError, match=r"admin\.key"):
        read_key(path)


def test_anothers_public_key_in_the_file_is_found_out(made: tuple[Path, SigningKey]) -> None:
    path, _ = made
    other = to_base64(bytes(SigningKey.generate().verify_key))
    path.write_text(json.dumps({**json.loads(path.read_text()), "public": other}))
    with pytest.raises(DecodeError, match="not that of its secret"):
        read_key(path).unlock("horse")


def test_passphrases_are_asked_for_once(made: tuple[Path, SigningKey]) -> None:
    path, key = made
    asked: list[str] = []

    def ask(what: str) -> str:
        asked.append(what)
        return "horse"

    passphrases = Passphrases(("wrong",), ask)
    create_key(path.with_name("maker.key"), "askew", "maker", "horse", LIGHT_COST)
    for stored in stored_keys(path.parent.parent):
        passphrases.unlock(stored)
    assert bytes(passphrases.unlock(read_key(path))) == bytes(key)
    assert asked == ["Passphrase of askew/admin"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "-a", "a" * 65, "a\n"])
def test_names_stay_inside_their_folder(name: str) -> None:
    with pytest.raises(DecodeError):
        check_name(name, "FOLDER")
