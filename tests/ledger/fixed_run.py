"""One fixed story on a real store, told as hashes: what must be the same in every process and on every Python.

`python -m tests.ledger.fixed_run [CHUNK]` prints a line for each block (roots, header and results hashes), and one
digest over all operation vectors replayed. CHUNK cuts the same transactions into blocks of that many.
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tallystick.kernel import machine
from tallystick.kernel.core import codec
from tallystick.kernel.core.record import decode_record
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Block, Chain
from tallystick.kernel.governance.operations import AdvanceClock
from tallystick.kernel.membership.keys import AddKey
from tallystick.kernel.membership.records import KeyRole
from tallystick.kernel.membership.standing import ReinstateMember, SuspendMember
from tallystick.kernel.transaction import read
from tallystick.ledger.execution import BlockExecution
from tallystick.ledger.opening import open_ledger
from tallystick.ledger.sealing import seal
from tallystick.ledger.snapshots import restore, take_snapshot
from tallystick.ledger.store import RocksStore, Store
from tallystick.proof import comet
from tallystick.wire import canonical
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import DAY_MS, Instant, parse_date
from tests.support.ledger import NODE_KEY, START, Consortium, genesis
from tests.support.members import application, key_of, offer
from tests.support.memory import MemoryState
from tests.support.vectors import DIRECTORY


def story() -> list[bytes]:
    """Members come, go and are suspended, documents are anchored and refused, time passes, reviews expire."""
    consortium = Consortium()
    raws = [consortium.anchoring(f"合符 {number}", by=by) for number in range(40) for by in consortium.ids]
    applicants = ("newcomer", "latecomer", "stranger")
    raws.extend(consortium.sign(application(name), by="works", keys=(key_of(name),)) for name in applicants)
    spare = key_of("spare")
    added = offer("spare", KeyRole.CHECKER)
    raws.append(consortium.sign(AddKey(key=added.key, role=added.role), by="mill", keys=(spare,)))
    raws.append(consortium.sign(SuspendMember(member=consortium.ids["works"], reason="papers_lapsed"), by="auditor"))
    raws.append(consortium.anchoring("while suspended", by="works"))
    raws.append(consortium.anchoring("no such version", earlier="doc_0000000000000000"))
    raws.append(consortium.sign(AdvanceClock(to=START.plus(11 * DAY_MS)), by="governor"))
    consortium.now = START.plus(11 * DAY_MS)
    raws.append(consortium.sign(ReinstateMember(member=consortium.ids["works"]), by="auditor"))
    raws.extend(consortium.anchoring(f"after {number}", by="works") for number in range(40))
    return raws


def run(store: Store, raws: list[bytes], chunk: int) -> Iterator[str]:
    """Execute and seal the transactions in blocks of `chunk`, at fixed times; a line for each block."""
    opened = open_ledger(store, genesis())
    for first in range(0, len(raws), chunk):
        height = opened.tip.height + 1
        time = START.plus(1_000 * height)
        execution = BlockExecution(opened.state, opened.archive, opened.tree, opened.chain, opened.roots, height, time)
        for raw in raws[first : first + chunk]:
            transaction = read(raw)
            if isinstance(transaction, Refusal):
                raise DecodeError(f"refused: {transaction}")
            execution.add(transaction)
        executed = execution.finish()
        tip = seal(opened, executed, NODE_KEY)
        store.write(executed.batch)
        opened.advance(executed, tip)
        results = comet.results_hash(executed.results)
        yield " ".join(part.hex() for part in (executed.roots.state, executed.roots.receipts, tip.block_hash, results))


def vectors_digest() -> str:
    """SHA-256 over what each operation vector gives when it is replayed."""
    digest = hashlib.sha256()
    for path in sorted(DIRECTORY.glob("*/*.json")):
        vector = json.loads(path.read_text(encoding="utf-8"))
        transaction = read(canonical.encode(vector["transaction"]))
        if isinstance(transaction, Refusal):
            digest.update(transaction.status.label.encode())
            continue
        place = vector["block"]
        block = Block(place["height"], Instant.parse(place["time"]), parse_date(place["today"]), bytes(32))
        before = (decode_record(key, codec.encode(row)) for key, row in vector["before"].items())
        overlay = Overlay(MemoryState(before))
        result = machine.execute(overlay, Chain(tree_depth=2, **vector["chain"]), block, 0, transaction)
        digest.update(machine.result_data(result.status, result.facts, ""))
        digest.update(codec.encode(list(result.events)))
        for key, row in overlay.records.items():  # in the order in which they were written
            digest.update(key.encode() + (b"" if row is None else codec.encode(row)))
        digest.update(codec.encode(overlay.index_changes()))
    return digest.hexdigest()


def main(chunk: int) -> None:
    """Print the hashes; half-way, go on from a restored snapshot."""
    with tempfile.TemporaryDirectory() as directory:
        store = RocksStore(Path(directory) / "ledger")
        raws = story()
        lines = list(run(store, raws, chunk))
        store.close()
        print(*lines, sep="\n")
        half = len(lines) // 2 * chunk
        first = RocksStore(Path(directory) / "first")
        again = list(run(first, raws[:half], chunk))
        take_snapshot(first, Path(directory) / "snapshot")
        first.close()
        second = RocksStore(Path(directory) / "second")
        restore(Path(directory) / "snapshot", second)
        again += run(second, raws[half:], chunk)
        second.close()
        print("restored:", "the same" if again == lines else "different")
    print("vectors:", vectors_digest())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 25)
