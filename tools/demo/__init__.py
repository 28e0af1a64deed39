"""`make demo`: one consortium's story on a sandbox ledger, through both businesses: receivables and release plans.

`story` is the table of contents; each of its steps is a module that reads as prose. `stage` signs and hands in,
`papers` keeps the documents, `telling` prints. Figures that are printed are read from the ledger. What is real and what
is made up: docs/demo.md.
"""
