"""The frame on which the trade's modules stand: typed records, the overlay, steps, operations, refusals, events."""
