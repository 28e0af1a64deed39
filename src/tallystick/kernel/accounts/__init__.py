"""Accounts and money: double entry, mirrored at licensed custodians.

Each custodian keeps, per currency, a bank mirror (asset) against liabilities: what is available to members, held,
in suspense (挂账), in the escrow of plans and in transit. A posting moves an amount between two ledger accounts of one
custodian and one currency, so it sums to zero; no balance is ever negative; a hold is an account, not a flag.
`book` is the only writer of balances; the other modules of the room say when.
"""
