"""Release plans (存放资源计划): when and how much the payer deposits, how a release is verified, what it needs.

`proposing` takes a plan from the payer's proposal over the platform's check to the payee's confirmation, which writes
it to the ledger whole: a `PlanVersion`, the only thing a release reads. `funding` and `escrow` hold the money,
`evidence` and `conditions` say what has been met, `releasing` moves it and leaves a certificate; `disputes`,
`refunds`, `amending` and `ending` are the ways out, `deadlines` what happens when nobody does anything.
"""
