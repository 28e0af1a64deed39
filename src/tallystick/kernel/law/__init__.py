"""Law: dated rules that judge receivables, transfers, financings, registrations and money, and the claims they give.

A consortium's genesis names its packs by jurisdiction (`cn`, `gb`, `all`). A pack is governed data: each rule has its
clause, effect, figures, mark (law, or policy where stricter than the law) and the day from which it holds. Each
decision stores the pack versions that judged it. Source: DOMAIN section 6; docs/law-packs.md.
"""
