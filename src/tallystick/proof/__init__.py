"""What a stranger can check: Merkle trees, light client, evidence bundles, the verifier.

Pure: bytes in, a verdict out. Knows `wire` only, so that it can be carried away without a server.
"""
