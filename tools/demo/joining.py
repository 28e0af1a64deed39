"""How the organisations come in: they apply with their own keys, are sponsored by a member, and are reviewed."""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tallystick.kernel.accounts.opening import ApplyForAccount
from tallystick.kernel.accounts.records import Account
from tallystick.kernel.calendar.adopt import AdoptCalendar, PublishedYear
from tallystick.kernel.calendar.records import CalendarYear
from tallystick.kernel.membership.admission import ApplyForMembership
from tallystick.kernel.membership.keys import SetSigningPolicy
from tallystick.kernel.membership.records import (
    KeyOffer,
    KeyRole,
    Member,
    MemberState,
    Permission,
    Permitted,
    Role,
    SigningRule,
    SizeClass,
)
from tallystick.node.genesis_file import folder_of
from tallystick.wire.amounts import Units
from tools.demo.published import Published
from tools.demo.stage import BANK, GOVERNORS, PLATFORM, Stage, StoryFault, Vote
from tools.demo.telling import Step

APPLICATIONS = 15  # an envelope carries 16 signatures: the sponsor's and each applicant's
CEILING = Units(10_000_000_00)
FOUR_EYES_FROM = Units(250_000_00)
HORIZON = datetime.timedelta(days=366)
TWO_PERSONS = (KeyRole.MAKER, KeyRole.CHECKER, KeyRole.ADMIN)

SUPPLIER = "Demo Supplier"
BUYER = "Demo Buyer"
WORKSHOP = "Demo Workshop"
HAULIER = "Demo Haulier"
FUNDER_NORTH = "Demo Funder North"
FUNDER_SOUTH = "Demo Funder South"
FUNDER_EAST = "Demo Funder East"
FUNDERS = (FUNDER_NORTH, FUNDER_SOUTH, FUNDER_EAST)
APPLICANT = "Demo Applicant"
CN_BUYER = "Demo Core Enterprise CN"
CN_SUPPLIER = "Demo Supplier CN"


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who applies, and for what."""

    name: str
    identifier: str
    kind: str = "demo"
    size: SizeClass = SizeClass.LARGE
    roles: tuple[Role, ...] = (Role.CLIENT,)
    currency: str = "GBP"
    keys: tuple[KeyRole, ...] = (KeyRole.ADMIN,)


def first_circle(published: Published) -> list[Applicant]:
    """The council, and the organisations that exist in the demo only."""
    council = Applicant(
        published.payer,
        published.payer_code,
        "ons",
        SizeClass.PUBLIC,
        (Role.CLIENT, Role.CORE_ENTERPRISE),
        keys=TWO_PERSONS,
    )
    clients = [Applicant(name, folder_of(name)) for name in (SUPPLIER, BUYER, WORKSHOP, HAULIER, APPLICANT)]
    funders = [Applicant(name, folder_of(name), roles=(Role.FUNDER,)) for name in FUNDERS]
    core = (Role.CLIENT, Role.CORE_ENTERPRISE)
    chapter_two = [
        Applicant(CN_BUYER, folder_of(CN_BUYER), roles=core, currency="CNY"),
        Applicant(CN_SUPPLIER, folder_of(CN_SUPPLIER), currency="CNY", keys=TWO_PERSONS),
    ]
    return [council, *clients, *funders, *chapter_two]


def join(stage: Stage, published: Published) -> None:
    """The council and the demo's organisations, sponsored by the platform; then the suppliers, by the council."""
    with stage.telling.step("Members") as step:
        applied = apply_all(stage, first_circle(published), PLATFORM, step)
        stage.turn_down(stage.get(Member, applied[APPLICANT]).review, "papers_missing")
        admit(stage, [member for name, member in applied.items() if name != APPLICANT], step)
        stage.do(SetSigningPolicy(rules=_FOUR_EYES), by=published.payer)
        suppliers = [Applicant(one.name, one.number, "calderdale-supplier") for one in published.suppliers()]
        admit(stage, apply_all(stage, suppliers, published.payer, step).values(), step)
        rows = list(stage.rows(Member))
        admitted = sum(1 for row in rows if row.is_admitted and row.sponsor is not None)
        refused = [row.legal_name for row in rows if row.state is MemberState.REFUSED]
        step.say(
            f"{admitted} applied, were sponsored, reviewed and admitted: {published.payer}, its {len(suppliers)} "
            f"suppliers and {admitted - len(suppliers) - 1} demo organisations. "
            f"Refused: {', '.join(refused)} (papers missing)"
        )


