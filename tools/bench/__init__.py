"""Measurements of the embedded engine: `make bench` (docs/performance.md says what the figures mean)."""
