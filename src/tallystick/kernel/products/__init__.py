"""Products (产品开通): the payout product for one target business, from the payee's application to three contracts.

`applying` has the payee's and the payer's contract compared field by field, `authorising` asks the platform, then the
payer (授信请求), `contracts` has the three contracts signed and anchored, `standing` suspends, resumes and closes,
`deadlines` ends what waits. `terms` says on what a product may stand, `commitments` what its plans use up of its cap.
"""
