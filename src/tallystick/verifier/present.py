"""What stands at the bundle's height, in words: each record of the story with its parties, amounts and state."""

import re
from collections.abc import Callable, Iterator
from itertools import groupby

from tallystick.proof.evidence.bundle import Json
from tallystick.proof.evidence.timeline import Words
from tallystick.proof.evidence.verifier import Report

BESIDE = frozenset(
    {"member", "key", "currency", "revision", "closed", "plan_version", "parcel", "wage_chunk", "recovery"}
)
"""Tables whose rows say who and under what, and are not told one by one."""

FEW = 8
"""So many of a kind are told one by one; of more the first ones, and what the rest comes to."""

Fields = dict[str, Json]

_UNITS = re.compile(r"[0-9]{1,19}", re.ASCII)


def present(report: Report) -> Iterator[str]:
    """What the file is about first; then what else it shows, by kind. Of a receivable, who holds which units."""
    told = _Telling(report)
    about = report.verdict.about
    yield from told.record(about, report.records[about])
    others = [key for key in report.records if key != about and key.partition("/")[0] not in BESIDE]
    for table, keys in groupby(others, key=lambda key: key.partition("/")[0]):
        listed = sorted(keys, key=told.order)
        for key in listed[:FEW]:
            yield from told.record(key, report.records[key])
        if len(listed) > FEW:
            yield told.rest(table, listed[FEW:])


