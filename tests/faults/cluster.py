"""A consortium of real members on this machine, which a test breaks, and which must have lost nothing in the end.

Members find each other through `Links` alone: each has its persistent peers at relays of its own, exchanges no
addresses, and names an address at which nobody listens as its own.
"""

import random
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from tallystick.node.cometbft.settings import Blocks
from tallystick.proof.light_client import check_commit
from tallystick.wire import envelope
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.faults.founding import Ground, now
from tests.faults.load import Load, quantile
from tests.faults.member import Member, Struck, until
from tests.support.network import Links

BRISK = Blocks(commit_wait_ms=100, proposal_wait_ms=1_000)  # so that a round of a hundred faults ends
HALT_SECONDS = 6.0  # after which a chain that could go on would have
SETTLE_SECONDS = 2.0  # in which what was under way arrives
HEAL_SECONDS = 90.0  # CometBFT dials again every 5 to 8 s, and its rounds grow longer while nothing is decided


class Cluster:
    """`count` validators and what is thrown at them. `settings` are fields of every member's `NodeSettings`."""

    def __init__(
        self,
        directory: Path,
        chance: random.Random,
        *,
        count: int = 4,
        began: Instant | None = None,
        **settings: Any,
    ) -> None:
        self.directory = directory
        self.chance = chance
        self.links = Links()
        self.ground = Ground(directory, self.links, count, began or now(), {"blocks": BRISK, **settings})
        self.steps = self.ground.steps
        self.load: Load | None = None
        self.other_documents = 0  # that somebody else than the load's clients has anchored
        self.is_finished = False

    @property
    def members(self) -> list[Member]:
        """Validators first, in order, then those that joined."""
        return self.ground.members

    # What is done to it

    def start(self, *sabotage: str, on: Collection[int] = ()) -> None:
        """Start every member, those `on` with `sabotage`; the others have answered when this returns."""
        for member in self.members:
            member.start(*(sabotage if member.number in on else ()))
        for member in self.members:
            if member.number not in on:
                member.wait_ready()

    def under_load(self, on: Collection[int] | None = None, clients: int = 3) -> Load:
        """Let clients submit steps to the members from now on."""
        members = [member for member in self.members if on is None or member.number in on]
        self.load = Load(members, self.steps, self.chance, clients)
        return self.load

    def kill(self, number: int, struck: Struck) -> None:
        """`kill -9`; a node that is killed must be restarted, a CometBFT is by its node."""
        print(f"kill -9 of {struck.value} of member {number} at block {self.height}")
        self.members[number].kill(struck)

    def restart(self, number: int) -> None:
        """Start a member that has ended."""
        self.members[number].start()
        self.members[number].wait_ready()

    # What it does

    @property
    def height(self) -> int:
        """The highest block that any member has."""
        return max(member.height() for member in self.members)

    def heights(self) -> dict[int, int]:
        """The last block of each member; -1 where it does not answer."""
        return {member.number: member.height() for member in self.members}

    def goes_on(self, *, of: Sequence[int] | None = None, blocks: int = 3, seconds: float = HEAL_SECONDS) -> float:
        """Each of the members (all) gets so many blocks more than any had; returns how long that took."""
        goal = self.height + blocks
        return self.wait_height(goal, of=of, seconds=seconds)

    def wait_height(self, height: int, *, of: Sequence[int] | None = None, seconds: float = HEAL_SECONDS) -> float:
        """Wait until the members (all) have the block of a height."""
        waited = [self.members[number] for number in of] if of is not None else self.members
        try:
            return until(lambda: min(m.height() for m in waited) >= height, seconds, f"{waited} at height {height}")
        except AssertionError as error:
            raise AssertionError(f"{error}; heights {self.heights()}\n{self.logs()}") from None

    def stands_still(self) -> None:
        """No block comes, though there are steps to order."""
        time.sleep(SETTLE_SECONDS)
        before = self.height
        time.sleep(HALT_SECONDS)
        assert self.height == before, "the chain goes on without two thirds of its validators"

    def wait_rest(self, members: Sequence[Member] = ()) -> int:
        """Wait until the members (all) are at one height and stay there; returns it."""
        waited = members or self.members

        def is_at_rest() -> bool:
            heights = {member.height() for member in waited}
            return len(heights) == 1 and heights != {-1}

        until(is_at_rest, HEAL_SECONDS, f"{waited} at one height")
        time.sleep(SETTLE_SECONDS)
        until(is_at_rest, HEAL_SECONDS, f"{waited} at one height, still")
        return waited[0].height()

    def wait_a_moment(self) -> None:
        """Some seconds, by chance."""
        time.sleep(self.chance.uniform(1.0, 6.0))

    def logs(self) -> str:
        """The last of what each member said."""
        return "\n".join(member.log() for member in self.members)

    # How every run ends

    def finish(self, without: Collection[int] = ()) -> None:
        """Heal everything; then all members (but those `without`) are at one height with one history, hold each
        acknowledged step exactly once, stop in order, and pass fsck.
        """
        self.links.restore()
        whole = [member for member in self.members if member.number not in without]
        for member in whole:
            if member.is_paused:
                member.resume()
            if not member.is_running:
                member.start()
        for member in whole:
            member.wait_ready()
        if self.load is not None:
            self.load.stop()
        height = self.wait_rest(whole)
        self._check_one_history(whole, height)
        self._check_exactly_once(whole, height)
        for member in self.members:
            if member.is_running:
                code = member.stop()
                assert member not in whole or code == 0, f"{member} ends with {code}\n{member.log()}"
        for member in whole:
            member.fsck()
        self._tell(height)
        self.is_finished = True

    def close(self) -> None:
        """Leave nothing running."""
        if self.load is not None:
            self.load.abandon()
        for member in self.members:
            member.end()
        self.links.close()

    def _check_one_history(self, members: list[Member], height: int) -> None:
        healths = {member: member.health() for member in members}
        ends = {health and (health.height, health.app_hash) for health in healths.values()}
        assert len(ends) == 1, f"members differ at height {height}: {healths}"
        told = healths[members[0]]
        assert told is not None
        assert told.height == height
        for at in range(1, height):
            blocks = {m: m.engine.light_block(at) for m in members if at >= m.first_height}
            for member, block in blocks.items():
                assert check_commit(block).is_trusted, f"{member} has too few votes under block {at}"
            hashes = {m: block.header.hash() for m, block in blocks.items()}
            assert len(set(hashes.values())) == 1, f"members differ in the header of block {at}: {hashes}"

    def _check_exactly_once(self, members: list[Member], height: int) -> None:
        """Each acknowledged step stands where its client was told, on every member, and once in the whole history."""
        if self.load is None:
            return
        first = members[0]
        applied = Counter(
            envelope.parse(raw).body_hash
            for at in range(1, height + 1)
            for raw, code in zip(first.engine.transactions(at), first.engine.results(at).codes, strict=True)
            if code == Status.OK.number
        )
        for done in self.load.done:
            assert applied[done.body_hash] == 1, f"{done} was applied {applied[done.body_hash]} times"
            assert done.outcome.status is Status.OK, done
            for member in members:
                assert member.engine.result(done.body_hash) == done.outcome, f"{member} knows another outcome of {done}"
        assert max(applied.values(), default=1) == 1, "a step was applied twice"
        for member in members:
            expected = len(self.load.done) + self.other_documents
            assert member.count("document") == expected, f"{member} holds other documents"

    def _tell(self, height: int) -> None:
        waits = [done.seconds for done in self.load.done] if self.load is not None else []
        print(
            f"{height} blocks, {len(waits)} steps acknowledged, each applied once; a client waited "
            f"{quantile(waits, 0.5):.2f} s (p50), {quantile(waits, 0.99):.2f} s (p99), "
            f"{max(waits, default=0):.2f} s (max)"
        )