_FOUR_EYES = (
    SigningRule(pattern="receivable.*", currency="GBP", up_to=FOUR_EYES_FROM, makers=1),
    SigningRule(pattern="receivable.*", makers=1, checkers=1),
    SigningRule(pattern="*", makers=1),
)
"""The council's own rule, kept by the ledger: above 250,000 a second person signs (制单, 复核)."""


def apply_all(stage: Stage, applicants: Sequence[Applicant], sponsor: str, step: Step) -> dict[str, str]:
    """Make each applicant's keys and hand the applications in; ids by name."""
    papers = stage.papers.stand_in("qualification", f"applicants sponsored by {sponsor}")
    operations = []
    folders: set[str] = set()
    for one in applicants:
        folder = folder_of(one.name)
        if folder in folders:
            raise StoryFault(f"two organisations would keep their keys in {folder}")
        folders.add(folder)
        operations.append(
            ApplyForMembership(
                legal_name=one.name,
                identifier=one.identifier,
                identifier_kind=one.kind,
                size_class=one.size,
                keys=tuple(KeyOffer(key=stage.houses.new_key(one.name, role.value), role=role) for role in one.keys),
                roles=one.roles,
                permissions=tuple(Permission(may=may, currency=one.currency, ceiling=CEILING) for may in Permitted),
                papers=(papers,),
            )
        )
    stage.houses.reread_keys()
    jobs = [
        stage.job(operations[start : start + APPLICATIONS], sponsor)
        for start in range(0, len(operations), APPLICATIONS)
    ]
    stage.do_all(jobs, step)
    made = [stage.made("mbr", job, index) for job in jobs for index in range(len(job.operations))]
    return {one.name: member for one, member in zip(applicants, made, strict=True)}


def admit(stage: Stage, members: Iterable[str], step: Step) -> None:
    """Two auditors approve the applications."""
    stage.approve([Vote(stage.get(Member, member).review or "") for member in members], step)


def open_accounts(stage: Stage) -> None:
    """Every member that deals in GBP asks the bank for an account; the bank reviews and opens them."""
    with stage.telling.step("Accounts") as step:
        papers = stage.papers.stand_in("account_application", "all members that trade")
        owners = [row.legal_name for row in stage.rows(Member) if row.is_admitted and _deals_in_pounds(row)]
        custodian = stage.id(BANK)
        asked = ApplyForAccount(currency="GBP", custodian=custodian, papers=(papers,))
        stage.do_all([stage.job([asked], owner) for owner in owners], step)
        stage.approve_as(BANK, [Vote(account.review or "") for account in stage.rows(Account)], step)
        step.say(f"{len(owners)} accounts are open with {BANK}, each after its review")


def _deals_in_pounds(member: Member) -> bool:
    return any(grant.permission.currency == "GBP" for grant in member.permissions)


def publish_missing_years(stage: Stage, horizon: datetime.timedelta = HORIZON) -> None:
    """Where the published calendars end before the story does, the governors adopt further years, weekdays only."""
    today = stage.today()
    years = range(today.year, (today + horizon).year + 1)
    published = {int(row.id) for row in stage.rows(CalendarYear)}
    missing = [year for year in years if year not in published]
    if not missing:
        return
    with stage.telling.step("Calendar") as step:
        source = "made up for the demo: weekdays only, as no bank holidays were published when it was written"
        adopted = tuple(PublishedYear(year=year, days_off=()) for year in missing)
        stage.do(
            AdoptCalendar(from_on=datetime.date(missing[0], 1, 1), source=source, years=adopted),
            by=GOVERNORS[0],
            also=GOVERNORS[1:],
        )
        step.say(
            f"no bank holidays are published for {', '.join(map(str, missing))}: weekdays only, made up for the demo"
        )
