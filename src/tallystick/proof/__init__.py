"""What a stranger can check: Merkle trees, light client, evidence bundles, the verifier.

Rules of this room. Pure: bytes or parsed JSON in, a value or a verdict out; no I/O, clock, randomness or floats. It
imports the standard library, PyNaCl and `wire`, so that it can be carried away without a server. Readers raise
`DecodeError` and check form alone; a check of truth answers whether it holds, and takes what is trusted (roots,
depth, keys) from its caller, never from the proof. What CometBFT defines keeps CometBFT's names and bytes.
"""
