"""Members (加入联盟链): who they are, what they may do, which keys sign for them.

Roles, permissions, states, signing policies and keys are append-only with validity [since, until) in ledger positions,
never deleted: one proof of the present row answers "was it entitled then?" for every earlier height.
"""
