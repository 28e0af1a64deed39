"""Where transactions are ordered and kept: block execution, store, state tree, archive, snapshots, engines.

One function executes blocks for every engine and for fsck. The engines do not import each other.
"""
