#!/bin/sh
# Makes .venv from nothing but a python3 (3.11 or newer) and a package index; called by the Makefile.
#
# It may be killed and run again at any point: the stamp is written last, and it holds the path of the tree,
# because a virtual environment does not survive being moved. PYTHON=/path/to/python3 overrides the search.
set -eu

UV_VERSION=0.13.9 # the version that wrote uv.lock
STAMP=.venv/.installed
GO_MINOR=25

cd "$(dirname "$0")/.."
HERE=$(pwd -P)
say() { printf '%s\n' "set-up: $*" >&2; }
die() { printf '%s\n' "set-up: error: $*" >&2; exit 1; }

# Two `make` at once would install into each other.
if [ "${TALLYSTICK_BOOTSTRAP_LOCKED:-}" != 1 ] && command -v flock >/dev/null 2>&1; then
    TALLYSTICK_BOOTSTRAP_LOCKED=1 exec flock .venv.lock sh tools/bootstrap.sh
fi

# The scripts of a virtual environment name its interpreter by its path, so a tree that was moved needs a new one.
usable() {
    [ -x .venv/bin/pip ] && head -n 3 .venv/bin/pip | grep -qF "$HERE/.venv/bin/python" || return 1
    .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# CometBFT is built with Go (src/tallystick/node/cometbft/binary.py); where there is none that is new enough, the
# extra `consortium` brings one.
go_is_here() {
    [ "$(command -v go)" != "$HERE/.venv/bin/go" ] || return 1 # that is the extra's, in an activated environment
    minor=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || return 1
    minor=${minor#go1.}
    minor=${minor%%[!0-9]*}
    [ -n "$minor" ] && [ "$minor" -ge "$GO_MINOR" ]
}

fresh() {
    [ -f "$STAMP" ] && usable || return 1
    go_is_here || [ -x .venv/bin/go ] || return 1
    for input in pyproject.toml uv.lock tools/bootstrap.sh; do
        [ ! "$input" -nt "$STAMP" ] || return 1
    done
}

# A python3 on the path may be too old, a version manager's empty shim, or Debian's without ensurepip: try each.
find_python() {
    seen=
    unfit=
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 /usr/bin/python3}; do
        found=$("$name" -c 'import platform; print(platform.python_version())' 2>/dev/null) || continue
        seen="$seen $name ($found)"
        "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || continue
        if "$name" -c 'import ensurepip, venv' 2>/dev/null; then
            python=$name
            return 0
        fi
        unfit=$name
    done
    [ -z "$unfit" ] || die "$unfit cannot make virtual environments: its venv or ensurepip module is missing." \
        "On Debian and Ubuntu: apt-get install python3-venv"
    die "Python 3.11 or newer is needed; found:${seen:- none}." \
        "Install one, or name it: make PYTHON=/path/to/python3 ..."
}

if fresh; then exit 0; fi

rm -f "$STAMP"
find_python
version=$("$python" -c 'import platform; print(platform.python_version())')
if usable; then
    say "1/3 .venv is there"
elif [ -d .venv ]; then
    say "1/3 the old .venv is incomplete or stems from elsewhere; making a new one with Python $version"
    "$python" -m venv --clear .venv
else
    say "1/3 making .venv with Python $version"
    "$python" -m venv .venv
fi

if [ "$(.venv/bin/python -m uv --version 2>/dev/null | cut -d' ' -f2)" = "$UV_VERSION" ]; then
    say "2/3 uv $UV_VERSION is there"
else
    say "2/3 installing uv $UV_VERSION"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" \
        || die "pip could not install uv $UV_VERSION; is a package index within reach?"
fi

extra=
go_is_here || extra="--extra consortium"
say "3/3 installing the locked packages${extra:+, and Go, for there is none here of 1.$GO_MINOR or newer}"
# The shell's own environment must not steer where the packages go or which interpreter is taken.
unset VIRTUAL_ENV UV_PYTHON UV_PROJECT_ENVIRONMENT UV_PROJECT || :
# shellcheck disable=SC2086 # two words or none
UV_PYTHON_DOWNLOADS=never .venv/bin/python -m uv sync --frozen $extra --python .venv/bin/python \
    || die "the packages of uv.lock could not be installed; is a package index within reach?"
printf '%s\n' "$HERE" >"$STAMP"
say "done"
