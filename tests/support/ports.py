"""Ports for consortia that tests start: test processes beside each other begin at different ones."""

import os

from tallystick.node.consortium.founding import PORTS_EACH, free_ports
from tallystick.wire.errors import DecodeError

FIRST, LAST, OF_A_PROCESS = 27_000, 27_900, 100


def base_port(members: int) -> int:
    """The first of a run of ports for so many members, at which nobody listens now."""
    worker = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))) or 0)
    first = FIRST + worker * OF_A_PROCESS % (LAST - FIRST)
    for start in range(first, first + OF_A_PROCESS - members * PORTS_EACH, PORTS_EACH):
        try:
            return free_ports(members, start)[0]
        except DecodeError:
            continue
    raise OSError(f"no {members * PORTS_EACH} free ports in a row from {first} on")
