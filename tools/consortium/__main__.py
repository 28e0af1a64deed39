"""`python -m tools.consortium`: tell the demo's story on a consortium in var/consortium."""

import argparse
import sys
from pathlib import Path

from tallystick.wire.errors import DecodeError
from tools.consortium.story import USUAL_DIRECTORY, USUAL_MEMBERS, Asked, tell
from tools.demo.stage import StoryFault


def main() -> int:
    """Run it; 1 if the ledger did not answer as the story says, 2 if it can't be told here."""
    parser = argparse.ArgumentParser(prog="python -m tools.consortium", description="The demo's story on four nodes.")
    parser.add_argument("--directory", type=Path, default=USUAL_DIRECTORY, help="default: %(default)s")
    parser.add_argument("--members", type=int, default=USUAL_MEMBERS, help="how many nodes (default: %(default)s)")
    parser.add_argument("--base-port", type=int, help="the first of two ports a node (default: the first that is free)")
    parser.add_argument("--short", action="store_true", help="the story's beginning alone")
    given = parser.parse_args()
    try:
        tell(Asked(given.directory, given.members, given.base_port, given.short))
    except StoryFault as fault:
        sys.stderr.write(f"the story stopped: {fault}\n")
        return 1
    except (DecodeError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped; `make consortium` starts anew\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
