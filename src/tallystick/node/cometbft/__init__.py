"""CometBFT beside the node: where its program comes from, what is written for it, and who keeps it running.

The ledger's side of it, the application that CometBFT drives, is `tallystick.ledger.comet`.
"""
