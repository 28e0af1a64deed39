"""What people type, read along the fields' types."""

import datetime
import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from tallystick.cli.values import Reader, decoded
from tallystick.kernel.accounts.deposits import BookDeposit, RemittanceCode
from tallystick.kernel.core.fields import Anchor, Interval, MemberId, ReceivableId, Struct
from tallystick.kernel.membership.records import Permission, Role
from tallystick.kernel.plans.answering import SendBackEvidence
from tallystick.kernel.plans.conditions import Condition
from tallystick.kernel.plans.records import Material, Retention, TrancheTerms
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant

NOW = Instant.parse("2026-11-22T08:00:00.000Z")


class Around:
    """A place with two members, a zone an hour east of UTC, and files that anchor to themselves."""

    def member_id(self, text: str) -> str:
        return {"askew": "mbr_askew"}.get(text, text)

    def record_id(self, text: str) -> str:
        return text.replace("rcv_0", "rcv_0full")

    def public_key(self, text: str) -> str:
        return f"key of {text}"

    def anchor(self, path: Path, kind: str) -> dict[str, Any]:
        return {"file": str(path), "kind": kind}

    def minor_digits(self, currency: str) -> int:
        return {"GBP": 2, "JPY": 0}[currency]

    def now(self) -> Instant:
        return NOW

    def today(self) -> datetime.date:
        return datetime.date(2026, 11, 22)

    def start_of(self, day: datetime.date) -> Instant:
        return Instant((day - datetime.date(1970, 1, 1)).days * 86_400_000 - 3_600_000)


