"""docs/spec/evidence.schema.json describes the bundles that are written, and no looser form of them."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.bundles import Ledger

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "spec" / "evidence.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_bundle_keeps_to_it(ledger: Ledger) -> None:
    for name in ledger.things:
        faults = list(VALIDATOR.iter_errors(json.loads(ledger.bundle(name).to_bytes())))
        assert not faults, f"{name}: {faults[0].json_path} {faults[0].message[:200]}"


def a_field_more(value: dict[str, Any]) -> None:
    value["note"] = "x"


def no_records(value: dict[str, Any]) -> None:
    del value["records"]


def no_contents(value: dict[str, Any]) -> None:
    del value["contents"]


def a_step_by_its_height_alone(value: dict[str, Any]) -> None:
    value["contents"]["transactions"][0].pop()


def upper_case(value: dict[str, Any]) -> None:
    value["genesis"] = value["genesis"].upper() if value["genesis"].upper() != value["genesis"] else "A" * 64


def blind_alone(value: dict[str, Any]) -> None:
    del next(record for record in value["records"] if "value" in record)["value"]


def height_as_text(value: dict[str, Any]) -> None:
    value["height"] = str(value["height"])


def priority(value: dict[str, Any]) -> None:
    value["validators"][0][0]["proposer_priority"] = "1"


@pytest.mark.parametrize(
    "change",
    [
        *(a_field_more, no_records, no_contents, a_step_by_its_height_alone),
        *(upper_case, blind_alone, height_as_text, priority),
    ],
)
def test_a_looser_form_is_none(ledger: Ledger, change: Callable[[dict[str, Any]], None]) -> None:
    value = copy.deepcopy(json.loads(ledger.bundle("document").to_bytes()))
    change(value)
    assert not VALIDATOR.is_valid(value)
