"""The stand-alone verifier's command: files in, words and an exit code out. It imports `proof` and `wire` alone."""
