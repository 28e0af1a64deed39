"""law.adopt, reference_rate.adopt, debtor.flag: governors m of n, from a day on, and never the past."""

from typing import Any

import pytest

from tallystick import seeds
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.law.adopt import AdoptLaw
from tallystick.kernel.law.flags import DebtorFlags, FlagDebtor
from tallystick.kernel.law.rates import AdoptReferenceRate, RateValue, ReferenceRate, rate_on
from tallystick.kernel.law.records import Effect, LawBook, Matter, Rule
from tallystick.kernel.membership.records import MemberState, Role, StateEntry
from tallystick.wire.amounts import Rate
from tallystick.wire.status import Status
from tests.support.law import PAPER, day
from tests.support.world import GENESIS, World


class Scene:
    """A consortium under `gb` with two governors, both needed, on 2 March 2026."""

    def __init__(self) -> None:
        self.world = World(policies=Policies(governors_needed=2))
        self.one = self.world.member("Governor One", Role.GOVERNOR)
        self.two = self.world.member("Governor Two", Role.GOVERNOR)
        self.debtor = self.world.member("Debtor", Role.CORE_ENTERPRISE)
        self.world.put(*seeds.law("gb"), seeds.reference_rate("gb-bank-rate"))

    def do(self, asked: Operation, expect: Status = Status.OK, vector: str = "") -> dict[str, Any]:
        return self.world.do(asked, by=self.one, also=(self.two,), expect=expect, vector=vector).facts


@pytest.fixture
def scene() -> Scene:
    return Scene()


def tenor(**fields: Any) -> Rule:
    terms: dict[str, Any] = {
        "name": "tenor_cap",
        "matter": Matter.TENOR,
        "clause": "Receivables Act s. 1",
        "effect": Effect.REFUSE,
        "from_on": day("2026-01-01"),
        "figures": {"months": 6},
    }
    return Rule(**{**terms, **fields})


def pack(*rules: Rule, **fields: Any) -> AdoptLaw:
    terms: dict[str, Any] = {
        "jurisdiction": "gb",
        "version": "gb-2026.1",
        "from_on": day("2026-03-03"),
        "rules": rules or (tenor(),),
        "source": "an Act",
        "currencies": ("GBP",),
    }
    return AdoptLaw(**{**terms, **fields})


# --- law.adopt


def test_a_new_version_judges_from_its_day(scene: Scene) -> None:
    scene.do(pack(), vector="law.adopt/accepted")
    book = scene.world.row(LawBook, "chain")
    assert [each.version for each in book.on(day("2026-03-02"), "GBP")] == ["all-seed.1", "gb-seed.1"]
    assert [each.version for each in book.on(day("2026-03-03"), "GBP")] == ["all-seed.1", "gb-2026.1"]
    assert [each.version for each in book.on(day("2026-03-03"), "CNY")] == ["all-seed.1"]
    assert scene.world.told(scene.one) == ["law.adopted"]


def test_one_governor_of_two_adopts_nothing(scene: Scene) -> None:
    scene.world.do(pack(), by=scene.one, expect=Status.ROLE_MISSING, vector="law.adopt/role_missing")


def test_law_is_never_retroactive(scene: Scene) -> None:
    facts = scene.do(pack(from_on=day("2026-03-02")), Status.RETROACTIVE, vector="law.adopt/retroactive")
    assert facts == {"from_on": "2026-03-02", "today": "2026-03-02"}


def test_a_first_pack_of_a_new_jurisdiction(scene: Scene) -> None:
    scene.do(pack(jurisdiction="fr", version="fr-2026.1", currencies=("EUR",)))
    book = scene.world.row(LawBook, "chain")
    assert [each.version for each in book.on(day("2026-03-03"), "EUR")] == ["all-seed.1", "fr-2026.1"]


def test_a_chain_that_had_no_law_may_adopt_some() -> None:
    scene = Scene()
    for key in ("law/chain", "law_pack/all-seed.1", "law_pack/gb-seed.1"):
        del scene.world.state.rows[key]
    scene.do(pack())
    assert [each.version for each in scene.world.row(LawBook, "chain").adoptions] == ["gb-2026.1"]


