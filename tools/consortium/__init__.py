"""`make consortium`: the demo's story on four nodes of this machine, each with its own home, keys, ports and CometBFT.

`story` founds, runs and takes down; `watching` shows the nodes beside the story. The story itself is `tools.demo`'s.
"""
