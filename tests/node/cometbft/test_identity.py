"""A member's two keys: CometBFT's own form, private, never written over, and no key without its signing state."""

import json
import subprocess
from pathlib import Path

import pytest

from tallystick.node.cometbft.identity import (
    node_key_file,
    own_identity,
    read_identity,
    sign_state_file,
    validator_key_file,
)
from tallystick.node.home import Home
from tallystick.wire.errors import DecodeError


def told_by(program: Path, home: Home, command: str) -> str:
    done = subprocess.run([program, command, "--home", home.comet], capture_output=True, check=True, text=True)
    return done.stdout.strip()


def test_cometbft_reads_the_same_identity(program: Path, home: Home) -> None:
    identity = own_identity(home)
    assert told_by(program, home, "show-node-id") == identity.node_id
    shown = json.loads(told_by(program, home, "show-validator"))
    assert shown == {"type": "tendermint/PubKeyEd25519", "value": identity.validator_key}
    stated = json.loads(validator_key_file(home).read_text())
    assert stated["address"] == identity.validator_address


def test_what_cometbft_made_is_taken_over(program: Path, home: Home) -> None:
    subprocess.run([program, "init", "--home", home.comet], capture_output=True, check=True)
    made = {path: path.read_bytes() for path in (validator_key_file(home), node_key_file(home), sign_state_file(home))}
    identity = own_identity(home)
    assert told_by(program, home, "show-node-id") == identity.node_id
    assert {path: path.read_bytes() for path in made} == made


def test_keys_are_made_once_and_are_private(home: Home) -> None:
    identity = own_identity(home)
    kept = {path: path.read_bytes() for path in (validator_key_file(home), node_key_file(home), sign_state_file(home))}
    assert own_identity(home) == read_identity(home) == identity
    for path, content in kept.items():
        assert path.read_bytes() == content
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_without_its_signing_state_is_refused(home: Home) -> None:
    own_identity(home)
    sign_state_file(home).unlink()
    for attempt in (own_identity, read_identity):
        with pytest.raises(DecodeError, match="could sign a height twice"):
            attempt(home)
    assert not sign_state_file(home).exists()


def test_a_validator_that_has_signed_gets_no_other_key_by_accident(home: Home) -> None:
    own_identity(home)
    sign_state_file(home).write_text('{"height": "12", "round": 0, "step": 3}')
    validator_key_file(home).unlink()
    with pytest.raises(DecodeError, match="signed up to height 12, and its key is gone"):
        own_identity(home)
    assert not validator_key_file(home).exists()


def test_an_interrupted_start_goes_on(home: Home) -> None:
    own_identity(home)
    validator_key_file(home).unlink()
    node_key_file(home).unlink()
    assert own_identity(home) == read_identity(home)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "not a key file"),
        ('{"priv_key": {"type": "tendermint/PrivKeySecp256k1", "value": "AA=="}}', "not an Ed25519 key"),
        ('{"priv_key": {"type": "tendermint/PrivKeyEd25519", "value": "AA=="}}', "priv_key.value"),
        (
            '{"priv_key": {"type": "tendermint/PrivKeyEd25519", "value": "' + "A" * 86 + '=="}}',
            "not that of its secret",
        ),
    ],
)
def test_a_damaged_key_is_named(home: Home, content: str, told: str) -> None:
    own_identity(home)
    validator_key_file(home).write_text(content)
    with pytest.raises(DecodeError, match=told) as caught:
        read_identity(home)
    assert str(validator_key_file(home)) in str(caught.value)


def test_a_key_that_others_may_read_is_refused(home: Home) -> None:
    own_identity(home)
    validator_key_file(home).chmod(0o644)
    with pytest.raises(DecodeError, match="others may read"):
        read_identity(home)
