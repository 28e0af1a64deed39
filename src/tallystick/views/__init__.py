"""What members look at: projections of events into tables, queries and reports.

Knows `wire` and `kernel` types only; it is rebuilt from events and never asked by the kernel.
"""
