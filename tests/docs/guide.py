"""Runs the shell blocks of a guide as a reader would type them, one after another, in a directory of its own.

A command line may end in a comment that says how it ends:

    tally receivable request ...      # rcv_9byg           it makes this record; other commands may name it from here on
    tally transfer request ...        # refused: over_available
    tally show rcv_9byg               # says: redeemed     this word is in what people read
    tally node run &                  # goes on in the background until `kill %1` or the guide's end

Ids differ from ledger to ledger: the one in the comment stands for the first new id of its kind in what the command
printed. Commands run in this process, but for those in the background and what is no `tally`.
"""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tallystick.cli.main import run
from tallystick.node.composition import node_answers
from tallystick.node.consortium.founding import members_of
from tallystick.node.consortium.processes import down
from tallystick.node.home import new_home
from tests.support.commands import PASSPHRASE, TALLY

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"\b[a-z]{3}_[0-9a-hjkmnp-tv-z]{16}\b")
_NAMED = re.compile(r"\b(?!mbr_)[a-z]{3}_[0-9a-hjkmnp-tv-z]{4}\b")
_INNER = re.compile(r"\$\((tally [^()]*)\)")
_REFUSED = re.compile(r"refused: (\w+)")
_SAYS = re.compile(r"says: (\S+)")
_WAIT_SECONDS = 20


@dataclass(frozen=True)
class Line:
    """A command with what its comment says of it."""

    command: str
    names: tuple[str, ...]
    refused: str
    says: str
    in_background: bool


def commands(text: str) -> list[Line]:
    """The commands of a guide's shell blocks, in order."""
    found = []
    for block in _BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            command, _, comment = line.partition(" #")
            command = command.strip()
            if command and not command.startswith("#"):
                refused, says = _REFUSED.search(comment), _SAYS.search(comment)
                line_says = says[1] if says else ""
                names = tuple(_NAMED.findall(comment))
                background = command.endswith("&")
                found.append(Line(command.rstrip("& "), names, refused[1] if refused else "", line_says, background))
    return found


@dataclass
class Reader:
    """Somebody who follows a guide."""

    directory: Path
    ids: dict[str, str] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    _background: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def follow(self, guide: Path) -> None:
        """Type every command of a guide. Whatever ends otherwise than it says is an error that names the line."""
        shutil.copytree(DOCS / "examples", self.directory / "docs" / "examples")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK")}
        environment |= {"TALLYSTICK_PASSPHRASE": PASSPHRASE, "COLUMNS": "120"}
        with contextlib.chdir(self.directory), _environment(environment):
            try:
                for line in commands(guide.read_text(encoding="utf-8")):
                    self._type(line)
            finally:
                self._stop()
                self._take_down()

    def _type(self, line: Line) -> None:
        command = _INNER.sub(self._inner, self._with_ids(line.command))
        if line.in_background:
            self._start(command)
        elif command == "kill %1":
            self._stop()
        elif command.startswith("tally "):
            code, printed = _tally(shlex.split(command)[1:], as_json=not line.says)
            self.outputs.append(printed)
            self._judge(line, code, printed)
        else:
            subprocess.run(["bash", "-ec", command], check=True, timeout=60)

    def _judge(self, line: Line, code: int, printed: str) -> None:
        if line.refused:
            assert code == 1, f"{line.command}\nwas to be refused, ended with {code}\n{printed}"
            assert json.loads(printed)["status"] == line.refused, printed
            return
        assert code == 0, f"{line.command}\nended with {code}\n{printed}"
        assert line.says in printed, f"{line.command}\ndoes not say {line.says}\n{printed}"
        known = set(self.ids.values())
        new = [name for name in dict.fromkeys(_ID.findall(printed)) if name not in known]
        for name in line.names:
            if name not in self.ids:
                fitting = [one for one in new if one[:3] == name[:3]]
                assert fitting, f"{line.command}\nmade no {name}\n{printed}"
                self.ids[name] = fitting[0]
                new.remove(fitting[0])

    def _with_ids(self, command: str) -> str:
        return _NAMED.sub(lambda found: self.ids.get(found[0], found[0]), command)

    def _inner(self, found: "re.Match[str]") -> str:
        code, printed = _tally(shlex.split(found[1])[1:], as_json=False)
        assert code == 0, f"{found[1]}\n{printed}"
        return printed.strip()

    def _start(self, command: str) -> None:
        words = shlex.split(command)[1:]
        self._background.append(subprocess.Popen([*TALLY, *words], stdout=subprocess.DEVNULL))
        until = time.monotonic() + _WAIT_SECONDS
        home = Path(words[words.index("--home") + 1]) if "--home" in words else None
        while not node_answers(new_home(home)):  # a command would open the ledger itself and be in the node's way
            assert time.monotonic() < until, f"{command} does not answer"
            time.sleep(0.2)

    def _stop(self) -> None:
        for process in self._background:
            process.terminate()
            process.wait(timeout=30)
        self._background.clear()

    def _take_down(self) -> None:
        """End the nodes of a consortium that a guide left running, as where it came to a sudden end."""
        for directory in {path.parent.parent for path in self.directory.glob("*/*/node.pid")}:
            down(members_of(directory), lambda _: None)


def _tally(words: list[str], *, as_json: bool) -> tuple[int, str]:
    printed, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
        code = run([*words, "--json"] if as_json else words)
    return code, printed.getvalue() or said.getvalue()


@contextlib.contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def known_commands() -> set[str]:
    """Every command, from the generated reference."""
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    names = re.findall(r"^## tally (.+)$", text, re.MULTILINE) + re.findall(r"^- `tally ([^`]+)`", text, re.MULTILINE)
    return set(names)
