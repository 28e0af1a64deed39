"""Programs that generate committed files; each generated file names the one that made it."""
