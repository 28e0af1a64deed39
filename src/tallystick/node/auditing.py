"""Checking a whole ledger, for the command line and the demo."""

from tallystick.ledger.invariants import CHECKS, Checked, audit

__all__ = ["CHECKS", "Checked", "audit"]
