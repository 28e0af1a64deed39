"""A CometBFT whose clock a test can set: built from the pinned release with one line changed, and kept beside it.

Go programs ask the system for the time past any library that could be preloaded. So `types/time` reads, each time it is
asked, how far its clock is off from a file that `TALLYSTICK_TEST_CLOCK` names.
"""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tallystick.node.cometbft.binary import (
    BUILD_SECONDS,
    DEFAULT_VERSION,
    MODULE,
    PATH_VARIABLE,
    PROGRAM,
    VERSION_VARIABLE,
    Release,
    cache_directory,
    find_cometbft,
    find_go,
    release_of,
)

CLOCK_VARIABLE = "TALLYSTICK_TEST_CLOCK"
NOW = "return Canonical(time.Now())"
SHIFTED_NOW = "return Canonical(time.Now().Add(shift()))"
SHIFT = f"""\
package time

import (
	"os"
	"strings"
	"time"
)

func shift() time.Duration {{
	text, _ := os.ReadFile(os.Getenv("{CLOCK_VARIABLE}"))
	by, _ := time.ParseDuration(strings.TrimSpace(string(text)) + "ms")
	return by
}}
"""


class ClockFile:
    """The clock of some members, node and CometBFT: as far off as the file at `path` says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.set(0)
        self.environment = {PATH_VARIABLE: str(shifted_cometbft()), CLOCK_VARIABLE: str(path)}
        self.sabotage = f"clock:{path}"

    def set(self, milliseconds: int) -> None:
        """Let the clock be off by so much from now on."""
        draft = self.path.with_suffix(".new")
        draft.write_text(str(milliseconds), encoding="ascii")
        draft.replace(self.path)


def shifted_cometbft() -> Path:
    """The program, built now if it has to be."""
    find_cometbft()  # so that Go has the module, or says what is missing
    release = release_of(os.environ.get(VERSION_VARIABLE) or DEFAULT_VERSION)
    program = cache_directory() / f"{release.version}-shifted" / PROGRAM
    program.parent.mkdir(parents=True, exist_ok=True)
    with (program.parent / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test workers begin together, and one build is enough
        if not program.exists():
            _build(release, program)
    return program


def _build(release: Release, program: Path) -> None:
    go = find_go(release)
    assert go is not None, "no Go that is new enough"
    with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
        environment = go.environment(Path(scratch))

        def ask(*words: str) -> bytes:
            done = subprocess.run(
                [str(go.program), *words],
                env=environment,
                cwd=scratch,
                capture_output=True,
                check=False,
                timeout=BUILD_SECONDS,
            )
            assert done.returncode == 0, done.stderr.decode()
            return done.stdout

        module = Path(json.loads(ask("mod", "download", "-json", f"{MODULE}@{release.version}"))["Dir"])
        source = Path(scratch) / "source"
        shutil.copytree(module, source, copy_function=shutil.copyfile)
        for path in (source, *source.rglob("*/")):
            path.chmod(0o755)  # the module cache is read-only
        clock = source / "types" / "time" / "time.go"
        text = clock.read_text(encoding="utf-8")
        assert text.count(NOW) == 1, "this release tells the time in another way"
        clock.write_text(text.replace(NOW, SHIFTED_NOW), encoding="utf-8")
        clock.with_name("shift.go").write_text(SHIFT, encoding="utf-8")
        ask("build", "-C", str(source), "-o", str(Path(scratch) / PROGRAM), "./cmd/cometbft")
        (Path(scratch) / PROGRAM).replace(program)
