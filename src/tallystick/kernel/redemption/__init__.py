"""Redemption (兑付): the debtor pays, at maturity or early, in ledger money or through a bank, and parcels retire.

All live parcels are paid in the step that retires them, or nobody is (the policy of pro rata payment aside). A share
that is frozen, or pledged under a signed contract, is paid into a hold account and waits there for whose it is. One
receivable that can't be paid, or one holder who can't be reached, never stops the others. Source: DOMAIN 2 and 3.
"""
