"""Who decides the order: `embedded` (one process) or `cometbft` (a consortium). They do not import each other."""
