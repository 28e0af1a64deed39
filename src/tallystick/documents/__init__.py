"""Documents: the paper itself, which never goes onto the ledger, and the contracts that are made from its terms.

Copies lie in a content-addressed store; contracts are rendered from typed terms, the same bytes wherever they are.
"""
