"""Products (产品开通): the payout product for one target business, from the payee's application to three contracts.

`applying` compares the payee's and the payer's contract field by field, `authorising` asks the payer (授信请求),
`contracts` has the three contracts signed and anchored, `standing` suspends, resumes and closes. What a plan is checked
against are the product's own terms in `records`.
"""
