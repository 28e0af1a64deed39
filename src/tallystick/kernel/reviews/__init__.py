"""Reviews (处理审核): one record for every review, whatever it is about.

A module whose records are reviewed registers a `Subject`; the last vote, the deadline or a suspension then applies the
subject's outcome in the same step. Reviewers who are a party, or its sponsor, recuse. Source: DOMAIN section 3.
"""
