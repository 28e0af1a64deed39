"""The sources keep the rules of code_rules, and code_rules sees each of them broken."""

from pathlib import Path

import pytest

from tests.architecture.code_rules import RULES, findings

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "tallystick"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if not p.name.endswith("_pb2.py"))


def test_the_sources_are_found() -> None:
    assert len(MODULES) > 5


@pytest.mark.parametrize("module", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_sources_keep_the_rules(module: Path) -> None:
    parts = module.relative_to(PACKAGE).parts
    room = parts[0] if len(parts) > 1 else ""
    broken = findings(module.read_text(encoding="utf-8"), room)
    listed = "\n".join(f"{module.relative_to(ROOT)}:{f.line}: {f.rule}: {f.what}" for f in broken)
    assert not broken, f"\n{listed}"


BROKEN = [
    ("node", "assert paid", "bare-assert"),
    ("cli", "try:\n    pay()\nexcept Exception:\n    pass", "broad-except"),
    ("cli", "try:\n    pay()\nexcept:\n    pass", "broad-except"),
    ("cli", "try:\n    pay()\nexcept (ValueError, BaseException):\n    pass", "broad-except"),
    ("", "ok = text.isdigit()", "loose-digits"),
    ("wire", "ok = all(map(str.isdecimal, text))", "loose-digits"),
    ("kernel", "rate = 0.05", "float"),
    ("wire", "rate = float(text)", "float"),
    ("kernel", "half = face / 2", "float"),
    ("kernel", "face /= 2", "float"),
    ("proof", "at = datetime.now(UTC)", "clock"),
    ("kernel", "due = date.today()", "clock"),
    ("wire", "at = datetime.datetime.fromtimestamp(seconds)", "clock"),
    ("kernel", "at = instant.astimezone()", "clock"),
    ("ledger", "bucket = hash(key) % 16", "hash-order"),
    ("kernel", "for party in {debtor, creditor}:\n    notify(party)", "set-order"),
    ("kernel", "def tell(parties: frozenset[str]):\n    return [n(p) for p in parties]", "set-order"),
    ("kernel", "def tell():\n    parties = set(all_of_them)\n    yield from tuple(parties)", "set-order"),
    (
        "kernel",
        "class Op:\n    to: frozenset[str]\n    def apply(self):\n        return [*self.to]",
        "set-order",
    ),
    ("ledger", "rows = list(seen - {key})", "set-order"),
    ("wire", "text = ','.join(set(names))", "set-order"),
]


@pytest.mark.parametrize(("room", "source", "rule"), BROKEN)
def test_a_broken_rule_is_seen(room: str, source: str, rule: str) -> None:
    assert [f.rule for f in findings(source, room)] == [rule]


def test_every_rule_is_seen_broken() -> None:
    assert {rule for _, _, rule in BROKEN} == RULES


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("kernel", "for party in sorted({debtor, creditor}):\n    notify(party)"),
        ("kernel", "def held(by: frozenset[str]):\n    return any(p in live for p in by)"),
        ("kernel", "def other(by: frozenset[str]):\n    return {name(p) for p in by}"),
        ("kernel", "class Op:\n    to: frozenset[str]\n    def apply(self, to):\n        return [*to]"),
        ("kernel", "half = face // 2"),
        ("cli", "timeout_seconds = 0.5"),
        ("node", "at = datetime.now(UTC)"),
        ("kernel", "due = step.today"),
        ("cli", "try:\n    pay()\nexcept (OSError, ValueError):\n    pass"),
        ("cli", "text = '# allow(float)'"),
    ],
)
def test_what_is_allowed_stays_allowed(room: str, source: str) -> None:
    assert findings(source, room) == []


def test_a_mark_with_its_reason_excuses_its_line_only() -> None:
    source = "a = 0.5  # allow(float): compared with the published figure\nb = 0.5"
    assert [(f.line, f.rule) for f in findings(source, "kernel")] == [(2, "float")]


@pytest.mark.parametrize(
    "source",
    ["a = 1  # allow(float): nothing to excuse", "a = 1  # allow(anything): no such rule"],
)
def test_an_idle_mark_is_refused(source: str) -> None:
    assert [f.rule for f in findings(source, "kernel")] == ["unreasoned-mark"]


def test_a_mark_without_a_reason_excuses_nothing() -> None:
    rules = [f.rule for f in findings("a = 0.5  # allow(float)", "kernel")]
    assert rules == ["float", "unreasoned-mark"]
