"""A consortium's members: how a member's home is set up, and a whole consortium on one machine, run and looked at."""
