"""One member of a consortium on this machine: its ledger, the CometBFT beside it, and the home's local socket.

CometBFT and the node are a pair. The node answers CometBFT's questions on `HOME/abci.sock` and hands transactions to it
by its RPC; either may be killed and started again by itself, and the pair goes on where the ledger stands.
"""

import time
from collections.abc import Callable

from tallystick.kernel.genesis import Genesis
from tallystick.ledger.abci.server import Address
from tallystick.ledger.comet.application import LedgerApplication
from tallystick.ledger.comet.rpc import CometRpc, RpcRefused, RpcUnreachable
from tallystick.ledger.comet.serving import AbciThread
from tallystick.ledger.comet.snapshot_exchange import Retention, SnapshotExchange
from tallystick.ledger.comet.snapshots import SnapshotShelf
from tallystick.ledger.comet.state_sync import SnapshotTaking, abandon_half_restored, confirmed_digest
from tallystick.ledger.engines.cometbft import CometEngine
from tallystick.ledger.process import settle_collector
from tallystick.ledger.store import Store
from tallystick.node.cometbft.binary import find_cometbft
from tallystick.node.cometbft.configuration import EVIDENCE_MAX_AGE_BLOCKS, write_configuration
from tallystick.node.cometbft.redialling import Peering, Redialling, needed_peers
from tallystick.node.cometbft.settings import NodeSettings, read_settings
from tallystick.node.cometbft.supervisor import CometProcess
from tallystick.node.growth import begin
from tallystick.node.home import Home
from tallystick.wire.errors import DecodeError

RPC_SECONDS = 3.0


class MemberNode:
    """The pair, from its home. `note` is told what the operator should read."""

    def __init__(
        self, home: Home, genesis: Genesis, open_store: Callable[[], Store], note: Callable[[str], None]
    ) -> None:
        self._home = home
        self._note = note
        settings = read_settings(home.settings)
        self._binary = find_cometbft(note=note)
        write_configuration(home, settings, genesis)
        if abandon_half_restored(home.ledger):
            note("a snapshot was not taken in to its end; it is fetched anew")
        if genesis.predecessor is not None and not home.ledger.exists():
            begin(home)
            note(f"the ledger goes on from {genesis.predecessor.chain_id} at height {genesis.initial_height}")
        synced = settings.state_sync
        self._servers = tuple(CometRpc(one) for one in synced.rpc_servers) if synced is not None else ()
        store = open_store()
        try:
            self.engine = CometEngine(store, genesis, CometRpc(settings.rpc_address), others=self._servers)
            self._snapshots = self._exchange(store, genesis, settings)
        except BaseException:  # allow(broad-except): whatever it was, the directory is let go of, and it goes on up
            store.close()
            raise
        commit_wait_ns = settings.blocks.commit_wait_ms * 1_000_000
        application = LedgerApplication(self.engine, self.engine, self._snapshots, time.time_ns, commit_wait_ns)
        address = Address(path=home.application_socket)
        self._abci = AbciThread(address, application, self.engine.look, self.engine.broke)
        self._comet = CometProcess(self._binary, home)
        self._named_peers = len(settings.peers.persistent)
        self._rpc = CometRpc(settings.rpc_address, RPC_SECONDS)
        self._redialling = Redialling(self._peering, self._comet.restart)
        self._said = ""

    def _exchange(self, store: Store, genesis: Genesis, settings: NodeSettings) -> SnapshotExchange:
        keeping = settings.keeping
        self._shelf = SnapshotShelf(self._home.snapshots, store, keeping.snapshot_every_blocks, keeping.snapshots)
        taking = SnapshotTaking(store, genesis, lambda height: confirmed_digest(self._servers, height))
        retention = Retention(keeping.retain_blocks, EVIDENCE_MAX_AGE_BLOCKS, lambda: self.engine.archived_until)
        return SnapshotExchange(self._shelf, taking, retention, self.engine.reopen)

    def start(self) -> None:
        """Answer CometBFT, and start it."""
        settle_collector()
        self._abci.start()
        self.engine.start()
        self._comet.start()

    def look(self) -> str:
        """Tell what has changed; returns the problem that nothing but the operator can mend, or nothing."""
        problem = self.engine.health().problem
        if problem.startswith("stopped"):
            return problem
        if self._comet.has_given_up:
            return f"stopped: {self._comet.problem}"
        if self._redialling.look():
            self._note("too few peers are connected: CometBFT is started again to dial them")
        problem = problem or self._comet.problem or self._shelf.problem
        if problem != self._said:
            self._note(problem or "the node takes transactions again")
            self._said = problem
        return ""

    def _peering(self) -> Peering | None:
        try:
            connected = len(self._rpc.net_info())
        except (RpcUnreachable, RpcRefused, DecodeError):
            return None
        validators = len(self.engine.validators_at(self.engine.height + 1).validators)
        return Peering(connected, needed_peers(validators, self._named_peers))

    def stop(self) -> None:
        """Stop CometBFT first, which ends what it is at; then let go of the ledger. Safe to call twice."""
        self._comet.stop()
        self._rpc.close()
        self._abci.stop()
        self._shelf.close()
        self.engine.close()
