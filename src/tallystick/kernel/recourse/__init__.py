"""Recourse (追索): a holder whose debtor did not pay turns to its own prior party, hop by hop.

A voucher is a contract claim, so recourse exists only as agreed between neighbours: each transfer says whether its
sender answers, and for how much. Who is liable and for what is read from the transfers, never typed. Source: DOMAIN 3.
"""
