"""Where the ledger is ordered and kept: store, execution of blocks, state tree, archive, snapshots, engines.

Rules of this room: one function executes a block for every engine and for fsck (`execution`); all that a block changes
is written in one synced batch; nothing leaves the process before that write has returned.
"""
