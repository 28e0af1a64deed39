"""Evidence: one file about one thing that a stranger checks offline, with a genesis that it pins and nothing else.

`bundle` reads the file; `blocks` trusts headers by their commits; `inclusion` puts transactions, results and due work
into blocks; `state` proves records at the bundle's height. Needs PyNaCl and the standard library, and no other room
than `wire`. Format: docs/spec/evidence.md.
"""
