"""What is written and signed: canonical bytes, envelopes, ids, amounts, instants and statuses.

Rules of this room: it imports no other room and, so that a stranger can verify with little more than Python,
nothing beyond the standard library and PyNaCl. Every parser raises `DecodeError` and no other exception.
"""
