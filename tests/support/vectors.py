"""Vectors: pre-state, transaction, post-state or status, one JSON file a case, readable in the trade's terms.

A file under tests/vectors/operations/ is written by the scenario test that names it (TALLYSTICK_WRITE_VECTORS=1) and
from then on holds: the scenario must reproduce it, and `tests/kernel/test_vectors.py` replays each file alone, from
its own pre-state. Only rows that the step looked at stand in `before`; `after` lists the rows it wrote (null: removed).
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tallystick.kernel.core import codec
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Block, Chain
from tallystick.kernel.machine import Result
from tallystick.kernel.transaction import Transaction

DIRECTORY = Path(__file__).parent.parent / "vectors" / "operations"
WRITING = os.environ.get("TALLYSTICK_WRITE_VECTORS") == "1"


@dataclass(frozen=True)
class Vector:
    """One case: its name (`receivable.confirm/not_a_party`) and what the file holds."""

    name: str
    content: dict[str, Any]

    @classmethod
    def of(
        cls,
        name: str,
        names: dict[str, str],
        chain: Chain,
        block: Block,
        before: dict[str, Record],
        transaction: Transaction,
        overlay: Overlay,
        result: Result,
    ) -> "Vector":
        text = transaction.raw.decode() + "".join(codec.encode(row).decode() for row in before.values())
        return cls(
            name,
            {
                "generator": "tests/support/vectors.py",
                "who": {key: value for key, value in sorted(names.items()) if key in text},
                "chain": {
                    "chain_id": chain.chain_id,
                    "sandbox": chain.sandbox,
                    "max_parcels": chain.max_parcels,
                },
                "block": {"height": block.height, "time": str(block.time), "today": block.today.isoformat()},
                "before": {key: codec.plain(row) for key, row in before.items()},
                "transaction": json.loads(transaction.raw),
                "status": result.status.label,
                "facts": result.facts,
                "after": {
                    key: None if row is None else codec.plain(row) for key, row in sorted(overlay.records.items())
                },
                "events": [codec.plain(event) for event in result.events],
            },
        )

    @property
    def path(self) -> Path:
        return DIRECTORY / f"{self.name}.json"

    def settle(self) -> None:
        """Write the file when asked to, else hold this run to it."""
        text = json.dumps(self.content, ensure_ascii=False, indent=1) + "\n"
        if WRITING:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(text, encoding="utf-8")
            return
        assert self.path.exists(), f"{self.path.name} is missing: run once with TALLYSTICK_WRITE_VECTORS=1 and read it"
        assert json.loads(self.path.read_text(encoding="utf-8")) == json.loads(text), (
            f"{self.name} differs from its vector"
        )