def read(kind: Any, given: Any, currency: str = "GBP", option: str = "--field") -> Any:
    return Reader(Around(), currency).read(inspect.type_info(kind), given, option)


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (Units, "1234.50", "123450"),
        (Units, "1,234.5", "123450"),
        (Units, "0", "0"),
        (Rate, "5.50", "5.5"),
        (Rate, "5%", "5"),
        (datetime.date, "2026-11-22", "2026-11-22"),
        (datetime.date, "+60d", "2027-01-21"),
        (bool, "yes", True),
        (int, "12", 12),
        (Role, "Core-Enterprise", "core_enterprise"),
        (tuple[Role, ...], ["client,funder", "auditor"], ["client", "funder", "auditor"]),
        (MemberId, "askew", "mbr_askew"),
        (tuple[MemberId, ...], ["askew", "mbr_x"], ["mbr_askew", "mbr_x"]),
        (ReceivableId, "rcv_0", "rcv_0full"),
        (Interval, "1..500", ["1", "500"]),
        (Interval | None, "none", None),
        (Instant, "2026-11-22T09:00:00+01:00", "2026-11-22T08:00:00.000Z"),
        (Instant, "+3d", "2026-11-25T08:00:00.000Z"),
        (Instant, "+30m", "2026-11-22T08:30:00.000Z"),
        (Instant, "2026-11-22 17:00", "2026-11-22T16:00:00.000Z"),
        (Instant, "2026-11-22", "2026-11-21T23:00:00.000Z"),
        (Anchor, "order.pdf", {"file": "order.pdf", "kind": "field"}),
        (Anchor, "contract:order.pdf", {"file": "order.pdf", "kind": "contract"}),
        (tuple[Anchor, ...], ["a", "photo:b"], [{"file": "a", "kind": "field"}, {"file": "b", "kind": "photo"}]),
        (Anchor, "hash=aa,kind=order", {"hash": "aa", "kind": "order"}),
        (
            Permission,
            "may=issue,currency=JPY,ceiling=500",
            {"may": "issue", "currency": "JPY", "ceiling": "500"},
        ),
        (
            Permission,
            "may=issue,currency=GBP,ceiling=1,234.50",
            {"may": "issue", "currency": "GBP", "ceiling": "123450"},
        ),
        (tuple[Permission, ...], ['[{"may": "issue", "currency": "GBP", "ceiling": "1.5"}]'],
         [{"may": "issue", "currency": "GBP", "ceiling": "150"}]),
        (Material, "delivery_note", {"kind": "delivery_note"}),
        (Material, f"kind=photo,hash={'a' * 64}", {"kind": "photo", "hash": "a" * 64}),
        (Retention | None, "5 % until 2027-12-01", {"rate": "5", "until_on": "2027-12-01"}),
        (Retention, "2.50% until +1d", {"rate": "2.5", "until_on": "2026-11-23"}),
        (Retention, "rate=5,until_on=2027-12-01", {"rate": "5", "until_on": "2027-12-01"}),
        (Condition, "payer", {"when": "payer"}),
        (Condition, {"when": "documents", "kinds": "bill,photo"}, {"when": "documents", "kinds": ["bill", "photo"]}),
        (
            Condition,
            "all(date +1d, 1 of (askew, mbr_x), data_source(askew, waybill))",
            {
                "when": "all",
                "of": [
                    {"when": "date", "on": "2026-11-23"},
                    {"when": "verifiers", "needed": 1, "verifiers": ["mbr_askew", "mbr_x"]},
                    {"when": "data_source", "source": "mbr_askew", "kind": "waybill"},
                ],
            },
        ),
        (
            Condition,
            {"when": "at_least", "needed": 1, "of": ["any(payer, platform)", {"when": "documents"}]},
            {
                "when": "at_least",
                "needed": 1,
                "of": [{"when": "any", "of": [{"when": "payer"}, {"when": "platform"}]}, {"when": "documents"}],
            },
        ),
        (Condition, '{"when": "date", "on": "2026-12-01"}', {"when": "date", "on": "2026-12-01"}),
        (RemittanceCode, "28y6 gawr-t74x x1ke", "28Y6GAWRT74XX1KE"),
        (dict[str, bool | int | str], ["days=5", "shortfall=pro_rata"], {"days": 5, "shortfall": "pro_rata"}),
    ],
)  # fmt: skip
def test_what_people_write(kind: Any, given: Any, expected: Any) -> None:
    assert read(kind, given) == expected


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (Units, "1.234", "at most 2 decimal places"),
        (Units, "-1", "not an amount"),
        (Units, "1e3", "not an amount"),
        (Units, "1234,50", "not an amount like"),
        (Units, "١٢", "not an amount"),
        (Rate, "5.1234567", "not a rate"),
        (datetime.date, "22.11.2026", "not a date"),
        (datetime.date, "2026-02-30", "not a date"),
        (Instant, "tomorrow", "business zone"),
        (Instant, "2026-13-01T08:00:00Z", "business zone"),
        (Interval, "500", "1..500000"),
        (Role, "king", "none of client"),
        (bool, "maybe", "neither yes nor no"),
        (Permission, "may", "not key=value"),
        (Permission, "colour=red", "there is no 'colour'"),
        (Permission, "@/no/such.toml", "can't be read"),
        (Permission, "{", "not JSON"),
        (Permission, "may=issue,may=issue", "currency, ceiling must be given"),
        (Condition, "payr", "--field, character 1: there is no such condition"),
        (Condition, '{"when": "sometimes"}', "when must be one of all, any, at_least"),
        (Condition, 5, "when must be one of"),
        (Condition, {"when": ["all"]}, "when must be one of"),
        (Condition, {"when": "date"}, "on must be given"),
        (Condition, {"when": "payer", "on": "2026-12-01"}, "there is no 'on'"),
        (Condition, "any(payer, date 2026-02-30)", "--field, character 17: there is no such day"),
        (Condition, {"when": "any", "of": ["payer", "payr"]}, "--field, part 2, character 1"),
        (
            Condition,
            {"when": "any", "of": [{"when": "date", "on": "soon"}]},
            "--field, part 1, on: 'soon' is not a date",
        ),
        (Retention, "5% until soon", "--field, until_on: 'soon' is not a date"),
        (Retention, "some", "'some' is not a retention like 5% until 2027-12-01"),
        (Material, "Delivery note", "'Delivery note' is not a kind of paper like delivery_note"),
        (Permission, "issue", "'issue' is not key=value"),
    ],
)
def test_what_is_refused(kind: Any, given: str, said: str) -> None:
    with pytest.raises(DecodeError) as refused:
        read(kind, given)
    assert said in str(refused.value)
    assert "--field" in str(refused.value)


def test_an_amount_needs_a_currency() -> None:
    with pytest.raises(DecodeError, match="currency of this amount"):
        read(Units, "1", currency="")


def test_nested_values_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(
        '[[field]]\nmay = "issue"\ncurrency = "GBP"\nceiling = "2"\nuntil_on = 2027-01-01\n'
    )
    given = read(tuple[Permission, ...], [f"@{tmp_path / 'p.toml'}"])
    assert given == [{"may": "issue", "currency": "GBP", "ceiling": "200", "until_on": "2027-01-01"}]
    assert msgspec.json.encode(given)


PLAN = """
[[tranches]]
title = "Foundation"
fund_by_on = 2026-12-01
fund_amount = 12_000.50
amount = "12000.50"
release_from_on = 2026-12-10
release_until_on = "+90d"
condition = "all(documents, 1 of (askew))"
materials = ["delivery_note", { kind = "photo" }]
retention = "5% until 2027-12-01"

[[tranches]]
title = "Roof"
fund_by_on = 2026-12-20
fund_units = 100
units = 100
release_from_on = 2027-01-10
release_until_on = 2027-02-10
condition = { when = "any", of = ["payer", "platform"] }
"""


