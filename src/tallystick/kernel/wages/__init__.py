"""Wage tranches (代发工资): many workers in one tranche, each line with a state of its own.

The payer's maker and checker upload the lines in chunks (`lines`); the complete sheet is what the tranche claims. The
release (`releasing`) moves its whole sum from escrow into transit, where it is owed to the workers until the custodian
reports each line as paid or returned (`results`). A returned line alone is repaired or taken out (`correcting`).
`rules` holds what the rules of wage accounts refuse. Workers are not members: names and accounts never stand here.
Source: DOMAIN section 3, "Wage plan", and section 6, "cn: wage accounts".
"""