def test_versions_have_names_of_their_own_and_follow_each_other(scene: Scene) -> None:
    scene.do(pack(version="cn-2026.1"), Status.BAD_VALUE, vector="law.adopt/bad_value")
    scene.do(pack(version="gb-seed.1"), Status.RECORD_EXISTS, vector="law.adopt/record_exists")
    scene.do(pack(from_on=day("2026-06-01")))
    scene.do(pack(version="gb-2026.2", from_on=day("2026-06-01")), Status.BAD_DATES, vector="law.adopt/bad_dates")
    scene.do(pack(version="gb-2026.2", from_on=day("2026-06-02")))


LATER = day("2027-01-01")


def interest(**fields: Any) -> Rule:
    return tenor(**{"name": "interest", "matter": Matter.LATE_INTEREST, "effect": Effect.CLAIM, **fields})


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        ((tenor(), tenor()), Status.BAD_VALUE),
        ((tenor(figures={}),), Status.BAD_VALUE),
        ((tenor(figures={"months": 1_201}),), Status.BAD_VALUE),
        ((tenor(transition_effect=Effect.WARN),), Status.BAD_VALUE),
        ((tenor(until_on=day("2026-01-01")),), Status.BAD_DATES),
        ((tenor(until_on=LATER, transition_until_on=day("2028-01-01")),), Status.BAD_DATES),
        ((tenor(effect=Effect.CLAIM),), Status.BAD_VALUE),
        ((tenor(transition_until_on=LATER, transition_effect=Effect.CLAIM),), Status.BAD_VALUE),
        ((interest(effect=Effect.WARN, figures={"without_agreement": 1}),), Status.BAD_VALUE),
        ((interest(figures={}),), Status.BAD_VALUE),
        ((interest(figures={"over_reference": 1}),), Status.BAD_VALUE),
        ((interest(figures={"without_agreement": 10**12}),), Status.BAD_VALUE),
        ((interest(matter=Matter.FIXED_SUM, figures={"small": 1}),), Status.BAD_VALUE),
    ],
)
def test_rules_that_could_not_be_applied(scene: Scene, rules: tuple[Rule, ...], status: Status) -> None:
    scene.do(pack(*rules), status)


def test_rules_that_could(scene: Scene) -> None:
    reference = interest(figures={"over_reference": 1}, kinds={"reference": ("gb-bank-rate",)})
    flat = interest(name="flat", figures={"without_agreement": 10**12 - 1})
    dated = tenor(transition_until_on=LATER, transition_effect=Effect.WARN, until_on=day("2028-01-01"))
    scene.do(pack(reference, flat, dated))


@pytest.mark.parametrize(
    ("on", "effect"),
    [
        ("2025-12-31", None),
        ("2026-01-01", Effect.WARN),
        ("2026-12-31", Effect.WARN),
        ("2027-01-01", Effect.REFUSE),
        ("2027-12-31", Effect.REFUSE),
        ("2028-01-01", None),
    ],
)
def test_a_rules_effect_day_by_day(on: str, effect: Effect | None) -> None:
    rule = tenor(transition_until_on=LATER, transition_effect=Effect.WARN, until_on=day("2028-01-01"))
    assert rule.effect_on(day(on)) is effect


def test_seed_packs_are_packs_that_could_be_adopted(scene: Scene) -> None:
    """A genesis and law.adopt accept the same."""
    for name in seeds.JURISDICTIONS:
        rules = seeds.law_pack(name)[0].rules
        scene.do(pack(*rules, jurisdiction=name, version=f"{name}-again", from_on=day("2026-03-09")))


# --- reference_rate.adopt


def rate(*values: tuple[str, str], until: str, **fields: Any) -> AdoptReferenceRate:
    dated = tuple(RateValue(from_on=day(on), rate=Rate.parse(text)) for on, text in values)
    terms = {"rate": "gb-bank-rate", "values": dated, "known_until_on": day(until), "source": "a publication"}
    return AdoptReferenceRate(**{**terms, **fields})


def test_values_extend_what_is_known_and_keep_what_was(scene: Scene) -> None:
    scene.do(rate(("2026-02-05", "3.5"), until="2026-03-01"), vector="reference_rate.adopt/accepted")
    state = scene.world.state
    assert rate_on(state, "gb-bank-rate", day("2026-02-04")) == Rate.parse("3.75")
    assert rate_on(state, "gb-bank-rate", day("2026-02-05")) == Rate.parse("3.5")
    assert isinstance(rate_on(state, "gb-bank-rate", day("2026-03-02")), Refusal)
    scene.do(rate(until="2026-03-20"))
    assert rate_on(state, "gb-bank-rate", day("2026-03-20")) == Rate.parse("3.5")