class _Telling:
    """Records in words, with the names and currencies that the bundle proves."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._words = Words(report.records)

    def order(self, key: str) -> tuple[int, str]:
        """What belongs to a plan in the order of its tranches, transfers by their hops; all else by id."""
        value = self._report.records[key]
        number = value.get("tranche", value.get("hop")) if isinstance(value, dict) else None
        return (number if type(number) is int else 0), key

    def record(self, key: str, value: Json) -> Iterator[str]:
        """One record, and what hangs on it."""
        table, _, name = key.partition("/")
        if not isinstance(value, dict):
            yield f"{table} {name} does not exist"
            return
        said = SAYS.get(table)
        what = said(self, value) if said is not None else ""
        state = value.get("state")
        ends = f": {state.replace('_', ' ')}" if isinstance(state, str) else ""
        yield f"{table.replace('_', ' ')} {self._words.name(name)}{', ' if what else ''}{what}{ends}"
        for one in self._report.holdings:
            if table == "receivable" and one.receivable == name:
                units = self.sum(one.last - one.first + 1, value)
                locked = "".join(f"; locked by a {kind}: {span[0]} to {span[1]}" for span, kind in one.locked)
                yield f"  units {one.first} to {one.last}, {units}: held by {self._words.name(one.holder)}{locked}"

    def rest(self, table: str, keys: list[str]) -> str:
        """How many more, and what they come to."""
        values = [value for key in keys if isinstance(value := self._report.records[key], dict)]
        for name in ("released", "units", "claimed"):
            amounts = [_units(value.get(name)) for value in values]
            if any(amounts):
                total = self.sum(sum(amounts), values[0])
                return f"and {len(keys)} more of the kind {table.replace('_', ' ')}: {name} {total} in all"
        return f"and {len(keys)} more of the kind {table.replace('_', ' ')}"

    def who(self, value: Fields, name: str) -> str:
        """The organisation that a field names."""
        return self._words.name(str(value.get(name, "nobody")))

    def sum(self, units: int, value: Fields) -> str:
        """An amount in the currency of a record, or of the plan that it is of."""
        currency = value.get("currency")
        if not isinstance(currency, str):
            plan = self._report.records.get(f"plan/{value.get('plan')}")
            currency = plan.get("currency") if isinstance(plan, dict) else None
        return f"{self._words.amount(units, str(currency))} {currency}" if isinstance(currency, str) else f"{units}"

    def amount(self, value: Fields, name: str) -> str:
        """The amount in a field."""
        return self.sum(_units(value.get(name)), value)

    def member(self, value: Fields) -> str:
        roles = [str(one.get("role")) for one in _rows(value, "roles") if "until" not in one]
        states = _rows(value, "states")
        now = str(states[-1].get("state")) if states else "unknown"
        identity = f"{value.get('identifier_kind')} {value.get('identifier')}"
        return f"{identity}, {', '.join(roles) if roles else 'without a role'}: {now}"

    def review(self, value: Fields) -> str:
        votes = [f"{one.get('result')} by {self.who(one, 'reviewer')}" for one in _rows(value, "decisions")]
        subject = self._words.name(str(value.get("subject")))
        return f"of {value.get('subject_kind')} {subject} ({', '.join(votes) or 'no votes'})"

    def receivable(self, value: Fields) -> str:
        parties = f"owed by {self.who(value, 'debtor')} to {self.who(value, 'creditor')} as issued"
        redeemed = f", {self.amount(value, 'redeemed')} of it redeemed" if _units(value.get("redeemed")) else ""
        return f"{self.amount(value, 'face')}, {parties}, due on {value.get('due_on')}{redeemed}"

    def transfer(self, value: Fields) -> str:
        recourse = ", with recourse" if value.get("recourse") else ""
        passed = f"from {self.who(value, 'sender')} to {self.who(value, 'receiver')}"
        return f"units {_span(value)}, {self.sum(_length(value), value)}, {passed} ({value.get('kind')}{recourse})"

    def financing(self, value: Fields) -> str:
        award, payment = value.get("award"), value.get("payment")
        by = f" by {self.who(award, 'funder')}" if isinstance(award, dict) else ""
        price = payment.get("price") if isinstance(payment, dict) else None
        paid = f" for {self.amount({**price, **_currency(value)}, 'net')}" if isinstance(price, dict) else ""
        return f"of {self.sum(_length(value), value)} for {self.who(value, 'client')}{by}{paid}"

    def recourse(self, value: Fields) -> str:
        return f"{self.amount(value, 'units')} from {self.who(value, 'liable')} to {self.who(value, 'claimant')}"

    def account(self, value: Fields) -> str:
        return f"of {self.who(value, 'owner')} in {value.get('currency')} with {self.who(value, 'custodian')}"

    def deposit(self, value: Fields) -> str:
        return (
            f"{self.amount(value, 'units')} from {self.who(value, 'payer')}, booked by {self.who(value, 'custodian')}"
        )

    def document(self, value: Fields) -> str:
        anchor = value.get("anchor")
        known = anchor if isinstance(anchor, dict) else {}
        return f"{known.get('kind')} of {self.who(value, 'owner')}, SHA-256 with its salt {known.get('hash')}"

    def product(self, value: Fields) -> str:
        terms = value.get("terms")
        cap = f" up to {self.amount(terms, 'cap')}" if isinstance(terms, dict) else ""
        between = f"{self.who(value, 'payer')} pays {self.who(value, 'payee')}"
        return f"{between}{cap}, platform {self.who(value, 'platform')}"

    def plan(self, value: Fields) -> str:
        sums = ("deposited", "released", "refunded", "fees", "reversed")
        went = [f"{self.amount(value, name)} {name}" for name in sums if _units(value.get(name))]
        between = f"{self.who(value, 'payer')} pays {self.who(value, 'payee')}"
        return f"{between} in {len(_rows(value, 'tranches'))} tranches; {', '.join(went) or 'no money yet'}"

    def certificate(self, value: Fields) -> str:
        met = [f"{str(one.get('method')).replace('_', ' ')}{self._by(one)}" for one in _rows(value, "conditions")]
        why = f"; conditions: {', '.join(met)}" if met else f"; cause: {value.get('cause', 'release')}"
        sums = ("released", "retained", "disputed", "recovered", "fees")
        went = [f"{self.amount(value, name)} {name}" for name in sums if _units(value.get(name))]
        return f"tranche {value.get('tranche')}: {', '.join(went) or 'nothing released'}{why}"

    def _by(self, met: Fields) -> str:
        by = met.get("by")
        names = [self._words.name(str(one)) for one in by] if isinstance(by, list) else []
        silent = " (by silence)" if met.get("by_silence") else ""
        return f" by {' and '.join(names)}{silent}" if names else silent

    def evidence(self, value: Fields) -> str:
        claimed = f", {self.amount(value, 'claimed')} claimed" if _units(value.get("claimed")) else ""
        return f"tranche {value.get('tranche')}, round {value.get('round')}{claimed}"

    def dispute(self, value: Fields) -> str:
        ruled = f", {self.amount(value, 'to_payee')} of it to the payee" if "to_payee" in value else ""
        return f"about {self.amount(value, 'units')} of tranche {value.get('tranche')}{ruled}"

    def refund(self, value: Fields) -> str:
        return f"{self.amount(value, 'units')} of tranche {value.get('tranche')} back to {self.who(value, 'payer')}"

    def wage_sheet(self, value: Fields) -> str:
        standing = [{**one, **_currency(value)} for one in _rows(value, "standing")]
        states = [f"{one.get('lines')} {one.get('state')} ({self.amount(one, 'units')})" for one in standing]
        lines = ", ".join(states).replace("_", " ") or "none yet"
        workers = f"{value.get('lines')} workers, {self.amount(value, 'units')}"
        return f"wages of tranche {value.get('tranche')}: {workers}; lines: {lines}"


SAYS: dict[str, Callable[[_Telling, Fields], str]] = {
    "member": _Telling.member,
    "review": _Telling.review,
    "receivable": _Telling.receivable,
    "transfer": _Telling.transfer,
    "financing": _Telling.financing,
    "recourse": _Telling.recourse,
    "account": _Telling.account,
    "deposit": _Telling.deposit,
    "document": _Telling.document,
    "product": _Telling.product,
    "plan": _Telling.plan,
    "certificate": _Telling.certificate,
    "evidence": _Telling.evidence,
    "dispute": _Telling.dispute,
    "refund": _Telling.refund,
    "wage_sheet": _Telling.wage_sheet,
}
"""What each kind of record is told with, before its state."""


def _rows(value: Fields, name: str) -> list[Fields]:
    listed = value.get(name)
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _units(value: Json) -> int:
    return int(value) if isinstance(value, str) and _UNITS.fullmatch(value) else 0


def _currency(value: Fields) -> Fields:
    return {"currency": value.get("currency")}


def _bounds(value: Fields) -> tuple[int, int]:
    listed = value.get("interval")
    found = [_units(one) for one in listed] if isinstance(listed, list) else []
    return (found[0], found[1]) if len(found) == 2 else (0, 0)


def _span(value: Fields) -> str:
    return "{} to {}".format(*_bounds(value))


def _length(value: Fields) -> int:
    first, last = _bounds(value)
    return last - first + 1
