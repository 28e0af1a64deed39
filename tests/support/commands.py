"""The command `tally` as a user runs it: a process of its own, with a home and a passphrase."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tallystick.node.composition import create_chain
from tallystick.node.genesis_file import GenesisFile
from tallystick.node.home import Home
from tallystick.node.key_store import LIGHT_COST, Passphrases

PASSPHRASE = "correct horse"
TALLY = (sys.executable, "-c", "from tallystick.cli.main import main; main()")

GENESIS = """
chain_id = "harbour-test"
sandbox = true
zone = "Europe/London"
currencies = ["GBP"]
calendars = ["gb"]
law = ["gb"]
reference_rates = ["gb-bank-rate"]
tree_depth = 2

[policies]
identifier_kinds = ["test"]

[[members]]
legal_name = "Harbour Audit LLP"
identifier = "A1"
identifier_kind = "test"
size_class = "small"
roles = ["governor", "auditor"]
folder = "audit"

[[members]]
legal_name = "Millbrook Council"
identifier = "M1"
identifier_kind = "test"
size_class = "public"
roles = ["client", "core_enterprise"]
folder = "millbrook"
permissions = [{ may = "issue", currency = "GBP", ceiling = "1000000.00" }]

[[members]]
legal_name = "Askew Books Limited"
identifier = "S1"
identifier_kind = "test"
size_class = "small"
roles = ["client"]
folder = "askew"
permissions = [
  { may = "issue", currency = "GBP", ceiling = "1000000.00" },
  { may = "transfer", currency = "GBP", ceiling = "1000000.00" },
  { may = "finance", currency = "GBP", ceiling = "1000000.00" },
]

[[members]]
legal_name = "Northern Factors plc"
identifier = "F1"
identifier_kind = "test"
size_class = "large"
roles = ["funder"]
folder = "northern"
permissions = [{ may = "finance", currency = "GBP", ceiling = "1000000.00" }]

[[members]]
legal_name = "Haven Bank plc"
identifier = "B1"
identifier_kind = "test"
size_class = "large"
roles = ["custodian"]
folder = "haven"
"""


def make_home(path: Path, genesis: str = GENESIS) -> "Tally":
    """A home with the chain of `genesis`, as `tally chain init` makes it, but with keys that open quickly."""
    passphrases = Passphrases((PASSPHRASE,))
    create_chain(Home(path), GenesisFile(genesis, "genesis.toml"), passphrases, LIGHT_COST)
    return Tally(path)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Tally:
    """Runs `tally` in one home."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK")}
        given = {"TALLYSTICK_HOME": str(home), "TALLYSTICK_PASSPHRASE": PASSPHRASE, "COLUMNS": "120"}
        self.environment = {**kept, **given, **environment}

    def __call__(self, *words: str | Path, expect: int = 0) -> Ended:
        """Run to the end; the exit code must be the expected one."""
        done = subprocess.run(
            [*TALLY, *map(str, words)],
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
        assert done.returncode == expect, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str | Path) -> "subprocess.Popen[str]":
        """Start a command that goes on."""
        return subprocess.Popen(
            [*TALLY, *map(str, words)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def with_environment(self, **environment: str) -> "Tally":
        return Tally(self.home, **environment)
