"""`python -m tools.demo`: tell the story on a new ledger in var/demo."""

import argparse
import sys
from pathlib import Path

from tallystick.wire.errors import DecodeError
from tools.demo.home import USUAL_HOME
from tools.demo.stage import StoryFault
from tools.demo.story import tell
from tools.demo.telling import Telling


def main() -> int:
    """Run the demo; 1 if the ledger did not answer as the story says, 2 if it can't be told here."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description="The demo, on a sandbox ledger.")
    parser.add_argument("--home", type=Path, default=USUAL_HOME, help="where the ledger goes (default: %(default)s)")
    asked = parser.parse_args()
    try:
        tell(asked.home, Telling())
    except StoryFault as fault:
        sys.stderr.write(f"the demo stopped: {fault}\n")
        return 1
    except (DecodeError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped; `make demo` starts anew\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
