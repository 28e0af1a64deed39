"""One running member: where its home is, its keys, how its engine is opened, and what commands and pages ask of it.

Rules of this room: only here is an engine opened or connected to; secrets are read as late as possible and never
written in the clear; nothing here prints or prompts.
"""
