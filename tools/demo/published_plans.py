"""The published contract and the recurring payments behind the release plans (data/SOURCES.md)."""

import csv
import datetime
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tallystick.wire.amounts import Units
from tallystick.wire.errors import DecodeError

DATA = Path(__file__).parents[2] / "data"
PAYMENTS = DATA / "contracts.csv"
CONTRACT = DATA / "contract_ocds_nuevo_leon.json"
HOSPITAL = "1804003"
CARE = "S221442/44135500"
ATTRIBUTION = (
    "Fuente: Secretaría de Infraestructura del Estado de Nuevo León, contrato 1804003, paquete OCDS de 2020-04-09 "
    "(Libre Uso MX)."
)


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as published."""

    reference: str
    paid_on: datetime.date
    units: Units
    row: dict[str, str]


@dataclass(frozen=True, slots=True)
class PublishedPlan:
    """Payments from one payer to one payee for one thing, by date."""

    reference: str
    payer: str
    payee: str
    payee_id: str
    title: str
    currency: str
    payments: tuple[Payment, ...]

    @property
    def total(self) -> Units:
        """What all payments come to."""
        return Units(sum(one.units for one in self.payments))


@dataclass(frozen=True, slots=True)
class PublishedContract:
    """What was published of a contract besides its payments."""

    title: str
    value: Units
    signed_on: datetime.date
    starts_on: datetime.date
    ends_on: datetime.date
    payer_id: str
    procedure: str


def published_plan(reference: str, file: Path = PAYMENTS) -> PublishedPlan:
    """The payments of one plan of the file, in their order."""
    with file.open(encoding="utf-8", newline="") as opened:
        rows = [row for row in csv.DictReader(opened) if row["plan_ref"] == reference]
    if not rows:
        raise DecodeError(f"there are no payments of {reference}", str(file))
    first = rows[0]
    payments = tuple(
        Payment(row["payment_ref"], datetime.date.fromisoformat(row["payment_date"]), _units(row["amount"]), row)
        for row in rows
    )
    return PublishedPlan(
        reference, first["payer"], first["payee"], first["payee_id"], first["title"], first["currency"], payments
    )


def hospital_contract(file: Path = CONTRACT) -> PublishedContract:
    """The contract as its OCDS package has it."""
    package = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    release: dict[str, Any] = package["records"][0]["compiledRelease"]
    contract = next(one for one in release["contracts"] if one["id"] == HOSPITAL)
    payer = next(one for one in release["parties"] if "payer" in one["roles"])
    return PublishedContract(
        title=contract["title"],
        value=_units(contract["value"]["amount"]),
        signed_on=_day(contract["dateSigned"]),
        starts_on=_day(contract["period"]["startDate"]),
        ends_on=_day(contract["period"]["endDate"]),
        payer_id=payer["id"],
        procedure=contract["awardID"],
    )


def _units(amount: str | Decimal) -> Units:
    """Minor units; both currencies here have two digits."""
    return Units(int(Decimal(amount) * 100))


def _day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text[:10])
