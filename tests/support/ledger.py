"""Scenes for engines: a small genesis, members that sign real bytes, and a clock that a test owns."""

import itertools
import time

from nacl.signing import SigningKey as Ed25519

from tallystick.kernel.calendar.records import Transition
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.documents.anchors import AnchorDocument
from tallystick.kernel.genesis import Genesis, GenesisCurrency, GenesisMember, GenesisZone, Limits, member_id
from tallystick.kernel.governance.records import Engine, Validator
from tallystick.kernel.membership.records import Role, SizeClass
from tallystick.kernel.transaction import Seen, body_bytes
from tallystick.wire import envelope
from tallystick.wire.ids import record_id
from tallystick.wire.instants import DAY_MS, Instant
from tests.support.members import anchor, key_of, lei, offer, public

CHAIN_ID = "tallystick-engine-test"
START = Instant.parse("2026-03-02T01:00:00.000Z")
NODE_KEY = key_of("node")
FOUNDERS = {
    "mill": (Role.CLIENT,),
    "works": (Role.CLIENT, Role.CORE_ENTERPRISE),
    "auditor": (Role.AUDITOR,),
    "governor": (Role.GOVERNOR,),
}


def genesis(chain_id: str = CHAIN_ID, *, at: Instant = START, tree_depth: int = 2, sandbox: bool = True) -> Genesis:
    """A sandbox chain on the embedded engine with four founders and the node key `NODE_KEY`."""
    return Genesis(
        format=1,
        chain_id=chain_id,
        time=at,
        engine=Engine.EMBEDDED,
        validators=(Validator(key=public(NODE_KEY), name="node"),),
        zone=GenesisZone(name="UTC", transitions=(Transition(at=Instant(0), offset="+00:00"),)),
        currencies=(GenesisCurrency(currency="CNY", minor_digits=2),),
        members=tuple(
            GenesisMember(
                legal_name=name,
                identifier=lei(name),
                identifier_kind="lei",
                size_class=SizeClass.SMALL,
                keys=(offer(name),),
                roles=roles,
            )
            for name, roles in FOUNDERS.items()
        ),
        sandbox=sandbox,
        tree_depth=tree_depth,
        limits=Limits(max_due_per_block=100),
    )


class Consortium:
    """The founders of a chain, who sign. Transaction ids are counted, so that the same steps give the same bytes."""

    def __init__(self, chain_id: str = CHAIN_ID, now: Instant = START, prefix: str = "t") -> None:
        self.chain_id = chain_id
        self.now = now
        self.ids = {member.legal_name: member_id(CHAIN_ID, member) for member in genesis().members}
        self._prefix = prefix
        self._count = itertools.count(1)

    def sign(
        self,
        *operations: Operation,
        by: str = "mill",
        name: str = "",
        not_after: Instant | None = None,
        keys: tuple[Ed25519, ...] = (),
        seen: Seen | None = None,
    ) -> bytes:
        """Raw bytes of a transaction of `by`; `keys` sign besides its own."""
        body = body_bytes(
            self.chain_id,
            self.ids[by],
            name or f"{self._prefix}{next(self._count)}",
            not_after or self.now.plus(DAY_MS),
            operations,
            (),
            seen,
        )
        return envelope.sign(body, key_of(by), *keys).to_bytes()

    def anchoring(self, content: str, by: str = "mill", name: str = "", **fields: object) -> bytes:
        """A transaction that anchors a document, accepted unless `earlier` names one that isn't there."""
        earlier = fields.pop("earlier", None)
        operation = AnchorDocument(
            anchor=anchor("note", content), earlier=earlier if isinstance(earlier, str) else None
        )
        return self.sign(operation, by=by, name=name, **fields)  # type: ignore[arg-type]

    def document_id(self, name: str, by: str = "mill") -> str:
        """The id of the document that the transaction `name` of `by` anchors."""
        return record_id("doc", self.chain_id, self.ids[by], name, 0)


class OwnClock:
    """Milliseconds that go on in real time from a start that the test chooses."""

    def __init__(self, start: Instant = START) -> None:
        self._start = int(start) - time.monotonic_ns() // 1_000_000

    def __call__(self) -> int:
        return self._start + time.monotonic_ns() // 1_000_000

    def jump(self, milliseconds: int) -> None:
        """Let the clock be set by that much."""
        self._start += milliseconds


class CountingClock:
    """A clock that stands a second later each time it is asked, so that block times repeat."""

    def __init__(self, start: Instant = START) -> None:
        self._now = int(start)

    def __call__(self) -> int:
        self._now += 1
        return self._now
