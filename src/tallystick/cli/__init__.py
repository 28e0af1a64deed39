"""The command line `tally`. It reaches the ledger through `node`.

Rules of this room: tables for people unless `--json` asks for one JSON value; data goes to standard output, everything
else to standard error; the exit code says how it ended (`output.Exit`); heavy modules are imported where a command
needs them, so that `tally --help` stays quick.
"""
