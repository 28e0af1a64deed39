"""The nodes beside the story: a table that stays where somebody is looking, else a line after each step."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import Progress

from tallystick.cli.consortium import state_table
from tallystick.node.consortium.watching import MemberState, Watch
from tools.demo.telling import COLUMNS, Step, Telling

LOOK_SECONDS = 1.0
HASH_SHOWN = 6


class Members:
    """How the nodes are, asked every second while the story runs."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._stopping = threading.Event()
        self._looking = threading.Thread(target=self._look, name="watch", daemon=True)
        self.states: Sequence[MemberState] = watch.look()

    def __enter__(self) -> Self:
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._looking.join()

    def _look(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            self.states = self._watch.look()

    def line(self) -> str:
        """All nodes on one line: heights, app hashes, peers; and whose problem there is."""
        heights = " ".join(str(one.health.height) if one.health else "-" for one in self.states)
        hashes = " ".join(one.health.app_hash.hex()[:HASH_SHOWN] if one.health else "-" for one in self.states)
        peers = " ".join(str(one.comet.peers) if one.comet else "-" for one in self.states)
        problems = "".join(f"  {one.name}: {one.problem}" for one in self.states if one.problem)
        return f"blocks {heights}  app hashes {hashes}  peers {peers}{problems}"


class _Beside(Progress):
    """The step under way, below the table of the nodes."""

    def __init__(self, members: Members, console: Console) -> None:
        self._members = members
        super().__init__(*COLUMNS, console=console, transient=True, disable=not console.is_terminal)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield state_table(list(self._members.states))
        yield self.make_tasks_table(self.tasks)


class WatchedTelling(Telling):
    """The demo's voice, with the nodes beside it."""

    members: Members | None = None

    def progress(self) -> Progress:
        return super().progress() if self.members is None else _Beside(self.members, self.console)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        with super().step(title) as step:
            yield step
        if self.members is not None and not self.console.is_terminal:
            self.console.print(f"  {self.members.line()}", style="dim", soft_wrap=True)
