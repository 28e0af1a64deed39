"""What the consortium itself decides: policies, currencies, the rules' version, validators, the clock of a sandbox.

Each of these steps is signed by m of n governors in one transaction. Values hold from a date on and never before the
day they were set.
"""
