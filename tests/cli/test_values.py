"""What people type, read along the fields' types."""

import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from tallystick.cli.values import Reader
from tallystick.kernel.core.fields import Anchor, Interval, MemberId, ReceivableId
from tallystick.kernel.membership.records import Permission, Role
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


def read(kind: Any, given: Any, currency: str = "GBP") -> Any:
    return Reader(Around(), currency).read(inspect.type_info(kind), given, "--field")


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
