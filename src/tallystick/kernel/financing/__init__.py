"""Financing (融资): a holder asks, funders evaluate and quote, one is awarded, signed, reviewed, registered, settled.

requested -> published -> (revealing) -> quoted -> awarded -> client_signed -> under_review -> approved -> registered ->
(paid, disputed) -> settled; ends also as withdrawn, no_quotes, expired, refused, settlement_failed. Each waiting state
has its deadline in the record. Cash and parcel pass in one step, or neither. Source: DOMAIN section 3, "Financing".
"""
