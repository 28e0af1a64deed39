"""Tallystick (合符): receivables and release plans on a ledger that companies keep together."""
