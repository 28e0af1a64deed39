"""Floods of what is unreadable, too large or sent again, alone and in packets: honest steps get in, and in time."""

import base64
import json
import random
import threading
import urllib.request

import pytest

from tallystick.ledger.comet.packets import pack
from tallystick.wire import envelope
from tests.faults.cluster import Cluster
from tests.faults.load import quantile

CALM_STEPS, FLOODED_STEPS = 100, 200
BATCH = 50
PATIENCE_SECONDS = 15.0

pytestmark = [pytest.mark.faults, pytest.mark.engine]


class Flood:
    """Hands everything to every member's CometBFT and node that it can, as fast as it can."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self._cluster = cluster
        self._chance = chance
        self._again = [cluster.steps.anchoring(f"again {number}", name=f"again-{number}") for number in range(BATCH)]
        self.distinct = len(self._again)
        self.sent = 0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._to_cometbft, self._to_nodes)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _batch(self) -> list[bytes]:
        genuine = self._chance.choice(self._again)
        return [
            *(self._chance.randbytes(self._chance.randint(0, 2_000)) for _ in range(BATCH)),
            bytes(envelope.MAX_BYTES + 1),
            genuine[:-1],
            genuine.replace(b"again", b"Again", 1),
            genuine + b" ",
            *self._again,
            *(self._packet() for _ in range(5)),
        ]

    def _packet(self) -> bytes:
        """Well-formed, and of what waits already or was ordered, or of what can't be read; or cut short."""
        fakes = [genuine[:-3] + b"%03d" % self._chance.randrange(1_000) for genuine in self._again]
        packed = pack(self._chance.sample([*self._again, *fakes], BATCH))
        return packed[: self._chance.choice((len(packed), len(packed), self._chance.randrange(len(packed))))]

    def _to_cometbft(self) -> None:
        while not self._ended.is_set():
            for number in range(4):
                self._broadcast(number, self._batch())

    def _to_nodes(self) -> None:
        while not self._ended.is_set():
            for number in range(4):
                batch = self._batch()
                self._cluster.members[number].engine.submit_many(batch, PATIENCE_SECONDS)
                self.sent += len(batch)

    def _broadcast(self, number: int, raws: list[bytes]) -> None:
        """All in one request, whatever the answers are."""
        calls = [
            {
                "jsonrpc": "2.0",
                "id": at,
                "method": "broadcast_tx_async",
                "params": {"tx": base64.b64encode(raw).decode()},
            }
            for at, raw in enumerate(raws)
        ]
        request = urllib.request.Request(
            f"http://{self._cluster.ground.rpc_address(number)}",
            json.dumps(calls).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            answer.read()
        self.sent += len(raws)


def test_honest_steps_get_in_through_a_flood(cluster: Cluster, chance: random.Random) -> None:
    load = cluster.under_load()
    load.wait_more(CALM_STEPS, seconds=60)
    calm = [done.seconds for done in load.done]
    flood = Flood(cluster, chance)
    load.wait_more(FLOODED_STEPS, seconds=300)
    flood.end()
    flooded = [done.seconds for done in load.done[len(calm) :]]
    print(
        f"{flood.sent} transactions of a flood; honest clients waited {quantile(calm, 0.5):.2f} s (p50) and "
        f"{quantile(calm, 0.99):.2f} s (p99) before it, {quantile(flooded, 0.5):.2f} s and "
        f"{quantile(flooded, 0.99):.2f} s in it"
    )
    assert quantile(flooded, 0.99) < PATIENCE_SECONDS
    cluster.other_documents = flood.distinct
    cluster.finish()
