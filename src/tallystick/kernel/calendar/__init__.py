"""Days: the business time zone, the published years of business days, and counting in them.

The consortium names one business time zone and one calendar, both governed data. A date means that zone's day; beyond
the last published year nothing is guessed (`calendar_missing`). Source: DOMAIN section 2; DESIGN section 5.
"""
