"""Found a consortium in an empty directory, tell the story on it, hold its nodes against each other, take it down."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tallystick.kernel.genesis import Genesis
from tallystick.node.composition import node_answers
from tallystick.node.consortium.founding import Plan, found, free_ports, members_of
from tallystick.node.consortium.member_home import MemberHome
from tallystick.node.consortium.processes import down, up
from tallystick.node.consortium.watching import watching
from tallystick.node.genesis_file import GenesisFile, read_genesis_file
from tallystick.node.home import Home, write_private
from tallystick.node.key_store import LIGHT_COST, Passphrases
from tallystick.node.session import Session, open_home
from tallystick.wire.errors import DecodeError
from tools.consortium.watching import Members, WatchedTelling
from tools.demo import evidence, joining, mishaps, story, summary
from tools.demo.home import PASSPHRASE, new_home
from tools.demo.houses import Houses
from tools.demo.published import Published
from tools.demo.stage import Stage, StoryFault

USUAL_DIRECTORY = Path("var/consortium")
USUAL_MEMBERS = 4
EQUAL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What to do: where, with how many nodes, at which ports, and whether the beginning is enough."""

    directory: Path
    members: int = USUAL_MEMBERS
    base_port: int | None = None
    is_short: bool = False


def tell(asked: Asked) -> None:
    """The whole of `make consortium`. Raises `StoryFault`, `DecodeError`, `OSError`."""
    telling, published = WatchedTelling(), Published()
    _check_stopped(asked.directory)
    with new_home(asked.directory) as home:
        telling.show(*summary.opening(published))
        file = read_genesis_file(story.GENESIS).on_one_machine(asked.members)
        genesis = _found(asked, file, telling)
        members = members_of(asked.directory)
        with _running(members, telling):
            with _stage(home, file, members, telling) as stage:
                _play(stage, published, genesis, is_short=asked.is_short)
            telling.chapter("The nodes, held against each other")
            _compare(members, telling)
        telling.members = None
        _replay(members, telling)
    _look(asked.directory, members, telling)


def _check_stopped(directory: Path) -> None:
    """An earlier run's nodes are not pulled out from under whoever looks at them."""
    running = [path.parent.name for path in directory.glob("*/node.toml") if node_answers(Home(path.parent))]
    if running:
        raise DecodeError(f"{', '.join(running)} of an earlier run are running (tally consortium down)", str(directory))


def _found(asked: Asked, file: GenesisFile, telling: WatchedTelling) -> Genesis:
    telling.chapter("The consortium")
    with telling.step("Homes") as step:
        ports = free_ports(asked.members, asked.base_port)
        genesis = found(asked.directory, Plan(file, ports, cost=LIGHT_COST), Passphrases((PASSPHRASE,)))
        for member in members_of(asked.directory):
            write_private(member.home.passphrase, PASSPHRASE.encode() + b"\n")
            own = [folder for folder, node in file.custody().items() if node == member.settings.moniker]
            step.say(f"{member.settings.moniker} at {member.address}: keeps the keys of {', '.join(own)}")
    return genesis


@contextmanager
def _running(members: Sequence[MemberHome], telling: WatchedTelling) -> Iterator[None]:
    """The nodes run, and are watched; whatever happens, they are taken down."""
    try:
        with telling.step("Nodes") as step:
            up(members, lambda text: telling.show(f"[dim]{text}[/]"))
            step.say(f"{len(members)} nodes run, each with its CometBFT")
        with watching(members) as watch, Members(watch) as shown:
            telling.members = shown
            yield
    finally:
        telling.members = None
        down(members, lambda text: telling.show(f"[dim]{text}[/]"))


@contextmanager
def _stage(home: Home, file: GenesisFile, members: Sequence[MemberHome], telling: WatchedTelling) -> Iterator[Stage]:
    """A session with each node, with its own home's keys alone."""
    with ExitStack() as open_sessions:
        sessions: list[Session] = [
            open_sessions.enter_context(open_home(member.home.path, Passphrases((PASSPHRASE,)))) for member in members
        ]
        yield Stage(Houses(sessions, _places(file, members)), home, telling)


def _places(file: GenesisFile, members: Sequence[MemberHome]) -> Callable[[str], int]:
    """Founders are where the genesis file says; whoever joins comes to the nodes in turn."""
    names = [member.settings.moniker for member in members]
    places = {folder: names.index(node) for folder, node in file.custody().items()}
    return lambda folder: places.setdefault(folder, len(places) % len(names))


def _play(stage: Stage, published: Published, genesis: Genesis, *, is_short: bool) -> None:
    if not is_short:
        story.play(stage, published, genesis, joining.HORIZON)
        return
    stage.telling.chapter("Chapter 1: pounds, under the law pack gb (its beginning)")
    summary.founded(stage, genesis)
    joining.publish_missing_years(stage)
    joining.join(stage, published)
    joining.open_accounts(stage)
    demo_debt = mishaps.befall(stage)
    stage.advance_days(1)
    evidence.prove_all(stage, {"receivable": demo_debt})


def _compare(members: Sequence[MemberHome], telling: WatchedTelling) -> None:
    """All nodes come to the same height with the same app hash."""
    with telling.step("App hashes") as step, watching(members) as watch:
        until = time.monotonic() + EQUAL_SECONDS
        while True:
            states = watch.look()
            found = {(one.health.height, one.health.app_hash.hex()) for one in states if one.health is not None}
            if len(found) == 1 and all(one.is_well for one in states):
                break
            if time.monotonic() > until:
                said = "; ".join(f"{one.name}: {one.problem or one.health}" for one in states)
                raise StoryFault(f"the nodes did not come to one app hash: {said}")
            time.sleep(0.2)
        ((height, app_hash),) = found
        step.say(f"{len(members)} of {len(members)} nodes at block {height:,} have app hash {app_hash}")


def _replay(members: Sequence[MemberHome], telling: WatchedTelling) -> None:
    """`tally fsck` on each member's own ledger, its node being down."""
    with telling.step("Replayed") as step:
        step.expect(len(members))
        for member in members:
            words = ("-m", "tallystick.cli", "fsck", "--json", "--home", str(member.home.path))
            done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
            if done.returncode:
                raise StoryFault(f"tally fsck {member.home.path}: {done.stdout}{done.stderr}")
            step.advance(1)
        step.say(f"tally fsck: every block of each of the {len(members)} ledgers gives what it says")


def _look(directory: Path, members: Sequence[MemberHome], telling: WatchedTelling) -> None:
    home = members[0].home.path
    telling.chapter("Look for yourself")
    telling.show(
        f"The nodes are down; `tally consortium up {directory}` starts them, `tally consortium status {directory} "
        f"--follow` watches, `tally consortium down {directory}` stops them. Every command works in a member's home "
        f"too, as `tally members --home {home}` does. Verifiers pin {directory / 'genesis.json'}. All keys are "
        f'encrypted under the passphrase "{PASSPHRASE}", which stands beside them.'
    )
