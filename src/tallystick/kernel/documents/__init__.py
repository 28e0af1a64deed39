"""Documents on the ledger: not the paper, only its salted hash, whose it is, what it is about and what it replaces."""
