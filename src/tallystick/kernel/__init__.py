"""What is allowed and what it does: a pure function of (state, block).

Rules of this room: no I/O, no clock, no randomness, no floats, nothing that depends on hash order. Time, ids and
parameters come in the transaction or the block. Each trade concept is one module or package with its records, its
operations and its rules together; `machine` is the table of contents. An operation's `check` writes nothing and
returns the first reason not to; its `apply` can't fail except by a bug.
"""
