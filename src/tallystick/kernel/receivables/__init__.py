"""Receivables (应收账款): issued, confirmed, reviewed, held in parcels, frozen, voided. Redemption has its own room.

A receivable's face of F minor units is the interval 1..F. Its live parcels partition what is neither redeemed nor
cancelled, at every moment: each step cuts intervals and none adds amounts up. Source: DESIGN section 5, DOMAIN 3 and 7.
"""
