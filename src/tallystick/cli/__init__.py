"""The command line `tally`. It reaches the ledger through `node`."""