def test_days_that_were_known_keep_their_rate(scene: Scene) -> None:
    facts = scene.do(
        rate(("2025-12-31", "3.5"), until="2026-03-01"),
        Status.RETROACTIVE,
        vector="reference_rate.adopt/retroactive",
    )
    assert facts["known_until_on"] == "2025-12-31"
    scene.do(rate(until="2025-12-31"), Status.RETROACTIVE)


def test_what_cannot_have_been_published(scene: Scene) -> None:
    one, two = ("2026-02-05", "3.5"), ("2026-03-05", "3.25")
    scene.do(rate(two, one, until="2026-04-01"), Status.BAD_DATES, vector="reference_rate.adopt/bad_dates")
    scene.do(rate(one, one, until="2026-04-01"), Status.BAD_DATES)
    scene.do(rate(one, until="2026-02-04"), Status.BAD_DATES)
    scene.do(rate(until="2026-04-01", rate="cn-lpr-1y"), Status.NOT_FOUND, vector="reference_rate.adopt/not_found")


def test_another_rate_begins_anywhere(scene: Scene) -> None:
    scene.do(rate(("2020-01-20", "4.15"), until="2020-02-19", rate="cn-lpr-1y"))
    assert scene.world.row(ReferenceRate, "cn-lpr-1y").known_until_on == day("2020-02-19")


def test_one_governor_of_two_adopts_no_rate(scene: Scene) -> None:
    asked = rate(until="2026-03-20")
    scene.world.do(asked, by=scene.one, expect=Status.ROLE_MISSING, vector="reference_rate.adopt/role_missing")


# --- debtor.flag


def flag(scene: Scene, on: str, **fields: Any) -> FlagDebtor:
    terms = {"debtor": scene.debtor, "kind": "bond_default", "from_on": day(on), "evidence": PAPER}
    return FlagDebtor(**{**terms, **fields})


def test_a_flag_is_raised_and_cleared_from_a_day(scene: Scene) -> None:
    scene.do(flag(scene, "2026-03-02"), vector="debtor.flag/accepted")
    scene.do(flag(scene, "2026-03-03", kind="persistent_overdue"))
    scene.do(flag(scene, "2026-03-09", clears=True), vector="debtor.flag/cleared")
    flags = scene.world.row(DebtorFlags, scene.debtor).flags
    assert [(each.kind, each.from_on, each.cleared_on) for each in flags] == [
        ("bond_default", day("2026-03-02"), day("2026-03-09")),
        ("persistent_overdue", day("2026-03-03"), None),
    ]
    assert scene.world.told(scene.debtor) == ["debtor.flagged", "debtor.flagged", "debtor.cleared"]


def test_a_cleared_flag_may_be_raised_again(scene: Scene) -> None:
    scene.do(flag(scene, "2026-03-02"))
    scene.do(flag(scene, "2026-03-02", clears=True))
    scene.do(flag(scene, "2026-03-02"))
    assert len(scene.world.row(DebtorFlags, scene.debtor).flags) == 2


def test_a_flag_is_never_retroactive(scene: Scene) -> None:
    scene.do(flag(scene, "2026-03-01"), Status.RETROACTIVE, vector="debtor.flag/retroactive")


def test_a_flag_stands_once(scene: Scene) -> None:
    scene.do(flag(scene, "2026-03-02"))
    scene.do(flag(scene, "2026-03-05"), Status.RECORD_EXISTS, vector="debtor.flag/record_exists")


def test_only_what_stands_can_be_cleared(scene: Scene) -> None:
    scene.do(flag(scene, "2026-03-02", clears=True), Status.NOT_FOUND, vector="debtor.flag/not_found")
    scene.do(flag(scene, "2026-03-05"))
    scene.do(flag(scene, "2026-03-04", clears=True), Status.BAD_DATES, vector="debtor.flag/bad_dates")


def test_only_a_member_can_be_flagged(scene: Scene) -> None:
    gone = (StateEntry(state=MemberState.LEFT, since=GENESIS),)
    left = scene.world.member("Left", states=gone)
    scene.do(flag(scene, "2026-03-02", debtor=left), Status.NOT_A_MEMBER, vector="debtor.flag/not_a_member")


def test_one_governor_of_two_flags_nobody(scene: Scene) -> None:
    asked = flag(scene, "2026-03-02")
    scene.world.do(asked, by=scene.one, expect=Status.ROLE_MISSING, vector="debtor.flag/role_missing")