def plan_file(directory: Path, old: str = "", new: str = "") -> list[str]:
    (directory / "plan.toml").write_text(PLAN.replace(old, new, 1) if old else PLAN)
    return [f"@{directory / 'plan.toml'}"]


def test_a_plan_file_is_read_whole(tmp_path: Path) -> None:
    foundation, roof = read(tuple[TrancheTerms, ...], plan_file(tmp_path), option="--tranches")
    assert (foundation["fund_units"], foundation["units"]) == ("1200050", "1200050")
    assert foundation["materials"] == [{"kind": "delivery_note"}, {"kind": "photo"}]
    assert foundation["retention"] == {"rate": "5", "until_on": "2027-12-01"}
    assert foundation["release_until_on"] == "2027-02-20"
    assert roof["condition"] == {"when": "any", "of": [{"when": "payer"}, {"when": "platform"}]}
    assert roof["units"] == "10000"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("12_000.50", "12_000.505", "tranche 1, fund_amount: '12000.505' is not an amount with at most 2"),
        ("12_000.50", "1e3", "tranche 1, fund_amount"),
        ("12_000.50", "true", "tranche 1, fund_amount"),
        ('title = "Roof"\n', "", "tranche 2: title must be given"),
        ("fund_units = 100", "fund_unit = 100", "tranche 2: there is no 'fund_unit'; it has title, fund_by_on, fund"),
        ("fund_units = 100", "fund_units = 100\nfund_amount = 100", "tranche 2: fund_amount is given twice"),
        ("{ kind =", "{ king =", "tranche 1, material 2: there is no 'king'"),
        ("1 of (askew)", "1 of askew", "tranche 1, condition, character 21: '(' is expected, not 'askew'"),
        ('"platform"]', '"platfrom"]', "tranche 2, condition, part 2, character 1"),
        ("until 2027-12-01", "until 2027-13-01", "tranche 1, retention, until_on"),
        ('title = "Foundation"', "title = 5", "tranche 1, title: text is expected"),
        ("[[tranches]]", 'currency = "GBP"\n[[tranches]]', "there is no 'currency' in this file, only [[tranches]]"),
        ('title = "Foundation"', "title =", "not TOML"),
    ],
)  # fmt: skip
def test_a_fault_in_a_plan_file_names_file_tranche_and_field(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(DecodeError) as refused:
        read(tuple[TrancheTerms, ...], plan_file(tmp_path, old, new), option="--tranches")
    assert said in str(refused.value)
    assert "plan.toml" in str(refused.value)


def test_what_the_decoder_finds_is_named_in_the_same_way() -> None:
    class Asked(Struct):
        tranches: tuple[TrancheTerms, ...]

    value = read(tuple[TrancheTerms, ...], [json.dumps(tomllib.loads(PLAN)["tranches"], default=str)])
    value[0]["condition"], value[1]["title"] = {"when": "payer"}, "x" * 200
    with pytest.raises(DecodeError, match=r"^plan\.toml, tranche 2, title: "):
        decoded(Asked, {"tranches": value}, {"tranches": "--tranches"}, {"tranches": "plan.toml"})
    value[1]["title"], value[0]["fund_units"] = "Roof", "x"
    with pytest.raises(DecodeError, match=r"^--tranches, tranche 1, fund_amount: "):
        decoded(Asked, {"tranches": value}, {"tranches": "--tranches"})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"code": "ABC"}, "--code: 'ABC' is not a remittance code of 16 letters and digits"),
        ({"account": "dep_0"}, "--account: 'dep_0' is not an id that begins with acc_"),
        ({"currency": "pounds"}, "--currency: 'pounds' is not a currency's code like CNY"),
    ],
)
def test_a_value_of_another_form_is_named_with_the_form(fields: dict[str, str], said: str) -> None:
    value = {"op": "deposit.book", "bank_reference": "B", "currency": "GBP", "units": "5", **fields}
    with pytest.raises(DecodeError) as refused:
        decoded(BookDeposit, value, {name: f"--{name}" for name in value})
    assert str(refused.value) == said


def test_a_code_that_has_spaces_is_named() -> None:
    value = {"op": "evidence.send_back", "plan": "pln_" + "0" * 16, "tranche": 1, "evidence": "evd_" + "0" * 16}
    with pytest.raises(DecodeError, match="--reason: 'beams missing' is not a code in lower case without spaces"):
        decoded(SendBackEvidence, {**value, "reason": "beams missing"}, {"reason": "--reason"})


def test_a_file_without_its_mark_is_recognised(tmp_path: Path) -> None:
    file = tmp_path / "contract.toml"
    file.write_text("number = 'A'")
    with pytest.raises(DecodeError, match=f"is not key=value; a file is named @{file}"):
        read(Permission, str(file))
