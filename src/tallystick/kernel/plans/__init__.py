"""Release plans (存放资源计划): when and how much the payer deposits, how a release is verified, what it needs.

`proposing` takes a plan from the payer's proposal over the platform's check to the payee's confirmation, which writes
it to the ledger whole: a `PlanVersion`, the only thing a release reads. `soundness` and `against_product` are what it
is checked against, `days` makes instants of its dates. `funding` and `escrow` hold the money; `conditions`, `evidence`,
`answering` and `rounds` say what has been met; `releasing`, `sums` and `redeeming` move it and leave a certificate.
`disputes` and `rulings`, `refunds`, `amending`, `cancelling` and `ending` are the ways out; `deadlines` is what happens
when nobody does anything, `parties` when somebody is no more.
"""
