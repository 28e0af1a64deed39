"""Operations made by their types alone: every field plausible or odd, ids mostly of records that stand."""

import datetime
import random
from collections.abc import Iterable
from typing import Any

from msgspec import inspect

from tallystick.kernel import machine
from tallystick.kernel.core import codec
from tallystick.kernel.core.fields import Interval
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record, decode_record
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.records import Member, Role
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.amounts import MAX_UNITS, Rate, Units
from tallystick.wire.ids import is_record_id
from tallystick.wire.instants import DAY_MS, LAST_MS, Instant
from tests.support.members import key_of, lei, public
from tests.support.world import World

NEVER = "0000000000000000"
CODES = ("lei", "uscc", "bond_default", "no", "cn-lpr-1y", "licence_bank", "a")
TEXTS = ("a", "word", "R-2026-0001", "REF-1", "x" * 30)
POLICIES = (
    *("auditors_needed", "governors_needed", "cutoff_days", "grace_days", "max_hops", "min_split", "shortfall"),
    *("recourse_claim_days", "review_deadline_days", "max_quotes", "identifier_kinds", "publish_by_policy", "unknown"),
)


class Maker:
    """Makes operations over one world from a random source."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.ids: dict[str, list[str]] = {}
        self.live: dict[str, list[str]] = {}
        self.fresh = 0
        self.new_keys: list[str] = []

    def look(self) -> None:
        """Learn the ids that stand now."""
        self.ids, self.live = {}, {}
        rows = self.world.state.rows.values()
        for row in rows:
            if is_record_id(row.id):
                self.ids.setdefault(row.id[:3], []).append(row.id)
                if row.live_for():
                    self.live.setdefault(row.id[:3], []).append(row.id)
        for receivable in (row for row in rows if isinstance(row, Receivable)):
            self.ids.setdefault("frz", []).extend(freeze.id for freeze in receivable.freezes)
        for financing in self.world.state.rows.values():
            for quote in getattr(financing, "quotes", ()):
                self.ids.setdefault("qte", []).append(quote.id)
            for freeze in getattr(financing, "freezes", ()):
                self.ids.setdefault("frz", []).append(freeze.id)

    def likely(self, kind: type[Operation], tries: int) -> Operation:
        """One of `kind` that would be accepted now, if so many tries give one."""
        made = self.operation(kind)
        for _ in range(tries):
            signers = self.signers(made)
            step = Step(
                self.world.chain, self.world.block(), Overlay(self.world.state), 0, (signers[0], "dry"), signers
            )
            step.begin(0)
            if (machine._entitled(step, made, set()) or made.check(step)) is None:
                break
            made = self.operation(kind)
        return made

    def operation(self, kind: type[Operation]) -> Operation:
        """One operation of `kind`."""
        self.new_keys = []
        made = {
            field.name: self.value(field.type, field.name)
            for field in inspect.type_info(kind).fields  # type: ignore[attr-defined]  # a struct's
            if field.required or self.rng.random() < 0.6
        }
        self._agree(made)
        return kind(**made)

    def _agree(self, made: dict[str, Any]) -> None:
        """Let what must fit together fit most of the time, so that the deeper checks are reached."""
        rng = self.rng
        row: Any = None
        for name in ("receivable", "transfer", "financing", "recourse", "deposit", "account"):
            if isinstance(made.get(name), str):
                row = self.world.state.rows.get(f"{name}/{made[name]}")
        if row is None or rng.random() < 0.15:
            return
        if "currency" in made:
            made["currency"] = getattr(row, "currency", made["currency"])
        if isinstance(row, Receivable):
            if "face" in made:
                made["face"] = row.face
            live = row.parcels
            if live and "parcel" in made:
                parcel = rng.choice(live)
                made["parcel"] = parcel.interval
                if isinstance(made.get("units"), Units) and rng.random() < 0.7:
                    made["units"] = Units(rng.randint(1, int(parcel.interval.length)))
                if made.get("interval") is not None and rng.random() < 0.7:
                    first = rng.randint(int(parcel.interval.first), int(parcel.interval.last))
                    made["interval"] = Interval(Units(first), Units(rng.randint(first, int(parcel.interval.last))))
                    made["units"] = made["interval"].length
            elif "units" in made and rng.random() < 0.7:
                made["units"] = Units(rng.randint(1, max(int(row.outstanding), 1)))
            return
        for name in ("interval", "face", "units", "net"):
            stated = getattr(row, name, None)
            if "units" in made and stated is not None:
                made["units"] = stated.length if isinstance(stated, Interval) else stated

    def value(self, kind: inspect.Type, name: str) -> Any:
        """A value of a field's type."""
        match kind:
            case inspect.Metadata():
                return self.value(kind.type, name)
            case inspect.UnionType():
                return self.value(self.rng.choice(kind.types), name)
            case inspect.NoneType():
                return None
            case inspect.BoolType():
                return self.rng.random() < 0.5
            case inspect.IntType():
                return self._whole(kind)
            case inspect.StrType():
                return self._text(kind, name)
            case inspect.DateType():
                return self._date(name)
            case inspect.EnumType():
                return self.rng.choice(list(kind.cls))
            case inspect.StructType():
                return self._struct(kind)
            case inspect.VarTupleType():
                most = min(kind.max_length if kind.max_length is not None else 3, 3)
                least = kind.min_length or 0
                return tuple(self.value(kind.item_type, name) for _ in range(self.rng.randint(least, max(least, most))))
            case inspect.DictType():
                return self._dict(kind, name)
            case inspect.CustomType():
                return self._custom(kind)
            case _:
                raise AssertionError(f"{name}: {kind}")

    def _whole(self, kind: inspect.IntType) -> int:
        least = int(kind.ge if kind.ge is not None else 0)
        most = int(kind.le if kind.le is not None else 2**53 - 1)
        return self.rng.choice((least, min(least + 1, most), min(2026, most), self.rng.randint(least, most), most))

    def _text(self, kind: inspect.StrType, name: str) -> str:
        rng = self.rng
        pattern = kind.pattern or ""
        if pattern.startswith("\\A[a-z]{3}_"):
            return rng.choice(rng.choice([ids for ids in self.ids.values() if ids]))
        if pattern[2:3].isalpha() and pattern[2:6].endswith("_"):
            prefix = pattern[2:5]
            pool = self.live if rng.random() < 0.7 and self.live.get(prefix) else self.ids
            known = pool.get(prefix, [])
            return rng.choice(known) if known and rng.random() < 0.97 else f"{prefix}_{NEVER}"
        if "A-Z]{3}" in pattern:
            return rng.choice(("CNY", "CNY", "CNY", "GBP", "JPY", "XXX"))
        if pattern == "\\A[0-9a-f]{64}\\Z":
            known = [row.id for row in self.world.state.rows.values() if row.table == "invoice"]
            return rng.choice((*known, "ab" * 32))
        if "{43}=" in pattern:
            self.fresh += 1
            key = key_of(f"fresh {self.fresh}") if rng.random() < 0.8 else rng.choice(list(self.world.keys.values()))
            return public(key) if rng.random() < 0.95 else "A" * 43 + "="
        if "0-9A-HJKMNP" in pattern:
            known = [one[4:].upper() for one in self.ids.get("dep", [])]
            return rng.choice((*known, "0" * 16))
        if "receivable" in pattern or "\\*|" in pattern:
            return rng.choice(("*", "receivable.*", "key.add", "review.decide"))
        if name == "changes":
            return rng.choice(POLICIES)
        if name == "version":
            return rng.choice(("cn-x1", "gb-x2", "all-x"))
        if name == "jurisdiction":
            return rng.choice(("cn", "gb", "all"))
        if name == "identifier":
            self.fresh += 1
            return lei(f"fresh {self.fresh}")
        if name == "offset":
            return rng.choice(("+08:00", "-12:00", "+00:00"))
        if name == "identifier_kind":
            return "lei"
        if kind.min_length is None and not pattern:
            return rng.choice(("", *TEXTS))
        if pattern.startswith("\\A[a-z]"):
            return rng.choice(CODES)
        return rng.choice(TEXTS)

    def _date(self, name: str) -> datetime.date:
        today = self.world.today()
        choices = [today + datetime.timedelta(days=days) for days in (-400, -1, 0, 1, 5, 60, 120, 400)]
        if self.rng.random() < 0.15:
            return self.rng.choice((datetime.date.min, datetime.date.max, datetime.date(9999, 12, 30)))
        return self.rng.choice(choices)

    def _struct(self, kind: inspect.StructType) -> Any:
        if kind.cls is Interval:
            first = self.rng.choice((0, 1, 5, 400, 401, 1_000, MAX_UNITS))
            last = self.rng.choice((0, 1, 5, 400, 1_000, MAX_UNITS, first))
            return Interval(Units(first), Units(last))
        return kind.cls(
            **{
                field.name: self.value(field.type, field.name)
                for field in kind.fields
                if field.required or self.rng.random() < 0.4
            }
        )

    def _dict(self, kind: inspect.DictType, name: str) -> dict[Any, Any]:
        if name == "figures":
            names = ("months", "days", "layers", "small", "medium", "large", "medium_from", "large_from")
            more = ("closure_notice_days", "without_agreement", "over_reference")
            return {
                one: self.rng.choice((0, 1, 30, 10**6, 2**53 - 1)) for one in (*names, *more) if self.rng.random() < 0.8
            }
        if name == "kinds":
            kinds = ("buyers", "sellers", "payer", "payee", "funder", "money", "custodian", "reference", "least_agreed")
            return {one: (self.rng.choice(("small", "cn-lpr-1y")),) for one in kinds if self.rng.random() < 0.4}
        return {
            self.value(kind.key_type, name): self.value(kind.value_type, name) for _ in range(self.rng.randint(1, 2))
        }

    def _custom(self, kind: inspect.CustomType) -> Any:
        rng = self.rng
        if kind.cls is Units:
            known = [int(row.units) for row in self.world.state.rows.values() if row.table == "balance"]  # type: ignore[attr-defined]
            return Units(rng.choice((0, 1, 2, 7, 100, 400, 999, 1_000, 10**9, MAX_UNITS - 1, MAX_UNITS, *known[:5])))
        if kind.cls is Rate:
            return Rate(rng.choice((0, 1, 5_500_000, 100_000_000, 10**12 - 1)))
        if kind.cls is Instant:
            now = int(self.world.now)
            return Instant(rng.choice((0, now - 1, now, now + 1, now + DAY_MS, now + 40 * DAY_MS, LAST_MS)))
        raise AssertionError(kind)

    def signers(self, operation: Operation) -> tuple[str, ...]:
        """Organisations that would satisfy the operation's authority, the actor first."""
        rng, world = self.rng, self.world
        members = [row.id for row in world.state.rows.values() if isinstance(row, Member) and row.id in world.keys]
        actor = rng.choice(members)
        reviewers = self._reviewers(operation)
        if reviewers and rng.random() < 0.9:
            actor = rng.choice(reviewers)
        everybody = (actor, *(name for name in members if name != actor))
        step = Step(world.chain, world.block(), Overlay(world.state), 0, (actor, "dry"), everybody)
        step.begin(0)
        asked = operation.authority(step)
        if isinstance(asked, Refusal):
            return (actor,)
        return self._meeting(asked, step, everybody) or (actor,)

    def _reviewers(self, operation: Operation) -> list[str]:
        wanted = {"financing.evaluate": Role.FUNDER, "financing.quote": Role.FUNDER, "financing.reveal": Role.FUNDER}
        role = wanted.get(operation.name)
        if operation.name == "review.decide":
            role = self.rng.choice((Role.AUDITOR, Role.AUDITOR, Role.CUSTODIAN, Role.PLATFORM))
        return [] if role is None else self._holders(role)

    def _holders(self, role: Role) -> list[str]:
        rows = self.world.state.rows.values()
        return [row.id for row in rows if isinstance(row, Member) and row.has_role(role) and row.id in self.world.keys]

    def _meeting(self, asked: Signers, step: Step, everybody: Iterable[str]) -> tuple[str, ...]:
        names = [*asked.all_of, *(self.rng.sample(asked.one_of, 1) if asked.one_of else ())]
        if asked.role:
            holders = [name for name in self._holders(Role(asked.role)) if name not in names]
            self.rng.shuffle(holders)
            names.extend(holders[: asked.quorum])
        return tuple(dict.fromkeys(name for name in names if name in self.world.keys))


def readable(row: Record) -> bool:
    """Whether a row survives being stored."""
    return decode_record(row.key, codec.encode(row)) == row
