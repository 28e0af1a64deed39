"""What is typed for an operation's command reaches the field that it is for."""

from typing import Any

import pytest

from tallystick.cli.main import run


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The fields of the last command, before anything is read or handed in."""
    seen: dict[str, Any] = {}

    def note(_operation: object, _options: object, given: dict[str, Any], *_: object) -> None:
        seen.update({name: value for name, value in given.items() if value is not None})

    monkeypatch.setattr("tallystick.cli.operations.run_operation", note)
    return seen


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ("key recover --member askew --key askew/new", {"member": "askew", "key": "askew/new"}),
        ("key recover askew/new --member askew", {"member": "askew", "key": "askew/new"}),
        ("key add askew/new --role maker", {"key": "askew/new", "role": "maker"}),
        ("validator add north --key K", {"key": "K", "validator": "north"}),
        ("receivable withdraw rcv_9byg", {"receivable": "rcv_9byg"}),
        ("receivable withdraw --receivable rcv_9byg", {"receivable": "rcv_9byg"}),
        (
            "deposit return dep_1 --amount 5 --bank-reference R",
            {"deposit": "dep_1", "units": "5", "bank_reference": "R"},
        ),
    ],
)
def test_each_word_reaches_its_field(typed: dict[str, Any], words: str, fields: dict[str, str]) -> None:
    assert run([*words.split(), "--as", "somebody"]) == 0
    assert typed == fields


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("deposit announce acc_6c6g --amount 5", "name the one that it is for, as --account acc_6c6g"),
        ("evidence accept pln_7xj2 2", "as --tranche 2"),
        ("wage lines pln_7xj2 wages.csv 1", 'unable to convert "wages.csv" into a whole number'),
    ],
)
def test_a_word_in_the_wrong_place_gets_its_option(capsys: pytest.CaptureFixture[str], words: str, said: str) -> None:
    assert run([*words.split(), "--as", "somebody"]) == 2
    assert said in capsys.readouterr().err
