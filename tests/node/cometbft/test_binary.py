"""CometBFT's program: taken from where it was built, else built once, whole or not at all, of what was pinned.

A stand-in for `go` does what a test asks; `conftest.program` builds with the real one where the cache is empty.
"""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tallystick.node.cometbft import binary
from tallystick.node.cometbft.binary import (
    MODULE,
    PATH_VARIABLE,
    RELEASES,
    VERSION_VARIABLE,
    NoCometBFT,
    cache_directory,
    find_cometbft,
    release_of,
)
from tallystick.wire.errors import DecodeError

RELEASE = RELEASES["v0.39.4"]
OWN = f"mod {MODULE} v0.39.4 {RELEASE.module_sum}"
OTHER = "dep example.org/other v1.0.0 h1:b3RoZXI="


class StandInGo:
    """A `go` on the path that notes what it is asked for, and makes a "program" that says a version."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.program = directory / "go"
        directory.mkdir(parents=True)
        self.is_like()

    def is_like(
        self,
        *,
        version: str = "go1.26.8",
        install: str = "",
        says: str = "0.39.4",
        modules: tuple[str, ...] = (OWN, OTHER),
    ) -> None:
        """`install`: commands of its own. The program `says` its version, and was built of these modules."""
        (self.directory / "go.sum").write_text(
            "example.org/other v1.0.0 h1:b3RoZXI=\nexample.org/other v1.0.0/go.mod h1:bW9k=\n"
        )
        (self.directory / "modules").write_text(
            "\n".join(["program: go1.26.8", "\tpath\tx", *modules, "build\tCGO_ENABLED=0"])
        )
        script = f"""\
            #!/bin/sh
            echo "$@" >> {self.directory}/asked
            env > {self.directory}/environment
            case "$1" in
            env) echo {version} ;;
            install)
                {install or ":"}
                mkdir -p "$GOBIN" "${{GOPATH:-{self.directory}/gopath}}/pkg"
                printf '#!/bin/sh\\necho {says}\\n' > "$GOBIN/cometbft"
                chmod +x "$GOBIN/cometbft" ;;
            mod) echo '{{"Dir": "{self.directory}"}}' ;;
            version) cat {self.directory}/modules ;;
            esac
            """
        self.program.write_text(textwrap.dedent(script))
        self.program.chmod(0o755)

    def asked(self, word: str) -> int:
        log = self.directory / "asked"
        return sum(line.startswith(word) for line in log.read_text().splitlines()) if log.exists() else 0

    def environment(self) -> dict[str, str]:
        lines = (self.directory / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with an empty cache, nothing named, and no Go but what a test puts there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in (PATH_VARIABLE, VERSION_VARIABLE, "GOPATH", "GOMODCACHE", "GOFLAGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(binary, "packaged_go", lambda: None)


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandInGo:
    made = StandInGo(tmp_path / "go")
    monkeypatch.setenv("PATH", f"{made.directory}:/usr/bin:/bin")
    return made


def left_behind() -> list[str]:
    return sorted(path.name for path in cache_directory().glob("*/*") if path.name != "lock")


def test_it_is_built_once(go: StandInGo) -> None:
    told: list[str] = []
    program = find_cometbft(note=told.append)
    assert program == cache_directory() / "v0.39.4" / "cometbft"
    assert find_cometbft(note=told.append) == program
    assert go.asked(f"install {MODULE}/cmd/cometbft@v0.39.4") == 1
    assert told == [
        "building CometBFT v0.39.4, once; takes a minute or two",
        f"CometBFT v0.39.4 is built: {program}",
    ]
    assert left_behind() == ["cometbft"]


def test_the_build_is_the_same_whatever_the_users_flags(go: StandInGo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("GOFLAGS", "-mod=vendor"), ("GOOS", "windows"), ("GOPROXY", "https://proxy.example.org")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOPATH", str(go.directory / "own"))
    find_cometbft()
    ran = go.environment()
    assert (ran["GOFLAGS"], ran["CGO_ENABLED"], ran["GOTOOLCHAIN"]) == ("-trimpath", "0", "local")
    assert "GOOS" not in ran
    assert ran["GOPROXY"] == "https://proxy.example.org"  # how modules are reached is the user's to say
    assert ran["GOPATH"] == str(go.directory / "own")


def test_what_was_built_needs_no_go(go: StandInGo, monkeypatch: pytest.MonkeyPatch) -> None:
    program = find_cometbft()
    monkeypatch.setenv("PATH", "/nothing")
    assert find_cometbft() == program


def test_two_processes_build_it_once(go: StandInGo) -> None:
    go.is_like(install="sleep 1")
    command = "from tallystick.node.cometbft.binary import find_cometbft as f; print(f(note=lambda _: None))"
    both = [subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE) for _ in range(2)]
    told = {process.communicate()[0] for process in both}
    assert told == {f"{cache_directory()}/v0.39.4/cometbft\n".encode()}
    assert go.asked("install") == 1


def test_a_build_that_fails_leaves_nothing_and_says_what_to_do(go: StandInGo) -> None:
    go.is_like(install="mkdir -p $GOBIN; echo half > $GOBIN/cometbft; echo 'dial tcp: no route to host' >&2; exit 1")
    with pytest.raises(NoCometBFT, match="no route to host") as caught:
        find_cometbft()
    assert all(word in str(caught.value) for word in ("GOPROXY", "sum.golang.org", PATH_VARIABLE))
    assert left_behind() == []
    go.is_like()
    assert find_cometbft().exists()


def test_what_a_killed_builder_left_is_cleared_away(go: StandInGo) -> None:
    abandoned = cache_directory() / "v0.39.4" / ".building-abc" / "bin" / "cometbft"
    abandoned.parent.mkdir(parents=True)
    abandoned.write_text("half")
    find_cometbft()
    assert left_behind() == ["cometbft"]


@pytest.mark.parametrize(
    ("modules", "named"),
    [
        ((f"mod {MODULE} v0.39.4 h1:YWx0ZXJlZA==", OTHER), MODULE),
        ((f"mod {MODULE} v0.39.3 {RELEASE.module_sum}", OTHER), "v0.39.3"),
        ((OWN, "dep example.org/other v1.0.0 h1:YWx0ZXJlZA=="), "example.org/other"),
        ((OWN, "dep example.org/other v1.0.1 h1:b3RoZXI="), "example.org/other v1.0.1"),
        ((OWN, "dep example.org/other v1.0.0", "=> ../mine v1.0.0"), "example.org/other"),
        ((OWN, OTHER, "=> example.org/mine v1.0.0 h1:bWluZQ=="), "example.org/mine"),
        ((), "does not say which modules"),
    ],
)
def test_only_what_was_pinned_is_taken(go: StandInGo, modules: tuple[str, ...], named: str) -> None:
    go.is_like(modules=modules)
    with pytest.raises(NoCometBFT) as caught:
        find_cometbft()
    assert named in str(caught.value)
    assert left_behind() == []


def test_a_program_of_another_version_is_refused(go: StandInGo) -> None:
    go.is_like(says="0.38.25")
    with pytest.raises(NoCometBFT, match=r"is CometBFT '0\.38\.25', and v0\.39\.4 is needed"):
        find_cometbft()
    assert left_behind() == []


def test_a_program_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mine"
    monkeypatch.setenv(PATH_VARIABLE, str(program))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(NoCometBFT, match=f"mine does not run here .named by {PATH_VARIABLE}"):
        find_cometbft()
    program.write_text("#!/bin/sh\necho 0.39.4+abc\n")
    program.chmod(0o755)
    assert find_cometbft() == program
    with pytest.raises(NoCometBFT, match=r"v0\.38\.25 is needed"):
        find_cometbft("v0.38.25")


def test_only_two_versions_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(RELEASES) == ["v0.39.4", "v0.38.25"]
    monkeypatch.setenv(VERSION_VARIABLE, "v1.0.1")
    with pytest.raises(DecodeError, match=r"v1\.0\.1"):
        find_cometbft()


def test_the_other_version_is_asked_for_by_the_environment(go: StandInGo, monkeypatch: pytest.MonkeyPatch) -> None:
    other = release_of("v0.38.25")
    monkeypatch.setenv(VERSION_VARIABLE, other.version)
    go.is_like(says="0.38.25", modules=(f"mod {MODULE} {other.version} {other.module_sum}", OTHER))
    assert find_cometbft().parent.name == "v0.38.25"


@pytest.mark.parametrize("version", ["go1.24.9", "go1.9", "devel", ""])
def test_too_old_a_go_is_no_go(go: StandInGo, version: str) -> None:
    go.is_like(version=version)
    with pytest.raises(NoCometBFT, match=r"Go 1\.25 or newer, and there is none") as caught:
        find_cometbft()
    assert "pip install 'tallystick[consortium]'" in str(caught.value)
    assert go.asked("install") == 0


def test_the_packaged_go_builds_where_there_is_no_other_and_leaves_no_caches(
    tmp_path: Path, go: StandInGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    go.is_like(version="go1.22.1")
    packaged = StandInGo(tmp_path / "packaged")
    monkeypatch.setattr(binary, "packaged_go", lambda: packaged.program)
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    find_cometbft()
    assert (go.asked("install"), packaged.asked("install")) == (0, 1)
    ran = packaged.environment()
    for name in ("GOPATH", "GOCACHE"):
        assert Path(ran[name]).is_relative_to(cache_directory())
        assert not Path(ran[name]).exists()
    assert "GOMODCACHE" not in ran


def test_in_an_activated_environment_the_go_on_the_path_is_the_packaged_one(
    tmp_path: Path, go: StandInGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = StandInGo(tmp_path / "packaged")
    monkeypatch.setattr(binary, "packaged_go", lambda: packaged.program)
    monkeypatch.setattr(sys, "executable", str(go.directory / "python"))
    find_cometbft()
    assert (go.asked("install"), packaged.asked("install")) == (0, 1)


def test_a_relative_cache_directory_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache" / "tallystick" / "cometbft"
